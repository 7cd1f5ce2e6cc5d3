// One device: what it is doing, what it went through, what it was told and answered, and what can be done about it.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api, withQuery } from '../core/api';
import { duration, named, t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import { hasRole } from '../core/session';
import { Age, Button, ButtonLink, Confirm, Dialog, EmptyState, ErrorBanner, Facts, State, Table, TextField, Time, toast, type Column } from '../core/ui';
import { translated } from '../ecg/rules';
import { BatteryWords, ClockWords, Gaps, Hands, SignalWords } from './device-words';
import { reasonWords } from './set-aside';
import type { DeviceDetail, SetAside } from './types';

const CARE = ['village_doctor', 'township_doctor', 'technician', 'family_doctor'] as const;
const PAUSE_MS = 250;

export function DeviceView({ id }: { id: string }) {
  const found = useResource<{ device: DeviceDetail }>(`/api/devices/${id}`, ['recordings'], 5);
  return (
    <section class="stack">
      <div class="actions"><ButtonLink kind="quiet" href="/admin?section=devices" target="_self">{t('admin.device.back')}</ButtonLink></div>
      <Loaded from={found}>{({ device }) => <Detail device={device} changed={found.reload} />}</Loaded>
      {hasRole('device_manager') && <OwnSetAsides id={id} />}
    </section>
  );
}

function Detail({ device, changed }: { device: DeviceDetail; changed: () => void }) {
  return (
    <>
      <section class="card">
        <div class="card-head"><h2>{device.name} <span class="mono">{device.id}</span></h2>{device.hand.length > 0 && <Hands device={device} />}</div>
        <Facts rows={[
          [t('admin.device.state'), device.retired_at
            ? <State shape="stopped" at={device.retired_at}>{t('admin.device.state.retired')}</State>
            : <><State shape={device.connected ? 'done' : 'waiting'}>{t(device.connected ? 'admin.device.state.online' : 'admin.device.state.offline')}</State> <Age at={device.last_seen_at} /></>],
          [t('admin.device.kind'), t(`admin.device.kind.${device.kind}`)],
          [t('admin.organisation'), named(device.organisation)],
          [t('admin.device.battery'), <BatteryWords percent={device.battery_percent} />],
          [t('admin.device.signal'), <SignalWords quality={device.quality} />],
          [t('admin.device.backlog'), device.backlog_s === null ? '—' : duration(device.backlog_s)],
          [t('admin.device.gaps'), <Gaps held={device.recording} />],
          [t('admin.device.clock'), <><ClockWords offset_s={device.clock_offset_s} />{device.clock && <span class="soft"> {t('admin.device.drift', { ppm: device.clock.drift_ppm.toFixed(1) })}</span>}</>],
          [t('admin.device.use'), device.worn_by ? <>{device.worn_by.name} <Time at={device.worn_by.since_at} /></> : t(device.in_use ? 'admin.device.inUse' : 'admin.device.free')],
        ]} />
        <Actions device={device} changed={changed} />
      </section>
      <div class="columns">
        <section class="card"><h2>{t('admin.device.recordings')}</h2><Recordings device={device} /></section>
        <section class="card"><h2>{t('admin.device.commands')}</h2><Commands device={device} /></section>
        <section class="card"><h2>{t('admin.device.history')}</h2><History device={device} /></section>
      </div>
    </>
  );
}

function Actions({ device, changed }: { device: DeviceDetail; changed: () => void }) {
  const [open, setOpen] = useState<'pair' | 'unpair' | 'retire' | null>(null);
  const path = `/api/devices/${device.id}`;
  const ask = useAction(async () => { await api.post(`${path}/ask`); toast(t('admin.device.asked')); changed(); });
  const active = device.retired_at === null;
  const wearable = device.kind !== 'holter';
  return (
    <div class="actions">
      {active && device.recording && hasRole('device_manager', 'technician', 'township_doctor') && <Button busy={ask.busy} onClick={ask.run}>{t('admin.device.ask')}</Button>}
      {active && wearable && !device.in_use && hasRole(...CARE) && <Button kind="primary" onClick={() => setOpen('pair')}>{t('admin.device.pair')}</Button>}
      {active && wearable && device.worn_by && !device.recording && hasRole(...CARE) && <Button onClick={() => setOpen('unpair')}>{t('admin.device.unpair')}</Button>}
      {active && !device.in_use && hasRole('device_manager') && <Button kind="grave" onClick={() => setOpen('retire')}>{t('admin.device.retire')}</Button>}
      {ask.error && <ErrorBanner error={ask.error} />}
      {open === 'pair' && <Pair device={device} close={() => setOpen(null)} done={changed} />}
      {open === 'unpair' && (
        <Confirm title={t('admin.device.unpair')} confirm={t('admin.device.unpair')} close={() => setOpen(null)}
          run={async () => { await api.post(`${path}/unpair`); changed(); }}
        >{t('admin.device.unpair.text', { name: device.worn_by?.name ?? '' })}</Confirm>
      )}
      {open === 'retire' && (
        <Confirm title={t('admin.device.retire.title', { id: device.id })} confirm={t('admin.device.retire')} grave close={() => setOpen(null)}
          run={async () => { await api.post(`${path}/retire`); toast(t('admin.device.retired', { id: device.id })); changed(); }}
        >{t('admin.device.retire.text')}</Confirm>
      )}
    </div>
  );
}

type Resident = { id: string; name: string; birth_date: string };

/** Choose who wears it; what it measures from now on is theirs. */
function Pair({ device, close, done }: { device: DeviceDetail; close: () => void; done: () => void }) {
  const [typed, setTyped] = useState('');
  const [asked, setAsked] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setAsked(typed.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const found = useResource<{ patients: Resident[] }>(asked ? withQuery('/api/patients', { q: asked }) : null);
  const [chosen, setChosen] = useState<Resident | null>(null);
  const pair = useAction(async () => {
    if (!chosen) return;
    await api.post(`/api/devices/${device.id}/pair`, { patient_id: chosen.id });
    toast(t('admin.device.paired', { name: chosen.name }));
    done();
    close();
  });
  return (
    <Dialog title={t('admin.device.pair')} close={close}>
      <p>{t('admin.device.pair.text')}</p>
      <TextField label={t('core.residents.search')} type="search" autocomplete="off" value={typed} change={setTyped} />
      <div class="choices">
        {(found.data?.patients ?? []).slice(0, 10).map((patient) => (
          <label key={patient.id} class="choice"><input type="radio" name="patient" checked={patient.id === chosen?.id} onChange={() => setChosen(patient)} /><span>{patient.name} <span class="figures soft">{patient.birth_date}</span></span></label>
        ))}
      </div>
      {pair.error && <ErrorBanner error={pair.error} />}
      <div class="actions"><Button kind="primary" disabled={!chosen} busy={pair.busy} onClick={pair.run}>{t('admin.device.pair')}</Button><Button onClick={close}>{t('core.cancel')}</Button></div>
    </Dialog>
  );
}

type Row = DeviceDetail['recordings'][number];

function Recordings({ device }: { device: DeviceDetail }) {
  const columns: Column<Row>[] = [
    { name: 'at', label: t('admin.device.requested'), cell: (row) => opened(row) },
    { name: 'status', label: t('admin.device.state'), cell: (row) => translated(`admin.recording.${row.status}`, row.status) },
    { name: 'stored', label: t('live.ledger.stored'), numeric: true, cell: (row) => duration(row.stored_s) },
    { name: 'waiting', label: t('live.ledger.waiting'), numeric: true, cell: (row) => duration(row.waiting_s) },
    { name: 'lost', label: t('admin.device.gaps'), numeric: true, cell: (row) => <Gaps held={row} /> },
  ];
  return <Table caption={t('admin.device.recordings')} rows={device.recordings} columns={columns} rowKey={(row) => row.requested_at} empty={<EmptyState title={t('admin.device.recordings.none')} />} />;
}

/** Whoever may see the patient can open the recording; others see that there is one. */
function opened(row: Row): ComponentChildren {
  return row.recording_id ? <a class="row-link" href={`/live?recording=${row.recording_id}`}>{row.patient_name} <Time at={row.requested_at} /></a> : <Time at={row.requested_at} />;
}

function Commands({ device }: { device: DeviceDetail }) {
  if (device.commands.length === 0) return <p class="soft">{t('admin.device.commands.none')}</p>;
  return (
    <ul class="plain-list stack-tight history" tabIndex={0} aria-label={t('admin.device.commands')}>
      {device.commands.map((one, index) => (
        <li key={index}>
          {translated(`admin.command.${one.command}`, one.command)}{' '}
          {one.waits ? <State shape="waiting" at={one.at}>{t('admin.command.waits')}</State> : <State shape="done" at={one.at}>{translated(`admin.command.answer.${one.answer}`, one.answer ?? '')}</State>}
        </li>
      ))}
    </ul>
  );
}

function History({ device }: { device: DeviceDetail }) {
  if (device.history.length === 0) return <p class="soft">{t('admin.device.never')}</p>;
  return (
    <ul class="plain-list history" tabIndex={0} aria-label={t('admin.device.history')}>
      {device.history.map((one, index) => (
        <li key={index}><Time at={one.at} show="seconds" /> {one.what === 'battery' ? t('admin.device.history.battery', { percent: one.value ?? 0 }) : t(`admin.device.history.${one.what}`)}</li>
      ))}
    </ul>
  );
}

function OwnSetAsides({ id }: { id: string }) {
  const found = useResource<{ items: SetAside[] }>(withQuery('/api/set-aside', { device_id: id }), [], 30);
  const items = found.data?.items ?? [];
  if (items.length === 0) return null;
  return (
    <section class="card">
      <div class="card-head"><h2>{t('admin.section.set-aside')}</h2><ButtonLink kind="quiet" target="_self" href="/admin?section=set-aside">{t('admin.aside.open')}</ButtonLink></div>
      <ul class="plain-list stack-tight">{items.slice(0, 10).map((item) => <li key={item.id}><Time at={item.last_at} /> {reasonWords(item.reason)}</li>)}</ul>
    </section>
  );
}
