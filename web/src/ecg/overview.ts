/**
 * Any length of a recording at a glance: the TLO1 body of /api/recordings/{id}/overview, and how it is drawn.
 *
 * For tests the canvas carries data-from-ms, data-to-ms, data-plot-left / data-plot-right (px) and data-ready.
 */

import { ticks } from './axis';
import { drawWords, fit, hatching, leadName, paletteOf } from './paper';
import type { Palette } from './paper';

export interface Overview {
  from_ms: number;
  to_ms: number;
  newest_ms: number;
  columns: number;
  leads: string[];
  uv_per_lsb: number;
  /** Per lead the least and the greatest sample of each column, by turns; least above greatest: no sample. */
  rows: Int16Array[];
  /** Per column how much is not stored: 0 nothing, 255 all. */
  missing: Uint8Array;
  /** Per lead what its lane shows, in steps of the recorder. */
  ranges: (readonly [number, number])[];
}

export interface OverviewView {
  from_ms: number;
  to_ms: number;
  data: Overview;
  /** What the strip shows now. */
  window_ms: readonly [number, number];
  cursor_ms: number | null;
  clock: (at_ms: number, seconds: boolean) => string;
}

const MAGIC = 0x314f4c54; // 'TLO1' little endian
const LEFT_PX = 34;
const RIGHT_PX = 8;
const TOP_PX = 18; // words of the cursor
const BOTTOM_PX = 20; // clock
const GAP_PX = 2; // a gap is never thinner
const BEAT_MS = 800;
const PART_PX = 5; // height of the mark of a column of which a part is missing
const LEAST_RANGE_UV = 500; // a flat line stays flat
const OUTLIERS = 0.02; // of the columns at each end do not stretch the scale; they are cut at the lane's edge
const ALL = 255;

export function parseOverview(bytes: ArrayBuffer): Overview {
  const view = new DataView(bytes);
  if (view.getUint32(0, true) !== MAGIC) throw new Error('not TLO1');
  const length = view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length))) as
    { from: string; to: string; newest_at: string; columns: number; leads: string[]; uv_per_lsb: number };
  const values = 2 * header.columns * header.leads.length;
  const extremes = new Int16Array(bytes.slice(8 + length, 8 + length + 2 * values));
  const rows = header.leads.map((_, lead) => extremes.subarray(2 * lead * header.columns, 2 * (lead + 1) * header.columns));
  return {
    from_ms: Date.parse(header.from), to_ms: Date.parse(header.to), newest_ms: Date.parse(header.newest_at),
    columns: header.columns, leads: header.leads, uv_per_lsb: header.uv_per_lsb,
    rows, ranges: rows.map((row) => rangeOf(row, header.uv_per_lsb)),
    missing: new Uint8Array(bytes, 8 + length + 2 * values, header.columns),
  };
}

export function heightOf(leads: number): number {
  return TOP_PX + BOTTOM_PX + leads * (leads <= 3 ? 36 : 20);
}

/** Pixels that samples have, of the width of the canvas. */
export function plotWidth(width: number): number {
  return Math.max(1, width - LEFT_PX - RIGHT_PX);
}

/** The instant under a pointer. */
export function instantAt(x: number, width: number, from_ms: number, to_ms: number): number {
  const share = Math.min(1, Math.max(0, (x - LEFT_PX) / plotWidth(width)));
  return from_ms + share * (to_ms - from_ms);
}

interface Plot {
  pen: CanvasRenderingContext2D;
  palette: Palette;
  width: number;
  height: number;
  view: OverviewView;
}

export function drawOverview(canvas: HTMLCanvasElement, view: OverviewView): void {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (width === 0 || height === 0) return;
  const plot: Plot = { pen: fit(canvas, width, height), palette: paletteOf(canvas), width, height, view };
  plot.pen.fillStyle = plot.palette.paper;
  plot.pen.fillRect(0, 0, width, height);
  drawClock(plot);
  plot.pen.save();
  plot.pen.beginPath();
  plot.pen.rect(LEFT_PX, TOP_PX, plotWidth(width), height - TOP_PX - BOTTOM_PX);
  plot.pen.clip();
  drawGaps(plot);
  view.data.rows.forEach((_, lead) => drawLead(plot, lead));
  plot.pen.restore();
  drawNames(plot);
  drawWindow(plot);
  Object.assign(canvas.dataset, {
    fromMs: String(view.from_ms), toMs: String(view.to_ms), plotLeft: String(LEFT_PX), plotRight: String(width - RIGHT_PX), ready: 'yes',
  });
}

function x({ width, view }: Plot, at_ms: number): number {
  return LEFT_PX + ((at_ms - view.from_ms) / Math.max(1, view.to_ms - view.from_ms)) * plotWidth(width);
}

/** Left and right edge of a column of the data. */
function edges(plot: Plot, column: number): readonly [number, number] {
  const { from_ms, to_ms, columns } = plot.view.data;
  const step = (to_ms - from_ms) / columns;
  return [x(plot, from_ms + column * step), x(plot, from_ms + (column + 1) * step)];
}

function lane({ height, view }: Plot, lead: number): readonly [number, number] {
  const each = (height - TOP_PX - BOTTOM_PX) / view.data.rows.length;
  return [TOP_PX + lead * each, each];
}

function drawClock(plot: Plot): void {
  const { pen, palette, width, height, view } = plot;
  pen.font = '11px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  pen.textAlign = 'center';
  const { step_ms, at_ms } = ticks(view.from_ms, view.to_ms, plotWidth(width));
  for (const at of at_ms) {
    pen.fillStyle = palette.fine;
    pen.fillRect(x(plot, at), TOP_PX, 1, height - TOP_PX - BOTTOM_PX);
    pen.fillStyle = palette.text;
    pen.fillText(view.clock(at, step_ms < 60_000), Math.min(Math.max(x(plot, at), LEFT_PX + 10), width - 28), height - BOTTOM_PX / 2);
  }
  pen.textAlign = 'start';
}

function drawGaps(plot: Plot): void {
  const { pen, palette, height, view: { data } } = plot;
  const hatch = hatching(pen, palette);
  for (let column = 0; column < data.columns; column++) {
    const share = data.missing[column]!;
    if (share === 0) continue;
    let end = column;
    while (share === ALL && data.missing[end + 1] === ALL) end++;
    const [left, right] = [edges(plot, column)[0], Math.min(edges(plot, end)[1], x(plot, data.newest_ms))];
    column = end;
    if (right <= left) continue; // behind the newest sample: not missing, not there yet
    const width = Math.max(GAP_PX, right - left);
    pen.fillStyle = hatch;
    if (share === ALL) pen.fillRect(left, TOP_PX, width, height - TOP_PX - BOTTOM_PX);
    pen.fillStyle = palette.gap;
    pen.fillRect(left, height - BOTTOM_PX - PART_PX, width, PART_PX);
  }
}

/** Least and greatest value of most columns, in steps of the recorder. */
function rangeOf(row: Int16Array, uv_per_lsb: number): readonly [number, number] {
  const lows = [];
  const highs = [];
  for (let at = 0; at < row.length; at += 2) {
    if (row[at]! > row[at + 1]!) continue;
    lows.push(row[at]!);
    highs.push(row[at + 1]!);
  }
  if (lows.length === 0) return [-1, 1];
  const skipped = Math.floor(lows.length * OUTLIERS);
  const low = lows.sort((a, b) => a - b)[skipped]!;
  const high = highs.sort((a, b) => b - a)[skipped]!;
  const rest = Math.max(0, LEAST_RANGE_UV / uv_per_lsb - (high - low)) / 2;
  return [low - rest, high + rest];
}

/** Whether whole beats fall together into one column, so that leads are bands and not traces. */
function isBand({ width, view }: Plot): boolean {
  return (view.to_ms - view.from_ms) / plotWidth(width) > BEAT_MS;
}

function drawLead(plot: Plot, lead: number): void {
  const { pen, palette, view: { data } } = plot;
  const row = data.rows[lead]!;
  const [low, high] = data.ranges[lead]!;
  const [top, tall] = lane(plot, lead);
  const y = (value: number): number => top + 2 + (1 - Math.min(1, Math.max(0, (value - low) / (high - low)))) * (tall - 4);
  pen.fillStyle = palette.trace;
  if (isBand(plot)) pen.fillStyle = `color-mix(in srgb, ${palette.trace} 55%, ${palette.paper})`; // a bright wall dazzles; browsers without it keep the trace's
  for (let column = 0; column < data.columns; column++) {
    const [least, greatest] = [row[2 * column]!, row[2 * column + 1]!];
    if (least > greatest) continue;
    const [left, right] = edges(plot, column);
    pen.fillRect(left, y(greatest), Math.max(0.75, right - left), Math.max(1, y(least) - y(greatest)));
  }
}

function drawNames(plot: Plot): void {
  plot.view.data.leads.forEach((code, lead) => {
    const [top, tall] = lane(plot, lead);
    drawWords(plot.pen, leadName(code), 4, top + tall / 2, plot.palette, 11);
  });
}

/** What the strip shows, never thinner than can be seen; and the cursor. */
function drawWindow(plot: Plot): void {
  const { pen, palette, height, view } = plot;
  const end = plot.width - RIGHT_PX;
  const left = Math.max(LEFT_PX, x(plot, view.window_ms[0])); // a window half outside is cut: the leads' names stand there
  const right = Math.min(end, x(plot, view.window_ms[1]));
  const width = Math.max(3, right - left);
  if (right > LEFT_PX && left < end) {
    pen.strokeStyle = palette.mark;
    pen.lineWidth = 2;
    pen.strokeRect(left - 1, TOP_PX + 1, width + 2, height - TOP_PX - BOTTOM_PX - 2);
  }
  if (view.cursor_ms === null) return;
  pen.fillStyle = palette.text;
  pen.fillRect(x(plot, view.cursor_ms) - 0.5, TOP_PX, 1, height - TOP_PX - BOTTOM_PX);
}
