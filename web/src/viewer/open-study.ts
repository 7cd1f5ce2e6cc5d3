// A study that is open: its manifest, asked for again while images are still coming, and the panes that show it.
import { batch, computed, signal } from '@preact/signals';
import { ApiError } from '../core/api';
import { onChange } from '../core/changes';
import { Codec } from './codec';
import { fetchManifest, firstSeries, slicesOf } from './manifest';
import { Panes, type StackPane } from './panes';
import { keyOf } from './stored-frame';
import type { Manifest, Series } from './types';

const AGAIN_MS = 5000; // while the hub is still preparing images

export class OpenStudy {
  readonly manifest = signal<Manifest | null>(null);
  readonly error = signal<ApiError | null>(null);
  /** Other studies that were opened beside it. */
  readonly beside = signal<readonly Manifest[]>([]);
  readonly panes: Panes;
  readonly waiting = computed(() => this.manifest.value?.series.some(({ instances }) => instances.some(({ state }) => state === 'waiting')) ?? false);
  #abort = new AbortController();
  #again = 0;
  #forget: (() => void) | null = null;

  /** Asks at once: its words and its frame may come meanwhile. */
  constructor(readonly id: string, readonly codec = new Codec()) {
    this.panes = new Panes(codec);
    void this.reload();
  }

  /** From when it is drawn on: what changes at the hub is asked for. */
  listen(): void {
    this.#forget ??= onChange(['uploads', 'images'], () => { if (this.waiting.peek() || this.manifest.peek()?.study.is_open) this.#soon(0); });
  }

  close(): void {
    this.#abort.abort();
    this.#forget?.();
    clearTimeout(this.#again);
    this.panes.close();
  }

  readonly reload = async (): Promise<void> => {
    try {
      const found = await fetchManifest(this.id, this.#abort.signal);
      batch(() => {
        this.error.value = null;
        this.#put(found);
      });
    } catch (cause) {
      if (this.#abort.signal.aborted) return;
      if (!(cause instanceof ApiError)) throw cause;
      this.error.value = cause;
    }
    if (this.waiting.peek()) this.#soon(AGAIN_MS);
  };

  #soon(pause_ms: number): void {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => { void this.reload(); }, pause_ms);
  }

  /** Another study beside: its series stand in the strip under it, its first one in the pane. */
  async openBeside(study_id: string, choose: (manifest: Manifest) => Series | null = firstSeries): Promise<void> {
    const found = this.beside.peek().find(({ study }) => study.id === study_id) ?? (await fetchManifest(study_id, this.#abort.signal));
    const series = choose(found);
    batch(() => {
      if (!this.beside.peek().includes(found)) this.beside.value = [...this.beside.peek(), found];
      if (this.panes.layout.peek() === '1x1') this.panes.setLayout('1x2');
      const pane = this.#besidePane();
      if (series && pane) this.panes.show(pane, found.study, series, placeLike(this.panes.active.peek(), series));
    });
  }

  /** An empty one, else one of another study already, else any that is not being looked at: today's is the last to go. */
  #besidePane(): StackPane | undefined {
    const open = this.panes.open.peek();
    return open.find(({ series }) => series.peek() === null) ?? open.find(({ study }) => study.peek()?.id !== this.id)
      ?? open.find((each) => each !== this.panes.active.peek());
  }

  #put(found: Manifest): void {
    const first = this.manifest.peek() === null;
    this.manifest.value = found;
    const before = this.panes.all.filter((pane) => pane.study.peek()?.id === found.study.id && pane.series.peek() !== null);
    for (const pane of before) renew(pane, found);
    const series = firstSeries(found);
    if (series && (first || before.length === 0)) this.panes.show(this.panes.active.peek(), found.study, series);
  }
}

/** As far along a series as a pane is along its own: both mostly hold the same part of the body. */
function placeLike(pane: StackPane, series: Series): number {
  const [count, others] = [slicesOf(pane.series.peek()).length, slicesOf(series).length];
  return count === 0 ? 0 : Math.floor(((pane.index.peek() + 0.5) / count) * others);
}

/** The same slice of the same series as it is told now; more may have come before it. Before anything is seen it stays the first place. */
function renew(pane: StackPane, { study, series }: Manifest): void {
  const now = series.find(({ id }) => id === pane.series.peek()!.id);
  if (!now) return;
  const here = slicesOf(pane.series.peek())[pane.index.peek()];
  const index = here && pane.picture.peek() !== null ? slicesOf(now).findIndex((slice) => keyOf(slice) === keyOf(here)) : pane.index.peek();
  pane.study.value = study;
  pane.series.value = now;
  pane.index.value = Math.max(0, index);
}
