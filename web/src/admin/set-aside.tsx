// Packets the hub could not take: why, from whom, how often, and their bytes; nothing is dropped without a person saying so.
import { useState } from 'preact/hooks';
import { api, withQuery } from '../core/api';
import { count, t } from '../core/i18n';
import { Loaded, useResource } from '../core/resource';
import { Button, Confirm, Dialog, EmptyState, Facts, Table, Time, toast, type Column } from '../core/ui';
import { knownReason } from './reasons';
import type { SetAside } from './types';

const PAGE = 100; // the hub's

export function SetAsideSection() {
  const [before, setBefore] = useState<string | null>(null);
  const items = useResource<{ items: SetAside[] }>(withQuery('/api/set-aside', { before }), [], 30);
  const [shown, setShown] = useState<SetAside | null>(null);
  const [discarding, setDiscarding] = useState<SetAside | null>(null);
  return (
    <section class="stack">
      <p class="soft">{t('admin.aside.text')}</p>
      <Loaded from={items}>
        {(data) => (
          <>
            <Items items={data.items} show={setShown} discard={setDiscarding} />
            <div class="actions">
              {before && <Button onClick={() => setBefore(null)}>{t('admin.newest')}</Button>}
              {data.items.length >= PAGE && <Button onClick={() => setBefore(data.items.at(-1)?.last_at ?? null)}>{t('admin.older')}</Button>}
            </div>
          </>
        )}
      </Loaded>
      {shown && <Bytes item={shown} close={() => setShown(null)} />}
      {discarding && (
        <Confirm
          title={t('admin.aside.discard')} confirm={t('admin.aside.discard')} grave close={() => setDiscarding(null)}
          run={async () => { await api.post(`/api/set-aside/${discarding.id}/discard`); toast(t('admin.aside.discarded')); items.reload(); }}
        >{t('admin.aside.discard.text', { count: discarding.times, device: discarding.device_id ?? discarding.topic })}</Confirm>
      )}
    </section>
  );
}

function Items({ items, show, discard }: { items: SetAside[]; show: (item: SetAside) => void; discard: (item: SetAside) => void }) {
  const columns: Column<SetAside>[] = [
    { name: 'reason', label: t('admin.aside.reason'), sort: (item) => item.reason, cell: (item) => <span><strong>{reasonWords(item.reason)}</strong>{item.detail && <><br /><span class="small soft">{item.detail}</span></>}</span> },
    { name: 'device', label: t('admin.device'), sort: (item) => item.device_id ?? '', cell: (item) => <span class="mono small">{item.device_id ?? item.topic}</span> },
    { name: 'times', label: t('admin.aside.times'), numeric: true, sort: (item) => item.times, cell: (item) => count(item.times) },
    { name: 'first', label: t('admin.aside.first'), sort: (item) => item.first_at, cell: (item) => <Time at={item.first_at} /> },
    { name: 'last', label: t('admin.aside.last'), sort: (item) => item.last_at, cell: (item) => <Time at={item.last_at} /> },
    { name: 'act', label: t('admin.column.act'), bare: true, cell: (item) => (
      <span class="actions">
        <Button kind="quiet" onClick={() => show(item)}>{t('admin.aside.show')}</Button>
        <Button kind="quiet" onClick={() => discard(item)}>{t('admin.aside.discard')}</Button>
      </span>
    ) },
  ];
  return <Table caption={t('admin.section.set-aside')} rows={items} columns={columns} rowKey={(item) => item.id} empty={<EmptyState title={t('admin.aside.empty')}><p>{t('admin.aside.empty.text')}</p></EmptyState>} />;
}

function reasonWords(reason: string): string {
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

function Bytes({ item, close }: { item: SetAside; close: () => void }) {
  const whole = useResource<SetAside & { payload_hex: string }>(`/api/set-aside/${item.id}`);
  return (
    <Dialog title={reasonWords(item.reason)} close={close} wide>
      <Facts rows={[
        [t('admin.aside.topic'), <span class="mono">{item.topic}</span>],
        [t('admin.aside.size'), t('admin.aside.bytes', { count: count(item.size_bytes) })],
        item.detail ? [t('admin.aside.detail'), item.detail] : null,
      ]} />
      <Loaded from={whole}>{(data) => <pre class="hex" tabIndex={0} aria-label={t('admin.aside.payload')}>{hexLines(data.payload_hex).join('\n')}</pre>}</Loaded>
    </Dialog>
  );
}
