// Messages the hub could not take: by reason, from whom, how often, what is in them; taken once more after a fix, or put away.
import { useEffect, useState } from 'preact/hooks';
import { api, withQuery } from '../core/api';
import { count, t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import { Banner, Button, Confirm, Dialog, EmptyState, ErrorBanner, Facts, Skeleton, State, Table, Time, toast, type Column } from '../core/ui';
import { translated } from '../ecg/rules';
import { knownReason } from './reasons';
import type { SetAside, SetAsideReason, SetAsideWhole } from './types';

const PAGE = 100; // the hub's
const BYTES_SHOWN = 4096; // the hub's
const WORKING_S = 3; // while something is being taken once more

type Answer = { items: SetAside[]; reasons: SetAsideReason[] };

export function SetAsideSection() {
  const [reason, setReason] = useState<string | null>(null);
  const [handled, setHandled] = useState(false);
  const [before, setBefore] = useState<string | null>(null);
  const [working, setWorking] = useState(false);
  const items = useResource<Answer>(withQuery('/api/set-aside', { before, reason, handled: handled ? 'true' : null }), [], working ? WORKING_S : 30);
  const [shown, setShown] = useState<SetAside | null>(null);
  const asked = (items.data?.reasons ?? []).reduce((sum, row) => sum + row.asked, 0);
  if (items.data && working !== asked > 0) setWorking(asked > 0);
  const show = (next: { reason?: string | null; handled?: boolean }) => { setBefore(null); setReason(next.reason ?? null); setHandled(next.handled ?? false); };
  return (
    <section class="stack">
      <p class="soft">{t('admin.aside.text')}</p>
      {asked > 0 && <Banner kind="info">{t('admin.aside.replaying', { count: count(asked) })}</Banner>}
      <Loaded from={items}>
        {(data) => (
          <>
            {!handled && <Reasons reasons={data.reasons} chosen={reason} choose={(chosen) => show({ reason: chosen })} changed={items.reload} />}
            <div class="actions choosing">
              <Button aria-pressed={!handled && reason === null} onClick={() => show({})}>{t('admin.aside.all')}</Button>
              <Button aria-pressed={handled} onClick={() => show({ handled: true })}>{t('admin.aside.handled')}</Button>
            </div>
            <Items items={data.items} handled={handled} show={setShown} />
            <div class="actions">
              {before && <Button onClick={() => setBefore(null)}>{t('admin.newest')}</Button>}
              {data.items.length >= PAGE && <Button onClick={() => setBefore(data.items.at(-1)?.last_at ?? null)}>{t('admin.older')}</Button>}
            </div>
          </>
        )}
      </Loaded>
      {shown && <Opened item={shown} close={() => setShown(null)} changed={items.reload} />}
    </section>
  );
}

type ReasonsProps = { reasons: SetAsideReason[]; chosen: string | null; choose: (reason: string) => void; changed: () => void };

function Reasons({ reasons, chosen, choose, changed }: ReasonsProps) {
  const [replaying, setReplaying] = useState<SetAsideReason | null>(null);
  if (reasons.length === 0) return null;
  const columns: Column<SetAsideReason>[] = [
    { name: 'reason', label: t('admin.aside.reason'), sort: (row) => row.reason, cell: (row) => <button type="button" class="button button-quiet" aria-pressed={row.reason === chosen} onClick={() => choose(row.reason)}><strong>{reasonWords(row.reason)}</strong></button> },
    { name: 'messages', label: t('admin.aside.messages'), numeric: true, sort: (row) => row.messages, cell: (row) => count(row.messages) },
    { name: 'devices', label: t('admin.section.devices'), numeric: true, sort: (row) => row.devices, cell: (row) => count(row.devices) },
    { name: 'last', label: t('admin.aside.last'), sort: (row) => row.last_at, cell: (row) => <Time at={row.last_at} /> },
    { name: 'act', label: t('admin.column.act'), bare: true, cell: (row) => (row.asked > 0
      ? <State shape="moving">{t('admin.aside.asked', { count: count(row.asked) })}</State>
      : <Button kind="quiet" aria-label={`${t('admin.aside.replay.all')}: ${reasonWords(row.reason)}`} onClick={() => setReplaying(row)}>{t('admin.aside.replay.all')}</Button>) },
  ];
  return (
    <>
      <Table caption={t('admin.aside.reason')} rows={reasons} columns={columns} rowKey={(row) => row.reason} marked={(row) => row.reason === chosen} empty={null} />
      {replaying && (
        <Confirm title={t('admin.aside.replay.all')} confirm={t('admin.aside.replay')} close={() => setReplaying(null)}
          run={async () => { await api.post('/api/set-aside/replay', { reason: replaying.reason }); changed(); }}
        >{t('admin.aside.replay.text', { count: count(replaying.messages), reason: reasonWords(replaying.reason) })}</Confirm>
      )}
    </>
  );
}

function Items({ items, handled, show }: { items: SetAside[]; handled: boolean; show: (item: SetAside) => void }) {
  const columns: Column<SetAside>[] = [
    { name: 'reason', label: t('admin.aside.reason'), sort: (item) => item.reason, cell: (item) => <strong>{reasonWords(item.reason)}</strong> },
    { name: 'device', label: t('admin.device'), sort: (item) => item.device_id ?? '', cell: (item) => <span class="mono small">{item.device_id ?? item.topic}</span> },
    { name: 'times', label: t('admin.aside.times'), numeric: true, sort: (item) => item.times, cell: (item) => count(item.times) },
    { name: 'first', label: t('admin.aside.first'), minor: true, sort: (item) => item.first_at, cell: (item) => <Time at={item.first_at} /> },
    { name: 'last', label: t('admin.aside.last'), sort: (item) => item.last_at, cell: (item) => <Time at={item.last_at} /> },
    { name: 'state', label: t('admin.device.state'), cell: (item) => <ItemState item={item} /> },
    { name: 'act', label: t('admin.column.act'), bare: true, cell: (item) => <Button kind="quiet" aria-label={`${t('admin.aside.show')}: ${item.device_id ?? item.topic} ${reasonWords(item.reason)}`} onClick={() => show(item)}>{t('admin.aside.show')}</Button> },
  ];
  const empty = handled ? <EmptyState title={t('admin.aside.handled.none')} /> : <EmptyState title={t('admin.aside.empty')}><p>{t('admin.aside.empty.text')}</p></EmptyState>;
  return <Table caption={t('admin.section.set-aside')} rows={items} columns={columns} rowKey={(item) => item.id} empty={empty} />;
}

function ItemState({ item }: { item: SetAside }) {
  if (item.replay_asked_at) return <State shape="moving" at={item.replay_asked_at}>{t('admin.aside.result.asked')}</State>;
  if (item.discarded_at) return <State shape="stopped" at={item.discarded_at}>{t('admin.aside.discarded')}</State>;
  if (item.replay_result) return <State shape={item.replay_result === 'set-aside' ? 'waiting' : 'done'} at={item.replayed_at}>{t(`admin.aside.result.${item.replay_result}`)}</State>;
  return <State shape="waiting">{t('admin.aside.result.open')}</State>;
}

export function reasonWords(reason: string): string {
  const known = knownReason(reason);
  return known ? t(`admin.aside.why.${known}`) : reason;
}

const PER_LINE = 16;

/** Offset, bytes, and what is readable of them. */
export function hexLines(hex: string): string[] {
  const bytes = hex.match(/../g) ?? [];
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += PER_LINE) {
    const row = bytes.slice(at, at + PER_LINE);
    const text = row.map((byte) => { const code = parseInt(byte, 16); return code >= 32 && code < 127 ? String.fromCharCode(code) : '·'; }).join('');
    lines.push(`${at.toString(16).padStart(4, '0')}  ${row.join(' ').padEnd(PER_LINE * 3 - 1)}  ${text}`);
  }
  return lines;
}

/** One message: why, when, what it says of itself, its bytes, and what can be done with it. */
function Opened({ item, close, changed }: { item: SetAside; close: () => void; changed: () => void }) {
  const [everyS, setEvery] = useState(0);
  const whole = useResource<SetAsideWhole>(`/api/set-aside/${item.id}`, [], everyS);
  const [discarding, setDiscarding] = useState(false);
  const now = whole.data ?? item;
  const waits = now.replay_asked_at !== null;
  useEffect(() => { setEvery(waits ? 1 : 0); changed(); }, [waits]);
  const replay = useAction(async () => { await api.post(`/api/set-aside/${item.id}/replay`); whole.reload(); changed(); });
  if (discarding) {
    return (
      <Confirm title={t('admin.aside.discard')} confirm={t('admin.aside.discard')} grave reason={t('admin.aside.discard.why')} close={() => setDiscarding(false)}
        run={async (why) => { await api.post(`/api/set-aside/${item.id}/discard`, { why }); toast(t('admin.aside.discarded')); changed(); close(); }}
      >{t('admin.aside.discard.text', { count: item.times, device: item.device_id ?? item.topic })}</Confirm>
    );
  }
  const open = now.discarded_at === null && (now.replay_result === null || now.replay_result === 'set-aside' || (now.replayed_at ?? '') < now.last_at);
  return (
    <Dialog title={reasonWords(now.reason)} close={close} wide>
      <Facts rows={[
        [t('admin.device.state'), <span data-testid="replay-state"><ItemState item={now} />{now.replay_reason && <> · {reasonWords(now.replay_reason)}</>}</span>],
        [t('admin.aside.topic'), <span class="mono">{now.topic}</span>],
        [t('admin.aside.times'), <>{count(now.times)} · <Time at={now.first_at} show="seconds" />{now.last_at !== now.first_at && <> – <Time at={now.last_at} show="seconds" /></>}</>],
        [t('admin.aside.size'), t(now.size_bytes > BYTES_SHOWN ? 'admin.aside.bytes.first' : 'admin.aside.bytes', { count: count(now.size_bytes) })],
        now.detail ? [t('admin.aside.detail'), <span class="mono small">{now.detail}</span>] : null,
        now.discard_reason ? [t('admin.aside.discard.why'), now.discard_reason] : null,
      ]} />
      {whole.error && <ErrorBanner error={whole.error} />}
      {whole.data ? <Content whole={whole.data} /> : <Skeleton rows={4} />}
      {replay.error && <ErrorBanner error={replay.error} />}
      {open && (
        <div class="actions">
          <Button kind="primary" busy={replay.busy || waits} busyLabel={t('admin.aside.result.asked')} onClick={replay.run}>{t('admin.aside.replay')}</Button>
          <Button kind="grave" onClick={() => setDiscarding(true)}>{t('admin.aside.discard')}</Button>
        </div>
      )}
    </Dialog>
  );
}

function Content({ whole }: { whole: SetAsideWhole }) {
  const said = Object.entries(whole.decoded ?? {}).filter(([, value]) => value !== null && value !== '');
  return (
    <>
      {whole.decoded === null
        ? <p class="soft">{t('admin.aside.unreadable')}</p>
        : <Facts rows={said.map(([name, value]) => [translated(`admin.aside.said.${name}`, name), <span class="mono small">{String(value)}</span>] as const)} />}
      <pre class="hex" tabIndex={0} aria-label={t('admin.aside.payload')}>{hexLines(whole.payload_hex).join('\n')}</pre>
    </>
  );
}
