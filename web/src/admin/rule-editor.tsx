// One rule in a form, of routing or of forwarding: its name, its conditions, where it sends to.
import { useState } from 'preact/hooks';
import { say, t } from '../core/i18n';
import { organisationChoices, type TreeOrganisation } from '../core/organisations';
import { useResource } from '../core/resource';
import { Banner, Button, Check, type Choice, Dialog, Form, Select, TextField } from '../core/ui';
import type { Rule as RhythmRule } from '../ecg/rules';
import { keywordWord, valueWords } from './condition-words';
import { conditionOf, type Draft, freshRow, KEYWORD_NAMES, type Keyword, OPERATORS, type Row, rowOf, shapeOf } from './rules-draft';

const CONDITIONS_MAX = 20; // the hub's
const NAME_CHARS = 80;

/** `everything`: a rule may be without conditions; `choices`: where it may send to. */
type EditorProps = { rule: Draft; fallback: boolean; everything: boolean; organisations: TreeOrganisation[]; choices: readonly Choice[]; hint: string; close: () => void; done: (rule: Draft) => void };

export function RuleEditor({ rule, fallback, everything, organisations, choices, hint, close, done }: EditorProps) {
  const [form, setForm] = useState({ name: rule.name, to: rule.to, enabled: rule.enabled });
  const [rows, setRows] = useState<readonly Row[]>(() => (rule.conditions.length || fallback || (everything && rule.name) ? rule.conditions.map(rowOf) : [freshRow('study_kind')]));
  const [tried, setTried] = useState(false);
  const set = (changes: Partial<typeof form>) => setForm({ ...form, ...changes });
  const conditions = rows.map(conditionOf);
  const bare = !fallback && !everything && rows.length === 0;
  function submit(): void {
    setTried(true);
    const usable = conditions.filter((each) => each !== null);
    if (bare || usable.length < rows.length) return;
    done({ ...rule, ...form, name: form.name.trim(), conditions: usable });
    close();
  }
  return (
    <Dialog title={t(fallback ? 'admin.routing.fallback' : rule.name ? 'admin.routing.change' : 'admin.routing.add')} close={close} wide>
      <Form submit={submit}>
        <TextField label={t('admin.routing.name')} hint={t('admin.routing.name.hint')} value={form.name} change={(name) => set({ name })} required maxLength={NAME_CHARS} />
        {fallback
          ? <p class="soft">{t('admin.routing.fallback.text')}</p>
          : <Conditions rows={rows} conditions={conditions} tried={tried} change={setRows} organisations={organisations} />}
        {tried && bare && <Banner kind="error">{t('admin.routing.condition.none')}</Banner>}
        <Select label={t('admin.routing.destination')} hint={hint} value={form.to} change={(to) => set({ to })} required placeholder={t('admin.choose')} choices={choices} />
        {!fallback && <Check label={t('admin.routing.enabled')} checked={form.enabled} change={(enabled) => set({ enabled })} />}
        <div class="actions">
          <Button type="submit" kind="primary">{t('admin.routing.keep')}</Button>
          <Button onClick={close}>{t('core.cancel')}</Button>
        </div>
      </Form>
    </Dialog>
  );
}

type ConditionsProps = { rows: readonly Row[]; conditions: readonly unknown[]; tried: boolean; change: (rows: readonly Row[]) => void; organisations: TreeOrganisation[] };

function Conditions({ rows, conditions, tried, change, organisations }: ConditionsProps) {
  const put = (place: number, row: Row) => change(rows.map((each, index) => (index === place ? row : each)));
  return (
    <fieldset class="stack-tight">
      <legend class="field-label">{t('admin.routing.conditions')}</legend>
      {rows.map((row, place) => (
        <div key={`${place}-${rows.length}`} class="condition" role="group" aria-label={t('admin.routing.condition.of', { place: place + 1 })}>
          <ConditionRow row={row} wrong={tried && conditions[place] === null} change={(next) => put(place, next)} organisations={organisations} />
          <Button kind="quiet" aria-label={t('admin.routing.condition.remove.of', { place: place + 1 })} onClick={() => change(rows.filter((_, index) => index !== place))}>{t('admin.routing.condition.remove')}</Button>
        </div>
      ))}
      {rows.length < CONDITIONS_MAX && <div class="actions"><Button onClick={() => change([...rows, freshRow(unused(rows))])}>{t('admin.routing.condition.add')}</Button></div>}
    </fieldset>
  );
}

function unused(rows: readonly Row[]): Keyword {
  return KEYWORD_NAMES.find((name) => rows.every(({ keyword }) => keyword !== name)) ?? 'question';
}

type RowProps = { row: Row; wrong: boolean; change: (row: Row) => void; organisations: TreeOrganisation[] };

function ConditionRow({ row, wrong, change, organisations }: RowProps) {
  const operators = shapeOf(row.keyword)?.operators ?? [];
  const known = KEYWORD_NAMES.some((name) => name === row.keyword);
  return (
    <div class="condition-row">
      <Select
        label={t('admin.routing.condition.what')} value={row.keyword} change={(keyword) => change(freshRow(keyword as Keyword))}
        choices={[...(known ? [] : [{ value: row.keyword, label: row.keyword }]), ...KEYWORD_NAMES.map((value) => ({ value, label: keywordWord(value) }))]}
      />
      <Select
        label={t('admin.routing.condition.how')} value={row.operator} change={(operator) => change({ ...row, operator, ticked: row.ticked.length ? row.ticked : [row.text] })}
        choices={OPERATORS.filter((each) => operators.includes(each) || each === row.operator).map((value) => ({ value, label: t(`admin.routing.operator.${value}`) }))}
      />
      <ValueField row={row} error={wrong ? faultOf(row) : null} change={change} organisations={organisations} />
    </div>
  );
}

function faultOf(row: Row): string {
  const shape = shapeOf(row.keyword);
  if (shape && !shape.operators.some((each) => each === row.operator)) return t('admin.routing.fault.operator');
  if (shape?.value === 'number') return t('admin.routing.fault.number', { least: shape.least ?? 0, most: shape.most ?? 0 });
  return t('admin.routing.fault.value');
}

type ValueProps = { row: Row; error: string | null; change: (row: Row) => void; organisations: TreeOrganisation[] };

/** The control that fits what is asked about. */
function ValueField({ row, error, change, organisations }: ValueProps) {
  const shape = shapeOf(row.keyword);
  const label = t('admin.routing.condition.value');
  const text = (value: string) => change({ ...row, text: value });
  const choose = (choices: readonly Choice[]) => <Select label={label} value={row.text} change={text} choices={choices} placeholder={t('admin.choose')} error={error} />;
  if (row.operator === 'in' && shape?.choices) return <Ticks row={row} choices={shape.choices} error={error} change={change} />;
  switch (shape?.value) {
    case 'choice': return choose((shape.choices ?? []).map((value) => ({ value, label: valueWords(row.keyword, value, organisations) })));
    case 'organisation': return choose(organisationChoices(organisations));
    case 'finding': return <Findings row={row} choose={choose} />;
    case 'yes-no': return <Select label={label} value={row.text} change={text} choices={[{ value: 'yes', label: t('core.yes') }, { value: 'no', label: t('core.no') }]} />;
    case 'number': return <TextField label={label} type="number" inputMode="numeric" value={row.text} change={text} error={error} />;
    default: return <TextField label={label} value={row.text} change={text} maxLength={200} error={error} hint={row.operator === 'in' ? t('admin.routing.condition.words') : undefined} />;
  }
}

function Ticks({ row, choices, error, change }: { row: Row; choices: readonly string[]; error: string | null; change: (row: Row) => void }) {
  const tick = (each: string, on: boolean) => change({ ...row, ticked: on ? [...row.ticked, each] : row.ticked.filter((one) => one !== each) });
  return (
    <fieldset class="field">
      <legend class="field-label">{t('admin.routing.condition.value')}</legend>
      <div class="choices">
        {choices.map((each) => (
          <label key={each} class="choice">
            <input type="checkbox" checked={row.ticked.includes(each)} onChange={(event) => tick(each, event.currentTarget.checked)} />
            <span>{valueWords(row.keyword, each, [])}</span>
          </label>
        ))}
      </div>
      {error && <div class="field-error" role="alert">{error}</div>}
    </fieldset>
  );
}

/** Names of the rhythm rules come from the hub; one that stands there stays a choice. */
function Findings({ row, choose }: { row: Row; choose: (choices: readonly Choice[]) => preact.JSX.Element }) {
  const { data } = useResource<{ rules: RhythmRule[] }>('/api/rules');
  const choices = (data?.rules ?? []).map(({ rule, name }) => ({ value: rule, label: say(name) }));
  return choose(row.text && choices.every(({ value }) => value !== row.text) ? [{ value: row.text, label: row.text }, ...choices] : choices);
}
