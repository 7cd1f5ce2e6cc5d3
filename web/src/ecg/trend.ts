/**
 * Heart rate over the whole record: per-minute lowest, mean and highest rate, gaps shaded, findings as ticks, a cursor.
 *
 * For tests the canvas carries data-from-ms, data-to-ms and data-plot-left / data-plot-right (px).
 */

import { ticks } from './axis';
import { fit, hatching, paletteOf } from './paper';
import type { Palette } from './paper';

export interface TrendPoint {
  at_ms: number;
  low_bpm: number;
  mean_bpm: number;
  high_bpm: number;
}

export interface TrendTick {
  at_ms: number;
  priority: 'high' | 'medium' | 'low' | null;
}

export interface TrendView {
  from_ms: number;
  to_ms: number;
  points: readonly TrendPoint[];
  gaps: readonly (readonly [number, number])[];
  ticks: readonly TrendTick[];
  cursor_ms: number | null;
  clock: (at_ms: number) => string;
}

const LEFT_PX = 34;
const RIGHT_PX = 8;
const TOP_PX = 32; // words of the cursor, then findings
const BOTTOM_PX = 20; // clock
const LOWEST_BPM = 30;
const JOIN_MS = 150_000; // points further apart are not joined: there was nothing between them
const BREAK_MS = 20_000; // a gap this long breaks the line
const LABEL_PX = 13; // a figure beside the axis and its distance from the next
const TICK_PX: Record<string, number> = { high: 12, medium: 9, low: 6 };

interface Plot {
  pen: CanvasRenderingContext2D;
  palette: Palette;
  width: number;
  height: number;
  top_bpm: number;
  view: TrendView;
}

export function drawTrend(canvas: HTMLCanvasElement, view: TrendView): void {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (width === 0 || height === 0) return;
  const highest = view.points.reduce((top, point) => Math.max(top, point.high_bpm), 120);
  const plot: Plot = {
    pen: fit(canvas, width, height),
    palette: paletteOf(canvas),
    width,
    height,
    top_bpm: Math.min(300, Math.ceil((highest + 5) / 30) * 30),
    view,
  };
  plot.pen.fillStyle = plot.palette.paper;
  plot.pen.fillRect(0, 0, width, height);
  drawAxes(plot);
  drawGaps(plot);
  drawRates(plot);
  drawTicks(plot);
  drawCursor(plot);
  Object.assign(canvas.dataset, {
    fromMs: String(view.from_ms),
    toMs: String(view.to_ms),
    plotLeft: String(LEFT_PX),
    plotRight: String(width - RIGHT_PX),
  });
}

/** The instant under a pointer. */
export function instantAt(x: number, width: number, view: TrendView): number {
  const share = (x - LEFT_PX) / Math.max(1, width - LEFT_PX - RIGHT_PX);
  return view.from_ms + Math.min(1, Math.max(0, share)) * (view.to_ms - view.from_ms);
}

export function nearest(at_ms: number, points: readonly TrendPoint[]): TrendPoint | null {
  let best: TrendPoint | null = null;
  for (const point of points)
    if (best === null || Math.abs(point.at_ms - at_ms) < Math.abs(best.at_ms - at_ms)) best = point;
  return best !== null && Math.abs(best.at_ms - at_ms) <= JOIN_MS ? best : null;
}

function x({ width, view }: Plot, at_ms: number): number {
  const span = Math.max(1, view.to_ms - view.from_ms);
  return LEFT_PX + ((at_ms - view.from_ms) / span) * (width - LEFT_PX - RIGHT_PX);
}

function y({ height, top_bpm }: Plot, bpm: number): number {
  const share = (bpm - LOWEST_BPM) / (top_bpm - LOWEST_BPM);
  return height - BOTTOM_PX - Math.min(1, Math.max(0, share)) * (height - TOP_PX - BOTTOM_PX);
}

function drawAxes(plot: Plot): void {
  const { pen, palette, width, height, view } = plot;
  pen.font = '11px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  pen.textAlign = 'right';
  const step_bpm = y(plot, LOWEST_BPM) - y(plot, LOWEST_BPM + 30) < LABEL_PX ? 60 : 30;
  for (let bpm = LOWEST_BPM; bpm <= plot.top_bpm; bpm += step_bpm) {
    pen.fillStyle = palette.fine;
    pen.fillRect(LEFT_PX, y(plot, bpm), width - LEFT_PX - RIGHT_PX, 1);
    pen.fillStyle = palette.text;
    pen.fillText(String(bpm), LEFT_PX - 5, y(plot, bpm));
  }
  pen.textAlign = 'center';
  for (const at of ticks(view.from_ms, view.to_ms, width - LEFT_PX, 60).at_ms) {
    pen.fillStyle = palette.fine;
    pen.fillRect(x(plot, at), TOP_PX, 1, height - TOP_PX - BOTTOM_PX);
    pen.fillStyle = palette.text;
    const place = Math.min(Math.max(x(plot, at), LEFT_PX + 10), width - 20);
    pen.fillText(view.clock(at), place, height - BOTTOM_PX / 2);
  }
  pen.textAlign = 'start';
}

function drawGaps(plot: Plot): void {
  const { pen, palette, height, view } = plot;
  pen.fillStyle = hatching(pen, palette);
  for (const [from, to] of view.gaps)
    pen.fillRect(x(plot, from), TOP_PX, Math.max(1, x(plot, to) - x(plot, from)), height - TOP_PX - BOTTOM_PX);
}

function drawRates(plot: Plot): void {
  const { pen, palette, view } = plot;
  pen.strokeStyle = palette.mark;
  pen.globalAlpha = 0.45;
  pen.lineWidth = 1;
  pen.beginPath();
  for (const point of view.points) {
    pen.moveTo(x(plot, point.at_ms), y(plot, point.low_bpm));
    pen.lineTo(x(plot, point.at_ms), y(plot, point.high_bpm));
  }
  pen.stroke();
  pen.globalAlpha = 1;
  pen.strokeStyle = palette.trace;
  pen.lineWidth = 1.5;
  pen.lineJoin = 'round';
  pen.beginPath();
  const breaks = view.gaps.filter(([from, to]) => to - from > BREAK_MS);
  let before: TrendPoint | null = null;
  for (const point of view.points) {
    const [px, py] = [x(plot, point.at_ms), y(plot, point.mean_bpm)];
    if (before !== null && joined(before.at_ms, point.at_ms, breaks)) pen.lineTo(px, py);
    else pen.moveTo(px, py);
    before = point;
  }
  pen.stroke();
}

function joined(from_ms: number, to_ms: number, breaks: TrendView['gaps']): boolean {
  return to_ms - from_ms <= JOIN_MS && !breaks.some(([from, to]) => from < to_ms && to > from_ms);
}

function drawTicks(plot: Plot): void {
  const { pen, palette, view } = plot;
  pen.fillStyle = palette.mark;
  for (const tick of view.ticks) {
    const tall = TICK_PX[tick.priority ?? 'low']!;
    pen.fillRect(x(plot, tick.at_ms) - 1, TOP_PX - 2 - tall, 2, tall);
  }
}

function drawCursor(plot: Plot): void {
  const { pen, palette, height, view } = plot;
  if (view.cursor_ms === null) return;
  pen.fillStyle = palette.text;
  pen.fillRect(x(plot, view.cursor_ms) - 0.75, TOP_PX, 1.5, height - TOP_PX - BOTTOM_PX);
}
