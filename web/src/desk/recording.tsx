// A recording as it runs: age of the newest sample, what the device made and the hub holds, battery, gaps, ending it.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { duration, t } from '../core/i18n';
import { BacklogWords, DeviceClockWords } from '../core/recorder';
import { Loaded, useResource } from '../core/resource';
import { formatShort, now } from '../core/time';
import type { Recording } from '../core/types';
import { Age, Banner, Button, ButtonLink, Confirm, Facts, Time, toast } from '../core/ui';

const REFRESH_S = 5;
const OLD_S = 60; // a newest sample older than this is said aloud

export function RecordingCard({ recordingId }: { recordingId: string }) {
  const recording = useResource<{ recording: Recording }>(`/api/recordings/${recordingId}`, ['recordings'], REFRESH_S);
  return <Loaded from={recording}>{(data) => <Follow recording={data.recording} changed={recording.reload} />}</Loaded>;
}

function Follow({ recording, changed }: { recording: Recording; changed: () => void }) {
  const running = recording.status === 'recording' || recording.status === 'stopping';
  const over = recording.ended_at !== null; // the device may be somebody else's by now
  return (
    <section class="card">
      <div class="card-head">
        <h2>{t('desk.recording.title')}</h2>
        {running && <ButtonLink href={`/live?recording=${recording.id}`}>{t('desk.recording.live')}</ButtonLink>}
      </div>
      {running && <Lagging recording={recording} />}
      <div class="columns">
        <Facts rows={[
          [t('desk.recording.device'), <span class="mono">{recording.device_id}</span>],
          over ? null : [t('desk.recording.connection'), <>{t(recording.device.connected ? 'desk.device.connected' : 'desk.device.away')} <span class="soft"><Age at={recording.device.last_seen_at} /></span></>],
          over ? null : [t('desk.recording.battery'), recording.device.battery_percent === null ? '—' : `${recording.device.battery_percent}%`],
          [t('desk.recording.newest'), <Age at={recording.newest_at} />],
          recording.clock && [t('desk.recording.clock'), <DeviceClockWords clock={recording.clock} />],
        ]} />
        <Facts rows={[
          [t('desk.recording.started'), recording.started_at ? <Time at={recording.started_at} /> : '—'],
          recording.ended_at
            ? [t('desk.recording.ended'), <><Time at={recording.ended_at} /> {recording.end_reason && <span class="soft">{endReason(recording.end_reason)}</span>}</>]
            : [t('desk.recording.planned'), recording.planned_end_at ? <Time at={recording.planned_end_at} /> : '—'],
          ...ledgerRows(recording),
        ]} />
      </div>
      <Gaps recording={recording} />
      {running && <Ending recording={recording} changed={changed} />}
    </section>
  );
}

const END_REASONS = ['complete', 'drain-timeout', 'discard-rest', 'cancelled'] as const;

function endReason(reason: string): string {
  const known = END_REASONS.find((each) => each === reason);
  return known ? t(`desk.end-reason.${known}`) : reason;
}

/** The ledger in words: made, stored, still on the device, lost for good, not known. */
function ledgerRows({ ledger, fs_hz, backlog }: Recording): (readonly [string, preact.ComponentChildren])[] {
  const seconds = (samples: number) => duration(samples / fs_hz);
  return [
    [t('desk.ledger.stored'), t('desk.ledger.stored.of', { stored: seconds(ledger.stored), produced: seconds(ledger.produced) })],
    [t('desk.ledger.waiting'), <BacklogWords backlog={backlog} />],
    [t('desk.ledger.lost'), ledger.declared_lost > 0 ? seconds(ledger.declared_lost) : t('core.none')],
    ...ledger.not_known.flatMap(({ from, to }) => {
      if (to) return [[t('desk.ledger.unknown.before'), <><Time at={from} /> – <Time at={to} /></>] as const];
      return now.value - Date.parse(from) > OLD_S * 1000 ? [[t('desk.ledger.unknown'), <Time at={from} />] as const] : [];
    }),
  ];
}

function Lagging({ recording }: { recording: Recording }) {
  if (recording.newest_at === null) return <Banner kind="notice">{t('desk.recording.no-data-yet')}</Banner>;
  const age = (now.value - Date.parse(recording.newest_at)) / 1000;
  if (age < OLD_S) return null;
  const backlog = recording.device.backlog_s;
  if (recording.device.connected && backlog) return <Banner kind="info">{t('desk.recording.catching-up', { backlog: duration(backlog) })}</Banner>;
  return <Banner kind="notice">{t('desk.recording.silent', { age: duration(age) })}</Banner>;
}

/** What is still to come is a number only if the device has said how much it made. */
function Draining({ recording: { ledger, fs_hz, drain_ends_at } }: { recording: Recording }) {
  if (ledger.not_known.length === 0) return <Banner kind="info">{t('desk.end.draining', { waiting: duration(ledger.waiting / fs_hz) })}</Banner>;
  return <Banner kind="info">{t('desk.end.unknown', { until: drain_ends_at ? formatShort(drain_ends_at) : '—' })}</Banner>;
}

type Gap = { boot: number; from_at: number; seconds: number; why: 'lost' | 'waiting' };

function gapsOf({ ledger, fs_hz }: Recording): Gap[] {
  return ledger.boots.flatMap((boot) => boot.gaps.map(([from, to, why]) => ({
    boot: boot.boot, why, from_at: Date.parse(boot.began_at) + (from / fs_hz) * 1000, seconds: (to - from) / fs_hz,
  })));
}

function Gaps({ recording }: { recording: Recording }) {
  const gaps = gapsOf(recording);
  if (gaps.length === 0) return null;
  return (
    <details>
      <summary class="summary">{t('desk.gaps.title', { count: gaps.length })}</summary>
      <ul class="plain-list gap-list">
        {gaps.map((gap) => (
          <li key={`${gap.boot}-${gap.from_at}`}>
            <Time at={new Date(gap.from_at).toISOString()} show="seconds" /> {duration(gap.seconds)} <span class="soft">{t(`desk.gaps.${gap.why}`)}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

function Ending({ recording, changed }: { recording: Recording; changed: () => void }) {
  const [asked, setAsked] = useState<'end' | 'discard' | null>(null);
  const name = recording.patient.name;
  const act = (path: string, done: string) => async (reason: string) => {
    await api.post(`/api/recordings/${recording.id}/${path}`, reason ? { reason } : {});
    toast(done);
    changed();
  };
  return (
    <>
      <div class="actions">
        {recording.status === 'recording'
          ? <Button onClick={() => setAsked('end')}>{t('desk.end.title')}</Button>
          : <Draining recording={recording} />}
        <Button kind="quiet" onClick={() => setAsked('discard')}>{t('desk.discard.title')}</Button>
      </div>
      {asked === 'end' && (
        <Confirm title={t('desk.end.title')} confirm={t('desk.end.confirm')} close={() => setAsked(null)} run={act('end', t('desk.end.asked'))}>
          {t('desk.end.text', { name })}
        </Confirm>
      )}
      {asked === 'discard' && (
        <Confirm title={t('desk.discard.title')} confirm={t('desk.discard.confirm')} grave reason={t('desk.discard.reason')} close={() => setAsked(null)} run={act('discard-rest', t('desk.discard.done'))}>
          {t('desk.discard.text', { name, waiting: duration(recording.ledger.waiting / recording.fs_hz) })}
        </Confirm>
      )}
    </>
  );
}
