// The audit: who did what to which object; the seal says which rows can no longer be changed unseen.
import { useState } from 'preact/hooks';
import { withQuery } from '../core/api';
import { t } from '../core/i18n';
import { Loaded, useResource } from '../core/resource';
import { Button, EmptyState, Table, Time, type Column } from '../core/ui';
import { translated } from '../ecg/rules';
import type { AuditEntry } from './types';

const PAGE = 100;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/; // shown by its end, which differs; other ids are short

export function AuditSection() {
  const [before, setBefore] = useState<number | null>(null);
  const log = useResource<{ entries: AuditEntry[]; sealed_until: string | null }>(withQuery('/api/audit', { before, limit: PAGE }));
  return (
    <section class="stack">
      <Loaded from={log}>
        {(data) => (
          <>
            <p class="soft">{data.sealed_until ? <>{t('admin.audit.sealed')} <Time at={data.sealed_until} show="seconds" /></> : t('admin.audit.unsealed')}</p>
            <Entries entries={data.entries} />
            <div class="actions">
              <Button onClick={() => { if (before === null) log.reload(); else setBefore(null); }}>{t('admin.newest')}</Button>
              {data.entries.length === PAGE && <Button onClick={() => setBefore(data.entries.at(-1)?.id ?? null)}>{t('admin.older')}</Button>}
            </div>
          </>
        )}
      </Loaded>
    </section>
  );
}

function Entries({ entries }: { entries: AuditEntry[] }) {
  const columns: Column<AuditEntry>[] = [
    { name: 'at', label: t('admin.audit.at'), sort: (entry) => entry.at, cell: (entry) => <Time at={entry.at} show="seconds" /> },
    { name: 'who', label: t('admin.audit.who'), sort: (entry) => who(entry), cell: (entry) => entry.actor_name ?? <>{t('core.actor.hub')} <span class="mono small">{entry.actor_id}</span></> },
    { name: 'action', label: t('admin.audit.action'), sort: (entry) => entry.action, cell: (entry) => <span title={entry.action}>{translated(`admin.action.${entry.action}`, entry.action)}</span> },
    { name: 'object', label: t('admin.audit.object'), sort: (entry) => entry.object_kind, cell: (entry) => <span class="mono small" title={entry.object_id}>{entry.object_kind} {UUID.test(entry.object_id) ? entry.object_id.slice(-8) : entry.object_id}</span> },
    { name: 'detail', label: t('admin.audit.detail'), cell: (entry) => <span class="mono small">{Object.entries(entry.detail).map(([name, value]) => `${name}=${String(value)}`).join(' ') || '—'}</span> },
    { name: 'seal', label: t('admin.audit.seal'), numeric: true, sort: (entry) => entry.seal ?? Infinity, cell: (entry) => entry.seal ?? t('admin.audit.notYet') },
  ];
  return <Table caption={t('admin.section.audit')} rows={entries} columns={columns} rowKey={(entry) => String(entry.id)} empty={<EmptyState title={t('admin.audit.empty')} />} />;
}

function who(entry: AuditEntry): string {
  return entry.actor_name ?? `${entry.actor_kind} ${entry.actor_id}`;
}
