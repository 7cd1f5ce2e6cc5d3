/* Scrolling together. In one frame of reference the same place of the patient is shown; between two examinations the reader says
   which slices belong together ("link here"), and from there on both go as many millimetres. */
import { areParallel, distanceFrom, dot, middleOf, nearestSlice, sameFrame, type Plane } from './geometry';

/** A stack as linking sees it: a plane for each place, null where the object doesn't tell it. */
export type Stack = { planes: readonly (Plane | null)[]; index: number };
/** How the other stack follows: by place in the patient, by millimetres or slices from where they were linked; 'apart': not at all. */
export type Way = 'place' | 'distance' | 'slices' | 'apart';
export type Followed = { index: number; way: Way };

/** Where `other` has to be when `led` is where it is. `anchors`: the two places that were linked; `by_place`: as the patient lay. */
export function follow(led: Stack, other: Stack, anchors: { led: number; other: number }, by_place: boolean): Followed {
  const stay = (way: Way): Followed => ({ index: other.index, way });
  const [here, from, there] = [led.planes[led.index], led.planes[anchors.led], other.planes[anchors.other]];
  if (!here || !from || !there) return { index: within(other, anchors.other + led.index - anchors.led), way: 'slices' };
  if (!areParallel(here, there)) return stay('apart');
  if (by_place && sameFrame(here, there)) return { index: nearestSlice(other.planes, middleOf(here)) ?? other.index, way: 'place' };
  const moved_mm = distanceFrom(from, middleOf(here)) * Math.sign(dot(from.normal, there.normal));
  const middle = middleOf(there);
  const place = middle.map((each, n) => each + there.normal[n]! * moved_mm) as [number, number, number];
  return { index: nearestSlice(other.planes, place) ?? other.index, way: 'distance' };
}

function within({ planes }: Stack, index: number): number {
  return Math.min(Math.max(index, 0), planes.length - 1);
}
