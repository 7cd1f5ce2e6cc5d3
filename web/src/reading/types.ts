// The reading room's JSON (docs/protocol/http.md, Reading). Samples of an analysis count along the line of all boots.
import type { Bilingual, Locale } from '../core/i18n';
import type { Finding, LedgerCounts, Organisation, Priority, Recording, Sex } from '../core/types';

export type TaskStatus = 'requested' | 'accepted' | 'in-progress' | 'on-hold' | 'completed' | 'rejected' | 'cancelled' | 'failed' | 'entered-in-error';
export type Task = {
  id: string; study_id: string; kind: 'holter' | 'ecg-12-lead' | 'imaging'; tier: string; status: TaskStatus; priority: Priority;
  reasons: Bilingual[]; from_organisation: Organisation; sex: Sex; age_years: number; question: string; due_at: string;
  created_at: string; completed_at: string | null; claimed_by: { id: string; name: string } | null; lease_until: string | null;
};

export type CaseFinding = Finding & {
  finding_index: number; name: Bilingual | null; phase: string;
  strip: { boot: number; first_sample: number; count: number };
};
export type Extreme = { sample: number };
export type Period = { beats: number; mean_rate_bpm: number | null; lowest_rate_bpm?: number; highest_rate_bpm?: number };
export type Hour = Period & { sample: number; by_class: Record<string, number>; longest_rr_s: number | null };
export type Summary = {
  beats_total: number; beats_by_class: Record<string, number>; mean_rate_bpm: number | null; recorded_h: number; analysable_h: number;
  lowest_rate: (Extreme & { bpm: number }) | null; highest_rate: (Extreme & { bpm: number }) | null;
  longest_rr: (Extreme & { rr_s: number }) | null; hours: Hour[]; rate_trend: Period[];
  ectopy: Record<'V' | 'S', Ectopy>; hrv: Variability; st: StSummary; templates: Template[]; template_leads: string[];
  critical_values: CriticalValues | null; twelve_lead: TwelveLead | null;
};
/** Why a figure is withheld. */
export type Reason = { code: string; number: number; words: Bilingual };
export type Ectopy = { beats: number; single: number; couplets: number; runs: number; longest_run_beats: number; fastest_run_bpm: number | null };
export type Variability = {
  values: Record<string, number | null>; nn_share: number; stretches: number; withheld: Reason | null; day_withheld: Reason | null;
  trend_sdnn_ms: (number | null)[];
};
type StExtreme = Extreme & { uv: number };
export type StLead = { lead: string; reference_uv: number | null; lowest: StExtreme | null; highest: StExtreme | null; trend_uv: (number | null)[]; episodes: number };
export type StEpisode = { lead: string; sample: number; extreme_sample: number; length_s: number; change_uv: number; level_uv: number };
export type StSummary = { withheld: Reason | null; unverified: Reason | null; leads: StLead[]; episodes: StEpisode[]; episodes_total: number };
export type Template = {
  template: number; beat_class: string; beats: number; by_class: Record<string, number>; mixed: boolean; sample: number;
  rr_s: number | null; shape_uv: number[][];
};
export type CriticalValues = { title: Bilingual; met: { name: string; words: Bilingual }[]; open: number };
export type Statement = { name: string; priority: Priority; words: Bilingual; evidence: Bilingual; leads: string[]; strip: [number, number] };
export type TwelveLead = { statements: Statement[]; values: Record<string, { value: number | null; quality: string; reason: string }>; critical_values: CriticalValues | null };
export type Completeness = LedgerCounts & { boots: number; end_not_known: number };
export type Analysis = { id: string; version: number; algorithm: string; analysed_at: string; summary: Summary; completeness: Completeness; unmatched_edits: unknown[] };
export type RecordingEvent = { id: string; kind: string; at: string; boot: number | null; sample: number | null; detail: Record<string, unknown> };
export type Stretch = { boot: number; offset: number; count: number; anchor_at: string };
export type DraftContent = { findings_text: string; conclusion: string; advice: string; included_findings: number[]; critical: boolean; full_disclosure: boolean; language: Locale };
export type Draft = { content: DraftContent; revision: number; saved_at: string };
export type ReportBrief = { id: string; version: number; status: string; signed_at: string; signed_by_name: string };

/** What every case has, whatever is read. */
export type CaseBase = {
  task: Task;
  patient: { id: string; name: string; sex: Sex; birth_date: string; age_years: number };
  request: { question: string; symptoms: string; drugs: string; pacemaker: boolean; priority: Priority };
  draft: Draft | null; reports: ReportBrief[];
};
export type Case = CaseBase & {
  recording: Recording; analysis: Analysis; timeline: Stretch[]; findings: CaseFinding[]; events: RecordingEvent[]; edits: { sequence: number }[];
};
export type ReadImages = {
  id: string; study_uid: string; description: string; study_date: string; study_time: string; accession: string; is_open: boolean;
  series: { series_uid: string; modality: string; description: string; body_part: string; instances: number }[];
  modalities: string[]; instances: number; sha256: string;
};
export type Prior = {
  id: string; kind: Task['kind']; dicom_study_id: string | null; description: string; study_date: string | null; created_at: string;
  report_id: string | null; report_status: string | null; signed_at: string | null; conclusion: string | null;
};
export type ImageCase = CaseBase & { images: ReadImages; priors: Prior[] };
