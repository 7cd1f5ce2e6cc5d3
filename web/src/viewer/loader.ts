// Fetches and decodes what is looked at, then what will be: one queue by rank, ranges of the serving copies, nothing fetched twice.
// Rank: the shown slice -> (at rest) all of it -> neighbours small -> the whole series small, coarse first -> the rest in full, outward.
import { signal } from '@preact/signals';
import { ApiError, api } from '../core/api';
import { decodeJpeg, NoDecoder, NotDecodable, type Codec } from './codec';
import type { Kind, Memory } from './memory';
import { interleaved, onward, outward } from './order';
import { keyOf, StoredFrame } from './stored-frame';
import type { Slice } from './types';

const IN_FLIGHT = 5; // of the six lines a browser has to one host: one stays for thumbnails, marks and the rest of the page
const REST_MS = 150;
const NEIGHBOURS = 4;
const PICTURES_KEPT = 20; // to either side: two thirds of a second of scrolling
const SMALL_BYTES = 32_768; // a request with no more to come is not worth cutting
const STALLED_MS = 15_000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
const FORBIDDEN = 403;
const TOO_MANY = 429;

/** What a pane shows: a stack and the place in it; the first one is the active pane. */
export type Focus = { slices: readonly Slice[]; index: number };
type Want = { frame: StoredFrame; cut: number; urgent: boolean };
type Fetching = Want & { abort: AbortController };
/** What is missing, the line or the program that decodes, and when it is tried again (ms, wall clock). */
export type Trouble = { of: 'line' | 'decoder'; retry_at: number };
export type Progress = { total: number; small: number; full: number };

export class Loader {
  readonly trouble = signal<Trouble | null>(null);
  /** Goes up, at most once a picture of the screen, when something came. */
  readonly came = signal(0);
  #frames = new Map<string, StoredFrame>();
  #fetching = new Map<string, Fetching>();
  #foci: readonly Focus[] = [];
  #ahead: 1 | -1 = 1;
  #later: readonly Slice[] = [];
  #near: Map<string, number> | null = null;
  #resting = true;
  #rest = 0;
  #failures = { line: 0, decoder: 0 }; // one after another
  #undecoded = false; // without the decoder until all is tried again
  #retry = 0;
  #told = 0;
  #closed = false;
  readonly #online = (): void => this.retry();

  constructor(readonly drawn: (frame: StoredFrame) => void, readonly memory: Memory, readonly codec: Codec) {
    addEventListener('online', this.#online);
  }

  close(): void {
    this.#closed = true;
    removeEventListener('online', this.#online);
    clearTimeout(this.#rest);
    clearTimeout(this.#retry);
    for (const { abort } of this.#fetching.values()) abort.abort();
    this.codec.close();
    this.#frames.clear();
  }

  /** The frame of a slice; null while the hub has no copy of it. */
  frame(slice: Slice | undefined): StoredFrame | null {
    const layout = slice?.instance.pixels;
    if (!slice || !layout || slice.frame >= layout.frames.length) return null;
    const key = keyOf(slice);
    let frame = this.#frames.get(key);
    if (!frame) this.#frames.set(key, (frame = new StoredFrame(slice, layout)));
    return frame;
  }

  /** What the panes show now. */
  look(foci: readonly Focus[]): void {
    const [before, now] = [this.#foci[0], foci[0]];
    const moved = before?.slices === now?.slices ? (now?.index ?? 0) - (before?.index ?? 0) : 0;
    if (moved !== 0) this.#ahead = moved > 0 ? 1 : -1;
    this.#foci = foci;
    this.#near = null;
    for (const { slices, index } of foci) { const frame = this.frame(slices[index]); if (frame) this.memory.touch(frame.key); }
    if (moved !== 0) {
      this.#resting = false;
      clearTimeout(this.#rest);
      this.#rest = setTimeout(() => { this.#resting = true; this.#pump(); }, REST_MS);
    }
    this.#cancel();
    this.#pump();
  }

  /** What may be looked at next (a prior): fetched small when nothing else is wanted. */
  prefetch(slices: readonly Slice[]): void {
    this.#later = slices;
    this.#pump();
  }

  /** Tries again at once what the line, or the hub, did not give. */
  retry(): void {
    for (const frame of this.#frames.values()) { frame.refusal = null; frame.spoilt = 0; }
    this.#failures = { line: 0, decoder: 0 };
    this.#tell();
    this.#resume();
  }

  progressOf(slices: readonly Slice[]): Progress {
    const frames = slices.map((slice) => this.frame(slice));
    const count = (keeps: (frame: StoredFrame) => boolean) => frames.filter((frame) => frame !== null && keeps(frame)).length;
    return { total: slices.length, small: count((frame) => frame.here >= frame.low), full: count((frame) => frame.here === frame.last) };
  }

  #shown(): (StoredFrame | null)[] {
    return this.#foci.map(({ slices, index }) => this.frame(slices[index]));
  }

  *#wants(): Generator<Want> {
    const small = (frame: StoredFrame | null, urgent = false): Want[] => (frame ? [{ frame, cut: frame.low, urgent }] : []);
    const whole = (frame: StoredFrame | null, urgent = false): Want[] => (frame ? [{ frame, cut: frame.last, urgent }] : []);
    const shown = this.#shown();
    if (this.#resting) yield* whole(shown[0] ?? null, true);
    for (const frame of shown) yield* small(frame, true);
    if (this.#resting) for (const frame of shown) yield* whole(frame, true);
    for (const { slices, index } of this.#foci) for (const place of outward(index, slices.length, this.#ahead, NEIGHBOURS)) yield* small(this.frame(slices[place]));
    for (const { slices } of this.#foci) for (const place of interleaved(slices.length)) yield* small(this.frame(slices[place]));
    for (const { slices, index } of this.#foci) for (const place of outward(index, slices.length, this.#ahead)) yield* whole(this.frame(slices[place]));
    for (const slice of this.#later) yield* small(this.frame(slice));
  }

  /** What hinders the shown slice, or is shown no more, goes; the bytes that came of it stay. */
  #cancel(): void {
    const hurried = this.#shown().some((frame) => frame !== null && this.#open(frame, this.#resting ? frame.last : frame.low));
    for (const { frame, cut, abort } of this.#fetching.values()) {
      const wanted = this.#distance(frame.key) < Infinity || this.#later.some((slice) => keyOf(slice) === frame.key);
      if (!wanted || (hurried && frame.cuts[cut]! - frame.got > SMALL_BYTES && !this.#shown().includes(frame))) abort.abort();
    }
  }

  #open(frame: StoredFrame, cut: number): boolean {
    return frame.refusal === null && !frame.isSpoilt && frame.got < frame.cuts[cut]! && !(frame.complete && frame.got === 0);
  }

  #pump(): void {
    if (this.#closed) return;
    if (this.#resting) this.#cancel();
    if (this.trouble.value === null) this.#fetchNext();
    this.#decodeNext();
  }

  #fetchNext(): void {
    let hurried = [...this.#fetching.values()].some(({ urgent }) => urgent);
    for (const want of this.#wants()) {
      if (this.#fetching.size >= IN_FLIGHT) return;
      if (hurried && !want.urgent) return;
      if (this.#fetching.has(want.frame.key) || !this.#open(want.frame, want.cut)) continue;
      const bytes = want.frame.cuts[want.cut]! - want.frame.bytes.length;
      if (!this.memory.room(bytes, this.#keepsForBytes(want)) && !want.urgent) return;
      hurried ||= want.urgent;
      void this.#fetch({ ...want, abort: new AbortController() });
    }
  }

  /** What stays when bytes are to come: those of nearer slices, and few pictures, which can be made again. */
  #keepsForBytes({ frame, urgent }: Want): (key: string, kind: Kind) => boolean {
    const reach = urgent ? 0 : this.#distance(frame.key);
    return (key, kind) => this.#distance(key) <= (kind === 'decoded' ? Math.min(reach, PICTURES_KEPT) : reach);
  }

  /** What stays when a picture is to be made: all bytes of the stacks that are open, and the pictures of nearer slices. */
  #keepsForPicture(frame: StoredFrame): (key: string, kind: Kind) => boolean {
    const reach = this.#distance(frame.key);
    return (key, kind) => this.#distance(key) <= (kind === 'decoded' ? reach : Number.MAX_VALUE);
  }

  /** Slices between a frame and what is shown; Infinity = of no stack that is open. */
  #distance(key: string): number {
    if (this.#near === null) {
      this.#near = new Map();
      for (const { slices, index } of this.#foci) {
        slices.forEach((slice, place) => {
          const own = keyOf(slice);
          this.#near!.set(own, Math.min(this.#near!.get(own) ?? Infinity, Math.abs(place - index)));
        });
      }
    }
    return this.#near.get(key) ?? Infinity;
  }

  async #fetch(job: Fetching): Promise<void> {
    const { frame, abort } = job;
    this.#fetching.set(frame.key, job);
    frame.reserve(frame.cuts[job.cut]!);
    this.memory.hold('encoded', frame.key, frame.bytes.length, () => this.#forget(frame));
    try {
      await this.#read(job);
      this.#failures.line = 0;
    } catch (cause) {
      if (!abort.signal.aborted || abort.signal.reason === 'stalled') this.#failed(frame, cause);
    } finally {
      this.#fetching.delete(frame.key);
      this.#pump();
    }
  }

  /** Its bytes go, and what is on its way has no place to be added to. */
  #forget(frame: StoredFrame): void {
    this.#fetching.get(frame.key)?.abort.abort();
    this.memory.release('encoded', frame.key);
    frame.forget();
  }

  /** The missing bytes, each as it comes. */
  async #read({ frame, cut, abort }: Fetching): Promise<void> {
    const upTo = frame.cuts[cut]!;
    const first = frame.offset + frame.got;
    const headers = { Accept: '*/*', Range: `bytes=${first}-${frame.offset + upTo - 1}` };
    let stalled = setTimeout(() => abort.abort('stalled'), STALLED_MS);
    try {
      const answer = await api.raw(`/api/images/instances/${frame.slice.instance.id}/pixels`, { method: 'GET', headers, signal: abort.signal });
      let skip = answer.status === 206 ? 0 : first; // a hub that does not know of ranges begins with the first byte
      const reader = answer.body!.getReader();
      while (frame.got < upTo) {
        const { done, value } = await reader.read();
        if (done) throw new ApiError(0, 'away', null);
        abort.signal.throwIfAborted();
        clearTimeout(stalled);
        stalled = setTimeout(() => abort.abort('stalled'), STALLED_MS);
        const part = value.subarray(Math.min(skip, value.length), skip + upTo - frame.got);
        skip = Math.max(0, skip - value.length);
        frame.add(part);
        this.#arrived();
      }
      await reader.cancel();
    } finally {
      clearTimeout(stalled);
    }
  }

  /** A cut line is tried again by itself, later each time; what the hub refuses waits for somebody to ask. */
  #failed(frame: StoredFrame, cause: unknown): void {
    if (cause instanceof ApiError && cause.status >= 400 && cause.status < 500 && cause.status !== TOO_MANY) {
      for (const each of cause.status === FORBIDDEN ? this.#stackOf(frame) : [frame]) {
        each.refusal = cause;
        this.drawn(each);
      }
      this.#tell();
      return;
    }
    this.#pause('line');
  }

  /** Every frame of the stacks it lies in: who may not see one image may see none of its study. */
  #stackOf(frame: StoredFrame): StoredFrame[] {
    const stacks = [...this.#foci.map(({ slices }) => slices), this.#later].filter((slices) => slices.some((slice) => keyOf(slice) === frame.key));
    return [frame, ...stacks.flat().map((slice) => this.frame(slice)).filter((each) => each !== null)];
  }

  #pause(of: Trouble['of']): void {
    this.#undecoded ||= of === 'decoder';
    if (this.trouble.value !== null || this.#closed) return;
    const pause_ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures[of]++);
    this.trouble.value = { of, retry_at: Date.now() + pause_ms };
    this.#retry = setTimeout(() => this.#resume(), pause_ms);
  }

  #resume(): void {
    clearTimeout(this.#retry);
    this.#undecoded = false;
    this.trouble.value = null;
    this.#pump();
  }

  #arrived(): void {
    this.#decodeNext();
    this.#tell();
  }

  #tell(): void {
    this.#told ||= requestAnimationFrame(() => { this.#told = 0; this.came.value++; });
  }

  #decodeNext(): void {
    for (const frame of this.#shown()) if (frame?.decodable(true) && (frame.jpeg || this.#mayDecode())) void this.#decode(frame, true);
    for (const { slices, index } of this.#foci) {
      if (!this.#mayDecode()) return;
      const places = this.#resting ? outward(index, slices.length, this.#ahead) : onward(index, slices.length, this.#ahead, PICTURES_KEPT);
      for (const place of places) {
        if (!this.#mayDecode()) return;
        const frame = this.frame(slices[place]);
        if (!frame?.decodable(false)) continue;
        if (!this.memory.room(frame.fullBytes, this.#keepsForPicture(frame))) break;
        void this.#decode(frame, false);
      }
    }
  }

  #mayDecode(): boolean {
    return this.codec.free && !this.#undecoded;
  }

  async #decode(frame: StoredFrame, shown: boolean): Promise<void> {
    const cut = frame.here;
    frame.decoding = true;
    if (shown) this.memory.room(frame.fullBytes, this.#keepsForPicture(frame));
    try {
      const bytes = frame.bytes.subarray(0, frame.cuts[cut]);
      const picture = await (frame.jpeg ? decodeJpeg(bytes, frame.layout.samples) : this.codec.decode(bytes, frame.last - cut));
      if (cut === frame.last && picture.values.length !== frame.layout.rows * frame.layout.columns * frame.layout.samples) throw new NotDecodable('size');
      if (!frame.jpeg) this.#failures.decoder = 0;
      [frame.picture, frame.cut, frame.spoilt] = [picture, cut, 0];
      this.memory.hold('decoded', frame.key, frame.decodedBytes, () => { frame.picture = null; frame.cut = -1; });
    } catch (cause) {
      if (cause instanceof NoDecoder) this.#pause('decoder');
      else if (!(cause instanceof NotDecodable)) throw cause;
      else if (!this.#closed) {
        frame.spoilt++;
        this.#tell();
        this.#forget(frame); // they are fetched once more
      }
    }
    frame.decoding = false;
    if (this.#closed) return;
    this.drawn(frame);
    this.#pump();
  }
}
