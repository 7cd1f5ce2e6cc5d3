// What the administration pages ask of the hub and get back.
import type { Organisation } from '../core/types';

export type Device = {
  id: string; shard: string; kind: DeviceKind; name: string; organisation: Organisation; connected: boolean; last_seen_at: string | null;
  battery_percent: number | null; backlog_s: number | null; clock_offset_s: number | null; retired_at: string | null;
  in_use: boolean; recording: { id: string; status: string } | null; patient_name: string | null;
};
export const DEVICE_KINDS = ['holter', 'wearable', 'monitor', 'fridge'] as const;
export type DeviceKind = (typeof DEVICE_KINDS)[number];
export type Provisioned = { device: { id: string; shard: string }; username: string; password: string };

export type SetAside = {
  id: string; topic: string; device_id: string | null; reason: string; detail: string | null; size_bytes: number; times: number;
  first_at: string; last_at: string;
};

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
export type DryRun = {
  matched: { id: string; name: string; to_organisation_id: string } | null;
  explanation: { rule: string; condition: Condition | null; matched: boolean }[];
};

export type AuditEntry = {
  id: number; at: string; actor_kind: string; actor_id: string; actor_name: string | null; action: string; object_kind: string; object_id: string;
  organisation_id: string | null; patient_id: string | null; detail: Record<string, unknown>; seal: number | null;
};
