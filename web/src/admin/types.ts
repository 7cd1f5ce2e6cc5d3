// What the administration pages ask of the hub and get back.
import type { Bilingual } from '../core/i18n';
import type { AlarmPriority, Organisation } from '../core/types';

export type Held = { produced_s: number; stored_s: number; lost_s: number; waiting_s: number; lost_ranges: number };
export type Device = {
  id: string; kind: DeviceKind; name: string; organisation: Organisation; connected: boolean; last_seen_at: string | null;
  battery_percent: number | null; backlog_s: number | null; clock_offset_s: number | null; retired_at: string | null; in_use: boolean;
  hand: Hand[]; quality: string[] | null; recording: ({ status: string; started_at: string | null } & Held) | null;
};
export const HANDS = ['offline', 'battery', 'backlog', 'clock', 'electrodes'] as const;
export type Hand = (typeof HANDS)[number];
export const DEVICE_FILTERS = ['all', 'hand', 'offline', 'used', 'free', 'retired'] as const;
export type DeviceFilter = (typeof DEVICE_FILTERS)[number];
export type DevicePage = { devices: Device[]; next: string | null; counts: Record<DeviceFilter, number> };
export type DeviceDetail = Device & {
  history: { at: string; what: 'connected' | 'disconnected' | 'battery'; value: number | null }[];
  recordings: ({ recording_id: string | null; patient_name: string | null; status: string; requested_at: string; started_at: string | null; ended_at: string | null; end_reason: string | null } & Held)[];
  commands: { command: string; answer: string | null; at: string; waits: boolean }[];
  clock: { offset_s: number; drift_ppm: number } | null;
  worn_by: { id: string; name: string; since_at: string } | null;
};
export const DEVICE_KINDS = ['holter', 'wearable', 'monitor', 'fridge'] as const;
export type DeviceKind = (typeof DEVICE_KINDS)[number];
export type Provisioned = { device: { id: string; shard: string }; username: string; password: string };

export type ReplayResult = 'stored' | 'duplicate' | 'set-aside';
export type SetAside = {
  id: string; topic: string; device_id: string | null; reason: string; detail: string | null; size_bytes: number; times: number;
  first_at: string; last_at: string; discarded_at: string | null; discard_reason: string | null; replay_asked_at: string | null;
  replayed_at: string | null; replay_result: ReplayResult | null; replay_reason: string | null;
};
export type SetAsideReason = { reason: string; messages: number; devices: number; times: number; asked: number; last_at: string };
export type SetAsideWhole = SetAside & { payload_hex: string; decoded: Record<string, string | number | null> | null };

export type Unit = 'count' | 'bytes' | 's' | 'days' | 'percent' | 'word';
export type Fact = { name: string; label: Bilingual; unit: Unit; value: number | string };
type Broken = { kind: string; subject: string; since_at: string; priority: AlarmPriority; words: Bilingual; todo: Bilingual; facts: Fact[] };
export type Told = Broken & { stored: boolean };
export type Incident = Broken & {
  id: string; device_id: string | null; may_handle: boolean; times: number; last_at: string; gone_at: string | null; owner: { id: string; name: string } | null;
  owned_at: string | null; resolved_at: string | null; outcome: string | null;
};
export type HopState = 'works' | 'hurt' | 'broken' | 'unknown';
export type Hop = { hop: string; state: HopState; figures: { name: string; value: number; unit: Unit }[] };
export type HubProcess = {
  name: string; answers: boolean; memory_bytes: number | null; state: string | null; shards: number | null; pending: number | null;
  commit_p99_s: number | null; silent_s: number | null;
};
export type HubLedger = { recordings: number; produced: number; stored: number; lost: number; waiting: number };
export type HubView = { at: string; database: boolean; hops: Hop[]; incidents: Told[]; ledger: HubLedger | null; processes: HubProcess[] };
export type FailedJob = { id: number; kind: string; attempts: number; error: string | null; created_at: string; failed_at: string };

export const ROLES = [
  'village_doctor', 'township_doctor', 'technician', 'reader', 'senior_reader', 'family_doctor', 'resident', 'family_member',
  'device_manager', 'organisation_admin', 'auditor',
] as const;
export type Role = (typeof ROLES)[number];
export type HeldRole = {
  id: string; role: Role; organisation_id: string; organisation_name: string; organisation_name_en: string; valid_until: string | null;
};
export type Account = {
  id: string; login: string; name: string; locale: string; disabled_at: string | null; locked_until: string | null; roles: HeldRole[];
};

export const STUDY_KINDS = ['holter', 'ecg-12-lead', 'imaging'] as const;
export type StudyKind = (typeof STUDY_KINDS)[number];
export type Agreement = {
  id: string; from_organisation_id: string; to_organisation_id: string; study_kind: StudyKind; valid_from: string; valid_until: string | null;
};

export type Condition = { keyword: string; operator: string; value: unknown };
export type RoutingRule = {
  id: string; position: number; name: string; conditions: Condition[]; to_organisation: Organisation; enabled: boolean;
};
export type ForwardRule = { id: string; name: string; conditions: Condition[]; to_node_id: string; to_node_name: string; enabled: boolean };
export type DryRun = {
  matched: { id: string; name: string; to_organisation_id: string } | null;
  explanation: { rule: string; condition: Condition | null; matched: boolean }[];
};

export type AuditEntry = {
  id: number; at: string; actor_kind: string; actor_id: string; actor_name: string | null; action: string; object_kind: string; object_id: string;
  organisation_id: string | null; patient_id: string | null; detail: Record<string, unknown>; seal: number | null;
};
