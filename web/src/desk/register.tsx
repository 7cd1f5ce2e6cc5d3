// Register a resident: the identity number is checked and fills in birth date and sex; a child needs a guardian;
// a person who seems to be registered already is shown before a second record is made.
import { useState } from 'preact/hooks';
import { api, type ApiError } from '../core/api';
import { t, type MessageKey } from '../core/i18n';
import { organisationChoices, reachedBy, type TreeOrganisation } from '../core/organisations';
import { go } from '../core/place';
import { useAction, useResource } from '../core/resource';
import { me } from '../core/session';
import { formatDate } from '../core/time';
import type { PatientBrief, Sex } from '../core/types';
import { Banner, Button, ButtonLink, ErrorBanner, Select, TextField, toast } from '../core/ui';
import { ageYears, readResidentId } from './resident-id';
import type { IdType, PatientForm } from './types';

const GUARDIAN_BELOW_YEARS = 14;
const CARE: readonly string[] = ['village_doctor', 'township_doctor', 'technician', 'family_doctor'];
const ID_TYPES: readonly IdType[] = ['resident-id', 'passport', 'other', 'none'];
const SEXES: readonly Sex[] = ['male', 'female', 'other', 'unknown'];
type Namesake = { id: string; name: string; birth_date: string };
type Faults = Partial<Record<keyof PatientForm, MessageKey>>;

function faultsOf(form: PatientForm, today: string): Faults {
  const faults: Faults = {};
  const read = readResidentId(form.id_number);
  if (!form.organisation_id) faults.organisation_id = 'desk.register.fault.organisation';
  if (!form.name.trim()) faults.name = 'desk.register.fault.name';
  if (form.id_type === 'resident-id' && read.fault) faults.id_number = `desk.register.fault.id.${read.fault}`;
  if ((form.id_type === 'passport' || form.id_type === 'other') && !form.id_number.trim()) faults.id_number = 'desk.register.fault.id.missing';
  if (!form.birth_date || form.birth_date > today) faults.birth_date = 'desk.register.fault.birth';
  if (!form.sex) faults.sex = 'desk.register.fault.sex';
  if (isChild(form, today) && !form.guardian_name.trim()) faults.guardian_name = 'desk.register.fault.guardian';
  if (isChild(form, today) && !form.guardian_phone.trim()) faults.guardian_phone = 'desk.register.fault.guardian.phone';
  return faults;
}

function isChild(form: PatientForm, today: string): boolean {
  return form.birth_date !== '' && ageYears(form.birth_date, today) < GUARDIAN_BELOW_YEARS;
}

function bodyOf(form: PatientForm, duplicate: boolean): Record<string, unknown> {
  const filled = Object.entries(form).map(([name, value]) => [name, value.trim()] as const).filter(([, value]) => value !== '');
  return { ...Object.fromEntries(filled), ...(duplicate ? { confirm_duplicate: true } : {}) };
}

export function RegisterPage() {
  const today = formatDate(Date.now());
  const organisations = useResource<{ organisations: TreeOrganisation[] }>('/api/organisations');
  const own = me.value?.roles.find((held) => CARE.includes(held.role))?.organisation;
  const [form, setForm] = useState<PatientForm>({
    organisation_id: own?.id ?? '', name: '', sex: '', birth_date: '', id_type: 'resident-id', id_number: '', phone: '', guardian_name: '', guardian_phone: '',
  });
  const [tried, setTried] = useState(false);
  const [namesakes, setNamesakes] = useState<Namesake[]>([]);
  const faults = faultsOf(form, today);
  const saved = useAction(() => save(false));
  const duplicate = useAction(() => save(true));
  const error = duplicate.error ?? saved.error;

  function change(changes: Partial<PatientForm>): void {
    const next = { ...form, ...changes };
    const read = readResidentId(next.id_number);
    if (next.id_type === 'resident-id' && read.fault === null) Object.assign(next, { birth_date: read.birth_date, sex: read.sex });
    setForm(next);
    setNamesakes([]);
  }

  async function save(despite: boolean): Promise<void> {
    const { patient, warnings } = await api.post<{ patient: PatientBrief | null; warnings: Namesake[] }>('/api/patients', bodyOf(form, despite));
    setNamesakes(warnings);
    if (!patient) return;
    toast(t('desk.register.done', { name: patient.name }));
    go({ patient: patient.id });
  }

  function submit(event: Event): void {
    event.preventDefault();
    setTried(true);
    if (Object.keys(faults).length === 0) saved.run();
    else requestAnimationFrame(() => document.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
  }

  const faultOf = (name: keyof PatientForm): string | null => {
    const known = faults[name];
    if (tried && known) return t(known);
    return error?.detail.field === name ? error.text : null;
  };
  const fromId = form.id_type === 'resident-id' && readResidentId(form.id_number).fault === null;
  return (
    <form class="card narrow" onSubmit={submit} noValidate>
      <Select<IdType>
        label={t('desk.register.id-type')} value={form.id_type} change={(id_type) => change({ id_type, id_number: '' })}
        choices={ID_TYPES.map((value) => ({ value, label: t(`desk.id-type.${value}`) }))}
      />
      {form.id_type !== 'none' && (
        <TextField
          label={t('desk.register.id-number')} value={form.id_number} change={(id_number) => change({ id_number })} autocomplete="off" autocapitalize="characters"
          spellcheck={false} maxLength={form.id_type === 'resident-id' ? 18 : 40} error={faultOf('id_number') ?? early(form)}
          hint={fromId ? t('desk.register.id.good') : form.id_type === 'resident-id' ? t('desk.register.id.hint') : undefined}
        />
      )}
      <TextField label={t('desk.register.name')} value={form.name} change={(name) => change({ name })} autocomplete="off" maxLength={100} required error={faultOf('name')} />
      <div class="form-grid">
        <TextField label={t('desk.register.birth')} type="date" max={today} value={form.birth_date} change={(birth_date) => change({ birth_date })} disabled={fromId} required error={faultOf('birth_date')} />
        <Select<Sex>
          label={t('desk.register.sex')} value={form.sex} change={(sex) => change({ sex })} disabled={fromId} placeholder={t('desk.choose')}
          choices={SEXES.map((value) => ({ value, label: t(`core.sex.${value}`) }))} error={faultOf('sex')}
        />
      </div>
      <TextField label={t('desk.register.phone')} type="tel" inputMode="tel" autocomplete="off" optional value={form.phone} change={(phone) => change({ phone })} maxLength={30} error={faultOf('phone')} />
      {isChild(form, today) && (
        <fieldset class="form-grid guardian">
          <legend class="field-label">{t('desk.register.guardian', { years: GUARDIAN_BELOW_YEARS })}</legend>
          <TextField label={t('desk.register.guardian.name')} value={form.guardian_name} change={(guardian_name) => change({ guardian_name })} required maxLength={100} error={faultOf('guardian_name')} />
          <TextField label={t('desk.register.guardian.phone')} type="tel" value={form.guardian_phone} change={(guardian_phone) => change({ guardian_phone })} required maxLength={30} error={faultOf('guardian_phone')} />
        </fieldset>
      )}
      <Select
        label={t('desk.register.organisation')} value={form.organisation_id} change={(organisation_id) => change({ organisation_id })}
        choices={organisationChoices(reachedBy(CARE, organisations.data?.organisations ?? []))} error={faultOf('organisation_id')}
      />
      {namesakes.length > 0 && <Namesakes known={namesakes} busy={duplicate.busy} anyway={duplicate.run} />}
      {error && !error.detail.field && <Refused error={error} />}
      <div class="actions">
        <Button type="submit" kind="primary" busy={saved.busy}>{t('desk.register.save')}</Button>
        <ButtonLink href="/desk">{t('core.cancel')}</ButtonLink>
      </div>
    </form>
  );
}

/** A full-length number is judged at once, not only when the form is sent. */
function early(form: PatientForm): string | null {
  if (form.id_type !== 'resident-id' || form.id_number.trim().length < 18) return null;
  const { fault } = readResidentId(form.id_number);
  return fault ? t(`desk.register.fault.id.${fault}`) : null;
}

/** The same document is registered already: there is only one way on. */
function Refused({ error }: { error: ApiError }) {
  const known = error.detail.patient_id;
  if (typeof known !== 'string') return <ErrorBanner error={error} />;
  return (
    <Banner kind="error">
      <div class="stack-tight">
        <span>{error.text}</span>
        <span class="actions"><ButtonLink kind="primary" href={`/desk?patient=${known}`}>{t('desk.register.duplicate.open')}</ButtonLink></span>
      </div>
    </Banner>
  );
}

/** Same name, same birth date: perhaps the same person; nothing is written until somebody says it is another. */
function Namesakes({ known, busy, anyway }: { known: Namesake[]; busy: boolean; anyway: () => void }) {
  return (
    <Banner kind="notice">
      <div class="stack-tight">
        <strong>{t('desk.register.duplicate')}</strong>
        <span>{t('desk.register.duplicate.same')}</span>
        <ul class="plain-list">
          {known.map((each) => <li key={each.id}><a class="row-link" href={`/desk?patient=${each.id}`}>{each.name}</a> <span class="figures">{each.birth_date}</span></li>)}
        </ul>
        <span class="actions"><Button busy={busy} onClick={anyway}>{t('desk.register.duplicate.anyway')}</Button></span>
      </div>
    </Banner>
  );
}
