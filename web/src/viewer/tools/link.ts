/* Scrolling together. In one frame of reference the same place of the patient is shown; between two examinations the reader says
   which slices belong together ("link here"), and from there on both go as many millimetres. */
import type { Vector } from '../types';
import { areParallel, distanceFrom, dot, middleOf, nearestSlice, sameFrame, type Plane } from './geometry';

const SAME_PLACE_MM = 0.01; // positions are written with few digits

/** A stack as linking sees it: a plane for each place, null where the object doesn't tell it. */
export type Stack = { planes: readonly (Plane | null)[]; index: number };
/** How the other stack follows: by place in the patient, by millimetres or slices from where they were linked; 'apart', 'beyond': not
    at all, since it lies another way or doesn't reach there. */
export type Way = 'place' | 'distance' | 'slices' | 'apart' | 'beyond';
export type Followed = { index: number; way: Way };

/** Where `other` has to be when `led` is where it is. `anchors`: the two places that were linked; `by_place`: as the patient lay. */
export function follow(led: Stack, other: Stack, anchors: { led: number; other: number }, by_place: boolean): Followed {
  const stay = (way: Way): Followed => ({ index: other.index, way });
  const [here, from, there] = [led.planes[led.index], led.planes[anchors.led], other.planes[anchors.other]];
  if (!here || !from || !there) return { index: within(other, anchors.other + led.index - anchors.led), way: 'slices' };
  if (!areParallel(here, there)) return stay('apart');
  const go = (place: Vector, way: Way): Followed => {
    const index = nearestSlice(other.planes, place) ?? other.index;
    const found = other.planes[index];
    const reaches = found && Math.abs(distanceFrom(found, place)) <= (gapAt(found, other) ?? gapAt(here, led) ?? 0) + SAME_PLACE_MM;
    return reaches ? { index, way } : stay('beyond');
  };
  if (by_place && sameFrame(here, there)) return go(middleOf(here), 'place');
  const moved_mm = distanceFrom(from, middleOf(here)) * Math.sign(dot(from.normal, there.normal));
  const middle = middleOf(there);
  return go(middle.map((each, n) => each + there.normal[n]! * moved_mm) as unknown as Vector, 'distance');
}

/** Millimetres from a slice to the next of its stack; null of a single one. */
function gapAt(plane: Plane, { planes }: Stack): number | null {
  const gaps = planes.flatMap((each) => (each ? [Math.abs(distanceFrom(plane, middleOf(each)))] : [])).filter((gap) => gap > SAME_PLACE_MM);
  return gaps.length === 0 ? null : Math.min(...gaps);
}

function within({ planes }: Stack, index: number): number {
  return Math.min(Math.max(index, 0), planes.length - 1);
}
