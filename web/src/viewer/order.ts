// In which order the frames of a stack are wanted. Pure: places in, places out.

/** 0, 1, -1, 2, -2 ... from a place, as far as the stack goes; `ahead` -1 looks back first. */
export function* outward(index: number, count: number, ahead: 1 | -1 = 1, most = count): Generator<number> {
  if (index >= 0 && index < count) yield index;
  for (let step = 1; step <= most && (index - step >= 0 || index + step < count); step++) {
    for (const place of [index + step * ahead, index - step * ahead]) if (place >= 0 && place < count) yield place;
  }
}

/** The places ahead of who is scrolling, then all others; the near ones come again. */
export function* onward(index: number, count: number, ahead: 1 | -1, most: number): Generator<number> {
  for (let step = 0; step <= most; step++) {
    const place = index + step * ahead;
    if (place >= 0 && place < count) yield place;
  }
  yield* outward(index, count, ahead);
}

/** All of a stack coarse first: every 8th place, then every 4th, every 2nd, the rest; each once. */
export function* interleaved(count: number): Generator<number> {
  for (let place = 0; place < count; place += 8) yield place;
  for (let step = 4; step >= 1; step /= 2) for (let place = step; place < count; place += 2 * step) yield place;
}
