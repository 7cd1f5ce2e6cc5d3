/* What a mark measures: length, angles, and the values under a region, in the unit the object gives.
   Values are stored values after the modality transform (PS3.3 C.11.1); of compressed colour there are none. */
import type { StoredValues } from '../viewport';
import type { Layout, Point } from '../types';
import { modalityValue } from '../windows';
import { between, scaleAt, type Placed, type Spacing } from './geometry';

export type Unit = 'mm' | 'px';
export type Length = { value: number; unit: Unit; at_detector: boolean };

/** Distance of two points; in pixels where no spacing holds for both. */
export function lengthOf(placed: Placed, [from, to]: readonly [Point, Point]): Length {
  const scale = scaleAt(placed, [from, to]);
  return { value: Math.hypot(...between(from, to, scale?.spacing_mm)), unit: scale ? 'mm' : 'px', at_detector: scale?.place === 'detector' };
}

/** Shape of a pixel for what needs no size, as an angle: by its spacing, else by its aspect (PS3.3 C.7.6.3.1.7). */
function shapeAt(layout: Pick<Layout, 'aspect'> & Placed, points: readonly Point[]): Spacing {
  return scaleAt(layout, points)?.spacing_mm ?? layout.aspect;
}

/** Degrees between two lines, 0 to 180; null for a line without length. */
function degreesBetween([ax, ay]: Point, [bx, by]: Point): number | null {
  if ((ax === 0 && ay === 0) || (bx === 0 && by === 0)) return null;
  return (Math.abs(Math.atan2(ax * by - ay * bx, ax * bx + ay * by)) * 180) / Math.PI;
}

/** The angle at the middle point of three. */
export function angleOf(layout: Pick<Layout, 'aspect'> & Placed, [a, vertex, b]: readonly [Point, Point, Point]): number | null {
  const shape = shapeAt(layout, [a, vertex, b]);
  return degreesBetween(between(vertex, a, shape), between(vertex, b, shape));
}

/** Cobb's angle: between two lines that need not meet, whichever way they were drawn, so 0 to 90. */
export function cobbOf(layout: Pick<Layout, 'aspect'> & Placed, [a, b, c, d]: readonly [Point, Point, Point, Point]): number | null {
  const shape = shapeAt(layout, [a, b, c, d]);
  const degrees = degreesBetween(between(a, b, shape), between(c, d, shape));
  return degrees === null ? null : Math.min(degrees, 180 - degrees);
}

/** An ellipse or rectangle between two opposite corners of what holds it, along the rows and columns of the picture. */
export type Region = { kind: 'ellipse' | 'rectangle'; corners: readonly [Point, Point] };
export type Area = { value: number; unit: 'mm²' | 'px'; at_detector: boolean };

/** Area of the shape itself, not of the pixels in it. */
export function areaOf(placed: Placed, { kind, corners }: Region): Area {
  const scale = scaleAt(placed, corners);
  const [width, height] = between(corners[0], corners[1], scale?.spacing_mm);
  const value = Math.abs(width * height) * (kind === 'ellipse' ? Math.PI / 4 : 1);
  return { value, unit: scale ? 'mm²' : 'px', at_detector: scale?.place === 'detector' };
}

const ON_THE_BORDER = 1e-9; // pixels: rounding must not decide of a centre on the border

/** Calls `visit` with each pixel (row, first and last column) whose centre lies in the region; its border belongs to it. */
export function rowsInside(size: { rows: number; columns: number }, { kind, corners: [p, q] }: Region, visit: (row: number, first: number, last: number) => void): void {
  const [x, y] = [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
  const [a, b] = [Math.abs(q[0] - p[0]) / 2, Math.abs(q[1] - p[1]) / 2];
  if (a === 0 || b === 0) return;
  const end = Math.min(size.rows - 1, Math.floor(y + b - 0.5 + ON_THE_BORDER));
  for (let row = Math.max(0, Math.ceil(y - b - 0.5 - ON_THE_BORDER)); row <= end; row++) {
    const across = kind === 'rectangle' ? a : a * Math.sqrt(Math.max(0, 1 - ((row + 0.5 - y) / b) ** 2));
    const first = Math.max(0, Math.ceil(x - across - 0.5 - ON_THE_BORDER));
    const last = Math.min(size.columns - 1, Math.floor(x + across - 0.5 + ON_THE_BORDER));
    if (first <= last) visit(row, first, last);
  }
}

/** `padded`: pixels left out since they are no part of the image (PS3.3 C.7.5.1.1.2). SD is of all values, divided by n. */
export type Statistics = { count: number; padded: number; mean: number; sd: number; min: number; max: number };

type Valued = Pick<Layout, 'rows' | 'columns' | 'samples' | 'modality' | 'padding'>;

/** Of grey pixels in a region; null when none lies in it, or for colour. */
export function statisticsOf(layout: Valued, values: StoredValues, region: Region): Statistics | null {
  if (layout.samples !== 1) return null;
  const isPadding = paddingOf(layout);
  let [count, padded, mean, squares, min, max] = [0, 0, 0, 0, Infinity, -Infinity];
  rowsInside(layout, region, (row, first, last) => {
    for (let n = row * layout.columns + first; n <= row * layout.columns + last; n++) {
      const stored = values[n]!;
      if (isPadding(stored)) { padded++; continue; }
      const own = modalityValue(layout.modality, stored);
      const off = own - mean; // Welford 1962: one pass that keeps its digits
      mean += off / ++count;
      squares += off * (own - mean);
      min = Math.min(min, own);
      max = Math.max(max, own);
    }
  });
  return count === 0 ? null : { count, padded, mean, sd: Math.sqrt(squares / count), min, max };
}

function paddingOf({ padding }: Pick<Layout, 'padding'>): (stored: number) => boolean {
  return padding ? (stored) => stored >= padding[0] && stored <= padding[1] : () => false;
}

/** The value of the pixel a point lies in; null outside, in padding and for colour. */
export function valueAt(layout: Valued, values: StoredValues, [x, y]: Point): number | null {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (layout.samples !== 1 || column < 0 || row < 0 || column >= layout.columns || row >= layout.rows) return null;
  const stored = values[row * layout.columns + column]!;
  return paddingOf(layout)(stored) ? null : modalityValue(layout.modality, stored);
}
