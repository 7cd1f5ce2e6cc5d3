/** Stored samples over HTTP: the TLH1 body of /api/recordings/{id}/samples, parsed and kept in blocks of 30 s. */

import { MISSING } from './ring';

export interface SampleWindow {
  boot: number;
  first_sample: number;
  count: number;
  fs_hz: number;
  leads: string[];
  uv_per_lsb: number;
  start_at: string;
  /** Per lead; missing samples are MISSING. */
  rows: Int16Array[];
}

export type FetchBytes = (path: string) => Promise<ArrayBuffer>;

const MAGIC = 0x31484c54; // 'TLH1' little endian
const BLOCK_S = 30;
const KEPT_BLOCKS = 60; // 30 min of three leads at 250 Hz = 2.7 MB

export function parseSamples(bytes: ArrayBuffer): SampleWindow {
  const view = new DataView(bytes);
  if (view.getUint32(0, true) !== MAGIC) throw new Error('not TLH1');
  const header_length = view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, header_length))) as Omit<SampleWindow, 'rows'>;
  const body = new Int16Array(bytes.slice(8 + header_length));
  const rows = header.leads.map((_, lead) => body.subarray(lead * header.count, (lead + 1) * header.count));
  return { ...header, rows };
}

/** A stretch cut out of blocks laid end to end; what no block holds is missing. */
function cut(blocks: SampleWindow[], first: number, count: number): SampleWindow {
  const model = blocks[0]!;
  const rows = model.leads.map((_, lead) => {
    const row = new Int16Array(count).fill(MISSING);
    for (const block of blocks) {
      const from = Math.max(first, block.first_sample);
      const to = Math.min(first + count, block.first_sample + block.count);
      if (to > from)
        row.set(block.rows[lead]!.subarray(from - block.first_sample, to - block.first_sample), from - first);
    }
    return row;
  });
  const shift_ms = ((first - model.first_sample) / model.fs_hz) * 1000;
  const start_at = new Date(Date.parse(model.start_at) + shift_ms).toISOString();
  return { ...model, first_sample: first, count, start_at, rows };
}

export class Samples {
  private readonly blocks = new Map<string, Promise<SampleWindow>>();

  /** `settled`: the recording has ended, so a gap stays a gap and may be kept. */
  constructor(
    private readonly fetchBytes: FetchBytes,
    readonly recording_id: string,
    readonly fs_hz: number,
    private readonly settled: boolean,
  ) {}

  async read(boot: number, first: number, count: number): Promise<SampleWindow> {
    const length = BLOCK_S * this.fs_hz;
    const start = Math.max(0, Math.floor(first));
    const wanted: Promise<SampleWindow>[] = [];
    for (let block = Math.floor(start / length); block * length < start + count; block++)
      wanted.push(this.block(boot, block * length, length));
    return cut(await Promise.all(wanted), start, count);
  }

  private block(boot: number, first: number, count: number): Promise<SampleWindow> {
    const key = `${boot}/${first}`;
    const kept = this.blocks.get(key);
    if (kept !== undefined) {
      this.blocks.delete(key);
      this.blocks.set(key, kept);
      return kept;
    }
    const path = `/api/recordings/${this.recording_id}/samples?boot=${boot}&first=${first}&count=${count}`;
    const fresh = this.fetchBytes(path).then(parseSamples);
    this.blocks.set(key, fresh);
    fresh.then(
      (window) => {
        if (!this.settled && window.rows.some((row) => row.includes(MISSING))) this.blocks.delete(key);
      },
      () => this.blocks.delete(key),
    );
    for (const oldest of this.blocks.keys()) {
      if (this.blocks.size <= KEPT_BLOCKS) break;
      this.blocks.delete(oldest);
    }
    return fresh;
  }
}
