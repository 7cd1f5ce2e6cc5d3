// Holding a task: claimed for five minutes, kept by a heartbeat each 30 s, given back or lost.
import { signal, type Signal } from '@preact/signals';
import { api, ApiError } from '../core/api';

const HEARTBEAT_MS = 30_000;

export type Claim = {
  /** 'unsure': the hub was not reached; the lease still runs until `until`. */
  state: Signal<'held' | 'unsure' | 'lost' | 'released'>;
  until: Signal<string | null>;
  release: () => Promise<void>;
  done: () => void;
};

export async function claimTask(task_id: string): Promise<Claim> {
  const claimed = await api.post<{ task: { lease_until: string } } | { lease_until: string }>(`/api/tasks/${task_id}/claim`);
  const state = signal<'held' | 'unsure' | 'lost' | 'released'>('held');
  const until = signal<string | null>('task' in claimed ? claimed.task.lease_until : claimed.lease_until);
  async function beat(): Promise<void> {
    try {
      const beaten = await api.post<{ lease_until: string }>(`/api/tasks/${task_id}/heartbeat`);
      if (state.value === 'released') return;
      until.value = beaten.lease_until;
      state.value = 'held';
    } catch (error) {
      if (state.value === 'released') return;
      const lost = error instanceof ApiError && [403, 404, 409].includes(error.status);
      state.value = lost ? 'lost' : 'unsure';
      if (lost) clearInterval(timer);
    }
  }
  const timer = setInterval(() => { void beat(); }, HEARTBEAT_MS);
  const awake = (): void => { if (!document.hidden && state.value !== 'lost') void beat(); };
  document.addEventListener('visibilitychange', awake);
  function done(): void {
    state.value = 'released';
    clearInterval(timer);
    document.removeEventListener('visibilitychange', awake);
  }
  return { state, until, done, release: async () => { await api.post(`/api/tasks/${task_id}/release`); done(); } };
}
