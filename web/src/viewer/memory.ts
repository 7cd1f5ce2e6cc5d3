// One budget in bytes for all the page keeps of images, encoded and decoded; what was looked at longest ago goes first.
const MB = 1e6;
const MOST_BYTES = 170 * MB; // of two CTs of 200 slices all 84 MB encoded and the rest decoded; with the browser's own part below 600 MB
const SMALL_BYTES = 160 * MB; // of a phone or PC with 2 GB or less

export type Kind = 'encoded' | 'decoded';
type Held = { bytes: number; drop: () => void };

export class Memory {
  #held = new Map<string, Held>(); // oldest first
  used = 0;

  constructor(readonly most = ((navigator as { deviceMemory?: number }).deviceMemory ?? 8) <= 2 ? SMALL_BYTES : MOST_BYTES) {}

  /** Holds `bytes` for a frame, in place of what it held before; `drop` gives them back. */
  hold(kind: Kind, frame: string, bytes: number, drop: () => void): void {
    this.release(kind, frame);
    this.#held.set(`${kind} ${frame}`, { bytes, drop });
    this.used += bytes;
  }

  release(kind: Kind, frame: string): void {
    const key = `${kind} ${frame}`;
    this.used -= this.#held.get(key)?.bytes ?? 0;
    this.#held.delete(key);
  }

  /** This frame was just used. */
  touch(frame: string): void {
    for (const key of [`encoded ${frame}`, `decoded ${frame}`]) {
      const held = this.#held.get(key);
      if (!held) continue;
      this.#held.delete(key);
      this.#held.set(key, held);
    }
  }

  /** Makes room; decoded before encoded, since decoding again is cheap. False when what must be kept leaves none. */
  room(bytes: number, kept: (frame: string, kind: Kind) => boolean): boolean {
    for (const kind of ['decoded', 'encoded'] as const) {
      for (const [key, held] of this.#held) {
        if (this.used + bytes <= this.most) return true;
        const [own, frame] = key.split(' ') as [Kind, string];
        if (own !== kind || kept(frame, kind)) continue;
        this.release(own, frame);
        held.drop();
      }
    }
    return this.used + bytes <= this.most;
  }
}
