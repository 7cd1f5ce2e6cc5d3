// The hub's JSON as the pages see it (docs/protocol). Instants are ISO 8601 text.
import type { Bilingual } from './i18n';

export type PageName = 'desk' | 'live' | 'reading' | 'admin';
export type Organisation = { id: string; name: string; name_en: string; level?: string };
export type Me = {
  account: { id: string; login: string; name: string; locale: string; time_zone: string };
  roles: { role: string; organisation: Organisation }[];
  csrf: string;
  pages: PageName[];
};

export type Sex = 'male' | 'female' | 'other' | 'unknown';
export type PatientBrief = { id: string; name: string; sex: Sex; age_years: number };
export type Priority = 'routine' | 'urgent' | 'asap' | 'stat';

export type RecordingStatus = 'requested' | 'recording' | 'stopping' | 'ended' | 'discarded';
export type LedgerCounts = { produced: number; stored: number; declared_lost: number; waiting: number };
export type BootLedger = {
  boot: number; anchor_at: string; began_at: string; produced: number; stored: number; declared_lost: number; final: number | null;
  gaps: [number, number, 'lost' | 'waiting'][];
};
export type Ledger = LedgerCounts & { not_known_since: string | null; not_known: { from: string; to: string | null }[]; boots: BootLedger[] };
export type Backlog = { waiting_s: number; left_s: number | null };
/** `offset_s`: hub minus device; `drift_ppm`: how much the hub gains on it; `device_at`: what it showed at `at`. */
export type DeviceClock = { offset_s: number; drift_ppm: number | null; at: string; device_at: string };
export type DeviceState = {
  connected: boolean; last_seen_at: string | null; battery_percent: number | null; backlog_s: number | null;
  backlog?: Backlog; clock?: DeviceClock | null; // told anew on a live page
};
export type Recording = {
  id: string; patient: PatientBrief; organisation: Organisation; device_id: string | null; service_request_id: string | null;
  status: RecordingStatus; fs_hz: number; leads: string[]; uv_per_lsb: number | null; paced: boolean;
  requested_at: string; started_at: string | null; stop_requested_at: string | null; ended_at: string | null;
  end_reason: string | null; refusal: string | null; planned_end_at: string | null; drain_ends_at: string | null; newest_at: string | null; clock_offset_s: number | null;
  backlog: Backlog; clock: DeviceClock | null;
  device: DeviceState; ledger: Ledger;
};

export type AlarmPriority = 'high' | 'medium' | 'low';
export type Alarm = {
  id: string; patient: { id: string; name: string }; recording_id: string | null; rule: string; category: string;
  priority: AlarmPriority; condition: 'active' | 'gone'; handling: 'raised' | 'owned' | 'escalated' | 'resolved'; late: boolean;
  numbers: Record<string, number | string>; note: string | Bilingual | null;
  onset_at: string; raised_at: string; gone_at: string | null; owner: { id: string; name: string } | null;
  addressee: { id: string; name: string } | null; // of a late one
  owned_at: string | null; resolved_at: string | null; outcome: string | null;
  stored?: boolean; // false: told from memory, the database does not have it yet
  log?: { at: string; step: string; name: string | null; detail: string | Record<string, unknown> | null }[];
};
export type Vital = { code: string; at: string; value: number | null; text_value: string | null; unit: string; device_id: string };
export type Finding = {
  rule: string; version: number | string; pass: 'live' | 'record'; boot: number; onset_sample: number; offset_sample: number | null;
  onset_at: string; offset_at: string | null; priority: string; leads: string[]; numbers: Record<string, number | string>;
  quality: string; note: string | null;
};
