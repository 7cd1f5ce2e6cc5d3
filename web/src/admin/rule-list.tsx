// A list of rules in order, of routing or of forwarding: edited as a whole and put in force together.
import type { Signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError } from '../core/api';
import { t } from '../core/i18n';
import type { TreeOrganisation } from '../core/organisations';
import { Banner, Button, type Choice, Confirm, toast } from '../core/ui';
import { conditionWords } from './condition-words';
import './routing.css';
import { RuleEditor } from './rule-editor';
import { bodyOf, changesOf, type Changes, type Destination, type Draft, type Drafts, move, type Part, placeOf, put, remove, wholeOf } from './rules-draft';

type Listed = { id: string };
type Words = 'routing' | 'forward';
export type Answer<R> = { rules: R[] };
type Fault = { key: string; part: Part };
/** Which list. `kept`: what is edited and not saved outlives a look at another section; `from`: the rules it was begun with. */
export type RuleList<R extends Listed> = {
  path: '/api/routing' | '/api/forwarding'; to: Destination; words: Words;
  kept: Signal<{ drafts: Drafts; from: readonly R[] } | null>;
  draftsOf: (rules: readonly R[]) => Drafts;
  nameOf: (to: string) => string;
  choices: (present: string) => readonly Choice[];
};
let made = 0;

/** The browser asks before the page is left with something unsaved. */
function useGuard(dirty: boolean): void {
  useEffect(() => {
    if (!dirty) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [dirty]);
}

type RulesProps<R extends Listed> = { list: RuleList<R>; rules: readonly R[]; organisations: TreeOrganisation[]; mayEdit: boolean; saved: (answer: Answer<R>) => void; reload: () => void };

export function Rules<R extends Listed>({ list: of, rules, organisations, mayEdit, saved, reload }: RulesProps<R>) {
  const { kept } = of;
  const from = kept.value?.from ?? rules;
  const before = of.draftsOf(from);
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
  const choices = of.choices(opened?.to ?? '');
  return (
    <>
      <ol class="rules" ref={list}>
        {wholeOf(drafts).map((rule, place) => (
          <li key={rule.key} class={rule.enabled ? 'rule' : 'rule rule-off'} data-rule={rule.key}>
            <RuleWords rule={rule} organisations={organisations} destination={rule.to && of.nameOf(rule.to)} fallback={rule === drafts.fallback} fault={fault?.key === rule.key ? fault.part : null} />
            {mayEdit && (
              <Deeds rule={rule} place={place} last={place >= drafts.rules.length - 1} fallback={rule === drafts.fallback} everything={drafts.fallback === null}
                shift={(by) => shift(rule, by)} open={() => open(rule)} toggle={() => edit(put(drafts, { ...rule, enabled: !rule.enabled }))} drop={() => drop(rule)} />
            )}
          </li>
        ))}
      </ol>
      {mayEdit && <div class="actions"><Button onClick={() => open({ key: `new-${++made}`, name: '', conditions: [], to: '', enabled: true })}>{t(`admin.${of.words}.add`)}</Button></div>}
      {changes && <Unsaved words={of.words} changes={changes} complete={drafts.fallback?.to !== ''} save={() => setSaving(true)} discard={() => { setFault(null); kept.value = null; reload(); }} />}
      {opened && <RuleEditor rule={opened} fallback={opened.key === drafts.fallback?.key} everything={drafts.fallback === null} organisations={organisations} choices={choices} hint={t(`admin.${of.words}.destination.hint`)} close={() => open(null)} done={(rule) => edit(put(drafts, rule))} />}
      {saving && changes && <Save list={of} drafts={drafts} from={from} changes={changes} close={() => setSaving(false)} saved={saved} refused={setFault} />}
    </>
  );
}

/** The button that was pressed keeps the focus where its rule went; at an end its neighbour has it. */
function focusMove(list: HTMLElement | null, key: string, by: -1 | 1): void {
  const buttons = list?.querySelectorAll<HTMLButtonElement>(`[data-rule="${CSS.escape(key)}"] [data-test^="move"]`);
  const wanted = buttons?.[by < 0 ? 0 : 1];
  (wanted?.disabled ? buttons?.[by < 0 ? 1 : 0] : wanted)?.focus();
}

function RuleWords({ rule, organisations, destination, fallback, fault }: { rule: Draft; organisations: TreeOrganisation[]; destination: string; fallback: boolean; fault: Part | null }) {
  return (
    <>
      <span><strong>{rule.name || t('admin.routing.fallback')}</strong> {!rule.enabled && <span class="soft">{t('admin.routing.off')}</span>}</span>
      <ul class="plain-list soft">
        {rule.conditions.length === 0 && <li>{t(fallback ? 'admin.routing.otherwise' : 'admin.routing.always')}</li>}
        {rule.conditions.map((condition, index) => <li key={index}>{conditionWords(condition, organisations)}</li>)}
      </ul>
      <span>{destination ? t('admin.routing.to', { organisation: destination }) : t('admin.routing.to.none')}</span>
      {fault && <span class="field-error" role="alert">{t(`admin.routing.refused.${fault}`)}</span>}
    </>
  );
}

type DeedsProps = { rule: Draft; place: number; last: boolean; fallback: boolean; everything: boolean; shift: (by: -1 | 1) => void; open: () => void; toggle: () => void; drop: () => void };

function Deeds({ rule, place, last, fallback, everything, shift, open, toggle, drop }: DeedsProps) {
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
          {(rule.enabled || everything || rule.conditions.length > 0) && <Button kind="quiet" onClick={toggle}>{t(rule.enabled ? 'admin.routing.switch-off' : 'admin.routing.switch-on')}</Button>}
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

function Unsaved({ words, changes, complete, save, discard }: { words: Words; changes: Changes; complete: boolean; save: () => void; discard: () => void }) {
  return (
    <div class="unsaved">
      <Banner kind="notice">
        <div class="stack-tight">
          <strong>{t(`admin.${words}.unsaved`)}</strong>
          {lines(changes).map((line) => <span key={line}>{line}</span>)}
          {!complete && <span>{t('admin.routing.fallback.missing')}</span>}
          <span class="actions">
            {complete && <Button kind="primary" onClick={save}>{t(`admin.${words}.save`)}</Button>}
            <Button onClick={discard}>{t('admin.routing.discard')}</Button>
          </span>
        </div>
      </Banner>
    </div>
  );
}

type SaveProps<R extends Listed> = { list: RuleList<R>; drafts: Drafts; from: readonly R[]; changes: Changes; close: () => void; saved: (answer: Answer<R>) => void; refused: (fault: Fault) => void };

function Save<R extends Listed>({ list: { path, to, words, kept }, drafts, from, changes, close, saved, refused }: SaveProps<R>) {
  async function save(): Promise<void> {
    // Each saving gives every rule a new id: other ids mean that somebody else has saved meanwhile.
    const now = await api.get<Answer<R>>(path);
    const ids = (rules: readonly R[]) => rules.map(({ id }) => id).sort().join();
    if (ids(now.rules) !== ids(from)) throw new ApiError(409, 'routing_changed', { 'zh-CN': t('admin.routing.meanwhile'), en: t('admin.routing.meanwhile') });
    let answer: Answer<R>;
    try {
      answer = await api.put<Answer<R>>(path, bodyOf(drafts, to));
    } catch (cause) {
      const place = cause instanceof ApiError ? placeOf(drafts, cause.code === 'routing_fallback' ? `rules[${drafts.rules.length}].other` : cause.detail.field) : null;
      if (!place) throw cause;
      refused(place);
      return;
    }
    kept.value = null;
    saved(answer);
    toast(t(`admin.${words}.saved`));
  }
  return (
    <Confirm title={t(`admin.${words}.save.title`)} confirm={t(`admin.${words}.save`)} run={save} close={close}>
      <ul class="stack-tight">{lines(changes).map((line) => <li key={line}>{line}</li>)}</ul>
      <p class="soft">{t(`admin.${words}.save.text`)}</p>
    </Confirm>
  );
}
