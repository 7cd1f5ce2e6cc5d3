/**
 * Live trace as a bedside monitor draws it: the pen sweeps left to right over still paper, an erase bar runs ahead.
 *
 * Each frame draws only the samples that are new. x depends on the sample index alone, so late or jumped stretches
 * land where they belong. For tests the trace canvas carries: data-px-per-second, data-fs-hz, data-boot,
 * data-sweep-samples (samples per pass), data-pass-first-sample (sample at x = 0 of the running pass; right of the
 * erase bar it is that minus data-sweep-samples), data-head-sample (one past the newest drawn), data-erase-from and
 * data-erase-to (px), data-baselines (px per lead, JSON), data-px-per-lsb.
 */

import { drawPaper, drawWords, fit, hatching, leadName, paletteOf, pxPerLsb, pxPerSecond } from './paper';
import type { Palette, Scale } from './paper';
import { Playout } from './playout';
import { MISSING, Ring } from './ring';

const KEPT_S = 60; // longer than the widest screen at 25 mm/s
const ERASE_S = 0.4;
const BEATS_PX = 12; // band above the leads for beat marks
const LINE_PX = 1.5;

export interface SweepSignal {
  boot: number;
  fs_hz: number;
  leads: string[];
}

export interface SweepWords {
  no_data: string;
  /** Samples the hub has but this page did not show: the line was slow or away. */
  skipped: string;
}

export interface SweepCanvases {
  paper: HTMLCanvasElement;
  trace: HTMLCanvasElement;
}

export class Sweep {
  private readonly ring: Ring;
  private readonly playout: Playout;
  private readonly gap_from: (number | null)[];
  private pen!: CanvasRenderingContext2D;
  private palette!: Palette;
  private hatch!: CanvasPattern;
  private width = 0;
  private height = 0;
  private uv_per_lsb = 1;
  private origin: number | null = null;
  private drawn = 0; // one past the newest sample on the screen
  private pass_samples = 1;
  private erase_samples = 1;
  private beats: number[] = [];
  private skipped: (readonly [number, number])[] = [];
  private frame_id = 0;

  constructor(
    private readonly canvases: SweepCanvases,
    private readonly signal: SweepSignal,
    private scale: Scale,
    private words: SweepWords,
  ) {
    this.ring = new Ring(signal.leads.length, KEPT_S * signal.fs_hz);
    this.playout = new Playout(signal.fs_hz);
    this.gap_from = signal.leads.map(() => null);
    this.resize(scale, words);
  }

  get newest(): number {
    return this.ring.end;
  }

  push(now_ms: number, first: number, count: number, uv_per_lsb: number, leadMajor: Int16Array): void {
    this.uv_per_lsb = uv_per_lsb;
    const newer = first + count > this.ring.end;
    this.ring.write(first, count, leadMajor);
    if (newer) this.playout.arrived(now_ms, first, count); // a late packet says nothing about the next one
    if (this.origin === null) {
      this.origin = first;
      this.drawn = first;
      this.describe();
    }
  }

  mark(beats: number[]): void {
    this.beats.push(...beats.filter((beat) => !this.beats.includes(beat)));
    if (this.beats.length > 400) this.beats = this.beats.slice(-200);
    for (const beat of beats) if (beat < this.drawn) this.tick(beat);
  }

  /** These samples will not come: the hub went on to the newest ones. */
  skip(from: number, to: number): void {
    this.skipped = [...this.skipped.slice(-20), [from, to]];
  }

  /** New size, scale, theme or language: paper and the last pass are drawn afresh. */
  resize(scale: Scale, words: SweepWords): void {
    this.scale = scale;
    this.words = words;
    const { paper, trace } = this.canvases;
    this.width = trace.clientWidth;
    this.height = trace.clientHeight;
    if (this.width === 0 || this.height === 0) return;
    this.palette = paletteOf(trace);
    this.pen = fit(trace, this.width, this.height);
    this.hatch = hatching(this.pen, this.palette);
    this.pass_samples = Math.max(1, Math.floor((this.width / pxPerSecond(scale)) * this.signal.fs_hz));
    this.erase_samples = Math.round(ERASE_S * this.signal.fs_hz);
    this.drawPaper(paper);
    this.pen.clearRect(0, 0, this.width, this.height);
    const head = this.drawn;
    if (this.origin !== null) this.drawn = Math.max(this.origin, head - this.pass_samples + this.erase_samples);
    this.advance(head);
    this.describe();
  }

  start(): void {
    const step = (now_ms: number): void => {
      this.advance(Math.floor(this.playout.head(now_ms, this.ring.end)));
      this.frame_id = requestAnimationFrame(step);
    };
    this.frame_id = requestAnimationFrame(step);
  }

  stop(): void {
    cancelAnimationFrame(this.frame_id);
  }

  private advance(head: number): void {
    if (this.origin === null || head <= this.drawn || this.width === 0) return;
    let from = Math.max(this.drawn, head - this.pass_samples + this.erase_samples);
    while (from < head) {
      const pass_end = from - this.offset(from) + this.pass_samples;
      const to = Math.min(head, pass_end);
      this.erase(from, to);
      for (let lead = 0; lead < this.signal.leads.length; lead++) this.trace(lead, from, to);
      for (const beat of this.beats) if (beat >= from && beat < to) this.tick(beat);
      this.drawn = to;
      from = to;
    }
    this.describeHead();
  }

  private offset(sample: number): number {
    return (sample - (this.origin ?? 0)) % this.pass_samples;
  }

  private x(offset: number): number {
    return (offset / this.signal.fs_hz) * pxPerSecond(this.scale);
  }

  private baseline(lead: number): number {
    const row = (this.height - BEATS_PX) / this.signal.leads.length;
    return BEATS_PX + row * (lead + 0.5);
  }

  /** Clears what the bar newly covers; at the right edge it goes on at the left. */
  private erase(from: number, to: number): void {
    const bar = this.erase_samples;
    const start = this.offset(from);
    const left = this.x(start) + LINE_PX;
    const right = this.x(start + (to - from) + bar);
    this.pen.clearRect(start === 0 ? 0 : left, 0, right - left + LINE_PX, this.height);
    const over = start + (to - from) + bar - this.pass_samples;
    if (over > 0) this.pen.clearRect(0, 0, this.x(over), this.height);
  }

  private trace(lead: number, from: number, to: number): void {
    const { pen, ring } = this;
    const gain = pxPerLsb(this.scale, this.uv_per_lsb);
    const middle = this.baseline(lead);
    const base = this.offset(from);
    if (base === 0) this.gap_from[lead] = null;
    pen.strokeStyle = this.palette.trace;
    pen.lineWidth = LINE_PX;
    pen.lineJoin = pen.lineCap = 'round';
    pen.beginPath();
    let down = false;
    for (let sample = base === 0 ? from : from - 1; sample < to; sample++) {
      const value = ring.at(lead, sample);
      if (value === MISSING) {
        down = false;
        if (sample >= from) this.gap_from[lead] ??= sample;
        continue;
      }
      if (sample >= from) this.closeGap(lead, from, sample);
      const [x, y] = [this.x(base + sample - from), middle - value * gain];
      if (down) pen.lineTo(x, y);
      else pen.moveTo(x, y);
      down = true;
    }
    pen.stroke();
    this.hatchGap(lead, from, to);
  }

  private closeGap(lead: number, from: number, sample: number): void {
    if (this.gap_from[lead] === null) return;
    this.hatchGap(lead, from, sample);
    this.gap_from[lead] = null;
  }

  /** Hatch the part of the open gap that lies in [from, to); name the gap as soon as the words fit. */
  private hatchGap(lead: number, from: number, to: number): void {
    const gap = this.gap_from[lead];
    if (gap === null || gap === undefined) return;
    const row = (this.height - BEATS_PX) / this.signal.leads.length;
    const top = this.baseline(lead) - row / 2;
    const start = Math.max(gap, from);
    const base = this.offset(from);
    const left = this.x(base + start - from);
    const right = this.x(base + to - from);
    this.pen.fillStyle = this.hatch;
    this.pen.fillRect(left, top, right - left, row);
    const gap_left = this.x(this.offset(gap));
    const skipped = this.skipped.some(([skip_from, skip_to]) => gap >= skip_from && gap < skip_to);
    const words = skipped ? this.words.skipped : this.words.no_data;
    const needed = words.length * 14 + 12;
    if (right - gap_left >= needed && this.x(base) - gap_left < needed)
      drawWords(this.pen, words, gap_left + 6, this.baseline(lead), this.palette);
  }

  private tick(beat: number): void {
    if (this.origin === null || beat < this.origin || beat < this.drawn - this.pass_samples + this.erase_samples) return;
    this.pen.fillStyle = this.palette.mark;
    this.pen.fillRect(this.x(this.offset(beat)) - 0.75, 2, 1.5, BEATS_PX - 5);
  }

  private drawPaper(paper: HTMLCanvasElement): void {
    const context = fit(paper, this.width, this.height);
    drawPaper(context, this.width, this.height, this.scale, this.palette);
    this.signal.leads.forEach((lead, index) => {
      const row = (this.height - BEATS_PX) / this.signal.leads.length;
      drawWords(context, leadName(lead), 6, this.baseline(index) - row / 2 + 12, this.palette, 13);
    });
  }

  private describe(): void {
    const data = this.canvases.trace.dataset;
    data.pxPerSecond = String(pxPerSecond(this.scale));
    data.pxPerLsb = String(pxPerLsb(this.scale, this.uv_per_lsb));
    data.fsHz = String(this.signal.fs_hz);
    data.boot = String(this.signal.boot);
    data.sweepSamples = String(this.pass_samples);
    data.baselines = JSON.stringify(this.signal.leads.map((_, lead) => this.baseline(lead)));
    this.describeHead();
  }

  private describeHead(): void {
    const data = this.canvases.trace.dataset;
    const offset = this.offset(this.drawn);
    data.headSample = String(this.drawn);
    data.passFirstSample = String(this.drawn - offset);
    data.eraseFrom = this.x(offset).toFixed(1);
    data.eraseTo = this.x(offset + this.erase_samples).toFixed(1);
  }
}
