// How old somebody was when an image was made.

/** Whole years at the day of the study; today's where that is not told. */
export function ageAt(birth_date: string | null, study_date: string | null, today = new Date().toISOString()): number | null {
  const [born, day] = [birth_date, study_date ?? today].map((text) => /^(\d{4})-(\d{2})-(\d{2})/.exec(text ?? '')?.slice(1).map(Number));
  if (!born || !day) return null;
  const [years, months, days] = [0, 1, 2].map((part) => day[part]! - born[part]!) as [number, number, number];
  const age = years - (months < 0 || (months === 0 && days < 0) ? 1 : 0);
  return age >= 0 && age < 150 ? age : null;
}
