// Data of the hub with all its states: loading, there, there but old, empty, failed, away, not allowed.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError } from './api';
import { useChanges, type Topic } from './changes';
import { t } from './i18n';
import { Banner, ErrorState, NoRight, Skeleton } from './ui';

export type Resource<T> = { data: T | null; error: ApiError | null; reload: () => void };

/** Fetches `path` (null = not yet), again on each change of a topic and each `everyS`; keeps old data while doing so. */
export function useResource<T>(path: string | null, topics: readonly Topic[] = [], everyS = 0): Resource<T> {
  const [state, setState] = useState<{ path: string | null; data: T | null; error: ApiError | null }>({ path, data: null, error: null });
  const [round, setRound] = useState(0);
  const reload = () => setRound((n) => n + 1);
  const current = useRef(path);
  current.current = path;
  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    api.get<T>(path, abort.signal).then(
      (data) => { if (!abort.signal.aborted) setState({ path, data, error: null }); },
      (error: unknown) => {
        if (abort.signal.aborted || !(error instanceof ApiError)) return;
        setState((old) => ({ path, data: old.path === path ? old.data : null, error }));
      },
    );
    return () => abort.abort();
  }, [path, round]);
  useChanges(topics, reload);
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
