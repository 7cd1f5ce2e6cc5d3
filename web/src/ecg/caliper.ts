/** What two caliper lines measure on a strip: time between them, the rate it means, the voltage between the trace there. */

import { MISSING } from './ring';
import type { SampleWindow } from './samples';

export interface Measured {
  interval_ms: number;
  /** 60 / interval; null for lines on top of each other. */
  rate_bpm: number | null;
  /** Second line minus first; null where either line stands in a gap. */
  voltage_mv: number | null;
}

export function measure(window: SampleWindow, lead: number, first: number, second: number): Measured {
  const interval_ms = (Math.abs(second - first) / window.fs_hz) * 1000;
  const value = (sample: number): number => window.rows[lead]?.[sample - window.first_sample] ?? MISSING;
  const [from, to] = [value(first), value(second)];
  return {
    interval_ms: Math.round(interval_ms),
    rate_bpm: interval_ms > 0 ? Math.round(60_000 / interval_ms) : null,
    voltage_mv: from === MISSING || to === MISSING ? null : ((to - from) * window.uv_per_lsb) / 1000,
  };
}

/** Arrow keys move a line by a sample, with shift by 100 ms; null = not a key of the caliper. */
export function moved(key: string, shift: boolean, sample: number, window: SampleWindow): number | null {
  const step = shift ? Math.round(window.fs_hz / 10) : 1;
  const last = window.first_sample + window.count - 1;
  const target: Record<string, number> = {
    ArrowLeft: sample - step,
    ArrowRight: sample + step,
    Home: window.first_sample,
    End: last,
  };
  const wanted = target[key];
  return wanted === undefined ? null : Math.min(Math.max(wanted, window.first_sample), last);
}
