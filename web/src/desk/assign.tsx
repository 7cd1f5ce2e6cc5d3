// Whose images these are: what the sender said beside each resident they may be of, and the question asked before a decision is stored.
import { useEffect, useState } from 'preact/hooks';
import { api, withQuery } from '../core/api';
import { t } from '../core/i18n';
import { go } from '../core/place';
import { Loaded, useAction, useResource } from '../core/resource';
import type { Sex } from '../core/types';
import { Banner, Button, ButtonLink, Check, Dialog, EmptyState, ErrorBanner, Facts, Form, Select, Table, TextField, Time, toast, type Column } from '../core/ui';
import { compare, compareRequest, dateOf, likeliest, namesOf, sexOf, type Verdict } from './identity';
import { modalityWords, sentName, type SentStudy } from './sent-study';
import type { Patient, ServiceRequest } from './types';


type Person = { id: string; name: string; sex: Sex; birth_date: string };
type Identity = { patient_id: string; name: string; birth_date: string; sex: string; instances: number };
type Found = { candidates: (Person & { request_id: string | null; same_accession: boolean })[]; identities: Identity[] };
const PAUSE_MS = 250; // after the last key, before asking
const INDEXED_EVERY_S = 5; // while some images are not looked into yet
const NO_REQUEST = 'none';

export function AssignPage({ study, done }: { study: SentStudy; done: () => void }) {
  const [indexing, setIndexing] = useState(false);
  const found = useResource<Found>(`/api/dicom/studies/${study.id}/candidates`, [], indexing ? INDEXED_EVERY_S : 0);
  const told = (found.data?.identities ?? []).reduce((sum, identity) => sum + identity.instances, 0);
  const more = study.identity_differs && study.is_open && found.data !== null && told < study.instances;
  if (more !== indexing) setIndexing(more);
  // One row of the answer is a resident with one open request.
  const numbered = new Set((found.data?.candidates ?? []).filter((row) => row.same_accession).map((row) => row.id));
  const [chosen, choose] = useState<Person | null>(null);
  const stored = (patient: Person) => {
    done();
    go({ images: '1' });
    toast(t('desk.dicom.assigned', { name: patient.name }), () => go({ images: '1', back: study.id }, true));
  };
  return (
    <>
      <p class="images-link"><a class="row-link" href="/desk?images=1">← {t('desk.dicom.list')}</a></p>
      {study.identity_differs && <Banner kind="error">{t('desk.dicom.differs.text')}</Banner>}
      <div class="columns">
        <div class="stack">
          <SentCard study={study} />
          {study.identity_differs && <Loaded from={found}>{({ identities }) => <Identities identities={identities} />}</Loaded>}
        </div>
        <section class="card" aria-labelledby="candidates">
          <h2 id="candidates">{t('desk.dicom.candidates')}</h2>
          <Loaded from={found}>{({ candidates }) => <Candidates study={study} people={[...new Map(candidates.map((row) => [row.id, row])).values()]} numbered={numbered} choose={choose} />}</Loaded>
          <Search study={study} numbered={numbered} choose={choose} />
        </section>
      </div>
      {chosen && <Decide key={chosen.id} study={study} patient={chosen} elsewhere={[...numbered].some((id) => id !== chosen.id)} close={() => choose(null)} stored={() => stored(chosen)} />}
    </>
  );
}

function SentCard({ study }: { study: SentStudy }) {
  const sex = sexOf(study.sent_sex);
  return (
    <section class="card" aria-labelledby="sent">
      <h2 id="sent">{t('desk.dicom.sent')}</h2>
      <p class="who">{sentName(study)}</p>
      <Facts rows={[
        [t('desk.register.sex'), sex ? t(`core.sex.${sex}`) : study.sent_sex || '—'],
        [t('desk.register.birth'), <span class="figures">{dateOf(study.sent_birth_date) || '—'}</span>],
        [t('desk.dicom.number'), <span class="mono">{study.sent_patient_id || '—'}{study.sent_issuer && ` (${study.sent_issuer})`}</span>],
        [t('desk.dicom.accession'), <span class="mono">{study.accession || '—'}</span>],
        [t('desk.dicom.what'), <>{modalityWords(study)}{study.description && <><br />{study.description}</>}</>],
        [t('desk.dicom.date'), <span class="figures">{dateOf(study.study_date) || '—'}</span>],
        [t('desk.dicom.sender'), study.sender_name ?? '—'],
        [t('desk.dicom.came'), <Time at={study.first_at} show="full" />],
      ]} />
    </section>
  );
}

/** Whom the single images name, where they do not name one. */
function Identities({ identities }: { identities: Identity[] }) {
  const columns: Column<Identity>[] = [
    { name: 'name', label: t('desk.column.name'), cell: (identity) => namesOf(identity.name).join(' / ') || t('desk.dicom.nameless') },
    { name: 'number', label: t('desk.dicom.number'), cell: (identity) => <span class="mono">{identity.patient_id || '—'}</span> },
    { name: 'birth', label: t('desk.register.birth'), cell: (identity) => <span class="figures">{dateOf(identity.birth_date) || '—'}</span> },
    { name: 'images', label: t('desk.dicom.what'), numeric: true, cell: (identity) => t('desk.dicom.images', { count: identity.instances }) },
  ];
  return (
    <section class="stack">
      <h2>{t('desk.dicom.identities')}</h2>
      <Table caption={t('desk.dicom.identities')} rows={identities} columns={columns} rowKey={(identity) => JSON.stringify(identity)} empty={<p class="soft">{t('desk.dicom.identities.none')}</p>} />
    </section>
  );
}

const GLYPHS: Record<Verdict, string> = { same: '✓', differs: '✕', unsure: '?', unsaid: '–' };

function Mark({ verdict }: { verdict: Verdict }) {
  return <span class={`verdict verdict-${verdict}`}><span aria-hidden="true" class="verdict-glyph">{GLYPHS[verdict]}</span>{t(`desk.dicom.verdict.${verdict}`)}</span>;
}

type PeopleProps = { study: SentStudy; numbered: ReadonlySet<string>; choose: (person: Person) => void };

function Candidates({ people, ...rest }: PeopleProps & { people: Person[] }) {
  if (people.length === 0) return <EmptyState title={t('desk.dicom.candidates.none')}><p>{t('desk.dicom.candidates.none.text')}</p></EmptyState>;
  return <ul class="plain-list">{people.map((person) => <li key={person.id} class="candidate"><Candidate person={person} {...rest} /></li>)}</ul>;
}

function Candidate({ study, person, numbered, choose }: PeopleProps & { person: Person }) {
  const verdicts = compare(study, person);
  return (
    <>
      <p class="candidate-head"><strong>{person.name}</strong> <span class="soft">{t(`core.sex.${person.sex}`)} <span class="figures">{person.birth_date}</span></span></p>
      <ul class="plain-list verdicts">
        <li>{t('desk.column.name')} <Mark verdict={verdicts.name} /></li>
        <li>{t('desk.register.birth')} <Mark verdict={verdicts.birth_date} /></li>
        <li>{t('desk.register.sex')} <Mark verdict={verdicts.sex} /></li>
        {study.accession && <li>{numbered.has(person.id) ? <>{t('desk.dicom.accession')} <Mark verdict="same" /></> : t('desk.dicom.accession.none')}</li>}
      </ul>
      <div class="actions"><Button onClick={() => choose(person)}>{t('desk.dicom.choose', { name: person.name })}</Button></div>
    </>
  );
}

/** Anybody else of the clinic's residents. */
function Search(props: PeopleProps) {
  const [typed, setTyped] = useState('');
  const [asked, setAsked] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setAsked(typed.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const found = useResource<{ patients: Patient[] }>(asked ? withQuery('/api/patients', { q: asked }) : null);
  return (
    <div class="stack">
      <TextField label={t('desk.dicom.search')} type="search" autocomplete="off" value={typed} change={setTyped} hint={t('desk.dicom.search.hint')} />
      {asked && (
        <Loaded from={found}>
          {({ patients }) => (patients.length === 0
            ? <EmptyState title={t('desk.residents.none', { text: asked })}><ButtonLink href="/desk?register=1">{t('desk.register.title')}</ButtonLink></EmptyState>
            : <Candidates people={patients} {...props} />)}
        </Loaded>
      )}
    </div>
  );
}

/** `elsewhere`: the accession number is of a request for another resident. */
type DecideProps = { study: SentStudy; patient: Person; elsewhere: boolean; close: () => void; stored: () => void };

/** Both identities side by side, the request, and what is remembered; what speaks against it has to be looked at. */
function Decide(props: DecideProps) {
  const { patient, close } = props;
  const all = useResource<{ requests: ServiceRequest[] }>(withQuery('/api/requests', { patient_id: patient.id }));
  return (
    <Dialog title={t('desk.dicom.decide.title', { name: patient.name })} close={close} wide>
      <Loaded from={all}>
        {({ requests }) => <DecideForm {...props} requests={requests.filter((each) => each.status === 'active' || each.status === 'on-hold')} />}
      </Loaded>
    </Dialog>
  );
}

function DecideForm({ study, patient, elsewhere, requests, close, stored }: DecideProps & { requests: ServiceRequest[] }) {
  const [picked, pick] = useState<string>(() => likeliest(study, requests)?.id ?? (requests.length ? '' : NO_REQUEST));
  const [remember, setRemember] = useState(false);
  const [looked, setLooked] = useState(false);
  const [tried, setTried] = useState(false);
  const request = requests.find(({ id }) => id === picked) ?? null;
  const against = study.identity_differs || elsewhere || Object.values(compare(study, patient)).includes('differs');
  const work = useAction(async () => {
    setTried(true);
    if (picked === '' || (against && !looked)) return;
    await api.post(`/api/dicom/studies/${study.id}/assign`, { patient_id: patient.id, ...(request && { request_id: request.id }), remember });
    stored();
  });
  return (
    <Form submit={work.run}>
      <SideBySide study={study} patient={patient} request={request} />
      <Select label={t('desk.dicom.request')} value={picked} change={pick} required placeholder={t('desk.choose')}
        choices={[...requests.map((each) => ({ value: each.id, label: requestWords(each) })), { value: NO_REQUEST, label: t('desk.dicom.request.none') }]} />
      {picked === NO_REQUEST && <p class="small soft">{t('desk.dicom.request.none.text')}</p>}
      {study.sent_patient_id && <Check label={t('desk.dicom.remember', { id: study.sent_patient_id, name: patient.name })} hint={t('desk.dicom.remember.hint')} checked={remember} change={setRemember} />}
      {against && (
        <Banner kind="error">
          <div class="stack-tight">
            <strong>{t(study.identity_differs ? 'desk.dicom.against.several' : elsewhere ? 'desk.dicom.against.elsewhere' : 'desk.dicom.against')}</strong>
            <Check label={t('desk.dicom.looked', { name: patient.name })} checked={looked} change={setLooked} />
            {tried && !looked && <span class="field-error">{t('desk.dicom.looked.missing')}</span>}
          </div>
        </Banner>
      )}
      {work.error && <ErrorBanner error={work.error} />}
      <div class="actions">
        <Button type="submit" kind="primary" busy={work.busy}>{t('desk.dicom.confirm', { name: patient.name })}</Button>
        <Button onClick={close}>{t('core.cancel')}</Button>
      </div>
    </Form>
  );
}

function requestWords(request: ServiceRequest): string {
  const what = request.kind === 'imaging' && request.modality ? `${t(`desk.modality.${request.modality}`)} ${request.body_part ?? ''}` : t(`desk.kind.${request.kind}`);
  return [what.trim(), request.question, request.accession].join(' · ');
}

type Line = { label: string; sent: string; ours: string; verdict: Verdict };

function linesOf(study: SentStudy, patient: Person, request: ServiceRequest | null): Line[] {
  const verdicts = compare(study, patient);
  const sex = sexOf(study.sent_sex);
  const lines = [
    { label: t('desk.column.name'), sent: sentName(study), ours: patient.name, verdict: verdicts.name },
    { label: t('desk.register.birth'), sent: dateOf(study.sent_birth_date) || '—', ours: patient.birth_date, verdict: verdicts.birth_date },
    { label: t('desk.register.sex'), sent: sex ? t(`core.sex.${sex}`) : study.sent_sex || '—', ours: t(`core.sex.${patient.sex}`), verdict: verdicts.sex },
  ];
  if (!request) return lines;
  const asked = compareRequest(study, request);
  return [
    ...lines,
    { label: t('desk.dicom.accession'), sent: study.accession || '—', ours: request.accession, verdict: asked.accession },
    { label: t('desk.dicom.what'), sent: modalityWords(study), ours: request.kind === 'imaging' ? [request.modality, request.body_part].filter(Boolean).join(' ') : t(`desk.kind.${request.kind}`), verdict: asked.modality },
  ];
}

function SideBySide({ study, patient, request }: { study: SentStudy; patient: Person; request: ServiceRequest | null }) {
  return (
    <table class="sides">
      <caption class="unseen">{t('desk.dicom.sides')}</caption>
      <thead><tr><th scope="col">{t('desk.dicom.sides.sent')}</th><th scope="col">{t('desk.dicom.sides.ours')}</th></tr></thead>
      {linesOf(study, patient, request).map(({ label, sent, ours, verdict }) => (
        <tbody key={label} class={verdict === 'differs' ? 'sides-differ' : undefined}>
          <tr><th scope="rowgroup" colSpan={2}>{label} <Mark verdict={verdict} /></th></tr>
          <tr><td>{sent}</td><td>{ours}</td></tr>
        </tbody>
      ))}
    </table>
  );
}
