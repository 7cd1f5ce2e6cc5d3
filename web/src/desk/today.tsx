// Today at the desk: what to act on first, then what is under way, then what is done.
import { useState } from 'preact/hooks';
import { t } from '../core/i18n';
import { Loaded, useResource } from '../core/resource';
import { ButtonLink, EmptyState, Select, Table, Time, type Column } from '../core/ui';
import { ReportLinks } from './report';
import { byUrgency, StudyState, WORDS } from './states';
import type { StudyKind } from '../sending/plan';
import { KINDS, type StudyLine, type StudyWord } from './types';

const DONE: readonly StudyWord[] = ['opened', 'withdrawn'];
type Filter = StudyWord | 'open' | 'all';

function keeps(filter: Filter, study: StudyLine): boolean {
  if (filter === 'all') return true;
  return filter === 'open' ? !DONE.includes(study.state.word) || isToday(study.state.at) : study.state.word === filter;
}

function isToday(at: string): boolean {
  return Date.now() - Date.parse(at) < 86_400_000;
}

export function TodayPage() {
  const studies = useResource<{ studies: StudyLine[] }>('/api/studies', ['requests', 'recordings', 'tasks', 'reports', 'uploads'], 60);
  const [filter, setFilter] = useState<Filter>('open');
  const [kind, setKind] = useState<StudyKind | 'all'>('all');
  const kept = (study: StudyLine) => keeps(filter, study) && (kind === 'all' || study.kind === kind);
  return (
    <>
      <div class="actions">
        <ButtonLink kind="primary" href="/desk?residents=1">{t('desk.today.find')}</ButtonLink>
        <ButtonLink href="/desk?register=1">{t('desk.register.title')}</ButtonLink>
      </div>
      <Loaded from={studies}>
        {(data) => (
          <>
            <NewlyBack studies={data.studies} />
            <div class="toolbar">
              <Select<Filter>
                label={t('desk.today.show')} value={filter} change={setFilter}
                choices={[
                  { value: 'open', label: t('desk.today.filter.open') }, { value: 'all', label: t('desk.today.filter.all') },
                  ...WORDS.map((word) => ({ value: word, label: t(`desk.state.${word}`) })),
                ]}
              />
              <Select<StudyKind | 'all'>
                label={t('desk.column.kind')} value={kind} change={setKind}
                choices={[{ value: 'all', label: t('desk.today.filter.kinds') }, ...KINDS.map((value) => ({ value, label: t(`desk.kind.${value}`) }))]}
              />
              <span class="soft figures">{t('desk.today.count', { count: data.studies.filter(kept).length })}</span>
            </div>
            <Studies studies={data.studies.filter(kept).sort(byUrgency)} filter={filter} />
          </>
        )}
      </Loaded>
    </>
  );
}

/** The most urgent thing is the biggest: reports that came back and nobody here has opened. */
function NewlyBack({ studies }: { studies: StudyLine[] }) {
  const back = studies.filter((study) => study.state.word === 'report-back');
  if (back.length === 0) return null;
  return (
    <section class="card back" aria-label={t('desk.today.back')}>
      <h2>{t('desk.today.back.count', { count: back.length })}</h2>
      <ul class="plain-list">
        {back.map((study) => (
          <li key={study.id} class="back-line">
            <span><strong>{study.patient.name}</strong> <span class="soft">{t('desk.today.signed', { name: study.report?.signed_by_name ?? '' })} {study.report?.signed_at && <Time at={study.report.signed_at} />}</span></span>
            {study.report && <ReportLinks report={study.report} />}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Nothing({ filter }: { filter: Filter }) {
  if (filter !== 'open' && filter !== 'all') return <EmptyState title={t('desk.today.empty.state', { state: t(`desk.state.${filter}`) })} />;
  return <EmptyState title={t('desk.today.empty')}><p>{t('desk.today.empty.text')}</p><ButtonLink href="/desk?residents=1">{t('desk.today.find')}</ButtonLink></EmptyState>;
}

function Studies({ studies, filter }: { studies: StudyLine[]; filter: Filter }) {
  const columns: Column<StudyLine>[] = [
    { name: 'patient', label: t('desk.column.patient'), cell: (study) => <a class="row-link" href={`/desk?request=${study.request_id}`}>{study.patient.name}</a>, sort: (study) => study.patient.name },
    { name: 'kind', label: t('desk.column.kind'), cell: (study) => t(`desk.kind.${study.kind}`), sort: (study) => KINDS.indexOf(study.kind) },
    { name: 'state', label: t('desk.column.state'), cell: (study) => <StudyState study={study} />, sort: (study) => WORDS.indexOf(study.state.word) },
    { name: 'priority', label: t('desk.column.priority'), cell: (study) => t(`core.priority.${study.priority}`), sort: (study) => study.priority },
    { name: 'created', label: t('desk.column.requested'), minor: true, cell: (study) => <Time at={study.created_at} />, sort: (study) => study.created_at },
    { name: 'next', label: t('desk.column.next'), bare: true, cell: (study) => <Next study={study} /> },
  ];
  return (
    <Table
      caption={t('desk.today.title')} rows={studies} columns={columns} rowKey={(study) => study.request_id}
      empty={<Nothing filter={filter} />}
    />
  );
}

function Next({ study }: { study: StudyLine }) {
  const { word } = study.state;
  if (study.report && word !== 'withdrawn') return <ButtonLink href={`/api/reports/${study.report.id}/pdf`} target="_blank" aria-label={t('desk.report.open.of', { name: study.patient.name })}>{t('desk.report.open.short')}</ButtonLink>;
  if (word === 'requested' || word === 'set-aside') {
    if (study.kind !== 'holter' || word === 'set-aside') return <ButtonLink href={`/desk?request=${study.request_id}`} aria-label={t('desk.next.send.of', { name: study.patient.name })}>{t('desk.next.send')}</ButtonLink>;
    return <ButtonLink href={`/desk?pair=${study.request_id}`}>{t(study.recording_id ? 'desk.next.check' : 'desk.next.pair')}</ButtonLink>;
  }
  return <ButtonLink kind="quiet" href={`/desk?request=${study.request_id}`} aria-label={t('desk.next.follow.of', { name: study.patient.name })}>{t('desk.next.follow')}</ButtonLink>;
}

