// The report's text while it is written: each change is stored at the hub within a second, and the page says so truthfully.
import { computed, signal, type ReadonlySignal, type Signal } from '@preact/signals';
import { api, ApiError } from '../core/api';
import type { Draft, DraftContent } from './types';

const WAIT_MS = 800; // after the last key
const RETRY_MS = 4_000;

export type DraftText = Omit<DraftContent, 'included_findings'>;
export type Saved = { kind: 'stored'; at: string } | { kind: 'none' } | { kind: 'saving' } | { kind: 'changed' } | { kind: 'failed'; error: ApiError } | { kind: 'stale' };

export type DraftDesk = {
  text: Signal<DraftText>;
  included: Signal<ReadonlySet<string>>;
  saved: ReadonlySignal<Saved>;
  revision: ReadonlySignal<number>;
  change: (part: Partial<DraftText>) => void;
  include: (key: string, wanted: boolean) => void;
  /** Stores what is not stored yet; true = the hub has everything on the page. */
  flush: () => Promise<boolean>;
  /** Another page wrote a newer draft: go on from its revision, with this page's words or with the other's. */
  settle: (newer: Draft, keepMine: boolean) => void;
  /** This page's words of an earlier claim, beside a draft somebody has written since: both stay until the reader chooses. */
  contest: (mine: DraftText) => void;
  close: () => void;
};

const EMPTY: DraftText = { findings_text: '', conclusion: '', advice: '', critical: false, full_disclosure: false, language: 'zh-CN' };

/** `indices` gives the findings' places in the analysis as it is now: dismissing one moves the others. */
export function openDraft(task_id: string, stored: Draft | null, includedKeys: readonly string[], indices: () => ReadonlyMap<string, number>): DraftDesk {
  const text = signal<DraftText>(stored ? textOf(stored.content) : EMPTY);
  const included = signal<ReadonlySet<string>>(new Set(includedKeys));
  const revision = signal(stored?.revision ?? 0);
  const saved = signal<Saved>(stored ? { kind: 'stored', at: stored.saved_at } : { kind: 'none' });
  let dirty = false;
  let running: Promise<void> | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let closed = false;

  function touch(): void {
    dirty = true;
    if (saved.value.kind !== 'stale') saved.value = { kind: 'changed' };
    plan(WAIT_MS);
  }

  function plan(wait_ms: number): void {
    if (timer !== null) clearTimeout(timer);
    timer = closed ? null : setTimeout(() => { void save(); }, wait_ms);
  }

  function content(): DraftContent {
    const places = indices();
    const known = [...included.value].map((key) => places.get(key)).filter((place) => place !== undefined);
    return { ...text.value, included_findings: known.sort((a, b) => a - b) };
  }

  async function put(): Promise<void> {
    dirty = false;
    saved.value = { kind: 'saving' };
    try {
      const done = await api.put<{ revision: number; saved_at: string }>(`/api/tasks/${task_id}/draft`, { content: content(), revision: revision.value });
      revision.value = done.revision;
      saved.value = dirty ? { kind: 'changed' } : { kind: 'stored', at: done.saved_at };
    } catch (error) {
      dirty = true;
      if (!(error instanceof ApiError)) throw error;
      const stale = error.code === 'draft_stale';
      saved.value = stale ? { kind: 'stale' } : { kind: 'failed', error };
      if (!stale && error.status !== 403 && error.status !== 409) plan(RETRY_MS);
    }
  }

  async function save(): Promise<void> {
    if (running !== null) { await running; }
    if (!dirty || closed || saved.value.kind === 'stale') return;
    running = put().finally(() => { running = null; });
    await running;
  }

  const warn = (event: BeforeUnloadEvent): void => { if (dirty || running !== null) event.preventDefault(); };
  addEventListener('beforeunload', warn);
  return {
    text,
    included,
    saved: computed(() => saved.value),
    revision: computed(() => revision.value),
    change: (part) => { text.value = { ...text.value, ...part }; touch(); },
    include: (key, wanted) => {
      const next = new Set(included.value);
      if (wanted) next.add(key);
      else next.delete(key);
      included.value = next;
      touch();
    },
    flush: async () => {
      while ((dirty || running !== null) && saved.value.kind !== 'stale' && !closed) {
        await save();
        if (saved.value.kind === 'failed') return false;
      }
      return saved.value.kind === 'stored' || saved.value.kind === 'none';
    },
    settle: (newer, keepMine) => {
      revision.value = newer.revision;
      saved.value = { kind: 'stored', at: newer.saved_at };
      if (keepMine) touch();
      else { text.value = textOf(newer.content); dirty = false; }
    },
    contest: (mine) => {
      text.value = mine;
      dirty = true;
      saved.value = { kind: 'stale' };
    },
    close: () => { closed = true; plan(0); removeEventListener('beforeunload', warn); },
  };
}

function textOf({ findings_text, conclusion, advice, critical, full_disclosure, language }: DraftContent): DraftText {
  return { findings_text, conclusion, advice, critical: Boolean(critical), full_disclosure: Boolean(full_disclosure), language: language ?? 'zh-CN' };
}
