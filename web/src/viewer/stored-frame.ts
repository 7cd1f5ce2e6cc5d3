// One frame of a serving copy as far as it has come: its bytes from the first on, and the best picture made of them.
import type { ApiError } from '../core/api';
import type { Picture } from './codec';
import type { Layout, Slice } from './types';

const LOW_EDGE_PX = 128; // the size a whole series is fetched at first: a quarter of a CT

export const keyOf = ({ instance, frame }: Slice): string => `${instance.id}/${frame}`;

export class StoredFrame {
  readonly key: string;
  readonly layout: Layout;
  readonly cuts: readonly number[];
  readonly offset: number;
  bytes = new Uint8Array(0);
  got = 0; // bytes that have come, from the first on
  picture: Picture | null = null;
  cut = -1; // which prefix `picture` was made of; -1 = none
  low: number; // the cut of the small size
  refusal: ApiError | null = null; // the hub will not give it; not tried again by itself
  spoilt = 0; // how often its bytes were no frame
  decoding = false;

  constructor(readonly slice: Slice, layout: Layout) {
    const frame = layout.frames[slice.frame]!;
    this.key = keyOf(slice);
    const { offset: _offset, length: _length, cuts: _cuts, ...own } = frame;
    this.layout = Object.keys(own).length ? { ...layout, ...own } : layout; // a frame may have its place and its values' meaning to itself
    this.cuts = frame.cuts.length ? frame.cuts : [frame.length];
    this.offset = frame.offset;
    let halvings = 0;
    while (Math.min(layout.rows, layout.columns) >> (halvings + 1) >= LOW_EDGE_PX) halvings++;
    this.low = Math.max(0, this.last - halvings);
  }

  get last(): number {
    return this.cuts.length - 1;
  }

  /** By its first marker: start of image of JPEG, where JPEG 2000 has its start of codestream. */
  get jpeg(): boolean {
    return this.bytes[0] === 0xff && this.bytes[1] === 0xd8;
  }

  /** The largest prefix that is here; -1 = none. */
  get here(): number {
    let here = this.last;
    while (here >= 0 && this.cuts[here]! > this.got) here--;
    return here;
  }

  get complete(): boolean {
    return this.cut === this.last;
  }

  /** Halvings of the size of the picture. */
  get level(): number {
    return this.last - Math.max(this.cut, 0);
  }

  get decodedBytes(): number {
    return this.picture?.values.byteLength ?? 0;
  }

  /** What decoding the whole of it will take. */
  get fullBytes(): number {
    const { rows, columns, samples, bits_stored } = this.layout;
    return rows * columns * samples * (bits_stored > 8 ? 2 : 1);
  }

  /** Room for a prefix of so many bytes; what is here stays. */
  reserve(length: number): void {
    if (this.bytes.length >= length) return;
    const larger = new Uint8Array(length);
    larger.set(this.bytes.subarray(0, this.got));
    this.bytes = larger;
  }

  add(part: Uint8Array): void {
    this.reserve(this.got + part.length);
    this.bytes.set(part, this.got);
    this.got += part.length;
  }

  /** Whether there is something to decode; of the small and the whole size alone unless it is being looked at. */
  decodable(shown: boolean): boolean {
    const { here } = this;
    if (this.decoding || this.isSpoilt || here <= this.cut) return false;
    return shown || here === this.last || (this.cut < this.low && here >= this.low);
  }

  /** It came twice and was no frame either time. */
  get isSpoilt(): boolean {
    return this.spoilt > 1;
  }

  forget(): void {
    this.bytes = new Uint8Array(0);
    this.got = 0;
  }
}
