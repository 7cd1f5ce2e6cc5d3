// Stored values to grey: modality transform (PS3.3 C.11.1), value of interest (C.11.2.1.2), MONOCHROME1, inversion; as one table.
import type { FileWindow, Layout, LookupTable, ModalityTransform, VoiFunction } from './types';

export type Window = { center: number; width: number };
/** How a window is applied: as a function of the standard, or by the file's own table. */
export type Voi = VoiFunction | 'LUT';
export type Preset = Window & { name: 'brain' | 'subdural' | 'lung' | 'bone' | 'abdomen' | 'mediastinum' };
export const isGrey = (layout: Layout): boolean => layout.samples === 1;

const WHITE = 255;

/** A table's entry; below its first value the first, above its last the last (C.11.1.1, C.11.2.1.1). */
function looked({ first, data }: LookupTable, value: number): number {
  return data[Math.min(Math.max(Math.trunc(value) - first, 0), data.length - 1)] ?? 0;
}

/** Half up, after nine decimals: the hub rounds what it renders so (dicom/pixels/rendering.py), and it is the same on every machine. */
function rounded(grey: number): number {
  return Math.floor(Math.round(grey * 1e9) / 1e9 + 0.5);
}

export function modalityValue(modality: ModalityTransform, stored: number): number {
  return 'lut' in modality ? looked(modality.lut, stored) : stored * modality.slope + modality.intercept;
}

/** 0 to 255, not yet rounded. */
export function voiValue(voi: VoiFunction, { center, width }: Window, value: number): number {
  if (voi === 'SIGMOID') return WHITE / (1 + Math.exp((-4 * (value - center)) / width));
  const [middle, span] = voi === 'LINEAR_EXACT' ? [center, width] : [center - 0.5, width - 1];
  if (value <= middle - span / 2) return 0;
  if (value > middle + span / 2) return WHITE;
  return ((value - middle) / span + 0.5) * WHITE;
}

/** Widths below these have no meaning (C.11.2.1.2.1: 1 for LINEAR, else above 0). */
export function leastWidth(voi: Voi): number {
  return voi === 'LINEAR' || voi === 'LUT' ? 1 : 1e-3;
}

export type Tone = { voi: Voi; window: Window; invert: boolean };

/** Grey of each stored value, found at its low 8 or 16 bits. */
export function greyTable(layout: Layout, tone: Tone): Uint8Array {
  const bits = layout.bits_stored > 8 ? 16 : 8;
  const count = 2 ** bits;
  const table = new Uint8Array(count);
  const turned = (layout.photometric === 'MONOCHROME1') !== tone.invert;
  const lut = layout.voi_lut;
  const white = lut ? 2 ** lut.bits - 1 : 1;
  for (let index = 0; index < count; index++) {
    const stored = layout.signed && index >= count / 2 ? index - count : index;
    const value = modalityValue(layout.modality, stored);
    const grey = tone.voi === 'LUT' && lut ? (looked(lut, value) / white) * WHITE : voiValue(tone.voi === 'LUT' ? 'LINEAR' : tone.voi, tone.window, value);
    table[index] = turned ? WHITE - rounded(grey) : rounded(grey);
  }
  return table;
}

/** The window of all values there are, for LINEAR_EXACT: nothing is cut off. */
export function fullWindow(layout: Layout): Window {
  const ends = [modalityValue(layout.modality, layout.smallest), modalityValue(layout.modality, layout.largest)];
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  return high > low ? { center: (low + high) / 2, width: high - low } : { center: low + 0.5, width: 1 };
}

/** What the file asks for first: its table, its window, else all values. */
export function defaultTone(layout: Layout): Omit<Tone, 'invert'> {
  const [own] = layout.windows;
  if (layout.voi_lut) return { voi: 'LUT', window: own ?? fullWindow(layout) };
  return own ? { voi: own.function, window: own } : { voi: 'LINEAR_EXACT', window: fullWindow(layout) };
}

// Usual windows of CT in HU (e.g. Prokop and Galanski, Spiral and Multislice Computed Tomography of the Body, 2003).
const CT: readonly Preset[] = [
  { name: 'brain', center: 40, width: 80 },
  { name: 'subdural', center: 75, width: 215 },
  { name: 'lung', center: -600, width: 1500 },
  { name: 'bone', center: 400, width: 1800 },
  { name: 'abdomen', center: 50, width: 400 },
  { name: 'mediastinum', center: 40, width: 350 },
];

export function presetsOf(modality: string, layout: Layout | null): readonly Preset[] {
  return modality === 'CT' && layout !== null && isGrey(layout) && layout.modality.unit === 'HU' ? CT : [];
}

export function fileWindows(layout: Layout | null): readonly FileWindow[] {
  return layout?.windows ?? [];
}
