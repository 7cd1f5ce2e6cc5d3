// Whether the hub can be reached, as one word for the corner of every page.
import { computed, signal } from '@preact/signals';

export type Reach = 'connected' | 'connecting' | 'away';

const httpAway = signal(!navigator.onLine);
const sockets = signal<ReadonlyMap<number, 'connecting' | 'open' | 'waiting'>>(new Map());
let retry: ReturnType<typeof setTimeout> | null = null;

export const reach = computed<Reach>(() => {
  if (httpAway.value) return 'away';
  const states = [...sockets.value.values()];
  if (states.includes('waiting')) return 'away';
  return states.includes('connecting') ? 'connecting' : 'connected';
});

/** Called with the outcome of each request; while away, asks again each 3 s so that the page recovers by itself. */
export function tellHttp(reached: boolean): void {
  httpAway.value = !reached;
  if (reached || retry) return;
  retry = setTimeout(() => {
    retry = null;
    fetch('/healthz', { cache: 'no-store' }).then(() => tellHttp(true), () => tellHttp(false));
  }, 3000);
}

export function tellSocket(id: number, state: 'connecting' | 'open' | 'waiting' | null): void {
  const next = new Map(sockets.value);
  if (state === null) next.delete(id);
  else next.set(id, state);
  sockets.value = next;
}

addEventListener('offline', () => tellHttp(false));
addEventListener('online', () => tellHttp(true));
