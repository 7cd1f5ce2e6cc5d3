/* Marks on an image: what points each kind has, how one is drawn point by point, moved, turned into shapes, and where its words go. */
import type { Point } from '../types';

export type Kind = 'length' | 'angle' | 'ellipse' | 'rectangle' | 'arrow' | 'text';
/** What the reader holds; Cobb's angle is an angle of four points. */
export type Tool = Kind | 'cobb';
/** `frame` from 1, as the hub counts. Points of an arrow: what it shows, then its tail with the words. */
export type Mark = { id: string; instance_id: string; frame: number; kind: Kind; points: Point[]; text: string };

const POINTS: Readonly<Record<Tool, number>> = { length: 2, angle: 3, cobb: 4, ellipse: 2, rectangle: 2, arrow: 2, text: 1 };
export const WITH_TEXT: ReadonlySet<Kind> = new Set<Kind>(['arrow', 'text']);

export function kindOf(tool: Tool): Kind {
  return tool === 'cobb' ? 'angle' : tool;
}

// --- Drawing: press, drag and release, or click by click

/** `fixed` of the points stand; the one after them follows the pointer. `fresh`: the press set the first point of a line. */
export type Draft = { tool: Tool; points: Point[]; fixed: number; press: { at: Point; fresh: boolean } | null };

const LINE_FROM = 2; // Cobb's second line begins with this point

/** A press at the screen point `at`: the first of a mark, or a later one. */
export function pressed(draft: Draft | null, tool: Tool, point: Point, at: Point): Draft {
  if (draft === null) return { tool, points: POINTS[tool] === 1 ? [point] : [point, point], fixed: 1, press: { at, fresh: true } };
  if (tool === 'cobb' && draft.fixed === LINE_FROM) return { ...draft, points: [...draft.points.slice(0, LINE_FROM), point, point], fixed: LINE_FROM + 1, press: { at, fresh: true } };
  return { ...followed(draft, point), press: { at, fresh: false } };
}

export function followed(draft: Draft, point: Point): Draft {
  return draft.points.length === draft.fixed ? draft : { ...draft, points: [...draft.points.slice(0, draft.fixed), point] };
}

const CLICK_PX = 4; // a hand's tremor between press and release

/** The pointer was let go at `at`: a drag fixes the point, the click that began a line doesn't, any later one does. */
export function released(draft: Draft, at: Point): Draft {
  const { press, tool, points } = draft;
  if (press === null || isWhole(draft)) return { ...draft, press: null };
  if (press.fresh && Math.hypot(at[0] - press.at[0], at[1] - press.at[1]) < CLICK_PX) return { ...draft, press: null };
  const fixed = points.length;
  return { ...draft, fixed, press: null, points: fixed < POINTS[tool] ? [...points, points[fixed - 1]!] : points };
}

/** All its points stand. */
export function isWhole({ tool, fixed }: Draft): boolean {
  return fixed === POINTS[tool];
}

/** Nothing can be measured of it: all its points are (nearly) one. */
export function isEmpty(kind: Kind, points: readonly Point[]): boolean {
  const [first] = points;
  return kind !== 'text' && points.every(([x, y]) => Math.abs(x - first![0]) < 0.01 && Math.abs(y - first![1]) < 0.01);
}

/** Points of a mark set by keyboard alone: around a middle, `reach` pixels to either side. */
export function placedAt(tool: Tool, [x, y]: Point, reach: number): Point[] {
  const shapes: Record<Tool, Point[]> = {
    length: [[x - reach, y], [x + reach, y]],
    angle: [[x - reach, y - reach], [x, y], [x + reach, y - reach]],
    cobb: [[x - reach, y - reach], [x + reach, y - reach / 2], [x - reach, y + reach], [x + reach, y + reach / 2]],
    ellipse: [[x - reach, y - reach], [x + reach, y + reach]],
    rectangle: [[x - reach, y - reach], [x + reach, y + reach]],
    arrow: [[x, y], [x + reach, y - reach]],
    text: [[x, y]],
  };
  return shapes[tool];
}

/** The other corner that makes a circle or square (in mm where pixels aren't square: `stretch` is a pixel's height over its width). */
export function evened([x, y]: Point, [to_x, to_y]: Point, stretch: number): Point {
  const side = Math.max(Math.abs(to_x - x), Math.abs(to_y - y) * stretch);
  return [x + Math.sign(to_x - x || 1) * side, y + (Math.sign(to_y - y || 1) * side) / stretch];
}

/** All points by as much, or one of them. */
export function movedBy(points: readonly Point[], [dx, dy]: Point, only: number | null = null): Point[] {
  return points.map((point, n) => (only === null || only === n ? [point[0] + dx, point[1] + dy] : point));
}

// --- Where its words go

export type Box = { x: number; y: number; width: number; height: number };

export function boxOf(points: readonly Point[]): Box {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

function overlap(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return width > 0 && height > 0 ? width * height : 0;
}

// Room that the pane's own words take in its corners, and the letters at the middles of its edges; CSS px, for names of usual length.
const CORNER_PX = { width: 160, height: 64 };
const LETTER_PX = 28;

/** What must not be covered: whose image it is, which slice, how it lies. */
export function keptFree({ width, height }: { width: number; height: number }): Box[] {
  const corners = [0, Math.max(0, width - CORNER_PX.width)].flatMap((x) => [0, Math.max(0, height - CORNER_PX.height)].map((y) => ({ x, y, ...CORNER_PX })));
  const letter = (x: number, y: number): Box => ({ x, y, width: LETTER_PX, height: LETTER_PX });
  const [across, down] = [(width - LETTER_PX) / 2, (height - LETTER_PX) / 2];
  return [...corners, letter(across, 0), letter(across, height - LETTER_PX), letter(0, down), letter(width - LETTER_PX, down)];
}

const OFF_PX = 10; // of the words from the thing they are about

/** Place for words of a size beside a thing on the screen: not over it, in the pane, and off what is taken already, if that can be. */
export function labelPlace(thing: Box, words: { width: number; height: number }, pane: { width: number; height: number }, taken: readonly Box[]): Box {
  const [left, right] = [thing.x - OFF_PX - words.width, thing.x + thing.width + OFF_PX];
  const [above, below] = [thing.y - OFF_PX - words.height, thing.y + thing.height + OFF_PX];
  const [centre, middle] = [thing.x + (thing.width - words.width) / 2, thing.y + (thing.height - words.height) / 2];
  const places: Point[] = [[right, middle], [left, middle], [centre, below], [centre, above], [right, below], [right, above], [left, below], [left, above]];
  let [best, least]: [Box | null, number] = [null, Infinity];
  for (const [x, y] of places) {
    const box = {
      x: Math.min(Math.max(x, 0), Math.max(0, pane.width - words.width)), y: Math.min(Math.max(y, 0), Math.max(0, pane.height - words.height)), ...words,
    };
    const cost = overlap(box, thing) * 2 + taken.reduce((sum, other) => sum + overlap(box, other), 0);
    if (cost < least) [best, least] = [box, cost];
  }
  return best!;
}
