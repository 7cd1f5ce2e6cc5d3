// Devices page by page: what needs a hand first, searched, filtered and sorted by the hub; adding one. One device: device.tsx.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api, withQuery } from '../core/api';
import { count, duration, named, t } from '../core/i18n';
import { place } from '../core/place';
import { Loaded, useAction, useResource } from '../core/resource';
import { hasRole, me } from '../core/session';
import { Age, Banner, Button, Dialog, EmptyState, ErrorBanner, Facts, Select, State, TextField } from '../core/ui';
import { organisationChoices, reachedBy, type TreeOrganisation } from '../core/organisations';
import { DeviceView } from './device';
import { DEVICE_FILTERS, DEVICE_KINDS, type Device, type DeviceFilter, type DeviceKind, type DevicePage, type Provisioned } from './types';
import { CopyText } from './copy';
import { BatteryWords, ClockWords, Gaps, Hands, SignalWords } from './device-words';

const DEVICE_ID = /^[a-z0-9][a-z0-9-]{2,40}$/;
const PAUSE_MS = 250; // after the last key, before asking
const LOOK_EVERY_S = 5;
type Sort = 'id' | 'name' | 'organisation' | 'seen' | 'battery' | 'backlog' | 'clock';
type Order = { sort: Sort; down: boolean };

export function DevicesSection() {
  const id = place.value.get('device');
  return id ? <DeviceView id={id} /> : <DeviceList />;
}

function DeviceList() {
  const [filter, setFilter] = useState<DeviceFilter>('all');
  const [typed, setTyped] = useState('');
  const [text, setText] = useState('');
  const [order, setOrder] = useState<Order>({ sort: 'id', down: false });
  const [trail, setTrail] = useState<string[]>([]); // the keys of the pages before this one
  const [adding, setAdding] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => { setText(typed.trim()); setTrail([]); }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const asked = withQuery('/api/devices', { filter, q: text, sort: order.sort, down: order.down ? 'true' : null, after: trail.at(-1) });
  const page = useResource<DevicePage>(asked, ['recordings'], LOOK_EVERY_S);
  const [before, setBefore] = useState<DevicePage | null>(null); // shown until the next page is there
  useEffect(() => { if (page.data) setBefore(page.data); }, [page.data]);
  const shown = { ...page, data: page.data ?? before };
  return (
    <section class="stack">
      <div class="searching">
        <TextField label={t('admin.device.search')} type="search" autocomplete="off" value={typed} change={setTyped} />
        {hasRole('device_manager') && <Button kind="primary" onClick={() => setAdding(true)}>{t('admin.device.add')}</Button>}
      </div>
      <div class="actions choosing" role="group" aria-label={t('admin.device.filter')}>
        {DEVICE_FILTERS.map((each) => (
          <Button key={each} kind="quiet" aria-pressed={each === filter} onClick={() => { setFilter(each); setTrail([]); }}>
            {t(`admin.device.filter.${each}`)}{shown.data && <> <span class="figures">{count(shown.data.counts[each])}</span></>}
          </Button>
        ))}
      </div>
      <Loaded from={shown}>{(data) => <Devices devices={data.devices} order={order} setOrder={(next) => { setOrder(next); setTrail([]); }} />}</Loaded>
      <div class="actions">
        {trail.length > 0 && <Button onClick={() => setTrail(trail.slice(0, -1))}>{t('admin.page.before')}</Button>}
        {shown.data?.next && <Button onClick={() => setTrail([...trail, shown.data?.next ?? ''])}>{t('admin.page.next')}</Button>}
      </div>
      {adding && <Provision close={() => setAdding(false)} added={page.reload} />}
    </section>
  );
}

const COLUMNS: readonly { sort: Sort | null; label: Parameters<typeof t>[0]; numeric?: boolean; minor?: boolean; cell: (device: Device) => ComponentChildren }[] = [
  { sort: 'id', label: 'admin.device', cell: (device) => <a class="row-link" href={`/admin?section=devices&device=${device.id}`}>{device.name} <span class="mono small">{device.id}</span></a> },
  { sort: null, label: 'admin.device.hand', cell: (device) => <Hands device={device} /> },
  { sort: 'seen', label: 'admin.device.state', cell: (device) => <Seen device={device} /> },
  { sort: 'battery', label: 'admin.device.battery', numeric: true, cell: (device) => <BatteryWords percent={device.battery_percent} /> },
  { sort: null, label: 'admin.device.signal', cell: (device) => <SignalWords quality={device.quality} /> },
  { sort: 'backlog', label: 'admin.device.backlog', numeric: true, cell: (device) => (device.backlog_s === null ? '—' : duration(device.backlog_s)) },
  { sort: null, label: 'admin.device.gaps', minor: true, numeric: true, cell: (device) => <Gaps held={device.recording} /> },
  { sort: 'clock', label: 'admin.device.clock', minor: true, numeric: true, cell: (device) => <ClockWords offset_s={device.clock_offset_s} /> },
  { sort: null, label: 'admin.device.use', minor: true, cell: (device) => (device.in_use ? t('admin.device.inUse') : <span class="soft">{t('admin.device.free')}</span>) },
  { sort: 'organisation', label: 'admin.organisation', minor: true, cell: (device) => named(device.organisation) },
];

/** As the common table, but the hub sorts: what is on other pages counts, too. */
function Devices({ devices, order, setOrder }: { devices: Device[]; order: Order; setOrder: (order: Order) => void }) {
  if (devices.length === 0) return <EmptyState title={t('admin.device.empty')} />;
  return (
    <div class="table-frame">
      <table class="table table-dense">
        <caption class="unseen">{t('admin.section.devices')}</caption>
        <thead>
          <tr>
            {COLUMNS.map(({ sort, label, numeric, minor }) => (
              <th key={label} scope="col" class={classOf(numeric, minor)} aria-sort={order.sort === sort ? (order.down ? 'descending' : 'ascending') : undefined}>
                {sort === null ? t(label) : (
                  <button type="button" class="table-sort" title={t('core.sort')} onClick={() => setOrder({ sort, down: order.sort === sort && !order.down })}>
                    {t(label)}<span aria-hidden="true" class="table-arrow">{order.sort === sort ? (order.down ? '▼' : '▲') : '↕'}</span>
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {devices.map((device) => (
            <tr key={device.id} data-device={device.id}>
              {COLUMNS.map(({ label, numeric, minor, cell }) => <td key={label} data-label={t(label)} class={classOf(numeric, minor)}>{cell(device)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function classOf(numeric?: boolean, minor?: boolean): string | undefined {
  return [numeric && 'numeric', minor && 'minor'].filter(Boolean).join(' ') || undefined;
}

function Seen({ device }: { device: Device }) {
  if (device.retired_at) return <State shape="stopped" at={device.retired_at}>{t('admin.device.state.retired')}</State>;
  return (
    <span>
      <State shape={device.connected ? 'done' : 'waiting'}>{t(device.connected ? 'admin.device.state.online' : 'admin.device.state.offline')}</State>{' '}
      <span class="small soft">{device.last_seen_at ? <Age at={device.last_seen_at} /> : t('admin.device.never')}</span>
    </span>
  );
}

function Provision({ close, added }: { close: () => void; added: () => void }) {
  const organisations = useResource<{ organisations: TreeOrganisation[] }>('/api/organisations');
  const [form, setForm] = useState({ id: '', name: '', kind: 'holter' as DeviceKind, organisation_id: me.value?.roles[0]?.organisation.id ?? '' });
  const [tried, setTried] = useState(false);
  const [made, setMade] = useState<Provisioned | null>(null);
  const idFault = DEVICE_ID.test(form.id) ? null : t('admin.device.id.fault');
  const nameFault = form.name.trim() ? null : t('admin.device.name.fault');
  const work = useAction(async () => { setMade(await api.post<Provisioned>('/api/devices', { ...form, name: form.name.trim() })); added(); });
  if (made) return <Secret made={made} close={close} />;
  function submit(event: Event): void {
    event.preventDefault();
    setTried(true);
    if (!idFault && !nameFault) work.run();
  }
  return (
    <Dialog title={t('admin.device.add')} close={close}>
      <form class="stack" onSubmit={submit} noValidate>
        <TextField label={t('admin.device.id')} hint={t('admin.device.id.hint')} value={form.id} change={(id) => setForm({ ...form, id: id.trim().toLowerCase() })} required autocapitalize="none" spellcheck={false} autocomplete="off" maxLength={41} error={tried ? idFault : null} />
        <TextField label={t('admin.device.name')} hint={t('admin.device.name.hint')} value={form.name} change={(name) => setForm({ ...form, name })} required maxLength={60} error={tried ? nameFault : null} />
        <Select<DeviceKind> label={t('admin.device.kind')} value={form.kind} change={(kind) => setForm({ ...form, kind })} choices={DEVICE_KINDS.map((value) => ({ value, label: t(`admin.device.kind.${value}`) }))} />
        <Select label={t('admin.organisation')} value={form.organisation_id} change={(organisation_id) => setForm({ ...form, organisation_id })} choices={organisationChoices(reachedBy(['device_manager'], organisations.data?.organisations ?? []))} />
        {work.error && <ErrorBanner error={work.error} />}
        <div class="actions"><Button type="submit" kind="primary" busy={work.busy}>{t('admin.device.add')}</Button><Button onClick={close}>{t('core.cancel')}</Button></div>
      </form>
    </Dialog>
  );
}

/** The password is nowhere readable afterwards: the hub keeps only its hash. */
function Secret({ made, close }: { made: Provisioned; close: () => void }) {
  return (
    <Dialog title={t('admin.device.made', { id: made.device.id })} close={null}>
      <Banner kind="notice">{t('admin.device.once')}</Banner>
      <Facts rows={[
        [t('admin.device.username'), <CopyText text={made.username} />],
        [t('admin.device.password'), <CopyText text={made.password} />],
      ]} />
      <div class="actions"><Button kind="primary" onClick={close}>{t('admin.device.noted')}</Button></div>
    </Dialog>
  );
}
