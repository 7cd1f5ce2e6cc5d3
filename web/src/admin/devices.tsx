// Devices: connected or not, battery, what they still hold, their clock; adding one and taking one out of service.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { duration, named, t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import { hasRole, me } from '../core/session';
import { Age, Banner, Button, Confirm, Dialog, EmptyState, ErrorBanner, Facts, Select, State, Table, TextField, toast, type Column } from '../core/ui';
import { organisationChoices, reachedBy, type TreeOrganisation } from '../core/organisations';
import { DEVICE_KINDS, type Device, type DeviceKind, type Provisioned } from './types';

const DEVICE_ID = /^[a-z0-9][a-z0-9-]{2,40}$/;
const CLOCK_WRONG_S = 2; // worth a word; vitals and ECG are corrected anyway

export function DevicesSection() {
  const devices = useResource<{ devices: Device[] }>('/api/devices', ['recordings'], 10);
  const [adding, setAdding] = useState(false);
  const [retiring, setRetiring] = useState<Device | null>(null);
  const manager = hasRole('device_manager');
  return (
    <section class="stack">
      {manager && <div class="actions"><Button kind="primary" onClick={() => setAdding(true)}>{t('admin.device.add')}</Button></div>}
      <Loaded from={devices}>{(data) => <Devices devices={data.devices} retire={manager ? setRetiring : null} />}</Loaded>
      {adding && <Provision close={() => setAdding(false)} added={devices.reload} />}
      {retiring && (
        <Confirm
          title={t('admin.device.retire.title', { id: retiring.id })} confirm={t('admin.device.retire')} grave close={() => setRetiring(null)}
          run={async () => { await api.post(`/api/devices/${retiring.id}/retire`); toast(t('admin.device.retired', { id: retiring.id })); devices.reload(); }}
        >{t('admin.device.retire.text')}</Confirm>
      )}
    </section>
  );
}

function Devices({ devices, retire }: { devices: Device[]; retire: ((device: Device) => void) | null }) {
  const columns: Column<Device>[] = [
    { name: 'id', label: t('admin.device'), sort: (device) => device.id, cell: (device) => <span><strong>{device.name}</strong> <span class="mono small">{device.id}</span></span> },
    { name: 'state', label: t('admin.device.state'), sort: (device) => rank(device), cell: (device) => <DeviceState device={device} /> },
    { name: 'battery', label: t('admin.device.battery'), numeric: true, sort: (device) => device.battery_percent ?? -1, cell: (device) => (device.battery_percent === null ? '—' : `${device.battery_percent}%`) },
    { name: 'backlog', label: t('admin.device.backlog'), numeric: true, sort: (device) => device.backlog_s ?? -1, cell: (device) => (device.backlog_s === null ? '—' : duration(device.backlog_s)) },
    { name: 'clock', label: t('admin.device.clock'), numeric: true, sort: (device) => Math.abs(device.clock_offset_s ?? 0), cell: (device) => <Clock offset_s={device.clock_offset_s} /> },
    { name: 'use', label: t('admin.device.use'), sort: (device) => `${Number(!device.in_use)}${device.patient_name ?? ''}`, cell: (device) => <Use device={device} /> },
    { name: 'organisation', label: t('admin.organisation'), sort: (device) => named(device.organisation), cell: (device) => named(device.organisation) },
  ];
  if (retire) columns.push({ name: 'retire', label: t('admin.column.act'), bare: true, cell: (device) => device.retired_at === null && !device.in_use && <Button kind="quiet" aria-label={t('admin.device.retire.title', { id: device.id })} onClick={() => retire(device)}>{t('admin.device.retire')}</Button> });
  return <Table caption={t('admin.section.devices')} rows={devices} columns={columns} rowKey={(device) => device.id} empty={<EmptyState title={t('admin.device.empty')} />} />;
}

function rank(device: Device): number {
  return device.retired_at ? 2 : device.connected ? 0 : 1;
}

function DeviceState({ device }: { device: Device }) {
  if (device.retired_at) return <State shape="stopped" at={device.retired_at}>{t('admin.device.state.retired')}</State>;
  return (
    <span>
      <State shape={device.connected ? 'done' : 'waiting'}>{t(device.connected ? 'admin.device.state.online' : 'admin.device.state.offline')}</State>{' '}
      <span class="small soft">{device.last_seen_at ? <Age at={device.last_seen_at} /> : t('admin.device.never')}</span>
    </span>
  );
}

function Clock({ offset_s }: { offset_s: number | null }) {
  if (offset_s === null) return <>—</>;
  const size = Math.abs(offset_s);
  if (size < CLOCK_WRONG_S) return <>{t('admin.device.clock.right')}</>;
  return <>{t(offset_s > 0 ? 'admin.device.clock.slow' : 'admin.device.clock.fast', { duration: duration(size) })}</>;
}

function Use({ device }: { device: Device }) {
  // Who may not see recordings is told that a device is in use, but not by whom.
  if (!device.recording) return <span class="soft">{t(device.in_use ? 'admin.device.inUse' : 'admin.device.free')}</span>;
  return <a class="row-link" href={`/live?recording=${device.recording.id}`}>{device.patient_name ?? t('admin.device.inUse')}</a>;
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

function CopyText({ text }: { text: string }) {
  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(text);
    toast(t('core.copied'));
  }
  return (
    <span class="actions">
      <span class="mono secret">{text}</span>
      {'clipboard' in navigator && <Button onClick={() => { void copy(); }}>{t('core.copy')}</Button>}
    </span>
  );
}
