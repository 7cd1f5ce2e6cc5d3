// The resident identity number of GB 11643-1999: its check digit, and the birth date and sex it carries.
import type { Sex } from '../core/types';

const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2] as const;
const CHECK = '10X98765432';

export type ResidentId = { fault: 'length' | 'date' | 'check' } | { fault: null; birth_date: string; sex: Sex };

export function readResidentId(text: string): ResidentId {
  const number = text.trim().toUpperCase();
  if (!/^\d{17}[\dX]$/.test(number)) return { fault: 'length' };
  const sum = WEIGHTS.reduce<number>((total, weight, place) => total + weight * Number(number[place]), 0);
  if (CHECK[sum % 11] !== number[17]) return { fault: 'check' };
  const birth_date = `${number.slice(6, 10)}-${number.slice(10, 12)}-${number.slice(12, 14)}`;
  const date = new Date(`${birth_date}T00:00:00Z`);
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== birth_date) return { fault: 'date' };
  return { fault: null, birth_date, sex: Number(number[16]) % 2 === 1 ? 'male' : 'female' };
}

/** Completed years on a day. */
export function ageYears(birth_date: string, today: string): number {
  const years = Number(today.slice(0, 4)) - Number(birth_date.slice(0, 4));
  return today.slice(5) >= birth_date.slice(5) ? years : years - 1;
}
