// One patient live: trace, rate, vitals, alarms, findings and the account of every sample.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { api } from '../core/api';
import { useChanges } from '../core/changes';
import { reach } from '../core/connection';
import { duration, named, t } from '../core/i18n';
import { Loaded, useResource } from '../core/resource';
import { Shell } from '../core/shell';
import { formatClock, now } from '../core/time';
import type { Alarm, Finding, Recording } from '../core/types';
import { Banner, Button, ButtonLink, NoRight } from '../core/ui';
import { leadName, pxPerMm } from '../ecg/paper';
import { qualityWord } from '../ecg/rules';
import { Samples } from '../ecg/samples';
import { SweepView } from '../ecg/sweep-view';
import { AlarmList } from './alarms';
import { ageOf, ageWords, LiveCorner, STALE_S } from './corner';
import { openFeed, type Feed, type Second } from './feed';
import { FindingDialog, FindingList } from './findings';
import { LedgerFacts } from './ledger';
import { pausedUntil_ms, pauseSound, soundFor, soundOn, switchSound } from './sound';
import { StoringBanner, storingAlarms } from './storing';
import { Vitals } from './vitals';

export function Single({ id }: { id: string }) {
  const found = useResource<{ recording: Recording }>(`/api/recordings/${id}`, ['recordings'], 20);
  const reachable = found.data !== null;
  const feed = useMemo(() => (reachable ? openFeed(id) : null), [id, reachable]);
  useEffect(() => () => feed?.close(), [feed]);
  const patient = found.data?.recording.patient;
  return (
    <Shell page="live" wide title={patient?.name ?? t('live.title')} corner={feed && <LiveCorner newest={feed.newest} device={feed.device} />}>
      <Loaded from={found}>
        {({ recording }) => (feed?.state.value === 'refused' ? <NoRight /> : feed && <Live feed={feed} recording={recording} />)}
      </Loaded>
    </Shell>
  );
}

function Live({ feed, recording }: { feed: Feed; recording: Recording }) {
  const [opened, setOpened] = useState<Finding | null>(null);
  const settled = recording.status === 'ended' || recording.status === 'discarded';
  const samples = useMemo(() => new Samples(api.bytes, recording.id, recording.fs_hz, settled), [recording.id, recording.fs_hz, settled]);
  useChanges(['alarms'], feed.reloadAlarms);
  useEffect(() => now.subscribe((now_ms) => soundFor([...(feed.alarms.value ?? []), ...storingAlarms(feed.storing.value)], now_ms)), [feed]);
  const stripOf = (alarm: Alarm) => {
    const finding = feed.findings.value.find((known) => known.rule === alarm.rule && known.onset_at === alarm.onset_at);
    return finding ? () => setOpened(finding) : null;
  };
  return (
    <div class="live">
      <PatientLine recording={recording} feed={feed} />
      <StoringBanner storing={feed.storing.value} />
      <StateBanner feed={feed} recording={recording} />
      <AlarmSection feed={feed} stripOf={stripOf} />
      <div class="live-main">
        <Trace feed={feed} />
        <aside class="live-numbers card">
          <Rate feed={feed} />
          <Vitals vitals={feed.vitals.value} />
        </aside>
      </div>
      <div class="columns">
        <section class="card">
          <h2>{t('live.findings')}</h2>
          <FindingList findings={feed.findings.value} open={setOpened} />
        </section>
        <section class="card">
          <h2>{t('live.ledger')}</h2>
          <LedgerFacts recording={recording} ledger={feed.ledger.value ?? recording.ledger} device={feed.device.value ?? recording.device} />
        </section>
      </div>
      {opened && <FindingDialog finding={opened} samples={samples} close={() => setOpened(null)} />}
    </div>
  );
}

function PatientLine({ recording, feed }: { recording: Recording; feed: Feed }) {
  const { patient } = recording;
  const device = feed.device.value ?? recording.device;
  return (
    <div class="patient-line">
      <ButtonLink kind="quiet" href="/live">{t('live.back')}</ButtonLink>
      <span>{t(`core.sex.${patient.sex}`)} · {t('core.age_years', { count: patient.age_years })}</span>
      <span>{named(recording.organisation)}</span>
      <span>{t('live.device', { id: recording.device_id ?? '—' })}</span>
      {device.battery_percent !== null && <span class="figures">{t('live.battery', { percent: device.battery_percent })}</span>}
      {recording.paced && <strong>{t('live.paced')}</strong>}
      <Sound />
    </div>
  );
}

const CATCHING_UP_S = 5; // less than this is a packet on its way

/** One line for whatever keeps the page from being live, most grave first. */
function StateBanner({ feed, recording }: { feed: Feed; recording: Recording }) {
  const newest = feed.newest.value;
  const age_s = ageOf(newest);
  const since = newest === null ? '' : formatClock(newest.heard_ms - newest.age_s * 1000, true);
  if (feed.state.value === 'waiting' || reach.value === 'away') return <Banner kind="error">{t('live.state.away', { since })}</Banner>;
  if (recording.status === 'requested') return <Banner kind="info">{t('live.state.requested')}</Banner>;
  if (recording.status === 'ended') return <Banner kind="info">{t('live.state.ended')}</Banner>;
  if (recording.status === 'discarded') return <Banner kind="notice">{t('live.state.discarded')}</Banner>;
  if (age_s !== null && age_s > STALE_S) return <Banner kind="notice">{t('live.state.silent', { since, duration: duration(age_s) })}</Banner>;
  const backlog_s = feed.device.value?.backlog_s ?? 0;
  if (backlog_s > CATCHING_UP_S) return <Banner kind="info">{t('live.backlog', { duration: duration(backlog_s) })}</Banner>;
  return null;
}

function AlarmSection({ feed, stripOf }: { feed: Feed; stripOf: (alarm: Alarm) => (() => void) | null }) {
  const alarms = feed.alarms.value;
  return (
    <section class="alarm-section" aria-label={t('live.alarms.open')} data-testid="alarms" data-open={alarms?.length ?? ''}>
      {alarms !== null && alarms.length > 0 && <AlarmList alarms={alarms} changed={feed.reloadAlarms} openStrip={stripOf} />}
      {alarms === null && <p role="status">{t('live.alarms.reading')}</p>}
      {alarms?.length === 0 && <p>{t('live.alarms.none')} <span class="sentence">{ageWords(ageOf(feed.newest.value))}</span></p>}
    </section>
  );
}

function Sound() {
  const paused = pausedUntil_ms.value > now.value;
  return (
    <span class="sound">
      <Button kind="quiet" aria-pressed={soundOn.value} onClick={switchSound}>{t(soundOn.value ? 'live.sound.on' : 'live.sound.off')}</Button>
      {soundOn.value && <Button kind="quiet" aria-pressed={paused} onClick={() => pauseSound(Date.now())}>{paused ? t('live.sound.paused', { until: formatClock(pausedUntil_ms.value, true) }) : t('live.sound.pause')}</Button>}
    </span>
  );
}

const GAINS = [5, 10, 20] as const;
const SPEEDS = [12.5, 25, 50] as const;

function Trace({ feed }: { feed: Feed }) {
  const [mm_per_mv, setGain] = useState<number>(10);
  const [mm_per_s, setSpeed] = useState<number>(25);
  const ecg = feed.ecg.value;
  const quality = feed.second.value?.quality ?? [];
  const fresh = isFresh(feed.second.value);
  return (
    <section class="live-trace card" aria-label={t('live.trace')}>
      <div class="card-head">
        <ul class="qualities" aria-label={t('live.qualities')}>
          {ecg?.leads.map((lead, index) => (
            <li key={lead} data-quality={quality[index] ?? ''}>{leadName(lead)}: {fresh && quality[index] ? qualityWord(quality[index]) : t('live.quality.unknown')}</li>
          ))}
        </ul>
        <span class="actions">
          <Choice label={t('live.gain')} unit="mm/mV" values={GAINS} value={mm_per_mv} change={setGain} />
          <Choice label={t('live.speed')} unit="mm/s" values={SPEEDS} value={mm_per_s} change={setSpeed} />
        </span>
      </div>
      <div class="live-sweep" style={{ '--rows': String(ecg?.leads.length ?? 3) }}>
        {ecg
          ? <SweepView signal={ecg} scale={{ px_per_mm: pxPerMm(), mm_per_s, mm_per_mv }} label={t('live.trace.label')}
              words={{ no_data: t('live.no-data'), skipped: t('live.skipped') }} attach={feed.attach} />
          : <p class="live-waiting" role="status">{t('live.trace.waiting')}</p>}
      </div>
      {feed.skips.value > 0 && <p class="soft small">{t('live.skips', { count: feed.skips.value })}</p>}
    </section>
  );
}

function Choice<V extends number>({ label, unit, values, value, change }: { label: string; unit: string; values: readonly V[]; value: number; change: (value: number) => void }) {
  return (
    <label class="scale-choice">
      <span class="small soft" aria-hidden="true">{label}</span>
      <select class="input" aria-label={label} value={value} onChange={(event) => change(Number(event.currentTarget.value))}>
        {values.map((option) => <option key={option} value={option} selected={option === value}>{option} {unit}</option>)}
      </select>
    </label>
  );
}

/** Rate and quality are of now only while both samples and results keep coming. */
function isFresh(second: Second | null): boolean {
  return (ageOf(second) ?? Infinity) <= STALE_S;
}

/** The rate now, or, when nothing new came, a dash and what it was when. */
function Rate({ feed }: { feed: Feed }) {
  const second = feed.second.value;
  const fresh = isFresh(second);
  const rate = second?.rate_bpm ?? null;
  return (
    <div class="rate" data-testid="rate" data-rate-bpm={fresh && rate !== null ? Math.round(rate) : ''}>
      <span class="soft">{t('live.rate')}</span>
      <p><strong class="figures rate-value">{fresh && rate !== null ? Math.round(rate) : '–'}</strong> <span>{t('live.unit.per-minute')}</span></p>
      {!fresh && rate !== null && second && <p class="soft small">{t('live.rate.last', { rate: Math.round(rate), at: formatClock(second.at, true) })}</p>}
      {fresh && rate === null && <p class="soft small">{t('live.rate.none')}</p>}
    </div>
  );
}
