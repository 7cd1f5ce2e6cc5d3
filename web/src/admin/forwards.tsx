// Copies of studies on their way to other nodes: what waits, what a node refused and with which status, sent again or given up.
import { useState } from 'preact/hooks';
import { api, withQuery } from '../core/api';
import { type Bilingual, count, say, t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import { Button, type Column, Confirm, EmptyState, ErrorBanner, Select, State, Table, Time, toast } from '../core/ui';

type ForwardState = 'waiting' | 'sent' | 'refused' | 'given-up';
type Forward = {
  id: string; node_name: string; ae_title: string; state: ForwardState; status: number | null; status_words: Bilingual | null; fault: string | null; fault_words: Bilingual | null;
  queued_at: string; last_at: string | null; instances: number; answered: number; given_up_at: string | null; given_up_by_name: string | null;
};
type Answer = { forwards: Forward[]; next: string | null };

const SHOWN = { open: 'waiting,refused', waiting: 'waiting', refused: 'refused', sent: 'sent', 'given-up': 'given-up', all: '' } as const;
type Shown = keyof typeof SHOWN;
const NAMES = Object.keys(SHOWN) as Shown[];
const AGAIN_S = 15;

export function ForwardsSection() {
  const [shown, setShown] = useState<Shown>('open');
  const [before, setBefore] = useState<string | null>(null);
  const [leaving, setLeaving] = useState<Forward | null>(null);
  const found = useResource<Answer>(withQuery('/api/dicom/forwards', { state: SHOWN[shown], before }), [], AGAIN_S);
  return (
    <section class="stack">
      <p class="soft">{t('admin.forward.text')}</p>
      <Select<Shown> label={t('admin.forward.show')} value={shown} change={(next) => { setBefore(null); setShown(next); }} choices={NAMES.map((value) => ({ value, label: t(`admin.forward.show.${value}`) }))} />
      <Loaded from={found}>
        {(data) => (
          <>
            <Forwards forwards={data.forwards} changed={found.reload} leave={setLeaving} />
            <div class="actions">
              {before && <Button onClick={() => setBefore(null)}>{t('admin.newest')}</Button>}
              {data.next && <Button onClick={() => setBefore(data.next)}>{t('admin.older')}</Button>}
            </div>
          </>
        )}
      </Loaded>
      {leaving && (
        <Confirm title={t('admin.forward.leave.title', { node: leaving.node_name })} confirm={t('admin.forward.leave')} grave close={() => setLeaving(null)}
          run={async () => { await api.post(`/api/dicom/forwards/${leaving.id}/give-up`); found.reload(); }}
        >{t('admin.forward.leave.text')}</Confirm>
      )}
    </section>
  );
}

type ForwardsProps = { forwards: Forward[]; changed: () => void; leave: (forward: Forward) => void };

function Forwards({ forwards, changed, leave }: ForwardsProps) {
  const columns: Column<Forward>[] = [
    { name: 'node', label: t('admin.forward.node'), sort: (row) => row.node_name, cell: (row) => <span><strong>{row.node_name}</strong> <span class="mono small soft">{row.ae_title}</span></span> },
    { name: 'state', label: t('admin.forward.state'), sort: (row) => row.state, cell: (row) => <StateOf forward={row} /> },
    { name: 'answer', label: t('admin.forward.answer'), cell: (row) => <AnswerOf forward={row} /> },
    { name: 'instances', label: t('admin.forward.instances'), numeric: true, sort: (row) => row.instances, cell: (row) => `${count(row.answered)} / ${count(row.instances)}` },
    { name: 'queued', label: t('admin.forward.queued'), sort: (row) => row.queued_at, cell: (row) => <Time at={row.queued_at} /> },
    { name: 'act', label: t('admin.column.act'), bare: true, cell: (row) => row.state !== 'sent' && (
      <span class="actions">
        {(row.state !== 'waiting' || row.given_up_at !== null) && <Again forward={row} done={changed} />}
        {row.state !== 'given-up' && <Button kind="quiet" aria-label={t('admin.forward.leave.title', { node: row.node_name })} onClick={() => leave(row)}>{t('admin.forward.leave')}</Button>}
      </span>
    ) },
  ];
  const empty = <EmptyState title={t('admin.forward.empty')}><p>{t('admin.forward.empty.text')}</p></EmptyState>;
  return <Table caption={t('admin.section.forwards')} rows={forwards} columns={columns} rowKey={(row) => row.id} empty={empty} />;
}

function Again({ forward: { id, node_name: node }, done }: { forward: Forward; done: () => void }) {
  const work = useAction(async () => {
    await api.post(`/api/dicom/forwards/${id}/send`);
    toast(t('admin.forward.again.done', { node }));
    done();
  });
  return (
    <>
      <Button kind="quiet" busy={work.busy} aria-label={t('admin.forward.again.of', { node })} onClick={() => void work.run()}>{t('admin.forward.again')}</Button>
      {work.error && <ErrorBanner error={work.error} />}
    </>
  );
}

/** One that waits and is not tried any more stands still. */
function StateOf({ forward: { state, given_up_at, given_up_by_name, last_at } }: { forward: Forward }) {
  if (state === 'waiting' && given_up_at !== null) return <State shape="stopped" at={given_up_at}>{t('admin.forward.state.tired')}</State>;
  const shape = { waiting: 'waiting', sent: 'done', refused: 'stopped', 'given-up': 'stopped' } as const;
  return <span><State shape={shape[state]} at={last_at}>{t(`admin.forward.state.${state}`)}</State>{given_up_by_name && <span class="small soft"> {given_up_by_name}</span>}</span>;
}

/** What the node said last, as it said it; else why it was not asked. */
function AnswerOf({ forward: { status, status_words, fault, fault_words } }: { forward: Forward }) {
  return (
    <span class="node-known">
      {status !== null && <span><span class="mono">{status.toString(16).toUpperCase().padStart(4, '0')}</span> {status_words && say(status_words)}</span>}
      {fault !== null && <span>{fault_words ? say(fault_words) : fault}</span>}
    </span>
  );
}
