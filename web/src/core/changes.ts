// /api/changes: one socket per page tells what kind of thing changed; lists then fetch themselves again.
import { useEffect, useRef } from 'preact/hooks';
import { openSocket, type Socket } from './socket';

export type Topic = 'tasks' | 'alarms' | 'recordings' | 'requests' | 'reports' | 'incidents' | 'uploads' | 'images';
/** `changed` null: what changed meanwhile is not known. */
type Call = (changed: readonly string[] | null) => void;
type Listener = { topics: readonly Topic[]; call: Call };

const listeners = new Set<Listener>();
let socket: Socket | null = null;
let openedBefore = false;

function tell(changed: readonly string[] | null): void {
  for (const listener of listeners) {
    if (changed === null || listener.topics.some((topic) => changed.includes(topic))) listener.call(changed);
  }
}

export function onChange(topics: readonly Topic[], call: Call): () => void {
  const listener = { topics, call };
  listeners.add(listener);
  socket ??= openSocket('/api/changes', {
    text: (message) => tell(message.changed as string[]),
    // What changed while the line was down is not known: everything asks again.
    state: (state) => { if (state === 'open') { if (openedBefore) tell(null); openedBefore = true; } },
  });
  return () => { listeners.delete(listener); };
}

export function useChanges(topics: readonly Topic[], call: Call): void {
  const latest = useRef(call);
  latest.current = call;
  useEffect(() => (topics.length ? onChange(topics, (changed) => latest.current(changed)) : undefined), [topics.join()]);
}
