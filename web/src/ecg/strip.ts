/**
 * A still stretch of ECG on true-scale paper: beats with their class, the finding's extent, gaps hatched and named.
 *
 * For tests the canvas carries data-px-per-second, data-fs-hz, data-boot, data-first-sample (at x = 0), data-sample-count,
 * data-baselines (px per lead, JSON) and data-px-per-lsb.
 */

import { drawPaper, drawWords, fit, hatching, leadName, paletteOf, pxPerLsb, pxPerSecond } from './paper';
import type { Palette, Scale } from './paper';
import type { SampleWindow } from './samples';
import { MISSING } from './ring';

const BEATS_PX = 22; // band above the leads: class letters
const TIME_PX = 18; // band below: clock time
const LINE_PX = 1.5;

export type Beat = readonly [sample: number, label: string];

export interface StripView {
  window: SampleWindow;
  scale: Scale;
  beats: readonly Beat[];
  chosen_beat: number | null;
  /** Extent of the finding, in samples. */
  extent: readonly [number, number] | null;
  no_data: string;
  /** Clock time of a sample, in the reader's zone. */
  clock: (sample: number) => string;
}

interface Frame {
  pen: CanvasRenderingContext2D;
  palette: Palette;
  width: number;
  height: number;
  row: number;
  view: StripView;
}

/** How many samples fit on a strip of this width. */
export function samplesAcross(width_px: number, scale: Scale, fs_hz: number): number {
  return Math.max(1, Math.floor((width_px / pxPerSecond(scale)) * fs_hz));
}

export function baseline(lead: number, leads: number, height: number): number {
  return BEATS_PX + ((height - BEATS_PX - TIME_PX) / leads) * (lead + 0.5);
}

export function xOf(sample: number, view: StripView): number {
  return ((sample - view.window.first_sample) / view.window.fs_hz) * pxPerSecond(view.scale);
}

export function sampleAt(x: number, view: StripView): number {
  const sample = view.window.first_sample + (x / pxPerSecond(view.scale)) * view.window.fs_hz;
  const last = view.window.first_sample + view.window.count - 1;
  return Math.min(Math.max(Math.round(sample), view.window.first_sample), last);
}

export function drawStrip(canvas: HTMLCanvasElement, view: StripView): void {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (width === 0 || height === 0) return;
  const leads = view.window.leads.length;
  const palette = paletteOf(canvas);
  const frame: Frame = {
    pen: fit(canvas, width, height),
    palette,
    width,
    height,
    row: (height - BEATS_PX - TIME_PX) / leads,
    view,
  };
  drawPaper(frame.pen, width, height, view.scale, palette);
  drawExtent(frame);
  drawTimes(frame);
  for (let lead = 0; lead < leads; lead++) drawLead(frame, lead);
  drawBeats(frame);
  describe(canvas, view, height);
}

function drawExtent({ pen, palette, height, view }: Frame): void {
  if (view.extent === null) return;
  const [from, to] = view.extent;
  const left = xOf(from, view);
  pen.fillStyle = palette.mark;
  pen.globalAlpha = 0.14;
  pen.fillRect(left, BEATS_PX, Math.max(2, xOf(to, view) - left), height - BEATS_PX - TIME_PX);
  pen.globalAlpha = 1;
}

function drawTimes({ pen, palette, width, height, view }: Frame): void {
  const { first_sample, fs_hz, count } = view.window;
  const second_px = pxPerSecond(view.scale);
  const every = [1, 2, 5, 10, 30, 60].find((seconds) => seconds * second_px >= 80) ?? 120;
  pen.fillStyle = palette.paper;
  pen.fillRect(0, height - TIME_PX, width, TIME_PX);
  pen.font = '11px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  const first = Math.ceil(first_sample / fs_hz);
  for (let second = first; second * fs_hz < first_sample + count; second++) {
    const x = xOf(second * fs_hz, view);
    pen.fillStyle = palette.text;
    pen.fillRect(x, height - TIME_PX, 1, second % every === 0 ? 5 : 3);
    if (second % every === 0 && x < width - 56) pen.fillText(view.clock(second * fs_hz), x + 3, height - TIME_PX / 2 + 1);
  }
}

function drawLead(frame: Frame, lead: number): void {
  const { pen, palette, view, height } = frame;
  const row = view.window.rows[lead]!;
  const middle = baseline(lead, view.window.leads.length, height);
  const gain = pxPerLsb(view.scale, view.window.uv_per_lsb);
  const per_px = view.window.fs_hz / pxPerSecond(view.scale);
  pen.strokeStyle = palette.trace;
  pen.lineWidth = LINE_PX;
  pen.lineJoin = pen.lineCap = 'round';
  pen.beginPath();
  if (per_px > 3) spans(pen, row, per_px, middle, gain);
  else polyline(pen, row, per_px, middle, gain);
  pen.stroke();
  for (const [from, to] of runsMissing(row)) hatchGap(frame, lead, from, to);
  drawWords(pen, leadName(view.window.leads[lead]!), 6, middle - frame.row / 2 + 12, palette, 13);
}

function polyline(pen: CanvasRenderingContext2D, row: Int16Array, per_px: number, middle: number, gain: number): void {
  let down = false;
  for (let index = 0; index < row.length; index++) {
    const value = row[index]!;
    if (value === MISSING) down = false;
    else if (down) pen.lineTo(index / per_px, middle - value * gain);
    else {
      pen.moveTo(index / per_px, middle - value * gain);
      down = true;
    }
  }
}

/** Zoomed out: one line per pixel from lowest to highest, so no peak is lost between pixels. */
function spans(pen: CanvasRenderingContext2D, row: Int16Array, per_px: number, middle: number, gain: number): void {
  let down = false;
  for (let x = 0; x * per_px < row.length; x++) {
    let [low, high] = [Infinity, -Infinity];
    const to = Math.min(row.length, Math.ceil((x + 1) * per_px));
    for (let index = Math.floor(x * per_px); index < to; index++) {
      const value = row[index]!;
      if (value === MISSING) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    if (high < low) {
      down = false;
      continue;
    }
    if (!down) pen.moveTo(x, middle - high * gain);
    pen.lineTo(x, middle - high * gain);
    pen.lineTo(x, middle - low * gain);
    down = true;
  }
}

export function runsMissing(row: Int16Array): [number, number][] {
  const runs: [number, number][] = [];
  let from = -1;
  for (let index = 0; index <= row.length; index++) {
    const missing = index < row.length && row[index] === MISSING;
    if (missing && from < 0) from = index;
    if (!missing && from >= 0) {
      runs.push([from, index]);
      from = -1;
    }
  }
  return runs;
}

function hatchGap({ pen, palette, row, view, height }: Frame, lead: number, from: number, to: number): void {
  const per_px = view.window.fs_hz / pxPerSecond(view.scale);
  const [left, width] = [from / per_px, Math.max(1, (to - from) / per_px)];
  const middle = baseline(lead, view.window.leads.length, height);
  pen.fillStyle = hatching(pen, palette);
  pen.fillRect(left, middle - row / 2, width, row);
  if (width > view.no_data.length * 14 + 12) drawWords(pen, view.no_data, left + 6, middle, palette);
}

function drawBeats({ pen, palette, width, view }: Frame): void {
  pen.textBaseline = 'alphabetic';
  pen.textAlign = 'center';
  for (const [sample, label] of view.beats) {
    const x = xOf(sample, view);
    if (x < 0 || x > width) continue;
    const chosen = sample === view.chosen_beat;
    const ordinary = label === 'N';
    pen.fillStyle = chosen ? palette.mark : palette.text;
    pen.font = `${ordinary && !chosen ? '11px' : 'bold 14px'} system-ui, sans-serif`;
    pen.fillText(label, x, 13);
    pen.fillRect(x - (chosen ? 1.5 : 0.5), 15, chosen ? 3 : 1, ordinary ? 4 : 7);
  }
  pen.textAlign = 'start';
}

function describe(canvas: HTMLCanvasElement, view: StripView, height: number): void {
  const { window } = view;
  const data = canvas.dataset;
  data.pxPerSecond = String(pxPerSecond(view.scale));
  data.pxPerLsb = String(pxPerLsb(view.scale, window.uv_per_lsb));
  data.fsHz = String(window.fs_hz);
  data.boot = String(window.boot);
  data.firstSample = String(window.first_sample);
  data.sampleCount = String(window.count);
  data.baselines = JSON.stringify(window.leads.map((_, lead) => baseline(lead, window.leads.length, height)));
}
