// The state of a page of images: its panes, which is active, what each shows, and the loader behind them.
import { batch, computed, effect, signal, untracked, type Signal } from '@preact/signals';
import type { Codec, Picture } from './codec';
import { Loader, type Focus } from './loader';
import { slicesOf } from './manifest';
import { Memory } from './memory';
import type { StoredFrame } from './stored-frame';
import type { Point, Series, Slice, Study } from './types';
import { toImage, type Pane, type Rotation, type Size, type View } from './viewport';
import { defaultTone, isGrey, leastWidth, type Voi, type Window } from './windows';

export type LayoutName = '1x1' | '1x2' | '2x2';
export const PANES: Record<LayoutName, number> = { '1x1': 1, '1x2': 2, '2x2': 4 };
const LARGEST_SCALE = 40; // CSS px a pixel
const SMALLEST_SCALE = 0.02;
const FRESH: View = { scale: 1, x: 0, y: 0, rotation: 0, flip: false, invert: false, window: { center: 128, width: 256 } };

/** A pane with what only the page itself needs of it. */
export type StackPane = Pane & {
  id: number;
  study: Signal<Study | null>;
  /** What is drawn, at whatever size it has come; null = nothing of this slice yet. */
  frame: Signal<StoredFrame | null>;
  picture: Signal<Picture | null>;
  voi: Signal<Voi>;
  /** Whether the window is each slice's own (false: the reader's choice). */
  windowOfFile: Signal<boolean>;
  fitted: Signal<boolean>;
};

function newPane(id: number): StackPane {
  return {
    id, view: signal(FRESH), size: signal<Size>({ width: 0, height: 0 }), shown: signal(null), series: signal(null), index: signal(0), study: signal(null),
    frame: signal(null), picture: signal(null), voi: signal<Voi>('LINEAR'), windowOfFile: signal(true), fitted: signal(true),
  };
}

export class Panes {
  readonly layout = signal<LayoutName>('1x1');
  readonly all: readonly StackPane[] = [0, 1, 2, 3].map(newPane);
  readonly active = signal<StackPane>(this.all[0]!);
  readonly open = computed(() => this.all.slice(0, PANES[this.layout.value]));
  readonly loader: Loader;
  #stop: (() => void)[] = [];

  constructor(codec: Codec) {
    this.loader = new Loader((frame) => this.#drawn(frame), new Memory(), codec);
    this.#stop.push(effect(() => { this.#look(); }));
    for (const pane of this.all) this.#stop.push(effect(() => { if (pane.fitted.value && pane.shown.value && pane.size.value.width > 0) fit(pane); }));
  }

  close(): void {
    for (const stop of this.#stop) stop();
    this.loader.close();
  }

  /** Shows a series in a pane, from its first slice, as if for the first time. */
  show(pane: StackPane, study: Study | null, series: Series, index = 0): void {
    if (pane.series.peek() === series && pane.index.peek() === index) { reset(pane); return; } // nothing would follow from what did not change
    batch(() => {
      pane.study.value = study;
      pane.series.value = series;
      pane.index.value = index;
      pane.windowOfFile.value = true;
      pane.fitted.value = true;
      pane.view.value = { ...FRESH };
    });
  }

  /** Nothing is in it any more. */
  clear(pane: StackPane): void {
    batch(() => {
      for (const each of [pane.study, pane.series, pane.frame, pane.picture, pane.shown]) each.value = null;
      pane.index.value = 0;
    });
  }

  scroll(pane: StackPane, by: number, loop = false): void {
    const count = slicesOf(pane.series.value).length;
    if (count === 0) return;
    const to = pane.index.value + by;
    pane.index.value = loop ? ((to % count) + count) % count : Math.min(Math.max(to, 0), count - 1);
  }

  setLayout(layout: LayoutName): void {
    this.layout.value = layout;
    if (!this.open.value.includes(this.active.value)) this.active.value = this.all[0]!;
  }

  #look(): void {
    const active = this.active.value;
    const panes = [active, ...this.open.value.filter((pane) => pane !== active)].filter((pane) => pane.series.value !== null);
    const foci = panes.map((pane): Focus => ({ slices: slicesOf(pane.series.value), index: pane.index.value }));
    untracked(() => {
      for (const pane of panes) this.#put(pane);
      this.loader.look(foci);
    });
  }

  #drawn(frame: StoredFrame): void {
    for (const pane of this.open.peek()) if (pane.frame.peek()?.key === frame.key) this.#put(pane);
  }

  /** The slice of a pane as far as it has come. */
  #put(pane: StackPane): void {
    const slice: Slice | undefined = slicesOf(pane.series.value)[pane.index.value];
    const frame = this.loader.frame(slice);
    const before = pane.shown.peek();
    batch(() => {
      pane.frame.value = frame;
      pane.picture.value = frame?.picture ?? null;
      if (!slice || !frame) { pane.shown.value = null; return; }
      const { instance } = slice;
      const values = frame.complete ? frame.picture?.values ?? null : null;
      if (before?.instance !== instance || before.frame !== slice.frame || before.values !== values || before.level !== frame.level) {
        pane.shown.value = { instance, frame: slice.frame, pixels: frame.layout, values, level: frame.level };
      }
      // A frame of an enhanced object may have a window to itself.
      if (pane.windowOfFile.peek() && (before?.instance !== instance || before.frame !== slice.frame)) fileTone(pane, frame.layout);
    });
  }
}

/** What the file of each slice asks for, from now on. */
export function fileTone(pane: StackPane, layout = pane.shown.peek()?.pixels): void {
  batch(() => {
    pane.windowOfFile.value = true;
    if (!layout || !isGrey(layout)) return;
    const { voi, window: { center, width } } = defaultTone(layout);
    const { window } = pane.view.peek();
    pane.voi.value = voi;
    if (window.center !== center || window.width !== width) change(pane, { window: { center, width } });
  });
}

export function change(pane: Pane, view: Partial<View>): void {
  pane.view.value = { ...pane.view.peek(), ...view };
}

export function setWindow(pane: StackPane, { center, width }: Window, voi?: Voi): void {
  batch(() => {
    pane.windowOfFile.value = false;
    // A window in place of a file's table: the plain function.
    pane.voi.value = voi ?? (pane.voi.peek() === 'LUT' ? 'LINEAR' : pane.voi.peek());
    change(pane, { window: { center, width: Math.max(leastWidth(pane.voi.peek()), width) } });
  });
}

/** The whole image in the middle of the pane. */
export function fit(pane: StackPane): void {
  const shown = pane.shown.value;
  const { width, height } = pane.size.value;
  if (!shown || width === 0) return;
  const { rows, columns, aspect, spacing_mm } = shown.pixels;
  const view = pane.view.peek();
  const [tall, wide] = spacing_mm ?? aspect; // an aspect has no meaning where the spacing is known (PS3.3 C.7.6.3.1.7)
  const stretch = tall > 0 && wide > 0 ? tall / wide : 1;
  const turned = view.rotation % 180 !== 0;
  const [across, down] = turned ? [rows * stretch, columns] : [columns, rows * stretch];
  const scale = Math.min(width / across, height / down);
  if (view.scale === scale && view.x === columns / 2 && view.y === rows / 2 && (view.stretch ?? 1) === stretch) return;
  change(pane, { scale, x: columns / 2, y: rows / 2, stretch });
}

/** Zooms so that what lies at a point of the screen (CSS px of the pane) stays there. */
export function zoom(pane: StackPane, factor: number, at: Point): void {
  const view = pane.view.peek();
  const scale = Math.min(LARGEST_SCALE, Math.max(SMALLEST_SCALE, view.scale * factor));
  const [before, after] = [view, { ...view, scale }].map((each) => toImage(each, pane.size.peek(), at)) as [Point, Point];
  pane.fitted.value = false;
  change(pane, { scale, x: view.x + before[0] - after[0], y: view.y + before[1] - after[1] });
}

/** Moves the image along with the pointer, by CSS px. */
export function pan(pane: StackPane, dx: number, dy: number): void {
  const { width, height } = pane.size.peek();
  const view = pane.view.peek();
  const [x, y] = toImage(view, { width, height }, [width / 2 - dx, height / 2 - dy]);
  pane.fitted.value = false;
  change(pane, { x, y });
}

/** One pixel of the image on one pixel of the screen. */
export function oneToOne(pane: StackPane): void {
  pane.fitted.value = false;
  change(pane, { scale: 1 / devicePixelRatio });
}

/** A quarter turn clockwise as it is seen; under a mirror that is the other way of the image. */
export function turn(pane: StackPane): void {
  const { rotation, flip } = pane.view.peek();
  change(pane, { rotation: ((rotation + (flip ? 270 : 90)) % 360) as Rotation });
  if (pane.fitted.peek()) fit(pane);
}

/** Left to right as it is seen. */
export function mirror(pane: StackPane): void {
  change(pane, { flip: !pane.view.peek().flip });
}

export function reset(pane: StackPane): void {
  batch(() => {
    pane.fitted.value = true;
    change(pane, { rotation: 0, flip: false, invert: false });
    fileTone(pane);
    fit(pane);
  });
}
