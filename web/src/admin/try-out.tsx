// The dry run: which rule a study would meet, condition by condition, told by the hub itself.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { t } from '../core/i18n';
import { organisationChoices, organisationName, type TreeOrganisation } from '../core/organisations';
import { useAction } from '../core/resource';
import { me } from '../core/session';
import type { Priority, Sex } from '../core/types';
import { Banner, Button, Check, ErrorBanner, Form, Select, State, TextField } from '../core/ui';
import { conditionWords } from './condition-words';
import { MODALITIES, PRIORITIES, SEXES } from './rules-draft';
import { STUDY_KINDS, type DryRun, type StudyKind } from './types';

/** `unsaved`: the rules being edited, which are tried instead of those in force once they have a destination for all the rest. */
export function TryOut({ organisations, unsaved }: { organisations: TreeOrganisation[]; unsaved: { rules: unknown[]; complete: boolean } | null }) {
  const [form, setForm] = useState({ study_kind: 'holter' as StudyKind, priority: 'routine' as Priority, from: me.value?.roles[0]?.organisation.id ?? '', sex: 'female' as Sex, age: '60', hours: '24', pacemaker: false, modality: '', body_part: '', question: '', hour: '' });
  const [found, setFound] = useState<DryRun | null>(null);
  const change = (changes: Partial<typeof form>) => { setForm({ ...form, ...changes }); setFound(null); };
  const work = useAction(async () => {
    setFound(await api.post<DryRun>('/api/routing/dry-run', {
      study_kind: form.study_kind, priority: form.priority, from_organisation_id: form.from, sex: form.sex,
      age_years: Number(form.age), recorded_hours: Number(form.hours), pacemaker: form.pacemaker, findings: [], modalities: form.modality ? [form.modality] : [],
      body_part: form.body_part, question: form.question, ...(form.hour !== '' && { hour: Number(form.hour) }),
      ...(unsaved?.complete && { rules: unsaved.rules }),
    }));
  });
  return (
    <section class="card">
      <h2>{t('admin.routing.try')}</h2>
      {unsaved && <Banner kind="info">{t(unsaved.complete ? 'admin.routing.try.edited' : 'admin.routing.try.unsaved')}</Banner>}
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
