// What the hub says of a study's images (docs/protocol/http.md): series, instances, the serving copies of their pixels.
import type { Bilingual } from '../core/i18n';

export type Point = [number, number];
export type Vector = [number, number, number];

/** One frame of the serving copy: `length` bytes at `offset`; `cuts` are lengths of prefixes that decode by themselves. */
export type Frame = { offset: number; length: number; cuts: number[] } & Partial<OfFrame>;
/** What a frame of an enhanced object may have to itself; it goes before what its instance says. */
export type OfFrame = { position_mm: Vector | null; orientation: number[] | null; modality: ModalityTransform; windows: FileWindow[] };

/** Stored values to those of the modality (PS3.3 C.11.1): a line or a table. */
export type ModalityTransform =
  | { slope: number; intercept: number; unit: string }
  | { lut: LookupTable; unit: string };
export type LookupTable = { first: number; bits: number; data: number[] };
export type VoiFunction = 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID';
export type FileWindow = { center: number; width: number; label: string; function: VoiFunction };
export type Region = { x0: number; y0: number; x1: number; y1: number; spacing_mm: [number, number] };
export type OverlayPlane = { rows: number; columns: number; origin: [number, number]; bits: string; label: string };
export type SpacingSource = 'PixelSpacing' | 'ImagerPixelSpacing' | 'UltrasoundRegion' | 'NominalScannedPixelSpacing';

export type Layout = OfFrame & {
  rows: number;
  columns: number;
  samples: 1 | 3;
  bits_stored: number;
  signed: boolean;
  photometric: 'MONOCHROME1' | 'MONOCHROME2' | 'RGB';
  frames: Frame[];
  lossy: boolean;
  lossy_ratio?: number | null;
  voi_lut: LookupTable | null;
  smallest: number;
  largest: number;
  padding: [number, number] | null;
  spacing_mm: [number, number] | null; // between rows, between columns
  spacing_source: SpacingSource | null;
  spacing_note?: string | null;
  regions?: Region[];
  frame_of_reference_uid: string | null;
  frame_time_ms: number | null;
  aspect: [number, number]; // height and width of a pixel
  laterality: string | null;
  patient_orientation: string[] | null;
  overlays: OverlayPlane[];
  burned_in: boolean | null;
};

export type InstanceState = 'ready' | 'waiting' | 'none' | 'failed';
export type InstanceKind = 'image' | 'ecg' | 'document' | 'other';
export type Instance = {
  id: string;
  sop_uid: string;
  sop_class_uid: string;
  number: number | null;
  state: InstanceState;
  fault: Bilingual | null;
  kind: InstanceKind;
  recording_id: string | null;
  pixels: Layout | null;
};
export type Series = {
  id: string;
  series_uid: string;
  modality: string;
  number: number | null;
  description: string | null;
  body_part: string | null;
  instances: Instance[];
};
export type Patient = { id: string; name: string; sex: string | null; birth_date: string | null };
export type Study = {
  id: string;
  study_uid: string;
  patient: Patient | null;
  sent_name: string | null;
  description: string | null;
  study_date: string | null;
  study_time: string | null;
  accession: string | null;
  is_open: boolean;
  instances: number;
  ready: number;
};
export type Manifest = { study: Study; series: Series[] };

/** A stack's places: every frame of every image of a series, in the order they are paged through. */
export type Slice = { instance: Instance; frame: number }; // frame from 0
