// What of this account has not reached the hub yet, for whoever wants to leave. Told by what sends files, when that is loaded.
import { signal } from '@preact/signals';

/** `kept` of `files` are encrypted in this browser and go on when this account signs in here again; `forget` deletes all of them. */
export type Unsent = { files: number; kept: number; forget: () => Promise<void> };

export const unsent = signal<Unsent | null>(null);
