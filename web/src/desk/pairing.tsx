// Pair a device with the patient: choose a free one, start it, see that the signal is good before the patient goes home.
import { useState } from 'preact/hooks';
import { api, withQuery } from '../core/api';
import { named, t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import type { Recording } from '../core/types';
import { Age, Banner, Button, ButtonLink, EmptyState, ErrorBanner, Table, type Column } from '../core/ui';
import { ConsentNeeded } from './request-form';
import { SignalCheck } from './signal-check';
import type { Device, Patient, ServiceRequest } from './types';

const ALIVE: readonly string[] = ['requested', 'recording'];

export function PairingPage({ requestId }: { requestId: string }) {
  const request = useResource<{ request: ServiceRequest }>(`/api/requests/${requestId}`, ['requests']);
  const recordings = useResource<{ recordings: Recording[] }>(withQuery('/api/recordings', { request_id: requestId }), ['recordings'], 5);
  return (
    <Loaded from={request}>
      {({ request: data }) => {
        const paired = recordings.data?.recordings.find((recording) => ALIVE.includes(recording.status));
        return (
          <>
            <p class="who">{data.patient.name} <span class="soft">{t(`core.sex.${data.patient.sex}`)} {t('core.age_years', { count: data.patient.age_years })}</span></p>
            <Steps now={paired ? 2 : 1} />
            {paired?.refusal && <Banner kind="error">{t('desk.pair.refused', { device: paired.device_id ?? '', why: paired.refusal })}</Banner>}
            {data.status !== 'active'
              ? <Banner kind="notice">{t('desk.pair.closed')}</Banner>
              : paired
                ? <SignalCheck key={paired.id} recordingId={paired.id} requestId={requestId} stopped={recordings.reload} />
                : <Loaded from={recordings}>{() => <Choose request={data} started={recordings.reload} />}</Loaded>}
          </>
        );
      }}
    </Loaded>
  );
}

function Steps({ now }: { now: 1 | 2 }) {
  const steps = [t('desk.pair.step.choose'), t('desk.pair.step.check'), t('desk.pair.step.done')];
  return (
    <ol class="steps">
      {steps.map((step, index) => <li key={step} aria-current={index + 1 === now ? 'step' : undefined}><span class="figures">{index + 1}</span> {step}</li>)}
    </ol>
  );
}

function isFree(device: Device): boolean {
  return device.kind === 'holter' && device.retired_at === null && !device.in_use;
}

function Choose({ request, started }: { request: ServiceRequest; started: () => void }) {
  const patient = useResource<{ patient: Patient }>(`/api/patients/${request.patient.id}`);
  const devices = useResource<{ devices: Device[] }>('/api/devices', ['recordings'], 10);
  const [chosen, setChosen] = useState<string | null>(null);
  const start = useAction(async () => {
    if (!chosen) return;
    await api.post(`/api/requests/${request.id}/recordings`, { device_id: chosen });
    started();
  });
  return (
    <>
      {patient.data && <ConsentNeeded patient={patient.data.patient} kind="holter" changed={patient.reload} />}
      <Loaded from={devices}>
        {(data) => <FreeDevices devices={data.devices.filter(isFree)} chosen={chosen} choose={setChosen} />}
      </Loaded>
      {start.error && <ErrorBanner error={start.error} />}
      <div class="actions sticky-actions">
        <Button kind="primary" disabled={!chosen} busy={start.busy} busyLabel={t('desk.pair.starting')} onClick={start.run}>
          {chosen ? t('desk.pair.start.with', { device: chosen }) : t('desk.pair.start')}
        </Button>
        <ButtonLink href={`/desk?request=${request.id}`}>{t('desk.pair.later')}</ButtonLink>
        <ButtonLink kind="quiet" href={`/desk?request=${request.id}`}>{t('desk.pair.file')}</ButtonLink>
      </div>
    </>
  );
}

function FreeDevices({ devices, chosen, choose }: { devices: Device[]; chosen: string | null; choose: (id: string) => void }) {
  const columns: Column<Device>[] = [
    { name: 'id', label: t('desk.column.device'), sort: (device) => device.id, cell: (device) => (
      <label class="choice"><input type="radio" name="device" checked={device.id === chosen} onChange={() => choose(device.id)} /><span><strong>{device.name}</strong> <span class="mono small">{device.id}</span></span></label>
    ) },
    { name: 'connected', label: t('desk.recording.connection'), sort: (device) => (device.connected ? 0 : 1), cell: (device) => <span>{t(device.connected ? 'desk.device.connected' : 'desk.device.away')} <span class="soft"><Age at={device.last_seen_at} /></span></span> },
    { name: 'battery', label: t('desk.recording.battery'), numeric: true, sort: (device) => device.battery_percent ?? -1, cell: (device) => (device.battery_percent === null ? '—' : `${device.battery_percent}%`) },
    { name: 'organisation', label: t('desk.column.organisation'), minor: true, sort: (device) => named(device.organisation), cell: (device) => named(device.organisation) },
  ];
  const ordered = [...devices].sort((a, b) => Number(b.connected) - Number(a.connected) || (b.battery_percent ?? 0) - (a.battery_percent ?? 0));
  return (
    <Table
      caption={t('desk.pair.free')} rows={ordered} columns={columns} rowKey={(device) => device.id} marked={(device) => device.id === chosen}
      empty={<EmptyState title={t('desk.pair.none')}><p>{t('desk.pair.none.text')}</p></EmptyState>}
    />
  );
}
