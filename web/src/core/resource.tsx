// Data of the hub with all its states: loading, there, there but old, empty, failed, away, not allowed.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError } from './api';
import { useChanges, type Topic } from './changes';
import { t } from './i18n';
import { Banner, ErrorState, NoRight, Skeleton } from './ui';

export type Resource<T> = { data: T | null; error: ApiError | null; reload: () => void };

const SHARE = 3; // asking again leaves the line free for three times as long as the answer took
const UPLOADS_PAUSE_MS = 3000; // a folder of images is three changes a file, for every desk of a district

type Pace = { begun: () => number; ended: (round: number) => void; soon: (pause_ms: number) => void };

/** At once if it was quiet, else after a pause and never into an answer that is on its way: once for all that changed meanwhile. */
function usePace(reload: () => void): Pace {
  const ref = useRef({ round: 0, running: false, begun_ms: 0, took_ms: 0, timer: 0, due_ms: Infinity, wanted_ms: Infinity });
  useEffect(() => () => clearTimeout(ref.current.timer), []);
  const own = ref.current;
  function soon(pause_ms: number): void {
    if (own.running) { own.wanted_ms = Math.min(own.wanted_ms, pause_ms); return; }
    const due_ms = own.begun_ms + Math.max(own.took_ms * (1 + SHARE), pause_ms);
    if (due_ms >= own.due_ms) return;
    clearTimeout(own.timer);
    own.due_ms = due_ms;
    own.timer = setTimeout(reload, Math.max(due_ms - performance.now(), 0));
  }
  return {
    begun: () => {
      clearTimeout(own.timer);
      Object.assign(own, { running: true, begun_ms: performance.now(), due_ms: Infinity, wanted_ms: Infinity });
      return ++own.round;
    },
    ended: (round) => {
      if (round !== own.round) return; // given up for a newer one
      const { wanted_ms } = own;
      Object.assign(own, { running: false, took_ms: performance.now() - own.begun_ms, wanted_ms: Infinity });
      if (wanted_ms < Infinity) soon(wanted_ms);
    },
    soon,
  };
}

type Whole<T> = (first: T, abort: AbortSignal) => Promise<T>;

/** Fetches `path` (null = not yet), again on each change of a topic and each `everyS`; keeps old data while doing so. `whole`: fetches the pages after the first. */
export function useResource<T>(path: string | null, topics: readonly Topic[] = [], everyS = 0, whole: Whole<T> | null = null): Resource<T> {
  const [state, setState] = useState<{ path: string | null; data: T | null; error: ApiError | null }>({ path, data: null, error: null });
  const [round, setRound] = useState(0);
  const reload = () => setRound((n) => n + 1);
  const paced = usePace(reload);
  const current = useRef(path);
  current.current = path;
  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    const begun = paced.begun();
    api.get<T>(path, abort.signal).then((first) => (whole ? whole(first, abort.signal) : first)).finally(() => paced.ended(begun)).then(
      (data) => { if (!abort.signal.aborted) setState({ path, data, error: null }); },
      (error: unknown) => {
        if (abort.signal.aborted || !(error instanceof ApiError)) return;
        setState((old) => ({ path, data: old.path === path ? old.data : null, error }));
      },
    );
    return () => abort.abort();
  }, [path, round]);
  useChanges(topics, (changed) => paced.soon(changed?.every((word) => word === 'uploads') ? UPLOADS_PAUSE_MS : 0));
  useEffect(() => {
    if (!everyS) return;
    const timer = setInterval(() => { if (!document.hidden) reload(); }, everyS * 1000);
    return () => clearInterval(timer);
  }, [everyS]);
  const fresh = state.path === path;
  return { data: fresh ? state.data : null, error: fresh ? state.error : null, reload };
}

type LoadedProps<T> = {
  from: Resource<T>;
  skeleton?: ComponentChildren;
  children: (data: T) => ComponentChildren;
};

/** Draws a resource in whatever state it is. */
export function Loaded<T>({ from, skeleton, children }: LoadedProps<T>) {
  if (from.data !== null) {
    return (
      <>
        {from.error && <Banner kind="notice" action={{ label: t('core.retry'), run: from.reload }}>{t('core.stale', { reason: from.error.text })}</Banner>}
        {children(from.data)}
      </>
    );
  }
  if (from.error?.status === 403) return <NoRight />;
  if (from.error) return <ErrorState error={from.error} retry={from.reload} />;
  return <>{skeleton ?? <Skeleton rows={4} />}</>;
}

export type Action = { run: () => void; busy: boolean; error: ApiError | null; clear: () => void };

/** One button's work: busy while it runs, its error kept for the page to show. */
export function useAction(work: () => Promise<unknown>): Action {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  async function run(): Promise<void> {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      setError(cause);
    } finally {
      setBusy(false);
    }
  }
  return { run: () => { if (!busy) void run(); }, busy, error, clear: () => setError(null) };
}
