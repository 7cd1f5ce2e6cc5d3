// How old somebody was when an image was made.

export type Age = { unit: 'years' | 'months' | 'days'; count: number };

const DAY_MS = 86_400_000;
const MONTHS_BELOW = 24; // a small child's age is told in months, a newborn's in days

/** Whole years, months or days at the day of the study; today's where that is not told. */
export function ageAt(birth_date: string | null, study_date: string | null, today = new Date().toISOString()): Age | null {
  const [born, day] = [birth_date, study_date ?? today].map((text) => /^(\d{4})-(\d{2})-(\d{2})/.exec(text ?? '')?.slice(1).map(Number) as [number, number, number] | undefined);
  if (!born || !day) return null;
  const months = 12 * (day[0] - born[0]) + day[1] - born[1] - (day[2] < born[2] ? 1 : 0);
  if (months < 0 || months >= 150 * 12) return null;
  if (months >= MONTHS_BELOW) return { unit: 'years', count: Math.floor(months / 12) };
  if (months >= 1) return { unit: 'months', count: months };
  return { unit: 'days', count: Math.round((Date.UTC(day[0], day[1] - 1, day[2]) - Date.UTC(born[0], born[1] - 1, born[2])) / DAY_MS) };
}
