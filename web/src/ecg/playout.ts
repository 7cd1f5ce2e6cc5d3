/**
 * When to show which sample: packets come in lumps, the trace must move evenly.
 *
 * Each packet says when its first sample became available; the display runs late by the worst of the last seconds
 * plus a margin, so that the next packet is there before the trace needs it. Times in ms, passed in.
 */

const WINDOW_MS = 8_000; // how long one late packet is remembered
const MARGIN_MS = 60; // above the worst lateness seen
const MOST_MS = 1_000; // never later than this behind the newest sample
const LEAST_MS = 300; // below this a single lost Wi-Fi frame would show
const PACE = 0.1; // the trace runs at most 10 % fast or slow to get to where it should be
const JUMP_MS = 2_000; // further behind than this is drawn at once

interface Arrival {
  at_ms: number;
  first_ms: number; // arrival minus the time of the packet's first sample
  end_ms: number; // arrival minus the time of its end
}

export class Playout {
  private arrivals: Arrival[] = [];
  private lag_ms: number | null = null; // clock minus sample time of the head
  private asked_ms = 0;

  constructor(private readonly fs_hz: number) {}

  arrived(at_ms: number, first: number, count: number): void {
    const first_ms = at_ms - (first / this.fs_hz) * 1000;
    const end_ms = first_ms - (count / this.fs_hz) * 1000;
    this.arrivals = this.arrivals.filter((arrival) => at_ms - arrival.at_ms < WINDOW_MS);
    this.arrivals.push({ at_ms, first_ms, end_ms });
    if (this.lag_ms === null) {
      this.lag_ms = this.wanted_ms();
      this.asked_ms = at_ms;
    }
  }

  /** Sample index the trace should have reached, never past `newest`, the end of what has come. */
  head(now_ms: number, newest: number): number {
    if (this.lag_ms === null) return 0;
    const passed_ms = Math.max(0, now_ms - this.asked_ms);
    this.asked_ms = now_ms;
    const ahead = this.lag_ms - this.wanted_ms();
    const most = passed_ms * PACE;
    if (ahead > JUMP_MS) this.lag_ms -= ahead;
    else this.lag_ms -= Math.min(Math.max(ahead, -most), most);
    this.lag_ms = Math.max(this.lag_ms, now_ms - (newest / this.fs_hz) * 1000); // run dry: wait, then go on from here
    return Math.min(newest, ((now_ms - this.lag_ms) / 1000) * this.fs_hz);
  }

  private wanted_ms(): number {
    let latest = -Infinity;
    let soonest = Infinity;
    for (const arrival of this.arrivals) {
      latest = Math.max(latest, arrival.first_ms);
      soonest = Math.min(soonest, arrival.end_ms);
    }
    return Math.min(Math.max(latest + MARGIN_MS, soonest + LEAST_MS), soonest + MOST_MS);
  }
}
