// GET /api/images/{study}: what a study holds. What is the same in all of a series comes once and is put back here.
import { ApiError, api, prompt } from '../core/api';
import type { Instance, Layout, Manifest, Series, Slice } from './types';

const LONGEST_MS = 20_000; // some thousand images are 200 kB: 80 kbit/s

type Sent<T> = Partial<Omit<T, 'pixels'>> & { pixels?: Partial<Layout> | null };
type SentSeries = Omit<Series, 'instances'> & { common?: Partial<Layout>; instances: Sent<Instance>[] };
export type SentManifest = Omit<Manifest, 'series'> & { series: SentSeries[] };

const UNSAID: Omit<Instance, 'id' | 'sop_uid'> = {
  sop_class_uid: '', number: null, state: 'waiting', fault: null, kind: 'other', recording_id: null, pixels: null,
};

/** An instance as the page uses it: what it says itself goes before what its series says of all layouts. */
function whole(sent: Sent<Instance>, common: Partial<Layout>): Instance {
  const pixels = { ...common, ...sent.pixels };
  return { ...UNSAID, ...sent, pixels: sent.state === 'ready' && 'frames' in pixels ? pixels : null } as Instance;
}

export function merged(sent: SentManifest): Manifest {
  const series = sent.series.map(({ common = {}, instances, ...rest }): Series => ({ ...rest, instances: instances.map((each) => whole(each, common)) }));
  return { study: sent.study, series };
}

/** What does not come in time counts as a hub that is not reached; who signs in again meanwhile may take their time. */
export async function fetchManifest(study_id: string, abort: AbortSignal, longest_ms = LONGEST_MS): Promise<Manifest> {
  abort.throwIfAborted();
  const own = new AbortController();
  const stop = (): void => own.abort();
  abort.addEventListener('abort', stop);
  const limit = setInterval(() => { if (prompt.peek() === null) stop(); }, longest_ms);
  try {
    return merged(await api.get<SentManifest>(`/api/images/${study_id}`, own.signal));
  } catch (cause) {
    throw own.signal.aborted && !abort.aborted ? new ApiError(0, 'away', null) : cause;
  } finally {
    clearInterval(limit);
    abort.removeEventListener('abort', stop);
  }
}

const stacks = new WeakMap<Series, Slice[]>();

/** Every frame of every image of a series, in the order they are paged through; what is no image has no place in it. */
export function slicesOf(series: Series | null): Slice[] {
  if (series === null) return [];
  let slices = stacks.get(series);
  if (!slices) {
    slices = series.instances.filter(({ kind }) => kind === 'image').flatMap((instance) =>
      Array.from({ length: Math.max(1, instance.pixels?.frames.length ?? 1) }, (_, frame) => ({ instance, frame })));
    stacks.set(series, slices);
  }
  return slices;
}

/** The series to show first: the one with the most slices that has any. */
export function firstSeries({ series }: Manifest): Series | null {
  return series.reduce<Series | null>((best, each) => (slicesOf(each).length > slicesOf(best).length ? each : best), null);
}
