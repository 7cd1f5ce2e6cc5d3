// Linked panes of the page: the active one leads, those of a parallel stack follow, with its window if they come from the same machine.
import { batch, computed, effect, signal, type ReadonlySignal } from '@preact/signals';
import { slicesOf } from '../manifest';
import { keyOf } from '../stored-frame';
import { change, type Panes, type StackPane } from '../panes';
import type { Series } from '../types';
import { planeOf, type Plane } from './geometry';
import { follow, type Stack, type Way } from './link';

const stacks = new WeakMap<Series, (Plane | null)[]>();

function planesOf(series: Series): (Plane | null)[] {
  let planes = stacks.get(series);
  if (!planes) stacks.set(series, (planes = slicesOf(series).map(({ instance, frame }) => instance.pixels && planeOf(instance.pixels, frame))));
  return planes;
}

/** The slice that is shown. */
function sliceOf(pane: StackPane) {
  return slicesOf(pane.series.peek())[pane.index.peek()];
}

/** What the values of the slice are in; '' where the object doesn't say. */
function unitOf(pane: StackPane): string {
  return sliceOf(pane)?.instance.pixels?.modality.unit ?? '';
}

function stackOf(pane: StackPane): Stack | null {
  const series = pane.series.peek();
  return series && { planes: planesOf(series), index: pane.index.peek() };
}

export class Linking {
  readonly on = signal(false);
  /** How each pane that follows does so, by its number. */
  readonly ways: ReadonlySignal<ReadonlyMap<number, Way>>;
  #ways = signal<ReadonlyMap<number, Way>>(new Map());
  /** The slices that belong together; a series that is put into a pane joins where it is. */
  #anchors = new Map<StackPane, { series: string; slice: string | null }>();
  #by_place = true;
  #last: { pane: StackPane; index: number; window: unknown } | null = null;
  readonly close: () => void;

  constructor(readonly panes: Panes) {
    this.ways = computed(() => this.#ways.value);
    this.close = effect(() => this.#lead());
  }

  /** `by_place`: as the patient lay, where that is known; else from the slices that are shown now. */
  link(by_place: boolean): void {
    this.#by_place = by_place;
    this.#anchors.clear();
    this.#last = null;
    for (const pane of this.panes.open.peek()) this.#anchorOf(pane);
    this.on.value = true;
    if (by_place) this.#move(this.panes.active.peek());
  }

  toggle(): void {
    if (this.on.peek()) { this.on.value = false; this.#ways.value = new Map(); }
    else this.link(true);
  }

  #anchorOf(pane: StackPane): number {
    const series = pane.series.peek()?.id ?? '';
    const known = this.#anchors.get(pane);
    const place = known?.series === series ? slicesOf(pane.series.peek()).findIndex((slice) => keyOf(slice) === known.slice) : -1;
    if (place >= 0) return place; // by its name: more slices may have come before it
    const slice = sliceOf(pane);
    this.#anchors.set(pane, { series, slice: slice ? keyOf(slice) : null });
    return pane.index.peek();
  }

  /** Only a move of the pane that was active before moves the others: choosing a pane doesn't. */
  #lead(): void {
    const pane = this.panes.active.value;
    const [index, window, series] = [pane.index.value, pane.view.value.window, pane.series.value];
    const before = this.#last;
    this.#last = { pane, index, window };
    if (!this.on.value || before?.pane !== pane || series === null) return;
    if (before.index !== index) this.#move(pane);
    if (before.window !== window) this.#tone(pane);
  }

  #others(pane: StackPane): StackPane[] {
    return this.panes.open.peek().filter((each) => each !== pane && each.series.peek() !== null);
  }

  #move(pane: StackPane): void {
    const led = stackOf(pane);
    if (!led) return;
    batch(() => {
      const ways = new Map<number, Way>();
      for (const other of this.#others(pane)) {
        const { index, way } = follow(led, stackOf(other)!, { led: this.#anchorOf(pane), other: this.#anchorOf(other) }, this.#by_place);
        other.index.value = index;
        ways.set(other.id, way);
      }
      this.#ways.value = ways;
    });
  }

  #tone(pane: StackPane): void {
    const unit = unitOf(pane);
    if (pane.windowOfFile.peek() || unit === '') return; // the numbers of MR and of projections mean something else in each series
    for (const other of this.#others(pane)) {
      if (other.series.peek()!.modality !== pane.series.peek()!.modality || unitOf(other) !== unit) continue;
      batch(() => {
        other.windowOfFile.value = false;
        other.voi.value = pane.voi.peek();
        change(other, { window: pane.view.peek().window });
      });
    }
  }
}
