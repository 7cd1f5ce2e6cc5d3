// Instants as people read them: in the signed-in person's zone, year first, 24 hours, never a bare "11/12".
import { signal } from '@preact/signals';

export const timeZone = signal(Intl.DateTimeFormat().resolvedOptions().timeZone);

/** Wall clock of the page, ticking each second: whatever shows an age reads it. */
export const now = signal(Date.now());
if (typeof document !== 'undefined') setInterval(() => { now.value = Date.now(); }, 1000);

const formatters = new Map<string, Intl.DateTimeFormat>();

function parts(at: string | number | Date, zone: string): Record<string, string> {
  let formatter = formatters.get(zone);
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit',
      hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
    });
    formatters.set(zone, formatter);
  }
  return Object.fromEntries(formatter.formatToParts(new Date(at)).map((part) => [part.type, part.value]));
}

/** 2026-11-21 */
export function formatDate(at: string | number | Date, zone = timeZone.value): string {
  const p = parts(at, zone);
  return `${p.year}-${p.month}-${p.day}`;
}

/** 14:05 or 14:05:09 */
export function formatClock(at: string | number | Date, seconds = false, zone = timeZone.value): string {
  const p = parts(at, zone);
  return seconds ? `${p.hour}:${p.minute}:${p.second}` : `${p.hour}:${p.minute}`;
}

/** 2026-11-21 14:05 */
export function formatInstant(at: string | number | Date, seconds = false, zone = timeZone.value): string {
  return `${formatDate(at, zone)} ${formatClock(at, seconds, zone)}`;
}

/** The clock alone today, with its date on any other day. */
export function formatShort(at: string | number | Date, zone = timeZone.value): string {
  return formatDate(at, zone) === formatDate(Date.now(), zone) ? formatClock(at, false, zone) : formatInstant(at, false, zone);
}

export type DurationUnit = 's' | 'min' | 'h' | 'd';

/** The two units that matter, largest first: [[3,'h'],[20,'min']]. */
export function splitDuration(seconds: number): [number, DurationUnit][] {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return [[whole, 's']];
  if (whole < 3600) return withRest(Math.floor(whole / 60), 'min', whole % 60, 's', whole < 600);
  if (whole < 172_800) return withRest(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'min', true);
  return withRest(Math.floor(whole / 86_400), 'd', Math.floor((whole % 86_400) / 3600), 'h', true);
}

function withRest(a: number, unitA: DurationUnit, b: number, unitB: DurationUnit, keep: boolean): [number, DurationUnit][] {
  return keep && b > 0 ? [[a, unitA], [b, unitB]] : [[a, unitA]];
}

/** The instant a wall clock of the person's zone shows: "2026-11-21", "14:05" -> ISO 8601 UTC. */
export function instantOf(date: string, clock: string, zone = timeZone.value): string {
  const asUtc = Date.parse(`${date}T${clock}:00Z`);
  const shown = Date.parse(`${formatDate(asUtc, zone)}T${formatClock(asUtc, true, zone)}Z`);
  return new Date(2 * asUtc - shown).toISOString();
}
