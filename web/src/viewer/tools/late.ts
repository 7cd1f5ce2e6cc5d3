// The tools come after the first image: on a village's line that is what everybody waits for.
import { effect } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { addSection } from '../../core/i18n';
import type { OpenStudy } from '../open-study';

type Parts = typeof import('./index');
export type LateTools = Parts & { tools: ReturnType<Parts['openTools']> };

const LATEST_MS = 4000; // also beside an image that does not come

/** Null until they are there; `failed`: they could not be fetched. */
export function useTools(study: OpenStudy, write: boolean): { late: LateTools | null; failed: boolean; retry: () => void } {
  const [late, setLate] = useState<LateTools | null>(null);
  const [failed, setFailed] = useState(false);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let [closed, begun, opened]: [boolean, boolean, LateTools | null] = [false, false, null];
    const fetchParts = (): void => {
      if (begun || closed) return;
      begun = true;
      Promise.all([import('./index'), addSection('viewertools')]).then(([parts]) => {
        if (closed) return;
        opened = { ...parts, tools: parts.openTools(study, write) };
        setLate(opened);
      }, () => setFailed(true));
    };
    setFailed(false);
    const stop = effect(() => { if (study.panes.all.some((pane) => pane.picture.value !== null)) fetchParts(); });
    const timer = setTimeout(fetchParts, LATEST_MS);
    return () => {
      closed = true;
      stop();
      clearTimeout(timer);
      opened?.tools.close();
      setLate(null);
    };
  }, [study, write, round]);
  return { late, failed, retry: () => setRound((n) => n + 1) };
}
