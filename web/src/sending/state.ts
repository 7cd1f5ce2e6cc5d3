// What pages see of the files on their way; the parts that read, encrypt and send come when they are needed.
import { computed, signal } from '@preact/signals';
import { placesOf, type Outgoing } from './plan';

export const outgoing = signal<readonly Outgoing[]>([]);
export const places = computed(() => placesOf(outgoing.value));
/** Ids of the files of which a step is under way. */
export const busy = signal<ReadonlySet<string>>(new Set());
/** While the line is down, when it is tried again (ms); 0 = it is not known to be down. */
export const lineUntil = signal(0);
/** Whether files survive closing this browser; null = not known yet. */
export const keeps = signal<boolean | null>(null);

export const sender = () => import('./sender');

export function update(id: string, change: (file: Outgoing) => Outgoing): void {
  outgoing.value = outgoing.value.map((file) => (file.id === id ? change(file) : file));
}

export function current(id: string): Outgoing | undefined {
  return outgoing.value.find((file) => file.id === id);
}
