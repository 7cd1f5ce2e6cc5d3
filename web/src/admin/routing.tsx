// Routing rules as they stand, in order, and a dry run that explains which one a study would meet and why.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { named, t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import { me } from '../core/session';
import type { Priority, Sex } from '../core/types';
import { Button, Check, EmptyState, ErrorBanner, Form, Select, State, TextField } from '../core/ui';
import { organisationChoices, organisationName, type TreeOrganisation } from '../core/organisations';
import { STUDY_KINDS, type Condition, type DryRun, type RoutingRule, type StudyKind } from './types';

const KEYWORDS = ['study_kind', 'priority', 'organisations', 'sex', 'age_years', 'recorded_hours', 'pacemaker', 'findings', 'modalities', 'body_part', 'question', 'hour'] as const;
const OPERATORS = ['equals', 'in', 'at-least', 'at-most', 'contains'] as const;
const PRIORITIES: readonly Priority[] = ['routine', 'asap', 'urgent', 'stat'];
const MODALITIES = ['CR', 'DX', 'CT', 'MR', 'US', 'XA', 'MG', 'OT'] as const;
const SEXES: readonly Sex[] = ['male', 'female', 'other', 'unknown'];

export function RoutingSection() {
  const rules = useResource<{ rules: RoutingRule[] }>('/api/routing');
  const tree = useResource<{ organisations: TreeOrganisation[] }>('/api/organisations');
  const organisations = tree.data?.organisations ?? [];
  return (
    <div class="columns">
      <section class="card">
        <h2>{t('admin.routing.rules')}</h2>
        <p class="soft">{t('admin.routing.text')}</p>
        <Loaded from={rules}>
          {(data) => data.rules.length === 0
            ? <EmptyState title={t('admin.routing.empty')} />
            : <ol class="rules">{data.rules.map((rule) => <Rule key={rule.id} rule={rule} organisations={organisations} />)}</ol>}
        </Loaded>
      </section>
      <TryOut organisations={organisations} />
    </div>
  );
}

function Rule({ rule, organisations }: { rule: RoutingRule; organisations: TreeOrganisation[] }) {
  return (
    <li class={rule.enabled ? undefined : 'rule-off'}>
      <strong>{rule.name}</strong> {!rule.enabled && <span class="soft">{t('admin.routing.off')}</span>}
      <ul class="plain-list soft">
        {rule.conditions.length === 0 && <li>{t('admin.routing.always')}</li>}
        {rule.conditions.map((condition, index) => <li key={index}>{conditionWords(condition, organisations)}</li>)}
      </ul>
      <span>{t('admin.routing.to', { organisation: named(rule.to_organisation) })}</span>
    </li>
  );
}

function conditionWords(condition: Condition, organisations: TreeOrganisation[]): string {
  if (condition.keyword === 'pacemaker') return t(condition.value ? 'admin.routing.keyword.pacemaker' : 'admin.routing.keyword.pacemaker.not');
  const keyword = KEYWORDS.find((each) => each === condition.keyword);
  const operator = OPERATORS.find((each) => each === condition.operator);
  return [
    keyword ? t(`admin.routing.keyword.${keyword}`) : condition.keyword,
    operator ? t(`admin.routing.operator.${operator}`) : condition.operator,
    (Array.isArray(condition.value) ? condition.value : [condition.value]).map((value) => valueWords(condition.keyword, value, organisations)).join(', '),
  ].join(' ');
}

function valueWords(keyword: string, value: unknown, organisations: TreeOrganisation[]): string {
  const text = String(value);
  const kind = STUDY_KINDS.find((each) => keyword === 'study_kind' && each === text);
  const priority = PRIORITIES.find((each) => keyword === 'priority' && each === text);
  const sex = SEXES.find((each) => keyword === 'sex' && each === text);
  if (kind) return t(`admin.study.${kind}`);
  if (priority) return t(`core.priority.${priority}`);
  if (sex) return t(`core.sex.${sex}`);
  return keyword === 'organisations' ? organisationName(organisations, text) : text;
}

function TryOut({ organisations }: { organisations: TreeOrganisation[] }) {
  const [form, setForm] = useState({ study_kind: 'holter' as StudyKind, priority: 'routine' as Priority, from: me.value?.roles[0]?.organisation.id ?? '', sex: 'female' as Sex, age: '60', hours: '24', pacemaker: false, modality: '', body_part: '', question: '', hour: '' });
  const [found, setFound] = useState<DryRun | null>(null);
  const change = (changes: Partial<typeof form>) => { setForm({ ...form, ...changes }); setFound(null); };
  const work = useAction(async () => {
    setFound(await api.post<DryRun>('/api/routing/dry-run', {
      study_kind: form.study_kind, priority: form.priority, from_organisation_id: form.from, sex: form.sex,
      age_years: Number(form.age), recorded_hours: Number(form.hours), pacemaker: form.pacemaker, findings: [], modalities: form.modality ? [form.modality] : [],
      body_part: form.body_part, question: form.question, ...(form.hour !== '' && { hour: Number(form.hour) }),
    }));
  });
  return (
    <section class="card">
      <h2>{t('admin.routing.try')}</h2>
      <Form submit={work.run}>
        <div class="form-grid">
          <Select<StudyKind> label={t('admin.agreement.kind')} value={form.study_kind} change={(study_kind) => change({ study_kind })} choices={STUDY_KINDS.map((value) => ({ value, label: t(`admin.study.${value}`) }))} />
          <Select<Priority> label={t('admin.routing.keyword.priority')} value={form.priority} change={(priority) => change({ priority })} choices={PRIORITIES.map((value) => ({ value, label: t(`core.priority.${value}`) }))} />
          <Select label={t('admin.agreement.from')} value={form.from} change={(from) => change({ from })} choices={organisationChoices(organisations)} />
          <Select<Sex> label={t('admin.routing.keyword.sex')} value={form.sex} change={(sex) => change({ sex })} choices={SEXES.map((value) => ({ value, label: t(`core.sex.${value}`) }))} />
          <TextField label={t('admin.routing.keyword.age_years')} type="number" min={0} max={130} required value={form.age} change={(age) => change({ age })} />
          <TextField label={t('admin.routing.keyword.recorded_hours')} type="number" min={0} max={336} required value={form.hours} change={(hours) => change({ hours })} />
          <Select label={t('admin.routing.keyword.modalities')} value={form.modality} change={(modality) => change({ modality })} choices={[{ value: '', label: '-' }, ...MODALITIES.map((value) => ({ value, label: value }))]} />
          <TextField label={t('admin.routing.keyword.body_part')} value={form.body_part} change={(body_part) => change({ body_part })} />
          <TextField label={t('admin.routing.keyword.question')} value={form.question} change={(question) => change({ question })} />
          <TextField label={t('admin.routing.keyword.hour')} type="number" min={0} max={23} value={form.hour} change={(hour) => change({ hour })} />
        </div>
        <Check label={t('admin.routing.keyword.pacemaker')} checked={form.pacemaker} change={(pacemaker) => change({ pacemaker })} />
        {work.error && <ErrorBanner error={work.error} />}
        <div class="actions"><Button type="submit" kind="primary" busy={work.busy} busyLabel={t('admin.routing.trying')}>{t('admin.routing.try.run')}</Button></div>
      </Form>
      {found && <Outcome found={found} organisations={organisations} />}
    </section>
  );
}

function Outcome({ found, organisations }: { found: DryRun; organisations: TreeOrganisation[] }) {
  return (
    <div class="stack-tight" role="status">
      <strong>{found.matched ? t('admin.routing.matched', { name: found.matched.name, organisation: organisationName(organisations, found.matched.to_organisation_id) }) : t('admin.routing.unmatched')}</strong>
      <ol class="plain-list stack-tight">
        {found.explanation.map((step, index) => (
          <li key={index}><State shape={step.matched ? 'done' : 'stopped'}>{`${step.rule}: ${step.condition ? conditionWords(step.condition, organisations) : t('admin.routing.always')}`}</State></li>
        ))}
      </ol>
    </div>
  );
}
