// Everything one patient's live socket says, as signals; samples go straight to the sweep without passing through the page.
import { computed, signal, type ReadonlySignal, type Signal } from '@preact/signals';
import { api } from '../core/api';
import { openSocket, type Socket, type SocketState } from '../core/socket';
import type { Alarm, DeviceState, Finding, LedgerCounts, Recording, Vital } from '../core/types';
import type { Sweep, SweepSignal } from '../ecg/sweep';
import { URGENCY } from '../ecg/priority';
import { parseFrame } from './frame';
import { STORING_WELL, type Storing } from './storing';

const ACK_MS = 300; // after a frame; the hub wants to hear at least once a second

export type Newest = { age_s: number; heard_ms: number };
export type Second = { rate_bpm: number | null; quality: string[]; at: string } & Newest;

export type Feed = {
  state: Signal<SocketState>;
  recording: Signal<Recording | null>;
  ecg: Signal<SweepSignal | null>;
  second: Signal<Second | null>;
  newest: Signal<Newest | null>;
  device: Signal<DeviceState | null>;
  ledger: Signal<LedgerCounts | null>;
  vitals: Signal<ReadonlyMap<string, Vital>>;
  alarms: ReadonlySignal<readonly Alarm[] | null>;
  storing: Signal<Storing>;
  findings: Signal<readonly Finding[]>;
  skips: Signal<number>;
  attach: (sweep: Sweep | null) => void;
  reloadAlarms: () => void;
  close: () => void;
};

type Message = Record<string, unknown> & { type?: string };

export function findingKey(finding: Finding): string {
  return `${finding.rule}/${finding.boot}/${finding.onset_sample}`;
}

/** One alarm for each id: as it is stored, with what is newer from memory; then those that are not stored yet. */
function merged(stored: readonly Alarm[], unstored: readonly Alarm[]): Alarm[] {
  const told = new Map(unstored.map((alarm) => [alarm.id, alarm]));
  const known = stored.map((alarm) => {
    const news = told.get(alarm.id);
    return news && URGENCY[news.priority]! < URGENCY[alarm.priority]! ? { ...alarm, priority: news.priority } : alarm;
  });
  const ids = new Set(stored.map((alarm) => alarm.id));
  return [...known, ...unstored.filter((alarm) => !ids.has(alarm.id))];
}

export function openFeed(recording_id: string): Feed {
  const feed = {
    state: signal<SocketState>('connecting'),
    recording: signal<Recording | null>(null),
    ecg: signal<SweepSignal | null>(null),
    second: signal<Second | null>(null),
    newest: signal<Newest | null>(null),
    device: signal<DeviceState | null>(null),
    ledger: signal<LedgerCounts | null>(null),
    vitals: signal<ReadonlyMap<string, Vital>>(new Map()),
    stored: signal<readonly Alarm[] | null>(null),
    unstored: signal<readonly Alarm[]>([]),
    storing: signal<Storing>(STORING_WELL),
    findings: signal<readonly Finding[]>([]),
    skips: signal(0),
  };
  let sweep: Sweep | null = null;
  let told: { sample: number; taken_ms: number } | null = null; // by this page's clock, so that a wrong one does no harm
  let received = 0;
  let ack: ReturnType<typeof setTimeout> | null = null; // one waits at a time: the last frame of a burst is told too

  const handlers: Record<string, (message: Message) => void> = {
    hello: (message) => {
      const recording = message.recording as Recording;
      feed.recording.value = recording;
      feed.device.value = recording.device;
      feed.ledger.value = recording.ledger;
      feed.stored.value = message.alarms as Alarm[];
      feed.unstored.value = [];
      feed.storing.value = STORING_WELL;
      keepVitals(message.vitals as Vital[]);
      if (feed.newest.value === null && recording.newest_at)
        feed.newest.value = { age_s: Math.max(0, (Date.now() - Date.parse(recording.newest_at)) / 1000), heard_ms: Date.now() };
      const boot = recording.ledger.boots.at(-1)?.boot; // before the first sample the format is only a wish
      if (boot !== undefined) changeSignal({ boot, fs_hz: recording.fs_hz, leads: recording.leads });
    },
    boot: (message) => changeSignal({ boot: message.boot as number, fs_hz: message.fs_hz as number, leads: message.leads as string[] }),
    second: (message) => {
      const heard_ms = Date.now();
      feed.second.value = { rate_bpm: message.rate_bpm as number | null, quality: message.quality as string[], at: message.at as string, age_s: message.age_s as number, heard_ms };
      if (message.boot !== feed.ecg.value?.boot) {
        feed.newest.value = { age_s: message.age_s as number, heard_ms };
        return;
      }
      told = { sample: message.sample as number, taken_ms: heard_ms - (message.age_s as number) * 1000 };
      keepAge(Math.max(told.sample, received), heard_ms);
      sweep?.mark(message.beats as number[]);
    },
    status: (message) => {
      feed.device.value = message as unknown as DeviceState;
      feed.ledger.value = message.ledger as LedgerCounts;
    },
    vitals: (message) => keepVitals(message.vitals as Vital[]),
    finding: (message) => keepFindings([message.finding as Finding]),
    alarm: (message) => keepAlarm(message.alarm as Alarm),
    alarms: (message) => { feed.stored.value = message.alarms as Alarm[]; },
    unstored: (message) => { feed.unstored.value = message.alarms as Alarm[]; },
    storing: (message) => { feed.storing.value = message as unknown as Storing; },
    skipped: (message) => {
      feed.skips.value += 1;
      sweep?.skip(message.from_sample as number, message.to_sample as number);
    },
  };

  function changeSignal(next: SweepSignal): void {
    const known = feed.ecg.value;
    if (known && next.boot === known.boot && next.fs_hz === known.fs_hz && next.leads.join() === known.leads.join()) return;
    feed.ecg.value = next;
    if (feed.recording.value) feed.recording.value = { ...feed.recording.value, fs_hz: next.fs_hz, leads: next.leads };
    told = null;
    received = 0;
  }

  /** The hub tells one sample's age each second; the age of any later one follows from the sampling rate. */
  function keepAge(sample: number, heard_ms: number): void {
    if (told === null || feed.ecg.value === null) return;
    const taken_ms = told.taken_ms + ((sample - told.sample) / feed.ecg.value.fs_hz) * 1000;
    feed.newest.value = { age_s: Math.max(0, (heard_ms - taken_ms) / 1000), heard_ms };
  }

  function keepVitals(vitals: readonly Vital[]): void {
    const next = new Map(feed.vitals.value);
    for (const vital of vitals) {
      const known = next.get(vital.code);
      if (!known || known.at <= vital.at) next.set(vital.code, vital);
    }
    feed.vitals.value = next;
  }

  function keepFindings(findings: readonly Finding[]): void {
    const next = new Map(feed.findings.value.map((finding) => [findingKey(finding), finding]));
    for (const finding of findings) next.set(findingKey(finding), finding);
    feed.findings.value = [...next.values()].sort((a, b) => b.onset_at.localeCompare(a.onset_at));
  }

  function keepAlarm(alarm: Alarm): void {
    const others = (feed.stored.value ?? []).filter((known) => known.id !== alarm.id);
    feed.stored.value = alarm.handling === 'resolved' ? others : [...others, alarm];
  }

  function binary(bytes: ArrayBuffer): void {
    const frame = parseFrame(bytes);
    if (frame === null) return;
    const now_ms = performance.now();
    if (sweep !== null) {
      // After a reconnect the hub goes on at the newest: what lies between was not shown here.
      if (sweep.newest > 0 && frame.first_sample > sweep.newest && reconnected) sweep.skip(sweep.newest, frame.first_sample);
      reconnected = false;
      sweep.push(now_ms, frame.first_sample, frame.count, frame.uv_per_lsb, frame.samples);
    }
    received = frame.first_sample + frame.count;
    ack ??= setTimeout(() => {
      ack = null;
      keepAge(received, Date.now());
      socket.send({ type: 'ack', sample: received });
    }, ACK_MS);
  }

  let reconnected = false;
  const reloadAlarms = (): void => {
    void api.get<{ alarms: Alarm[] }>(`/api/alarms?open=1&recording_id=${recording_id}`).then((found) => { feed.stored.value = found.alarms; }, () => undefined);
  };
  void api.get<{ findings: Finding[] }>(`/api/recordings/${recording_id}/findings`).then((found) => keepFindings(found.findings), () => undefined);
  const socket: Socket = openSocket(`/api/recordings/${recording_id}/live`, {
    text: (message) => handlers[message.type ?? '']?.(message),
    binary,
    state: (state) => {
      if (state === 'open' && feed.state.value === 'waiting') reconnected = true;
      feed.state.value = state;
    },
  });
  const alarms = computed(() => (feed.stored.value === null ? null : merged(feed.stored.value, feed.unstored.value)));
  return { ...feed, alarms, attach: (attached) => { sweep = attached; }, reloadAlarms, close: socket.close };
}
