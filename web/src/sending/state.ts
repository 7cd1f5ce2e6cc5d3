// What pages see of the files on their way; the parts that read, encrypt and send come when they are needed.
import { signal } from '@preact/signals';
import type { Outgoing } from './plan';

export const outgoing = signal<readonly Outgoing[]>([]);
/** Ids of the files of which a step is under way. */
export const busy = signal<ReadonlySet<string>>(new Set());
/** Whether files survive closing this browser; null = not known yet. */
export const keeps = signal<boolean | null>(null);

export const sender = () => import('./sender');

export function update(id: string, change: (file: Outgoing) => Outgoing): void {
  outgoing.value = outgoing.value.map((file) => (file.id === id ? change(file) : file));
}

export function current(id: string): Outgoing | undefined {
  return outgoing.value.find((file) => file.id === id);
}
