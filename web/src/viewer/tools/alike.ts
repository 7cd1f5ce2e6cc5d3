/* Which series of an earlier study is most like one of today's: same kind of machine, same way through the body, same words. */
import { slicesOf } from '../manifest';
import type { Manifest, Series } from '../types';
import { areParallel, planeOf, type Plane } from './geometry';

/** Plane of a series' middle slice; a scout among axial slices must not speak for it. */
function planeIn(series: Series): Plane | null {
  const slices = slicesOf(series);
  const slice = slices[Math.floor(slices.length / 2)];
  return slice?.instance.pixels ? planeOf(slice.instance.pixels, slice.frame) : null;
}

/** Words of a description; one of another vendor has them in another order. */
function wordsOf({ description }: Series): Set<string> {
  return new Set((description ?? '').toLowerCase().split(/[^\p{L}\p{N}.]+/u).filter(Boolean));
}

/** Share of the words that both have, 0 to 1 (Jaccard). */
function sameWords(a: Series, b: Series): number {
  const [ours, theirs] = [wordsOf(a), wordsOf(b)];
  const both = [...ours].filter((word) => theirs.has(word)).length;
  return both === 0 ? 0 : both / (ours.size + theirs.size - both);
}

function ratio(a: number, b: number): number {
  return Math.min(a, b) / Math.max(a, b, 1);
}

/** Higher is more alike; null: another kind of machine, or no images. The direction of the slices outweighs words, words the count. */
export function likeness(of: Series, other: Series): number | null {
  const [count, others] = [slicesOf(of).length, slicesOf(other).length];
  if (of.modality !== other.modality || count === 0 || others === 0) return null;
  const [plane, its] = [planeIn(of), planeIn(other)];
  const direction = plane && its ? (areParallel(plane, its) ? 4 : -4) : 0;
  const part = of.body_part && other.body_part ? (of.body_part === other.body_part ? 1 : -1) : 0;
  return direction + part + 3 * sameWords(of, other) + ratio(count, others);
}

/** The series of a study most like this one; without any of its kind the one with the most images. */
export function mostAlike(of: Series | null, { series }: Manifest): Series | null {
  let [best, most]: [Series | null, number] = [null, -Infinity];
  for (const each of series) {
    const points = (of && likeness(of, each)) ?? slicesOf(each).length / 1e6 - 1e3;
    if (slicesOf(each).length > 0 && points > most) [best, most] = [each, points];
  }
  return best;
}
