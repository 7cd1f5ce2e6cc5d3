// The hub as a chain from the devices to the pages: each hop with a word, its newest figures, and what was done with every sample.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { count, t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import { hasRole } from '../core/session';
import { Age, Button, EmptyState, ErrorBanner, Skeleton, State, Table, Time, toast, type Column, type Shape } from '../core/ui';
import { translated } from '../ecg/rules';
import { figure, hub } from './hub';
import type { FailedJob, Hop, HopState, HubLedger, HubProcess, HubView } from './types';

export function HealthSection() {
  if (!hasRole('device_manager', 'organisation_admin')) return <Answers />;
  const view = hub.value;
  if (view === null) return <Skeleton rows={8} />;
  return (
    <section class="stack">
      <Chain view={view} />
      <Account ledger={view.ledger} />
      <Processes processes={view.processes} />
      <FailedJobs />
      <p class="soft">{t('admin.health.metrics')} <span class="mono">/metrics</span></p>
    </section>
  );
}

/** For everybody else: whether the hub answers at all. */
function Answers() {
  const health = useResource<{ status: string }>('/healthz', [], 5);
  return <section class="card"><Loaded from={health}>{() => <State shape="done">{t('admin.health.good')}</State>}</Loaded></section>;
}

const SHAPES: Record<HopState, Shape> = { works: 'done', hurt: 'moving', broken: 'stopped', unknown: 'waiting' };

function Chain({ view }: { view: HubView }) {
  return (
    <section class="card" aria-label={t('admin.health.title')}>
      <div class="card-head"><h2>{t('admin.health.title')}</h2><span class="soft"><Age at={view.at} /></span></div>
      <ol class="chain" data-testid="chain">{view.hops.map((hop) => <li key={hop.hop} class={`hop hop-${hop.state}`} data-hop={hop.hop} data-state={hop.state}><HopCard hop={hop} /></li>)}</ol>
    </section>
  );
}

function HopCard({ hop }: { hop: Hop }) {
  return (
    <>
      <h3 class="hop-name">{translated(`admin.hop.${hop.hop}`, hop.hop)}</h3>
      <State shape={SHAPES[hop.state]}>{t(`admin.hop.state.${hop.state}`)}</State>
      <dl class="hop-figures">
        {hop.figures.map((each) => (
          <div key={each.name}><dt>{translated(`admin.figure.${each.name}`, each.name)}</dt><dd class="figures">{figure(each.value, each.unit)}</dd></div>
        ))}
      </dl>
    </>
  );
}

function Account({ ledger }: { ledger: HubLedger | null }) {
  return (
    <section class="card">
      <h2>{t('admin.ledger.title')}</h2>
      {ledger === null ? <p class="soft">{t('admin.ledger.unknown')}</p> : (
        <>
          <p class="equation figures" data-testid="hub-ledger">
            <span>{t('admin.ledger.produced')} <strong>{count(ledger.produced)}</strong></span><span aria-hidden="true">=</span>
            <span>{t('admin.ledger.stored')} <strong>{count(ledger.stored)}</strong></span><span aria-hidden="true">+</span>
            <span>{t('admin.ledger.lost')} <strong>{count(ledger.lost)}</strong></span><span aria-hidden="true">+</span>
            <span>{t('admin.ledger.waiting')} <strong>{count(ledger.waiting)}</strong></span>
          </p>
          <p class="soft">{t('admin.ledger.text', { count: ledger.recordings })}</p>
        </>
      )}
    </section>
  );
}

function Processes({ processes }: { processes: HubProcess[] }) {
  const columns: Column<HubProcess>[] = [
    { name: 'name', label: t('admin.process.name'), sort: (row) => row.name, cell: (row) => <span class="mono">{row.name}</span> },
    { name: 'answers', label: t('admin.process.state'), sort: (row) => Number(row.answers), cell: (row) => <ProcessState row={row} /> },
    { name: 'memory', label: t('admin.process.memory'), numeric: true, sort: (row) => row.memory_bytes ?? 0, cell: (row) => (row.memory_bytes === null ? '—' : figure(row.memory_bytes, 'bytes')) },
    { name: 'shards', label: t('admin.process.shards'), numeric: true, cell: (row) => row.shards ?? '—' },
    { name: 'pending', label: t('admin.process.pending'), numeric: true, cell: (row) => (row.pending === null ? '—' : count(row.pending)) },
    { name: 'commit', label: t('admin.process.commit'), numeric: true, cell: (row) => (row.commit_p99_s === null ? '—' : figure(row.commit_p99_s, 's')) },
  ];
  return <Table caption={t('admin.process.title')} rows={processes} columns={columns} rowKey={(row) => row.name} empty={<EmptyState title={t('admin.process.none')} />} />;
}

function ProcessState({ row }: { row: HubProcess }) {
  if (!row.answers) return <State shape="stopped">{t('admin.process.silent')}</State>;
  const word = row.state ?? 'ok';
  return <State shape={word === 'ok' ? 'done' : 'moving'}>{translated(`admin.process.word.${word}`, word)}</State>;
}

function FailedJobs() {
  const failed = useResource<{ jobs: FailedJob[] }>('/api/jobs/failed', ['incidents'], 30);
  if (failed.error?.status === 403) return null; // for who runs the whole hub
  const columns: Column<FailedJob>[] = [
    { name: 'kind', label: t('admin.job.kind'), sort: (job) => job.kind, cell: (job) => <span class="mono">{job.kind}</span> },
    { name: 'error', label: t('admin.job.error'), cell: (job) => <span class="mono small">{job.error}</span> },
    { name: 'attempts', label: t('admin.job.attempts'), numeric: true, sort: (job) => job.attempts, cell: (job) => job.attempts },
    { name: 'failed', label: t('admin.job.failed'), sort: (job) => job.failed_at, cell: (job) => <Time at={job.failed_at} /> },
    { name: 'act', label: t('admin.column.act'), bare: true, cell: (job) => <Retry job={job} done={failed.reload} /> },
  ];
  return (
    <section class="stack">
      <h2>{t('admin.job.title')}</h2>
      <Loaded from={failed}>{(data) => <Table caption={t('admin.job.title')} rows={data.jobs} columns={columns} rowKey={(job) => String(job.id)} empty={<EmptyState title={t('admin.job.none')} />} />}</Loaded>
    </section>
  );
}

function Retry({ job, done }: { job: FailedJob; done: () => void }) {
  const [asked, setAsked] = useState(false);
  const work = useAction(async () => { await api.post(`/api/jobs/${job.id}/retry`); setAsked(true); toast(t('admin.job.retried')); done(); });
  return <>{work.error && <ErrorBanner error={work.error} />}<Button kind="quiet" busy={work.busy} disabled={asked} onClick={work.run}>{t('admin.job.retry')}</Button></>;
}
