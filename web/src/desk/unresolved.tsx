// DICOM that came by itself: studies that belong to nobody yet, those that have an owner, and files that could not be used.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { count, t } from '../core/i18n';
import { go, place } from '../core/place';
import { Loaded, useResource } from '../core/resource';
import { Banner, Button, ButtonLink, Confirm, EmptyState, State, Table, Time, toast, type Column } from '../core/ui';
import { AssignPage } from './assign';
import './unresolved.css';
import { modalityWords, sentFacts, sentName, type SentStudy } from './sent-study';

const EVERY_S = 30;
const BYTES_PER_KB = 1000;

const REASONS = ['other-content', 'no-identity', 'class-differs', 'unknown-syntax', 'no-file', 'no-meta', 'unreadable'] as const;
type SetAside = { id: string; reason: string; detail: string; size_bytes: number; sender_name: string | null; times: number; first_at: string; last_at: string };

/** `/desk?images=1`, or the id of one study. */
export function UnresolvedPage() {
  const asked = place.value.get('images') ?? '';
  const open = useResource<{ studies: SentStudy[] }>('/api/dicom/studies?unresolved=true', ['uploads', 'requests'], EVERY_S);
  const chosen = open.data?.studies.find(({ id }) => id === asked);
  return (
    <Loaded from={open}>
      {({ studies }) => (chosen
        ? <AssignPage key={chosen.id} study={chosen} done={open.reload} />
        : <><Waiting studies={studies} /><Owned changed={open.reload} /><SetAsides /></>)}
    </Loaded>
  );
}

/** Those that name several patients first, then the newest. */
function byNeed(a: SentStudy, b: SentStudy): number {
  return Number(b.identity_differs) - Number(a.identity_differs) || b.first_at.localeCompare(a.first_at);
}

function Waiting({ studies }: { studies: SentStudy[] }) {
  const columns: Column<SentStudy>[] = [
    { name: 'who', label: t('desk.dicom.who'), sort: (study) => sentName(study), cell: (study) => (
      <span class="stack-none">
        <a class="row-link" href={`/desk?images=${study.id}`}>{sentName(study)}</a>
        <span class="small soft">{sentFacts(study)}</span>
        {study.identity_differs && <State shape="stopped"><strong>{t('desk.dicom.differs')}</strong></State>}
      </span>
    ) },
    { name: 'what', label: t('desk.dicom.what'), sort: (study) => study.modalities.join(), cell: (study) => <span class="stack-none"><span>{modalityWords(study)}</span><span class="small soft">{study.description}</span></span> },
    { name: 'accession', label: t('desk.dicom.accession'), sort: (study) => study.accession, cell: (study) => <span class="mono">{study.accession || '—'}</span> },
    { name: 'sender', label: t('desk.dicom.sender'), sort: (study) => study.sender_name ?? '', cell: (study) => study.sender_name ?? '—' },
    { name: 'came', label: t('desk.dicom.came'), sort: (study) => study.first_at, cell: (study) => <State shape={study.is_open ? 'moving' : 'waiting'} at={study.is_open ? study.first_at : study.completed_at}>{t(study.is_open ? 'desk.dicom.coming' : 'desk.dicom.complete')}</State> },
    { name: 'next', label: t('desk.column.next'), bare: true, cell: (study) => <ButtonLink kind="primary" href={`/desk?images=${study.id}`} aria-label={t('desk.dicom.decide.of', { name: sentName(study) })}>{t('desk.dicom.decide')}</ButtonLink> },
  ];
  return (
    <section class="stack">
      <h2>{t('desk.dicom.waiting')}</h2>
      <p class="soft">{t('desk.dicom.waiting.text')}</p>
      <Table caption={t('desk.dicom.waiting')} rows={[...studies].sort(byNeed)} columns={columns} rowKey={({ id }) => id} marked={(study) => study.identity_differs}
        empty={<EmptyState title={t('desk.dicom.none')}><p>{t('desk.dicom.none.text')}</p></EmptyState>} />
    </section>
  );
}

/** What has an owner, and the way back. `/desk?images=1&back=ID` asks at once. */
function Owned({ changed }: { changed: () => void }) {
  const all = useResource<{ studies: SentStudy[] }>('/api/dicom/studies', ['uploads', 'requests'], EVERY_S);
  const owned = (all.data?.studies ?? []).filter((study) => study.patient_id !== null);
  const back = owned.find(({ id }) => id === place.value.get('back'));
  const close = () => go({ images: '1' }, true);
  const columns: Column<SentStudy>[] = [
    { name: 'patient', label: t('desk.column.patient'), sort: (study) => study.patient_name ?? '', cell: (study) => <a class="row-link" href={study.service_request_id ? `/desk?request=${study.service_request_id}` : `/desk?patient=${study.patient_id}`}>{study.patient_name ?? '—'}</a> },
    { name: 'who', label: t('desk.dicom.who'), sort: sentName, cell: (study) => <span class="stack-none"><span>{sentName(study)}</span><span class="small soft">{sentFacts(study)}</span>{study.identity_differs && <State shape="stopped">{t('desk.dicom.differs')}</State>}</span> },
    { name: 'what', label: t('desk.dicom.what'), cell: modalityWords },
    { name: 'how', label: t('desk.dicom.how'), cell: (study) => t(`desk.dicom.how.${study.resolved_by ?? 'person'}`) },
    { name: 'came', label: t('desk.dicom.came'), sort: (study) => study.first_at, cell: (study) => <Time at={study.first_at} /> },
    { name: 'act', label: t('desk.column.next'), bare: true, cell: (study) => <Button kind="quiet" aria-label={t('desk.dicom.back.of', { name: study.patient_name ?? sentName(study) })} onClick={() => go({ images: '1', back: study.id }, true)}>{t('desk.dicom.back')}</Button> },
  ];
  return (
    <section class="stack">
      <h2>{t('desk.dicom.owned')}</h2>
      <Loaded from={all}>{() => <Table caption={t('desk.dicom.owned')} rows={owned} columns={columns} rowKey={({ id }) => id} empty={<p class="soft">{t('desk.dicom.owned.none')}</p>} />}</Loaded>
      {back && (
        <Confirm title={t('desk.dicom.back.of', { name: back.patient_name ?? sentName(back) })} confirm={t('desk.dicom.back')} grave reason={t('desk.dicom.back.why')} close={close}
          run={async (reason) => { await api.post(`/api/dicom/studies/${back.id}/unassign`, { reason }); toast(t('desk.dicom.back.done')); all.reload(); changed(); }}
        >
          <div class="stack-tight">
            <p>{t('desk.dicom.back.text', { sent: [sentName(back), sentFacts(back)].filter(Boolean).join(' · '), what: modalityWords(back) })}</p>
            {back.completed_at && <Banner kind="notice">{t('desk.dicom.back.queue')}</Banner>}
          </div>
        </Confirm>
      )}
    </section>
  );
}

function SetAsides() {
  const [opened, open] = useState(false);
  const found = useResource<{ set_asides: SetAside[] }>('/api/dicom/set-aside', [], EVERY_S);
  const columns: Column<SetAside>[] = [
    { name: 'reason', label: t('desk.dicom.aside.reason'), sort: (file) => file.reason, cell: (file) => <span class="stack-none"><span>{reasonWords(file.reason)}</span>{file.detail && <span class="small soft mono">{file.detail}</span>}</span> },
    { name: 'sender', label: t('desk.dicom.sender'), sort: (file) => file.sender_name ?? '', cell: (file) => file.sender_name ?? '—' },
    { name: 'times', label: t('desk.dicom.aside.times'), numeric: true, sort: (file) => file.times, cell: (file) => t('desk.dicom.aside.count', { count: file.times }) },
    { name: 'size', label: t('desk.dicom.aside.size'), numeric: true, minor: true, sort: (file) => file.size_bytes, cell: (file) => `${count(Math.max(1, Math.round(file.size_bytes / BYTES_PER_KB)))} kB` },
    { name: 'last', label: t('desk.dicom.aside.last'), sort: (file) => file.last_at, cell: (file) => <Time at={file.last_at} /> },
  ];
  return (
    <section class="stack">
      <h2>{t('desk.dicom.aside')}</h2>
      <p class="soft">{t('desk.dicom.aside.text')}</p>
      <Loaded from={found}>
        {({ set_asides }) => <Shorter rows={set_asides} all={opened} open={() => open(true)}>{(rows) => <Table caption={t('desk.dicom.aside')} rows={rows} columns={columns} rowKey={({ id }) => id} empty={<p class="soft">{t('desk.dicom.aside.none')}</p>} />}</Shorter>}
      </Loaded>
    </section>
  );
}

const FIRST = 20;

/** A long list begins with its newest. */
function Shorter<R>({ rows, all, open, children }: { rows: R[]; all: boolean; open: () => void; children: (rows: R[]) => ComponentChildren }) {
  return (
    <>
      {children(all ? rows : rows.slice(0, FIRST))}
      {!all && rows.length > FIRST && <div class="actions"><Button onClick={open}>{t('desk.dicom.aside.all', { count: rows.length })}</Button></div>}
    </>
  );
}

function reasonWords(reason: string): string {
  const known = REASONS.find((each) => each === reason);
  return known ? t(`desk.dicom.why.${known}`) : reason;
}
