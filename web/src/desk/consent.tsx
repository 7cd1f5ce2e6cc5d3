// Consent: which kinds are needed, who gave them how and when, and taking them back.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { t } from '../core/i18n';
import { useAction } from '../core/resource';
import { Button, Confirm, Dialog, ErrorBanner, Form, Radios, State, TextField, toast } from '../core/ui';
import type { StudyKind } from '../sending/plan';
import type { Consent, ConsentHow, ConsentKind, Patient } from './types';

const NEEDED: readonly ConsentKind[] = ['monitoring', 'remote-reading']; // family members are let in where they have accounts
const HOW: readonly ConsentHow[] = ['paper', 'code', 'app'];

/** Wearing a device needs a yes of its own; being read elsewhere needs one for every kind. */
export function missingConsents(patient: Patient, kind: StudyKind): ConsentKind[] {
  const needed = kind === 'holter' ? NEEDED : NEEDED.filter((each) => each !== 'monitoring');
  return needed.filter((each) => !standing(patient, each));
}

function standing(patient: Patient, kind: ConsentKind): Consent | undefined {
  return patient.consents.find((consent) => consent.kind === kind && consent.withdrawn_at === null);
}

export function Consents({ patient, changed }: { patient: Patient; changed: () => void }) {
  const [recording, setRecording] = useState<ConsentKind | null>(null);
  const [withdrawing, setWithdrawing] = useState<Consent | null>(null);
  return (
    <section class="card">
      <h2>{t('desk.consent.title')}</h2>
      <ul class="plain-list stack-tight">
        {[...NEEDED, ...patient.consents.some((consent) => consent.kind === 'family') ? ['family' as const] : []].map((kind) => {
          const given = standing(patient, kind);
          return (
            <li key={kind} class="consent">
              <div>
                <strong>{t(`desk.consent.${kind}`)}</strong><br />
                {given
                  ? <State shape="done" at={given.given_at}>{t('desk.consent.given', { name: given.given_by, how: t(`desk.consent.how.${given.given_how}`) })}</State>
                  : <State shape="waiting">{t('desk.consent.none')}</State>}
              </div>
              {given
                ? <Button kind="quiet" onClick={() => setWithdrawing(given)}>{t('desk.consent.withdraw')}</Button>
                : kind !== 'family' && <Button onClick={() => setRecording(kind)}>{t('desk.consent.record')}</Button>}
            </li>
          );
        })}
      </ul>
      {recording && <RecordConsent patient={patient} kind={recording} close={() => setRecording(null)} done={changed} />}
      {withdrawing && (
        <Confirm
          title={t('desk.consent.withdraw.title')} confirm={t('desk.consent.withdraw')} grave close={() => setWithdrawing(null)}
          run={async () => { await api.post(`/api/consents/${withdrawing.id}/withdraw`); toast(t('desk.consent.withdrawn')); changed(); }}
        >{t('desk.consent.withdraw.text', { kind: t(`desk.consent.${withdrawing.kind}`), name: patient.name })}</Confirm>
      )}
    </section>
  );
}

type RecordProps = { patient: Patient; kind: ConsentKind; close: () => void; done: () => void };

export function RecordConsent({ patient, kind, close, done }: RecordProps) {
  const [how, setHow] = useState<ConsentHow>('paper');
  const [by, setBy] = useState(patient.guardian_name ?? patient.name);
  const work = useAction(async () => {
    await api.post(`/api/patients/${patient.id}/consents`, { kind, given_how: how, given_by: by.trim() });
    toast(t('desk.consent.stored'));
    done();
    close();
  });
  return (
    <Dialog title={t('desk.consent.record.title', { kind: t(`desk.consent.${kind}`) })} close={close}>
      <Form submit={work.run}>
        <p>{t(`desk.consent.text.${kind}`)}</p>
        <Radios<ConsentHow> label={t('desk.consent.how')} value={how} change={setHow} choices={HOW.map((value) => ({ value, label: t(`desk.consent.how.${value}`) }))} />
        <TextField label={t('desk.consent.by')} value={by} change={setBy} required maxLength={100} hint={t('desk.consent.by.hint')} />
        {work.error && <ErrorBanner error={work.error} />}
        <div class="actions"><Button type="submit" kind="primary" busy={work.busy}>{t('desk.consent.record')}</Button><Button onClick={close}>{t('core.cancel')}</Button></div>
      </Form>
    </Dialog>
  );
}
