/** How far two dates are apart, in the unit one would say it in: days up to two months, months up to two years, then years. A check-up
    that came a few days before its year was over came after a year. */
export type Apart = { later: boolean; count: number; unit: 'same' | 'days' | 'months' | 'years' };

const DAY_MS = 86_400_000;
const FEW_DAYS = 3;

/** Dates as 20261122 or 2026-11-22; null where one isn't known. */
function dayOf(text: string | null): Date | null {
  const parts = /^(\d{4})-?(\d{2})-?(\d{2})/.exec(text ?? '');
  return parts && new Date(Date.UTC(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3])));
}

export function apartOf(own: string | null, other: string | null): Apart | null {
  const [a, b] = [dayOf(own), dayOf(other)];
  if (!a || !b) return null;
  const [early, late] = a < b ? [a, b] : [b, a];
  const days = Math.round((late.getTime() - early.getTime()) / DAY_MS);
  const about = new Date(late.getTime() + FEW_DAYS * DAY_MS);
  const months = (about.getUTCFullYear() - early.getUTCFullYear()) * 12 + about.getUTCMonth() - early.getUTCMonth() - (about.getUTCDate() < early.getUTCDate() ? 1 : 0);
  const later = b > a;
  if (days === 0) return { later, count: 0, unit: 'same' };
  if (months < 2) return { later, count: days, unit: 'days' };
  return months < 24 ? { later, count: months, unit: 'months' } : { later, count: Math.floor(months / 12), unit: 'years' };
}
