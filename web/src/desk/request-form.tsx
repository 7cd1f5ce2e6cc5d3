// Request a Holter: the question the reader will answer, what the patient feels and takes, how soon and how long.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { t } from '../core/i18n';
import { go } from '../core/place';
import { Loaded, useAction, useResource } from '../core/resource';
import type { Priority } from '../core/types';
import { Banner, Button, ButtonLink, Check, ErrorBanner, Radios, TextArea, TextField, toast } from '../core/ui';
import { missingConsents, RecordConsent } from './consent';
import type { ConsentKind, Patient } from './types';

const PRIORITIES: readonly Priority[] = ['routine', 'asap', 'urgent', 'stat'];
const HOURS = { least: 1, most: 336, usual: 24 } as const;

export function RequestFormPage({ patientId }: { patientId: string }) {
  const patient = useResource<{ patient: Patient }>(`/api/patients/${patientId}`);
  return <Loaded from={patient}>{(data) => <RequestForm patient={data.patient} reload={patient.reload} />}</Loaded>;
}

function RequestForm({ patient, reload }: { patient: Patient; reload: () => void }) {
  const [form, setForm] = useState({ question: '', symptoms: '', drugs: '', pacemaker: false, priority: 'routine' as Priority, hours: String(HOURS.usual) });
  const [tried, setTried] = useState(false);
  const change = (changes: Partial<typeof form>) => setForm({ ...form, ...changes });
  const hours = Number(form.hours);
  const hoursFault = Number.isInteger(hours) && hours >= HOURS.least && hours <= HOURS.most ? null : t('desk.new.fault.hours', { least: HOURS.least, most: HOURS.most });
  const questionFault = form.question.trim() ? null : t('desk.new.fault.question');
  const work = useAction(async () => {
    const { hours: _, ...rest } = form;
    const { request } = await api.post<{ request: { id: string } }>('/api/requests', { ...rest, patient_id: patient.id, kind: 'holter', planned_hours: hours });
    toast(t('desk.new.done', { name: patient.name }));
    go({ pair: request.id });
  });
  function submit(event: Event): void {
    event.preventDefault();
    setTried(true);
    if (!hoursFault && !questionFault) work.run();
  }
  return (
    <>
      <p class="who">{patient.name} <span class="soft">{t(`core.sex.${patient.sex}`)} {t('core.age_years', { count: patient.age_years })}</span></p>
      <ConsentNeeded patient={patient} changed={reload} />
      <form class="card narrow" onSubmit={submit} noValidate>
        <TextArea label={t('desk.new.question')} hint={t('desk.new.question.hint')} value={form.question} change={(question) => change({ question })} required maxLength={500} error={tried ? questionFault : null} />
        <TextArea label={t('desk.new.symptoms')} optional rows={2} value={form.symptoms} change={(symptoms) => change({ symptoms })} maxLength={500} />
        <TextArea label={t('desk.new.drugs')} optional rows={2} value={form.drugs} change={(drugs) => change({ drugs })} maxLength={500} />
        <Check label={t('desk.new.pacemaker')} hint={t('desk.new.pacemaker.hint')} checked={form.pacemaker} change={(pacemaker) => change({ pacemaker })} />
        <Radios<Priority> label={t('desk.new.priority')} value={form.priority} change={(priority) => change({ priority })} choices={PRIORITIES.map((value) => ({ value, label: t(`core.priority.${value}`) }))} />
        <TextField label={t('desk.new.hours')} type="number" inputMode="numeric" min={HOURS.least} max={HOURS.most} value={form.hours} change={(value) => change({ hours: value })} required error={tried ? hoursFault : null} />
        {work.error && <ErrorBanner error={work.error} />}
        <div class="actions">
          <Button type="submit" kind="primary" busy={work.busy}>{t('desk.new.save')}</Button>
          <ButtonLink href={`/desk?patient=${patient.id}`}>{t('core.cancel')}</ButtonLink>
        </div>
      </form>
    </>
  );
}

/** Monitoring and sending to a reading centre both need a yes; it can be recorded right here. */
export function ConsentNeeded({ patient, changed }: { patient: Patient; changed: () => void }) {
  const [kind, setKind] = useState<ConsentKind | null>(null);
  const missing = missingConsents(patient);
  if (missing.length === 0 && !kind) return null;
  return (
    <>
      <Banner kind="notice">
        <div class="stack-tight">
          <span>{t('desk.consent.needed')}</span>
          <span class="actions">{missing.map((each) => <Button key={each} onClick={() => setKind(each)}>{t('desk.consent.record.title', { kind: t(`desk.consent.${each}`) })}</Button>)}</span>
        </div>
      </Banner>
      {kind && <RecordConsent key={kind} patient={patient} kind={kind} close={() => setKind(null)} done={changed} />}
    </>
  );
}
