// Encoded frames to stored values: HTJ2K in workers of our own, JPEG by the browser.
import wasm from '@cornerstonejs/codec-openjph/wasm?url';
import type { StoredValues } from './viewport';

export type Asked = { id: number; bytes: Uint8Array<ArrayBuffer>; level: number };
export type Picture = { values: StoredValues; rows: number; columns: number };
export type Decoded = Picture & { id: number; values: StoredValues & { buffer: ArrayBuffer } };
export type Refused = { id: number; fault: string };

/** These bytes are no frame. */
export class NotDecodable extends Error {}
/** The decoder could not be fetched; later it may. */
export class NoDecoder extends Error {}

type Waiting = { worker: Worker; resolve: (picture: Picture) => void; reject: (cause: Error) => void };

/** One worker with one frame at a time; the second is started only when the first is at work. */
export class Codec {
  #program: Promise<WebAssembly.Module> | null = null;
  #workers: Worker[] = [];
  #idle: Worker[] = [];
  #ready = new WeakSet<Worker>(); // that have the program
  #waiting = new Map<number, Waiting>();
  #next = 0;

  constructor(readonly most = Math.min(3, Math.max(1, (navigator.hardwareConcurrency || 2) - 1))) {
    this.#start();
    this.#fetched().catch(() => undefined); // it comes while the manifest does; whoever needs it hears that it did not
  }

  get free(): boolean {
    return this.#idle.length > 0 || this.#workers.length < this.most;
  }

  /** `level`: halvings of the size. The caller asks only while there is a free one. */
  decode(bytes: Uint8Array, level: number): Promise<Picture> {
    if (this.#idle.length === 0) this.#start();
    const worker = this.#idle.pop()!;
    return this.#ask(worker, { id: this.#next++, bytes: bytes.slice(), level }).finally(() => { if (this.#workers.includes(worker)) this.#idle.push(worker); });
  }

  async #ask(worker: Worker, asked: Asked): Promise<Picture> {
    const program = await this.#fetched();
    if (!this.#workers.includes(worker)) throw new NoDecoder(); // it went meanwhile, and would never answer
    return new Promise<Picture>((resolve, reject) => {
      this.#waiting.set(asked.id, { worker, resolve, reject });
      if (!this.#ready.has(worker)) worker.postMessage(program);
      this.#ready.add(worker);
      worker.postMessage(asked, [asked.bytes.buffer]);
    });
  }

  /** The decoder's program, fetched and compiled once for all workers. */
  #fetched(): Promise<WebAssembly.Module> {
    this.#program ??= WebAssembly.compileStreaming(fetch(wasm)).catch(() => {
      this.#program = null;
      throw new NoDecoder();
    });
    return this.#program;
  }

  close(): void {
    for (const worker of this.#workers.splice(0)) worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(new NotDecodable('closed'));
    this.#waiting.clear();
  }

  #start(): void {
    const worker = new Worker(new URL('./codec.worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<Decoded | Refused>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ('fault' in data) waiting?.reject(new NotDecodable(data.fault));
      else waiting?.resolve(data);
    };
    worker.onerror = () => {
      const [id, waiting] = [...this.#waiting].find(([, each]) => each.worker === worker) ?? [];
      if (id !== undefined) this.#waiting.delete(id);
      this.#drop(worker, waiting);
    };
    this.#workers.push(worker);
    this.#idle.push(worker);
  }

  /** A worker without its program; the next frame starts another. */
  #drop(worker: Worker, waiting: Waiting | undefined): void {
    worker.terminate();
    this.#workers = this.#workers.filter((each) => each !== worker);
    this.#idle = this.#idle.filter((each) => each !== worker);
    waiting?.reject(new NoDecoder());
  }
}

/** A JPEG as the browser decodes it, without any colour management: one value a pixel of grey, three of colour. */
export async function decodeJpeg(bytes: Uint8Array<ArrayBuffer>, samples: 1 | 3): Promise<Picture> {
  const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/jpeg' }), { colorSpaceConversion: 'none', imageOrientation: 'none' })
    .catch(() => { throw new NotDecodable('jpeg'); });
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const pen = canvas.getContext('2d', { willReadFrequently: true })!;
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data, width, height } = pen.getImageData(0, 0, canvas.width, canvas.height);
  const values = new Uint8Array(width * height * samples);
  for (let at = 0, from = 0; at < values.length; from += 4) for (let sample = 0; sample < samples; sample++) values[at++] = data[from + sample]!;
  return { values, rows: height, columns: width };
}
