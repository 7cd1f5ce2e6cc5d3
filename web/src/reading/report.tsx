// The report while it is written: findings, conclusion, advice, included strips; stored all the time; signed once.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { t } from '../core/i18n';
import { later } from '../core/later';
import { useAction } from '../core/resource';
import { formatClock, formatInstant } from '../core/time';
import { Banner, Button, TextArea } from '../core/ui';
import { ruleName } from '../ecg/rules';
import { keyOf, type OpenCase, type Opened } from './open-case';
import { FIELDS, figuresText, phrasesOf, type Field } from './phrases';
import type { CaseFinding, Draft, Task } from './types';

const Signed = later(() => import('./sign').then(({ Signed: part }) => part));
const SignDialog = later(() => import('./sign').then(({ SignDialog: part }) => part), undefined, null);

type Props = { open: Opened; next: (() => void) | null };

export function ReportPane({ open, next }: Props) {
  return (
    <div class="report">
      <div class="card-head"><h2>{t('reading.report')}</h2>{!open.signed.value && <SavedWord open={open} />}</div>
      {open.data.value.reports.length > 0 && <Signed open={open} next={open.signed.value ? next : undefined} />}
      {!open.signed.value && <Writing open={open} />}
    </div>
  );
}

/** "Saved" only once the hub has it. */
function SavedWord({ open }: { open: Opened }) {
  const saved = open.draft.saved.value;
  const words = {
    none: () => t('reading.saved.none'),
    changed: () => t('reading.saved.not'),
    saving: () => t('reading.saved.saving'),
    stale: () => t('reading.saved.not'),
    failed: () => t('reading.saved.not'),
    stored: () => t('reading.saved.at', { at: saved.kind === 'stored' ? formatClock(saved.at, true) : '' }),
  }[saved.kind]();
  return <span class={`saved saved-${saved.kind}`} role="status" data-testid="draft-state" data-state={saved.kind}>{words}</span>;
}

export function includedFindings(open: OpenCase): CaseFinding[] {
  const keys = open.draft.included.value;
  return open.data.value.findings.filter((finding) => keys.has(keyOf(finding))).sort((a, b) => a.onset_at.localeCompare(b.onset_at));
}

function Writing({ open }: { open: Opened }) {
  const [field, setField] = useState<Field>('conclusion');
  const [signing, setSigning] = useState(false);
  const [missing, setMissing] = useState(false);
  const text = open.draft.text.value;
  const included = open.kind === 'record' ? includedFindings(open) : [];
  const add = (name: Field, words: string): void => {
    if (text[name].includes(words)) return; // a phrase pressed twice is meant once
    open.draft.change({ [name]: text[name].trim() ? `${text[name].trimEnd()}\n${words}` : words });
  };
  const saved = open.draft.saved.value;
  return (
    <>
      {saved.kind === 'failed' && <Banner kind="error">{t('reading.saved.failed', { reason: saved.error.text })}</Banner>}
      {saved.kind === 'stale' && <StaleDraft open={open} />}
      {open.kind === 'record' && <Button onClick={() => add('findings_text', figuresText(open.data.value, open.line, included))}>{t('reading.figures.insert')}</Button>}
      {FIELDS.map((name) => (
        <div key={name} onFocusIn={() => setField(name)}>
          <TextArea label={t(`reading.field.${name}`)} rows={name === 'findings_text' ? 7 : 4} maxLength={8000} data-field={name} required={name === 'conclusion'}
            value={text[name]} change={(value) => open.draft.change({ [name]: value })}
            error={name === 'conclusion' && missing && !text.conclusion.trim() ? t('reading.sign.missing') : null} />
        </div>
      ))}
      <label class="choice">
        <input type="checkbox" checked={text.critical} onChange={(event) => open.draft.change({ critical: event.currentTarget.checked })} />
        <span>{t('reading.critical')}</span>
      </label>
      <Paper open={open} />
      <Phrases kind={open.data.value.task.kind} field={field} add={add} />
      {open.kind === 'record' && <Included open={open} findings={included} />}
      <Button kind="primary" data-testid="sign" onClick={() => { if (text.conclusion.trim()) setSigning(true); else setMissing(true); }}>{t('reading.sign')}</Button>
      {signing && <SignDialog open={open} included={included} close={() => setSigning(false)} />}
    </>
  );
}

/** What the paper of this report will be like. */
function Paper({ open }: { open: Opened }) {
  const { full_disclosure, language } = open.draft.text.value;
  return (
    <div class="stack-tight">
      {open.kind === 'record' && (
        <label class="choice">
          <input type="checkbox" data-field="full_disclosure" checked={full_disclosure} onChange={(event) => open.draft.change({ full_disclosure: event.currentTarget.checked })} />
          <span>{t('reading.paper.full')}</span>
        </label>
      )}
      <label class="choice">
        <input type="checkbox" data-field="language" checked={language === 'en'} onChange={(event) => open.draft.change({ language: event.currentTarget.checked ? 'en' : 'zh-CN' })} />
        <span>{t('reading.paper.english')}</span>
      </label>
    </div>
  );
}

function Phrases({ kind, field, add }: { kind: Task['kind']; field: Field; add: (field: Field, words: string) => void }) {
  return (
    <div class="phrases" role="group" aria-label={t('reading.phrases', { field: t(`reading.field.${field}`) })}>
      <h3>{t('reading.phrases', { field: t(`reading.field.${field}`) })}</h3>
      <ul>{phrasesOf(kind)[field].map((key) => <li key={key}><button type="button" class="phrase" onClick={() => add(field, t(key))}>{t(key)}</button></li>)}</ul>
    </div>
  );
}

function Included({ open, findings }: { open: OpenCase; findings: readonly CaseFinding[] }) {
  return (
    <div class="stack-tight" data-testid="included" data-count={findings.length}>
      <h3>{t('reading.included.title', { count: findings.length })}</h3>
      {findings.length === 0 && <p class="soft small">{t('reading.included.none')}</p>}
      <ul class="included">
        {findings.map((finding) => (
          <li key={keyOf(finding)}>
            <Button kind="quiet" onClick={() => open.choose(finding)}>{formatInstant(finding.onset_at, true).slice(5)} {ruleName(finding.rule)}</Button>
            <Button kind="quiet" aria-label={t('reading.included.remove', { what: ruleName(finding.rule) })} onClick={() => open.draft.include(keyOf(finding), false)}>×</Button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Somebody, or this reader elsewhere, wrote a newer draft: nothing is overwritten unasked. */
function StaleDraft({ open }: { open: Opened }) {
  const settle = async (keepMine: boolean): Promise<void> => {
    const { draft } = await api.get<{ draft: Draft | null }>(`/api/tasks/${open.task_id}/case`);
    if (draft) open.draft.settle(draft, keepMine);
  };
  const mine = useAction(() => settle(true));
  const theirs = useAction(() => settle(false));
  return (
    <div class="banner banner-error stack-tight" role="alert">
      <p>{t('reading.stale')}</p>
      <div class="actions">
        <Button busy={mine.busy} onClick={mine.run}>{t('reading.stale.mine')}</Button>
        <Button busy={theirs.busy} onClick={theirs.run}>{t('reading.stale.theirs')}</Button>
      </div>
    </div>
  );
}
