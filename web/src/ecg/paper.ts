/** ECG paper on a screen: true scale (25 mm/s, 10 mm/mV unless told otherwise), 1-mm and 5-mm grid, lead names. */

const CSS_PX_PER_MM = 96 / 25.4; // CSS reference pixel
const STORED = 'telehub.px-per-mm'; // the person's own calibration of this screen, a plain number

export interface Scale {
  px_per_mm: number;
  mm_per_s: number;
  mm_per_mv: number;
}

export interface Palette {
  paper: string;
  fine: string;
  coarse: string;
  trace: string;
  text: string;
  mark: string;
  gap: string;
}

export function pxPerMm(): number {
  const stored = Number(localStorage.getItem(STORED));
  return stored >= 2 && stored <= 12 ? stored : CSS_PX_PER_MM;
}

export function calibrate(px_per_mm: number): void {
  localStorage.setItem(STORED, px_per_mm.toFixed(3));
}

export function pxPerSecond(scale: Scale): number {
  return scale.mm_per_s * scale.px_per_mm;
}

export function pxPerLsb(scale: Scale, uv_per_lsb: number): number {
  return (uv_per_lsb / 1000) * scale.mm_per_mv * scale.px_per_mm;
}

/** Colours come from the theme in force where the canvas stands. */
export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    paper: colour('ecg-paper'),
    fine: colour('ecg-fine'),
    coarse: colour('ecg-coarse'),
    trace: colour('ecg-trace'),
    mark: colour('ecg-mark'),
    text: colour('ink'),
    gap: colour('ink-soft'),
  };
}

/** Bring the backing store to device pixels; drawing stays in CSS pixels. */
export function fit(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const ratio = window.devicePixelRatio || 1;
  const [device_width, device_height] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== device_width) canvas.width = device_width;
  if (canvas.height !== device_height) canvas.height = device_height;
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('no 2D canvas');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function rule(context: CanvasRenderingContext2D, width: number, height: number, step: number, colour: string): void {
  context.fillStyle = colour;
  const line = 1 / (window.devicePixelRatio || 1);
  for (let x = 0; x < width; x += step) context.fillRect(Math.round(x / line) * line, 0, line, height);
  for (let y = 0; y < height; y += step) context.fillRect(0, Math.round(y / line) * line, width, line);
}

export function drawPaper(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  scale: Scale,
  palette: Palette,
): void {
  context.fillStyle = palette.paper;
  context.fillRect(0, 0, width, height);
  rule(context, width, height, scale.px_per_mm, palette.fine);
  rule(context, width, height, scale.px_per_mm * 5, palette.coarse);
}

/** Words on paper keep a patch of paper under them, or the grid would eat them. */
export function drawWords(
  context: CanvasRenderingContext2D,
  words: string,
  x: number,
  y: number,
  palette: Palette,
  size_px = 12,
): number {
  context.font = `600 ${size_px}px system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif`;
  context.textBaseline = 'middle';
  const width = context.measureText(words).width;
  context.fillStyle = palette.paper;
  context.fillRect(x - 2, y - size_px * 0.7, width + 4, size_px * 1.4);
  context.fillStyle = palette.text;
  context.fillText(words, x, y);
  return width;
}

/** Diagonal hatching: no data here, and not a flat line either. */
export function hatching(context: CanvasRenderingContext2D, palette: Palette): CanvasPattern {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 8;
  const pen = tile.getContext('2d')!;
  pen.strokeStyle = palette.gap;
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (const shift of [-8, 0, 8]) {
    pen.moveTo(shift, 8);
    pen.lineTo(shift + 8, 0);
  }
  pen.stroke();
  return context.createPattern(tile, 'repeat')!;
}

/** MDC_ECG_LEAD_V1 -> V1 (ISO/IEEE 11073-10101 A.2.4 names). */
export function leadName(mdc: string): string {
  return mdc.replace(/^MDC_ECG_(LEAD_)?/, '').replace(/^A(V[RLF])$/, 'a$1');
}
