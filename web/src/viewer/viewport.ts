// One pane of the viewer: which stack it shows, where it is, how it is looked at; screen <-> image and back.
// A view turns the image clockwise first and mirrors it left to right then, as a presentation state does (PS3.3 C.10.6).
import type { Signal } from '@preact/signals';
import type { Instance, Layout, Point, Series } from './types';

export type { FileWindow, Frame, Instance, Layout, Manifest, Point, Region, Series, Slice, Study, Vector } from './types';

export type Size = { width: number; height: number }; // CSS px
export type Rotation = 0 | 90 | 180 | 270; // degrees, clockwise
export type StoredValues = Int16Array | Uint16Array | Uint8Array | Int8Array;

export type View = {
  scale: number; // CSS px a column of the image takes
  x: number; // image point in the middle of the pane
  y: number;
  rotation: Rotation;
  flip: boolean;
  invert: boolean;
  window: { center: number; width: number };
  stretch?: number; // height of a pixel over its width, where it is not 1
};

export type Shown = {
  instance: Instance;
  frame: number; // from 0
  pixels: Layout;
  values: StoredValues | null; // stored values, row-major; null until lossless
  level: number; // halvings of the size shown; 0 = full size
};

/** One pane: a stack and where it is. */
export type Pane = {
  view: Signal<View>;
  size: Signal<Size>;
  shown: Signal<Shown | null>;
  series: Signal<Series | null>;
  index: Signal<number>; // place in the stack, from 0
};

/** The four numbers that turn and mirror: screen = [[a, b], [c, d]] image. */
function turned({ rotation, flip }: View): [number, number, number, number] {
  const cos = rotation === 0 ? 1 : rotation === 180 ? -1 : 0;
  const sin = rotation === 90 ? 1 : rotation === 270 ? -1 : 0;
  const mirror = flip ? -1 : 1;
  return [mirror * cos, -mirror * sin, sin, cos];
}

/** Screen (CSS px from the pane's corner) -> image pixels; (0, 0) is the outer corner of the first pixel. */
export function toImage(view: View, size: Size, [x, y]: Point): Point {
  const [a, b, c, d] = turned(view); // orthogonal: its inverse is its transpose
  const [dx, dy] = [(x - size.width / 2) / view.scale, (y - size.height / 2) / view.scale];
  return [view.x + a * dx + c * dy, view.y + (b * dx + d * dy) / (view.stretch ?? 1)];
}

/** Image pixels -> screen (CSS px from the pane's corner). */
export function toScreen(view: View, size: Size, [x, y]: Point): Point {
  const [a, b, c, d] = turned(view);
  const [dx, dy] = [(x - view.x) * view.scale, (y - view.y) * (view.stretch ?? 1) * view.scale];
  return [size.width / 2 + a * dx + b * dy, size.height / 2 + c * dx + d * dy];
}

/** The same for a canvas: setTransform's six numbers, for `ratio` device pixels to a CSS pixel. */
export function canvasTransform(view: View, size: Size, ratio: number): [number, number, number, number, number, number] {
  const [a, b, c, d] = turned(view);
  const [sx, sy] = [view.scale * ratio, view.scale * (view.stretch ?? 1) * ratio];
  const [e, f] = toScreen(view, size, [0, 0]);
  return [a * sx, c * sx, b * sy, d * sy, e * ratio, f * ratio];
}
