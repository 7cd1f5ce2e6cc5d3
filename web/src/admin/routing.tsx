// Routing rules in order, edited as a whole list and put in force together; and a dry run that explains which one a study would meet.
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError } from '../core/api';
import { t } from '../core/i18n';
import { organisationName, reachedBy, type TreeOrganisation } from '../core/organisations';
import { Loaded, useResource } from '../core/resource';
import { Banner, Button, Confirm, toast } from '../core/ui';
import { conditionWords } from './condition-words';
import './routing.css';
import { RuleEditor } from './rule-editor';
import { bodyOf, changesOf, type Changes, type Draft, type Drafts, draftsOf, move, type Part, placeOf, put, remove } from './rules-draft';
import { TryOut } from './try-out';
import type { RoutingRule } from './types';

type Answer = { rules: RoutingRule[] };
type Fault = { key: string; part: Part };
/** What is edited and not saved outlives a look at another section; `from`: the rules it was begun with. */
const kept = signal<{ drafts: Drafts; from: readonly RoutingRule[] } | null>(null);
let made = 0;

export function RoutingSection() {
  const rules = useResource<Answer>('/api/routing');
  const tree = useResource<{ organisations: TreeOrganisation[] }>('/api/organisations');
  const organisations = tree.data?.organisations ?? [];
  const [answer, setAnswer] = useState<Answer | null>(null); // of the latest saving
  const mayEdit = reachedBy(['organisation_admin'], organisations).some((each) => each.parent_id === null);
  return (
    <div class="columns">
      <section class="card" aria-labelledby="rules-title">
        <h2 id="rules-title">{t('admin.routing.rules')}</h2>
        <p class="soft">{t('admin.routing.text')}</p>
        <Loaded from={rules}>{(data) => <Rules rules={(answer ?? data).rules} organisations={organisations} mayEdit={mayEdit} saved={setAnswer} reload={() => { setAnswer(null); rules.reload(); }} />}</Loaded>
      </section>
      <TryOut organisations={organisations} unsaved={kept.value !== null} />
    </div>
  );
}

/** The browser asks before the page is left with something unsaved. */
function useGuard(dirty: boolean): void {
  useEffect(() => {
    if (!dirty) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [dirty]);
}

type RulesProps = { rules: readonly RoutingRule[]; organisations: TreeOrganisation[]; mayEdit: boolean; saved: (answer: Answer) => void; reload: () => void };

function Rules({ rules, organisations, mayEdit, saved, reload }: RulesProps) {
  const from = kept.value?.from ?? rules;
  const before = draftsOf(from);
  const drafts = kept.value?.drafts ?? before;
  const changes = changesOf(before, drafts);
  const [opened, open] = useState<Draft | null>(null);
  const [saving, setSaving] = useState(false);
  const [fault, setFault] = useState<Fault | null>(null);
  const list = useRef<HTMLOListElement>(null);
  useGuard(changes !== null);
  const edit = (next: Drafts) => { setFault(null); kept.value = changesOf(before, next) ? { drafts: next, from } : null; };
  const shift = (rule: Draft, by: -1 | 1) => {
    edit(move(drafts, rule.key, by));
    requestAnimationFrame(() => focusMove(list.current, rule.key, by));
  };
  const drop = (rule: Draft) => {
    edit(remove(drafts, rule.key));
    toast(t('admin.routing.removed', { name: rule.name }), () => edit(drafts));
  };
  const all = [...drafts.rules, drafts.fallback];
  return (
    <>
      <ol class="rules" ref={list}>
        {all.map((rule, place) => (
          <li key={rule.key} class={rule.enabled ? 'rule' : 'rule rule-off'} data-rule={rule.key}>
            <RuleWords rule={rule} organisations={organisations} fallback={rule === drafts.fallback} fault={fault?.key === rule.key ? fault.part : null} />
            {mayEdit && (
              <Deeds rule={rule} place={place} last={place >= drafts.rules.length - 1} fallback={rule === drafts.fallback}
                shift={(by) => shift(rule, by)} open={() => open(rule)} toggle={() => edit(put(drafts, { ...rule, enabled: !rule.enabled }))} drop={() => drop(rule)} />
            )}
          </li>
        ))}
      </ol>
      {mayEdit && <div class="actions"><Button onClick={() => open({ key: `new-${++made}`, name: '', conditions: [], to: '', enabled: true })}>{t('admin.routing.add')}</Button></div>}
      {changes && <Unsaved changes={changes} complete={drafts.fallback.to !== ''} save={() => setSaving(true)} discard={() => { setFault(null); kept.value = null; reload(); }} />}
      {opened && <RuleEditor rule={opened} fallback={opened.key === drafts.fallback.key} organisations={organisations} close={() => open(null)} done={(rule) => edit(put(drafts, rule))} />}
      {saving && changes && <Save drafts={drafts} from={from} changes={changes} close={() => setSaving(false)} saved={saved} refused={setFault} />}
    </>
  );
}

/** The button that was pressed keeps the focus where its rule went; at an end its neighbour has it. */
function focusMove(list: HTMLElement | null, key: string, by: -1 | 1): void {
  const buttons = list?.querySelectorAll<HTMLButtonElement>(`[data-rule="${CSS.escape(key)}"] [data-test^="move"]`);
  const wanted = buttons?.[by < 0 ? 0 : 1];
  (wanted?.disabled ? buttons?.[by < 0 ? 1 : 0] : wanted)?.focus();
}

function RuleWords({ rule, organisations, fallback, fault }: { rule: Draft; organisations: TreeOrganisation[]; fallback: boolean; fault: Part | null }) {
  return (
    <>
      <span><strong>{rule.name || t('admin.routing.fallback')}</strong> {!rule.enabled && <span class="soft">{t('admin.routing.off')}</span>}</span>
      <ul class="plain-list soft">
        {rule.conditions.length === 0 && <li>{t(fallback ? 'admin.routing.otherwise' : 'admin.routing.always')}</li>}
        {rule.conditions.map((condition, index) => <li key={index}>{conditionWords(condition, organisations)}</li>)}
      </ul>
      <span>{rule.to ? t('admin.routing.to', { organisation: organisationName(organisations, rule.to) }) : t('admin.routing.to.none')}</span>
      {fault && <span class="field-error" role="alert">{t(`admin.routing.refused.${fault}`)}</span>}
    </>
  );
}

type DeedsProps = { rule: Draft; place: number; last: boolean; fallback: boolean; shift: (by: -1 | 1) => void; open: () => void; toggle: () => void; drop: () => void };

function Deeds({ rule, place, last, fallback, shift, open, toggle, drop }: DeedsProps) {
  const { name } = rule;
  return (
    <div class="actions rule-deeds" role="group" aria-label={t('admin.routing.deeds', { name: name || t('admin.routing.fallback') })}>
      {!fallback && (
        <>
          <Button data-test="move-up" disabled={place === 0} aria-label={t('admin.routing.up', { name, place: place + 1 })} onClick={() => shift(-1)}><span aria-hidden="true">↑</span></Button>
          <Button data-test="move-down" disabled={last} aria-label={t('admin.routing.down', { name, place: place + 1 })} onClick={() => shift(1)}><span aria-hidden="true">↓</span></Button>
        </>
      )}
      <Button kind="quiet" onClick={open}>{t('admin.routing.edit')}</Button>
      {!fallback && (
        <>
          {(rule.enabled || rule.conditions.length > 0) && <Button kind="quiet" onClick={toggle}>{t(rule.enabled ? 'admin.routing.switch-off' : 'admin.routing.switch-on')}</Button>}
          <Button kind="quiet" onClick={drop}>{t('admin.routing.remove')}</Button>
        </>
      )}
    </div>
  );
}

/** One line per kind of change, with the names. */
function lines(changes: Changes): string[] {
  const told = (['added', 'changed', 'removed'] as const)
    .filter((kind) => changes[kind].length > 0)
    .map((kind) => t(`admin.routing.changes.${kind}`, { names: changes[kind].map((name) => `“${name}”`).join(t('live.comma')) }));
  return changes.moved ? [...told, t('admin.routing.changes.moved')] : told;
}

function Unsaved({ changes, complete, save, discard }: { changes: Changes; complete: boolean; save: () => void; discard: () => void }) {
  return (
    <div class="unsaved">
      <Banner kind="notice">
        <div class="stack-tight">
          <strong>{t('admin.routing.unsaved')}</strong>
          {lines(changes).map((line) => <span key={line}>{line}</span>)}
          {!complete && <span>{t('admin.routing.fallback.missing')}</span>}
          <span class="actions">
            {complete && <Button kind="primary" onClick={save}>{t('admin.routing.save')}</Button>}
            <Button onClick={discard}>{t('admin.routing.discard')}</Button>
          </span>
        </div>
      </Banner>
    </div>
  );
}

type SaveProps = { drafts: Drafts; from: readonly RoutingRule[]; changes: Changes; close: () => void; saved: (answer: Answer) => void; refused: (fault: Fault) => void };

function Save({ drafts, from, changes, close, saved, refused }: SaveProps) {
  async function save(): Promise<void> {
    // Each saving gives every rule a new id: other ids mean that somebody else has saved meanwhile.
    const now = await api.get<Answer>('/api/routing');
    const ids = (rules: readonly RoutingRule[]) => rules.map(({ id }) => id).sort().join();
    if (ids(now.rules) !== ids(from)) throw new ApiError(409, 'routing_changed', { 'zh-CN': t('admin.routing.meanwhile'), en: t('admin.routing.meanwhile') });
    let answer: Answer;
    try {
      answer = await api.put<Answer>('/api/routing', bodyOf(drafts));
    } catch (cause) {
      const place = cause instanceof ApiError ? placeOf(drafts, cause.code === 'routing_fallback' ? `rules[${drafts.rules.length}].other` : cause.detail.field) : null;
      if (!place) throw cause;
      refused(place);
      return;
    }
    kept.value = null;
    saved(answer);
    toast(t('admin.routing.saved'));
  }
  return (
    <Confirm title={t('admin.routing.save.title')} confirm={t('admin.routing.save')} run={save} close={close}>
      <ul class="stack-tight">{lines(changes).map((line) => <li key={line}>{line}</li>)}</ul>
      <p class="soft">{t('admin.routing.save.text')}</p>
    </Confirm>
  );
}
