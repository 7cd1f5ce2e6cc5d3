// A picture on a pane's canvas: values through a table to grey, then one transform for zoom, pan, turn, mirror and pixel shape.
import type { Picture } from './codec';
import type { StoredFrame } from './stored-frame';
import { canvasTransform, type Size, type View } from './viewport';
import { greyTable, isGrey, type Tone } from './windows';

const OPAQUE = 0xff000000;
const SMOOTH_UP_TO = 2; // device pixels a pixel: above, pixels are shown as what they are

/** One canvas in the size of the picture; made again only when the picture or its tone changed. */
export class Painter {
  #own = document.createElement('canvas');
  #made: { picture: Picture; tone: string } | null = null;
  #table: { key: string; rgba: Uint32Array } | null = null;

  draw(canvas: HTMLCanvasElement, frame: StoredFrame | null, view: View, size: Size, tone: Tone): void {
    const ratio = devicePixelRatio;
    const [width, height] = [Math.max(1, Math.round(size.width * ratio)), Math.max(1, Math.round(size.height * ratio))];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext('2d', { alpha: false })!;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = '#000';
    pen.fillRect(0, 0, width, height);
    if (!frame?.picture) return;
    this.#paint(frame, frame.picture, tone);
    this.#place(pen, frame, view, size, ratio);
  }

  #place(pen: CanvasRenderingContext2D, { level }: StoredFrame, view: View, size: Size, ratio: number): void {
    const step = 2 ** level;
    const [a, b, c, d, e, f] = canvasTransform(view, size, ratio);
    const is_exact = view.scale * ratio === 1 && (view.stretch ?? 1) === 1; // then no pixel may be mixed with its neighbour
    pen.setTransform(a, b, c, d, is_exact ? Math.round(e) : e, is_exact ? Math.round(f) : f);
    // A wavelet's small picture has its pixels on every 2^level-th of the large one (ISO/IEC 15444-1, annex F): their centres must meet.
    pen.translate((1 - step) / 2, (1 - step) / 2);
    pen.scale(step, step);
    pen.imageSmoothingEnabled = level > 0 || view.scale * ratio < SMOOTH_UP_TO;
    pen.imageSmoothingQuality = 'high';
    pen.drawImage(this.#own, 0, 0);
  }

  #paint(frame: StoredFrame, picture: Picture, tone: Tone): void {
    const key = toneKey(frame, tone);
    if (this.#made?.picture === picture && this.#made.tone === key) return;
    [this.#own.width, this.#own.height] = [picture.columns, picture.rows];
    const pen = this.#own.getContext('2d')!;
    const image = pen.createImageData(picture.columns, picture.rows);
    const pixels = new Uint32Array(image.data.buffer);
    if (isGrey(frame.layout)) fillGrey(pixels, picture, this.#rgba(frame, tone, key));
    else fillColour(pixels, picture, tone.invert);
    pen.putImageData(image, 0, 0);
    this.#made = { picture, tone: key };
  }

  #rgba({ layout }: StoredFrame, tone: Tone, key: string): Uint32Array {
    if (this.#table?.key !== key) this.#table = { key, rgba: Uint32Array.from(greyTable(layout, tone), (grey) => OPAQUE | (grey * 0x010101)) };
    return this.#table.rgba;
  }
}

const tables = new WeakMap<object, number>();
let counted = 0;
/** Equal for layouts whose values mean the same. */
function numberOf(thing: object | null): number {
  if (thing === null) return 0;
  let number = tables.get(thing);
  if (number === undefined) tables.set(thing, (number = ++counted));
  return number;
}

function toneKey({ layout }: StoredFrame, { voi, window, invert }: Tone): string {
  const { modality } = layout;
  const line = 'lut' in modality ? `t${numberOf(modality.lut)}` : `${modality.slope} ${modality.intercept}`;
  return [layout.photometric, layout.bits_stored > 8, layout.signed, line, voi, voi === 'LUT' ? numberOf(layout.voi_lut) : '', window.center, window.width, invert].join();
}

function fillGrey(pixels: Uint32Array, { values }: Picture, rgba: Uint32Array): void {
  const mask = rgba.length - 1;
  for (let at = 0; at < pixels.length; at++) pixels[at] = rgba[values[at]! & mask]!;
}

function fillColour(pixels: Uint32Array, { values }: Picture, invert: boolean): void {
  const turn = invert ? 0xffffff : 0;
  for (let at = 0, from = 0; at < pixels.length; at++, from += 3) {
    pixels[at] = OPAQUE | ((values[from]! | (values[from + 1]! << 8) | (values[from + 2]! << 16)) ^ turn);
  }
}
