// Ask for a study: first which kind, then what its reader needs to know; after that its files are sent or a device is paired.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { t } from '../core/i18n';
import { go, place } from '../core/place';
import { Loaded, useAction, useResource, type Action } from '../core/resource';
import type { Priority } from '../core/types';
import { Banner, Button, ButtonLink, Check, ErrorBanner, Radios, Select, TextArea, TextField, toast } from '../core/ui';
import type { StudyKind } from '../sending/plan';
import { missingConsents, RecordConsent } from './consent';
import { KINDS, MODALITIES, type ConsentKind, type Modality, type Patient } from './types';

const PRIORITIES: readonly Priority[] = ['routine', 'asap', 'urgent', 'stat'];
const HOURS = { least: 1, most: 336, usual: 24 } as const;
const IMAGES = { least: 1, most: 100_000 } as const;

export function RequestFormPage({ patientId }: { patientId: string }) {
  const patient = useResource<{ patient: Patient }>(`/api/patients/${patientId}`);
  return <Loaded from={patient}>{(data) => <RequestForm patient={data.patient} reload={patient.reload} />}</Loaded>;
}

function RequestForm({ patient, reload }: { patient: Patient; reload: () => void }) {
  const asked = place.value.get('kind');
  const kind = KINDS.find((each) => each === asked) ?? null;
  const choose = (chosen: StudyKind) => go({ patient: patient.id, new: '1', kind: chosen }, true);
  return (
    <>
      <p class="who">{patient.name} <span class="soft">{t(`core.sex.${patient.sex}`)} {t('core.age_years', { count: patient.age_years })}</span></p>
      <div class="card narrow">
        <Radios<StudyKind> label={t('desk.new.kind')} value={kind ?? ''} change={choose} choices={KINDS.map((value) => ({ value, label: t(`desk.kind.${value}`) }))} />
        {kind === null && <p class="soft">{t('desk.new.kind.hint')}</p>}
      </div>
      {kind && <ConsentNeeded patient={patient} kind={kind} changed={reload} />}
      {kind && <Questions patient={patient} kind={kind} />}
    </>
  );
}

const EMPTY = {
  question: '', symptoms: '', drugs: '', pacemaker: false, priority: 'routine' as Priority, hours: String(HOURS.usual), modality: '' as Modality | '', body_part: '', images: '',
};
type Form = typeof EMPTY;

function isWhole(text: string, { least, most }: { least: number; most: number }): boolean {
  return /^\d+$/.test(text.trim()) && Number(text) >= least && Number(text) <= most;
}

/** What is wrong with each field that the kind has. */
function faultsOf(form: Form, kind: StudyKind): Partial<Record<keyof Form, string>> {
  const faults: Partial<Record<keyof Form, string>> = {};
  if (!form.question.trim()) faults.question = t('desk.new.fault.question');
  if (kind === 'holter' && !isWhole(form.hours, HOURS)) faults.hours = t('desk.new.fault.hours', { least: HOURS.least, most: HOURS.most });
  if (kind === 'imaging' && !form.modality) faults.modality = t('desk.new.fault.modality');
  if (kind === 'imaging' && !form.body_part.trim()) faults.body_part = t('desk.new.fault.body-part');
  if (kind === 'imaging' && form.images.trim() && !isWhole(form.images, IMAGES)) faults.images = t('desk.new.fault.images', { least: IMAGES.least, most: IMAGES.most });
  return faults;
}

function bodyOf(form: Form, kind: StudyKind): Record<string, unknown> {
  const { question, symptoms, drugs, pacemaker, priority } = form;
  const base = { kind, question, symptoms, priority };
  if (kind === 'imaging') return { ...base, modality: form.modality, body_part: form.body_part.trim(), expected_instances: form.images.trim() ? Number(form.images) : null };
  return { ...base, drugs, pacemaker, ...(kind === 'holter' ? { planned_hours: Number(form.hours) } : {}) };
}

function Questions({ patient, kind }: { patient: Patient; kind: StudyKind }) {
  const [form, setForm] = useState(EMPTY); // kept while somebody changes the kind
  const [tried, setTried] = useState(false);
  const change = (changes: Partial<Form>) => setForm({ ...form, ...changes });
  const faults = faultsOf(form, kind);
  const save = async (next: 'pair' | 'request') => {
    const { request } = await api.post<{ request: { id: string } }>('/api/requests', { patient_id: patient.id, ...bodyOf(form, kind) });
    toast(t('desk.new.done', { name: patient.name }));
    go({ [next]: request.id });
  };
  const pair = useAction(() => save('pair'));
  const send = useAction(() => save('request'));
  const busy = pair.busy || send.busy;
  const tryTo = (work: Action) => () => {
    setTried(true);
    if (Object.keys(faults).length === 0) { if (!busy) work.run(); }
    else requestAnimationFrame(() => document.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
  };
  const shared = { form, change, faultOf: (name: keyof Form) => (tried ? faults[name] ?? null : null) };
  const error = pair.error ?? send.error;
  return (
    <form class="card narrow" noValidate onSubmit={(event) => { event.preventDefault(); tryTo(kind === 'holter' ? pair : send)(); }}>
      {kind === 'imaging' && <ImagingFields {...shared} />}
      <TextArea label={t('desk.new.question')} hint={t(`desk.new.question.hint.${kind}`)} value={form.question} change={(question) => change({ question })} required maxLength={500} error={shared.faultOf('question')} />
      <TextArea label={t('desk.new.symptoms')} optional rows={2} value={form.symptoms} change={(symptoms) => change({ symptoms })} maxLength={500} />
      {kind !== 'imaging' && <HeartFields {...shared} />}
      <Radios<Priority> label={t('desk.new.priority')} value={form.priority} change={(priority) => change({ priority })} choices={PRIORITIES.map((value) => ({ value, label: t(`core.priority.${value}`) }))} />
      {kind === 'holter' && <TextField label={t('desk.new.hours')} type="number" inputMode="numeric" min={HOURS.least} max={HOURS.most} value={form.hours} change={(hours) => change({ hours })} required error={shared.faultOf('hours')} />}
      {error && <ErrorBanner error={error} />}
      <div class="actions">
        {kind === 'holter'
          ? <><Button type="submit" kind="primary" busy={pair.busy}>{t('desk.new.save')}</Button><Button busy={send.busy} onClick={tryTo(send)}>{t('desk.new.save.holter-file')}</Button></>
          : <Button type="submit" kind="primary" busy={send.busy}>{t('desk.new.save.files')}</Button>}
        <ButtonLink kind="quiet" href={`/desk?patient=${patient.id}`}>{t('core.cancel')}</ButtonLink>
      </div>
    </form>
  );
}

type FieldsProps = { form: Form; change: (changes: Partial<Form>) => void; faultOf: (name: keyof Form) => string | null };

function HeartFields({ form, change }: FieldsProps) {
  return (
    <>
      <TextArea label={t('desk.new.drugs')} optional rows={2} value={form.drugs} change={(drugs) => change({ drugs })} maxLength={500} />
      <Check label={t('desk.new.pacemaker')} hint={t('desk.new.pacemaker.hint')} checked={form.pacemaker} change={(pacemaker) => change({ pacemaker })} />
    </>
  );
}

function ImagingFields({ form, change, faultOf }: FieldsProps) {
  return (
    <>
      <div class="form-grid">
        <Select<Modality> label={t('desk.new.modality')} value={form.modality} change={(modality) => change({ modality })} placeholder={t('desk.choose')} required error={faultOf('modality')} choices={MODALITIES.map((value) => ({ value, label: t(`desk.modality.${value}`) }))} />
        <TextField label={t('desk.new.body-part')} value={form.body_part} change={(body_part) => change({ body_part })} placeholder={t('desk.new.body-part.example')} required maxLength={64} error={faultOf('body_part')} />
      </div>
      <TextField label={t('desk.new.images')} hint={t('desk.new.images.hint')} type="number" inputMode="numeric" optional min={IMAGES.least} max={IMAGES.most} value={form.images} change={(images) => change({ images })} error={faultOf('images')} />
    </>
  );
}

/** What the kind of study needs a yes for; it can be recorded right here. */
export function ConsentNeeded({ patient, kind, changed }: { patient: Patient; kind: StudyKind; changed: () => void }) {
  const [recording, setRecording] = useState<ConsentKind | null>(null);
  const missing = missingConsents(patient, kind);
  if (missing.length === 0 && !recording) return null;
  return (
    <>
      <Banner kind="notice">
        <div class="stack-tight">
          <span>{t('desk.consent.needed')}</span>
          <span class="actions">{missing.map((each) => <Button key={each} onClick={() => setRecording(each)}>{t('desk.consent.record.title', { kind: t(`desk.consent.${each}`) })}</Button>)}</span>
        </div>
      </Banner>
      {recording && <RecordConsent key={recording} patient={patient} kind={recording} close={() => setRecording(null)} done={changed} />}
    </>
  );
}
