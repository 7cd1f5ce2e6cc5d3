// What the desk asks of the hub and gets back.
import type { Organisation, PatientBrief, Priority, Sex } from '../core/types';
import type { StudyKind } from '../sending/plan';

export const KINDS: readonly StudyKind[] = ['ecg-12-lead', 'holter', 'imaging'];
export const MODALITIES = ['DX', 'CR', 'CT', 'MR', 'US', 'MG', 'XA', 'OT'] as const; // as DICOM (0008,0060) names them, most used first
export type Modality = (typeof MODALITIES)[number];

export type StudyWord =
  | 'requested' | 'sending' | 'received' | 'set-aside' | 'recording' | 'ending' | 'analysing' | 'in-queue' | 'on-hold' | 'being-read'
  | 'report-back' | 'opened' | 'withdrawn' | 'failed';

export type ReportBrief = {
  id: string; version: number; status: string; signed_at: string | null; signed_by_name: string | null;
  delivered_at: string | null; opened_at: string | null;
};

/** One line of the desk: a request and how far it has come. */
export type StudyLine = {
  id: string; kind: StudyKind; patient: { id: string; name: string }; organisation: Organisation; reading_organisation: Organisation | null;
  created_at: string; state: { word: StudyWord; at: string; reason: Record<'zh-CN' | 'en', string> | null };
  priority: Priority; report: ReportBrief | null; recording_id: string | null; request_id: string;
  sent: { files: number; sent_bytes: number; all_bytes: number } | null; // of its files, what the hub has
};

export type IdType = 'resident-id' | 'passport' | 'other' | 'none';
export type ConsentKind = 'monitoring' | 'remote-reading' | 'family';
export type ConsentHow = 'paper' | 'code' | 'app';
export type Consent = {
  id: string; kind: ConsentKind; given_how: ConsentHow; given_by: string; given_at: string; recorded_by_name?: string; withdrawn_at: string | null;
};
export type Patient = PatientBrief & {
  birth_date: string; organisation: Organisation; id_type: IdType; id_number_masked: string | null; phone: string | null;
  guardian_name: string | null; guardian_phone: string | null; consents: Consent[];
};

export type ServiceRequest = {
  id: string; patient: PatientBrief; organisation: Organisation; kind: StudyKind; status: 'active' | 'on-hold' | 'completed' | 'revoked';
  priority: Priority; question: string; symptoms: string; drugs: string; pacemaker: boolean; planned_hours: number;
  accession: string; modality: Modality | null; body_part: string | null; expected_instances: number | null;
  revoked_reason: string | null; created_at: string; requester: { id: string; name: string };
};

/** Images of one DICOM study, as the hub has them. */
export type DicomStudy = {
  id: string; service_request_id: string | null; instances: number; modalities: string[]; is_open: boolean; completed_at: string | null; identity_differs: boolean;
};

export type Device = {
  id: string; kind: string; name: string; organisation: Organisation; connected: boolean; last_seen_at: string | null;
  battery_percent: number | null; backlog_s: number | null; retired_at: string | null;
  in_use: boolean; recording: { id: string; status: string } | null; patient_name: string | null;
};

export type RecordingEvent = { id: string; kind: string; at: string; detail: Record<string, unknown> | null };
export type PatientForm = {
  organisation_id: string; name: string; sex: Sex | ''; birth_date: string; id_type: IdType; id_number: string; phone: string;
  guardian_name: string; guardian_phone: string;
};
