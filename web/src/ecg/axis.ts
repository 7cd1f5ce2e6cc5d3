/** Where the clock stands under a drawing of any length of time. */

const SECOND_MS = 1000;
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200];
const ROOM_PX = 64; // for one clock time

export interface Ticks {
  step_ms: number;
  at_ms: number[];
}

/** Even instants between two, as many as have room; whole minutes at least if `least_s` is 60. */
export function ticks(from_ms: number, to_ms: number, width: number, least_s = 1): Ticks {
  const room = Math.max(1, Math.floor(width / ROOM_PX));
  const span_s = (to_ms - from_ms) / SECOND_MS;
  const step_ms = (STEPS_S.find((step) => step >= least_s && span_s / step <= room) ?? 43_200) * SECOND_MS;
  const at_ms = [];
  for (let at = Math.ceil(from_ms / step_ms) * step_ms; at <= to_ms; at += step_ms) at_ms.push(at);
  return { step_ms, at_ms };
}
