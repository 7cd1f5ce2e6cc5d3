// Paging through a stack by itself, at the rate the file tells or the reader sets.
import { signal } from '@preact/signals';
import { slicesOf } from './manifest';
import type { Panes, StackPane } from './panes';

export const SLOWEST_HZ = 5;
export const FASTEST_HZ = 60;
const USUAL_HZ = 15;

export class Cine {
  readonly playing = signal<StackPane | null>(null);
  readonly rate_hz = signal(USUAL_HZ);
  #frame = 0;
  #due_ms = 0;

  constructor(readonly panes: Panes) {}

  toggle(pane: StackPane): void {
    if (this.playing.peek() === pane) this.stop();
    else this.start(pane);
  }

  start(pane: StackPane): void {
    this.stop();
    if (slicesOf(pane.series.peek()).length < 2) return;
    const told_ms = pane.shown.peek()?.pixels.frame_time_ms;
    if (told_ms) this.rate_hz.value = Math.min(FASTEST_HZ, Math.max(SLOWEST_HZ, Math.round(1000 / told_ms)));
    this.playing.value = pane;
    this.#due_ms = performance.now();
    this.#frame = requestAnimationFrame(this.#step);
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    this.playing.value = null;
  }

  /** Late pictures of the screen skip slices rather than slow the heart that is seen. */
  readonly #step = (at_ms: number): void => {
    const pane = this.playing.peek();
    if (pane === null) return;
    const every_ms = 1000 / this.rate_hz.peek();
    const steps = Math.floor((at_ms - this.#due_ms) / every_ms);
    if (steps > 0) {
      this.#due_ms += steps * every_ms;
      this.panes.scroll(pane, steps, true);
    }
    this.#frame = requestAnimationFrame(this.#step);
  };
}
