// One recording as one line of samples: the boots of the device laid end to end, each with its own clock.
import type { Stretch } from './types';

export class Line {
  private readonly anchors_ms: number[];

  constructor(readonly fs_hz: number, readonly stretches: readonly Stretch[]) {
    this.anchors_ms = stretches.map((stretch) => Date.parse(stretch.anchor_at));
  }

  get length(): number {
    const last = this.stretches.at(-1);
    return last ? last.offset + last.count : 0;
  }

  private numberOf(index: number): number {
    let found = 0;
    this.stretches.forEach((stretch, number) => { if (stretch.offset <= index) found = number; });
    return found;
  }

  stretchOf(index: number): Stretch {
    return this.stretches[this.numberOf(index)]!;
  }

  instant_ms(index: number): number {
    const number = this.numberOf(index);
    return this.anchors_ms[number]! + ((index - this.stretches[number]!.offset) / this.fs_hz) * 1000;
  }

  index(boot: number, sample: number): number {
    return (this.stretches.find((stretch) => stretch.boot === boot)?.offset ?? 0) + sample;
  }

  /** The sample taken at an instant; between two boots the first of the later one. */
  indexAt(at_ms: number): number {
    let best = 0;
    this.stretches.forEach((stretch, number) => {
      const sample = Math.round(((at_ms - this.anchors_ms[number]!) / 1000) * this.fs_hz);
      if (sample >= 0 || number === 0) best = stretch.offset + Math.min(Math.max(0, sample), stretch.count - 1);
      else if (best >= this.stretches[number - 1]!.offset + this.stretches[number - 1]!.count - 1) best = stretch.offset;
    });
    return best;
  }

  /** A left edge from which a window of `count` samples shows signal: never past a boot's end, never in a break. */
  settle(index: number, count: number, forward: boolean): number {
    const wanted = Math.min(Math.max(0, index), Math.max(0, this.length - 1));
    const stretch = this.stretchOf(wanted);
    const last = stretch.offset + Math.max(0, stretch.count - count);
    if (wanted <= last) return wanted;
    const next = this.stretches.find((other) => other.offset > stretch.offset);
    const pastEnd = wanted >= stretch.offset + stretch.count || (forward && next !== undefined && wanted > last + count / 2);
    return pastEnd && forward && next ? next.offset : last;
  }
}
