/* Where a pixel lies in the patient, what the edges of a picture look at, and how far two points are apart.
   Points are image pixels: (0, 0) is the outer corner of the first pixel, so its centre is (0.5, 0.5). Patient coordinates are
   millimetres towards the left, the back and the head (PS3.3 C.7.6.2.1.1). */

import { toImage, type View } from '../viewport';
import type { Layout, Point, Vector } from '../types';

/** Spacing between rows, then between columns (PS3.3 10.7.1.3). */
export type Spacing = readonly [number, number];

/** What a layout of pixels (docs/protocol/http.md) tells of its place. */
export type Placed = Pick<Layout,
  'rows' | 'columns' | 'frames' | 'spacing_mm' | 'spacing_source' | 'regions' | 'position_mm' | 'orientation' | 'frame_of_reference_uid' | 'patient_orientation'>;

/** A picture's plane: `right` is the way a row goes (column numbers grow), `down` the way a column goes. */
export type Plane = {
  position_mm: Vector; right: Vector; down: Vector; normal: Vector; spacing_mm: Spacing; rows: number; columns: number;
  frame_of_reference_uid: string | null;
};

const UNIT_WITHIN = 0.01; // orientations are written with few digits; further off they are no directions at all

export function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

export function cross(a: Vector, b: Vector): Vector {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

function plus(a: Vector, b: Vector, times: number): Vector {
  return [a[0] + b[0] * times, a[1] + b[1] * times, a[2] + b[2] * times];
}

/** Direction of length 1; null for what is not one. */
function direction(numbers: number[]): Vector | null {
  const length = Math.hypot(...numbers);
  if (numbers.length !== 3 || !(Math.abs(length - 1) <= UNIT_WITHIN)) return null;
  return [numbers[0]! / length, numbers[1]! / length, numbers[2]! / length];
}

/** The two directions of ImageOrientationPatient; null unless they are two directions at right angles. */
export function directionsOf(orientation: number[] | null | undefined): { right: Vector; down: Vector } | null {
  if (orientation?.length !== 6) return null;
  const [right, down] = [direction(orientation.slice(0, 3)), direction(orientation.slice(3))];
  return right && down && Math.abs(dot(right, down)) <= UNIT_WITHIN ? { right, down } : null;
}

/** The plane of a frame (from 0); null where the object doesn't tell all of it. */
export function planeOf(placed: Placed, frame = 0): Plane | null {
  const own = placed.frames[frame];
  const position_mm = own?.position_mm ?? placed.position_mm;
  const directions = directionsOf(own?.orientation ?? placed.orientation);
  const spacing_mm = isSpacing(placed.spacing_mm);
  if (position_mm?.length !== 3 || !position_mm.every(Number.isFinite) || !directions || !spacing_mm) return null;
  const { rows, columns, frame_of_reference_uid } = placed;
  return { position_mm, ...directions, normal: cross(directions.right, directions.down), spacing_mm, rows, columns, frame_of_reference_uid };
}

function isSpacing(spacing: Spacing | null): Spacing | null {
  return spacing && spacing[0] > 0 && spacing[1] > 0 ? spacing : null;
}

/** Equation C.7.6.2.1-1, of any point of the picture, not of centres alone. */
export function toPatient({ position_mm, right, down, spacing_mm: [row, column] }: Plane, [x, y]: Point): Vector {
  return plus(plus(position_mm, right, (x - 0.5) * column), down, (y - 0.5) * row);
}

/** The point of the picture nearest to a place in the patient. */
export function toPixel({ position_mm, right, down, spacing_mm: [row, column] }: Plane, place: Vector): Point {
  const from = plus(place, position_mm, -1);
  return [dot(from, right) / column + 0.5, dot(from, down) / row + 0.5];
}

/** How far a place is in front of a plane, along its normal. */
export function distanceFrom({ position_mm, normal }: Plane, place: Vector): number {
  return dot(plus(place, position_mm, -1), normal);
}

export function middleOf(plane: Plane): Vector {
  return toPatient(plane, [plane.columns / 2, plane.rows / 2]);
}

// --- What the edges look at (PS3.3 C.7.6.1.1.1)

const AXES = [['L', 'R'], ['P', 'A'], ['H', 'F']] as const;
const OPPOSITE: Readonly<Record<string, string>> = { L: 'R', R: 'L', P: 'A', A: 'P', H: 'F', F: 'H' };
const SECOND_FROM = Math.sin((15 * Math.PI) / 180); // a tilt below 15 degrees, as of a gantry, keeps one letter

/** The side of the patient a direction looks at; of an oblique one two letters, the nearer first. */
export function lettersOf(way: Vector): string {
  const parts = AXES.map(([plus, minus], axis) => ({ letter: way[axis]! > 0 ? plus : minus, size: Math.abs(way[axis]!) }));
  parts.sort((a, b) => b.size - a.size);
  return parts[0]!.letter + (parts[1]!.size >= SECOND_FROM ? parts[1]!.letter : '');
}

function opposite(letters: string): string {
  return [...letters].map((letter) => OPPOSITE[letter] ?? '').join('');
}

/** Letters of the picture's own right and lower edge; null where the object doesn't tell them. */
function ownEdges(placed: Placed, frame: number): { right: string; down: string } | null {
  const ways = directionsOf(placed.frames[frame]?.orientation ?? placed.orientation);
  if (ways) return { right: lettersOf(ways.right), down: lettersOf(ways.down) };
  const [right, down] = placed.patient_orientation ?? [];
  return right && down && opposite(right).length === right.length && opposite(down).length === down.length ? { right, down } : null;
}

/** The directions in the picture of right and down on the screen, a pixel long. */
export function screenWays(view: View): { right: Point; down: Point } {
  const size = { width: 0, height: 0 };
  const at = (point: Point): Point => toImage({ ...view, x: 0, y: 0, scale: 1, stretch: 1 }, size, point);
  return { right: at([1, 0]), down: at([0, 1]) };
}

export type Edges = { top: string; right: string; bottom: string; left: string };

/** Letters of the four edges of the screen, looked at along `ways`. */
export function edgesOf(placed: Placed, frame: number, ways: { right: Point; down: Point }): Edges | null {
  const own = ownEdges(placed, frame);
  if (!own) return null;
  const name = ([x, y]: Point): string => {
    if (Math.abs(x) >= Math.abs(y)) return x > 0 ? own.right : opposite(own.right);
    return y > 0 ? own.down : opposite(own.down);
  };
  const [right, bottom] = [name(ways.right), name(ways.down)];
  return { top: opposite(bottom), right, bottom, left: opposite(right) };
}

// --- How far, in which unit

/** `place`: where the millimetres hold. 'detector': of a projection, the body is nearer to the tube and looks larger (PS3.3 10.7.1.3). */
export type Scale = { spacing_mm: Spacing; place: 'patient' | 'detector' };

const OF_THE_RECEIVER = new Set(['ImagerPixelSpacing', 'NominalScannedPixelSpacing']); // of the detector; of the film that was scanned

/** The millimetres of a pixel that hold for all these points; null: only pixels can be told. */
export function scaleAt(placed: Placed, points: readonly Point[]): Scale | null {
  if (placed.regions?.length) {
    const inside = placed.regions.filter(({ x0, y0, x1, y1 }) => points.every(([x, y]) => x >= x0 && x <= x1 && y >= y0 && y <= y1));
    const smallest = inside.sort((a, b) => (a.x1 - a.x0) * (a.y1 - a.y0) - (b.x1 - b.x0) * (b.y1 - b.y0))[0];
    return smallest ? { spacing_mm: smallest.spacing_mm, place: 'patient' } : null;
  }
  const spacing_mm = isSpacing(placed.spacing_mm);
  return spacing_mm && { spacing_mm, place: OF_THE_RECEIVER.has(placed.spacing_source ?? '') ? 'detector' : 'patient' };
}

/** Steps right and down between two points: in mm with a scale, else in pixels. */
export function between(from: Point, to: Point, spacing: Spacing = [1, 1]): Point {
  return [(to[0] - from[0]) * spacing[1], (to[1] - from[1]) * spacing[0]];
}

// --- One series on another

const PARALLEL_FROM = Math.cos((10 * Math.PI) / 180); // two scans of one person, laid a little differently
const SAME_PLANE_FROM = Math.cos((3 * Math.PI) / 180); // lines of nearly the same plane would lie anywhere

/** Where a plane cuts another picture, in that picture's pixels; null where it doesn't, or they are (nearly) parallel. */
export function referenceLine(cutting: Plane, picture: Plane): [Point, Point] | null {
  if (!sameFrame(cutting, picture) || Math.abs(dot(cutting.normal, picture.normal)) > SAME_PLANE_FROM) return null;
  const corners: Point[] = [[0, 0], [cutting.columns, 0], [cutting.columns, cutting.rows], [0, cutting.rows]];
  const places = corners.map((corner) => toPatient(cutting, corner));
  const found: Point[] = [];
  places.forEach((place, n) => {
    const next = places[(n + 1) % 4]!;
    const [a, b] = [distanceFrom(picture, place), distanceFrom(picture, next)];
    if ((a <= 0 && b > 0) || (a > 0 && b <= 0)) found.push(toPixel(picture, plus(place, plus(next, place, -1), a / (a - b))));
  });
  return found.length === 2 ? [found[0]!, found[1]!] : null;
}

export function sameFrame(a: Plane, b: Plane): boolean {
  return a.frame_of_reference_uid !== null && a.frame_of_reference_uid === b.frame_of_reference_uid;
}

export function areParallel(a: Plane, b: Plane): boolean {
  return Math.abs(dot(a.normal, b.normal)) >= PARALLEL_FROM;
}

/** Place of the slice nearest to a point of the patient; of two equally near the first. */
export function nearestSlice(planes: readonly (Plane | null)[], place: Vector): number | null {
  let [best, least] = [null as number | null, Infinity];
  planes.forEach((plane, n) => {
    const off = plane ? Math.abs(distanceFrom(plane, place)) : Infinity;
    if (off < least) [best, least] = [n, off];
  });
  return best;
}
