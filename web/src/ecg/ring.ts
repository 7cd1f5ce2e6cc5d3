/** Newest samples of every lead, int16, addressed by the absolute sample index since boot (protocol: missing = -32768). */

export const MISSING = -32768;

export class Ring {
  readonly leads: number;
  readonly capacity: number;
  /** First index ever written: everything before it was never expected here. */
  start = 0;
  /** One past the newest index written. */
  end = 0;
  private readonly rows: Int16Array[];

  constructor(leads: number, capacity: number) {
    this.leads = leads;
    this.capacity = capacity;
    this.rows = Array.from({ length: leads }, () => new Int16Array(capacity).fill(MISSING));
  }

  /** Late samples fill their place; a jump ahead leaves the samples between missing. */
  write(first: number, count: number, leadMajor: Int16Array): void {
    if (this.end === 0) {
      this.start = first;
      this.end = first;
    }
    if (first > this.end) this.clear(this.end, first);
    const from = Math.max(first, this.end - this.capacity, first + count - this.capacity);
    for (let lead = 0; lead < this.leads; lead++) {
      const row = this.rows[lead]!;
      const offset = lead * count - first;
      for (let sample = from; sample < first + count; sample++) row[sample % this.capacity] = leadMajor[offset + sample]!;
    }
    this.end = Math.max(this.end, first + count);
  }

  at(lead: number, sample: number): number {
    if (sample < this.start || sample >= this.end || sample < this.end - this.capacity) return MISSING;
    return this.rows[lead]![sample % this.capacity]!;
  }

  private clear(from: number, to: number): void {
    for (const row of this.rows)
      for (let sample = Math.max(from, to - this.capacity); sample < to; sample++) row[sample % this.capacity] = MISSING;
  }
}
