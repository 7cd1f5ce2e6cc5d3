// Asking again for what changes elsewhere: a folder of images at any desk is thousands of changes.

const PACE_MS = 3000;

/** Runs `look` for what has changed: at once, then no sooner than 3 s after it was done, one at a time, and once more for what changed meanwhile. */
export function paced(look: () => Promise<void>, after: (run: () => void, wait_ms: number) => void = setTimeout): () => void {
  let [busy, again] = [false, false];
  async function run(): Promise<void> {
    [busy, again] = [true, false];
    await look();
    after(() => { busy = false; if (again) void run(); }, PACE_MS);
  }
  return () => { again = true; if (!busy) void run(); };
}
