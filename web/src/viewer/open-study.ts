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
const PAUSE_MS = 3000; // a folder of images is three changes a file, for every desk of a district

export class OpenStudy {
  readonly manifest = signal<Manifest | null>(null);
  readonly error = signal<ApiError | null>(null);
  /** Other studies that were opened beside it. */
  readonly beside = signal<readonly Manifest[]>([]);
  readonly panes: Panes;
  readonly waiting = computed(() => this.manifest.value?.series.some(({ instances }) => instances.some(({ state }) => state === 'waiting')) ?? false);
  #abort = new AbortController();
  #again = 0;
  #round = 0;
  #asking = false;
  #changed = false; // while it was on its way
  #begun_ms = -PAUSE_MS;
  #besides = new Set<string>(); // that are wanted, though they may not have come yet
  #widened = false; // for what lies beside
  #came!: () => void;
  readonly #own = new Promise<void>((resolve) => { this.#came = resolve; });
  #forget: (() => void) | null = null;

  /** Asks at once: its words and its frame may come meanwhile. */
  constructor(readonly id: string, readonly codec = new Codec()) {
    this.panes = new Panes(codec);
    void this.reload();
  }

  /** From when it is drawn on: what changes at the hub is asked for. */
  listen(): void {
    this.#forget ??= onChange(['uploads', 'images'], () => { if (this.waiting.peek() || this.manifest.peek()?.study.is_open) this.#soon(PAUSE_MS); });
  }

  get isClosed(): boolean {
    return this.#abort.signal.aborted;
  }

  close(): void {
    this.#abort.abort();
    this.#forget?.();
    clearTimeout(this.#again);
    this.panes.close();
  }

  readonly reload = async (): Promise<void> => {
    const round = ++this.#round;
    clearTimeout(this.#again);
    [this.#asking, this.#changed, this.#begun_ms] = [true, false, performance.now()];
    try {
      const found = await fetchManifest(this.id, this.#abort.signal);
      if (round === this.#round) this.#told(found);
    } catch (cause) {
      if (this.isClosed) return;
      if (!(cause instanceof ApiError)) throw cause;
      if (round === this.#round) this.error.value = cause;
    }
    if (this.isClosed || round !== this.#round) return; // asked once more meanwhile: the newer answer is it
    this.#asking = false;
    if (this.#changed) this.#soon(PAUSE_MS);
    else if (this.waiting.peek()) this.#soon(AGAIN_MS);
  };

  #told(found: Manifest): void {
    batch(() => {
      this.error.value = null;
      this.#put(found);
    });
    this.#came();
  }

  /** So long after it was last asked for; never into an answer that is on its way. */
  #soon(pause_ms: number): void {
    if (this.#asking) { this.#changed = true; return; }
    clearTimeout(this.#again);
    this.#again = setTimeout(() => { void this.reload(); }, Math.max(0, this.#begun_ms + pause_ms - performance.now()));
  }

  /** Another study beside: its series stand in the strip under it, its first one in the pane. Today's comes first. */
  async openBeside(study_id: string, choose: (manifest: Manifest) => Series | null = firstSeries): Promise<void> {
    this.#besides.add(study_id);
    try {
      await this.#own;
      if (!this.#besides.has(study_id)) return;
      const found = this.beside.peek().find(({ study }) => study.id === study_id) ?? (await fetchManifest(study_id, this.#abort.signal));
      if (this.#besides.has(study_id)) this.#layBeside(found, choose(found));
    } catch (cause) {
      if (!this.isClosed && this.#besides.has(study_id)) throw cause;
    }
  }

  #layBeside(found: Manifest, series: Series | null): void {
    batch(() => {
      if (!this.beside.peek().some(({ study }) => study.id === found.study.id)) this.beside.value = [...this.beside.peek(), found];
      if (this.panes.layout.peek() === '1x1') { this.panes.setLayout('1x2'); this.#widened = true; }
      const pane = this.#besidePane();
      if (series && pane) this.panes.show(pane, found.study, series, placeLike(this.panes.active.peek(), series));
    });
  }

  /** Takes it away again, and the pane that was opened for it; what is still on its way does not come. */
  closeBeside(study_id: string): void {
    batch(() => {
      this.#besides.delete(study_id);
      this.beside.value = this.beside.peek().filter(({ study }) => study.id !== study_id);
      for (const pane of this.panes.all) if (pane.study.peek()?.id === study_id) this.panes.clear(pane);
      if (this.#widened && this.panes.layout.peek() === '1x2' && this.panes.all[1]!.series.peek() === null) this.panes.setLayout('1x1');
      this.#widened &&= this.panes.layout.peek() === '1x2';
      if (this.manifest.peek()) this.#put(this.manifest.peek()!);
    });
  }

  /** An empty one, else one of another study already, else any that is not being looked at: today's is the last to go. */
  #besidePane(): StackPane | undefined {
    const open = this.panes.open.peek();
    return open.find(({ series }) => series.peek() === null) ?? open.find(({ study }) => study.peek()?.id !== this.id)
      ?? open.find((each) => each !== this.panes.active.peek());
  }

  #put(found: Manifest): void {
    this.manifest.value = found;
    const before = this.panes.all.filter((pane) => pane.study.peek()?.id === found.study.id && pane.series.peek() !== null);
    for (const pane of before) renew(pane, found);
    const [series, pane] = [firstSeries(found), this.panes.active.peek()];
    if (series && before.length === 0 && pane.series.peek() === null) this.panes.show(pane, found.study, series);
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
