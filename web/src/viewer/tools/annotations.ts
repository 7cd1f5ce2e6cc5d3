// Marks and key images of a study: what the hub has, and over it what this page changed and has not got stored yet.
import { computed, signal, type ReadonlySignal, type Signal } from '@preact/signals';
import { api, ApiError } from '../../core/api';
import { me } from '../../core/session';
import type { Mark } from './marks';
import { openOutbox, type Change, type Pending, type Sender } from './outbox';

export type Person = { id: string; name: string };
export type KeptMark = Mark & { by: Person; at: string };
/** An image worth showing, with the window it was chosen in. */
export type KeyImage = { instance_id: string; frame: number; note: string; window: { center: number; width: number } | null; by: Person; at: string };
type Kept = { annotations: KeptMark[]; key_images: KeyImage[] };

/** What is not at the hub: how many, whether the line is cut, and what the hub refused. */
export type Unsent = { count: number; away: boolean; refused: readonly { key: string; fault: ApiError }[] };

export type Marks = {
  study: string;
  /** Those of this page alone until `known`. */
  list: ReadonlySignal<readonly KeptMark[]>;
  known: ReadonlySignal<boolean>; // whether the hub's have come
  keys: ReadonlySignal<readonly KeyImage[]>;
  fault: ReadonlySignal<ApiError | null>; // of fetching them
  unsent: ReadonlySignal<Unsent>;
  storedAt: ReadonlySignal<Date | null>; // when the hub last took a change of this page
  stateOf: (id: string) => Pending<ApiError>['state'] | 'stored';
  mine: (made: { by: Person }) => boolean;
  put: (mark: Mark) => void;
  remove: (id: string) => void;
  choose: (image: Omit<KeyImage, 'by' | 'at'>) => void;
  unchoose: (instance_id: string, frame: number) => void;
  isKey: (instance_id: string, frame: number) => boolean;
  /** Takes back what the hub refused, and shows what it has. */
  giveUp: (key: string) => void;
  retry: () => void;
  reload: () => void;
  flush: () => Promise<boolean>;
};

/** Changes of this page by the thing's name, shown until an answer of the hub holds them; null = taken away. `round`: of the answer before. */
type Own<T> = ReadonlyMap<string, { thing: T | null; round: number }>;

const LATER_AGAIN = new Set([0, 408, 425, 429, 500, 502, 503, 504, 507]); // not refused, only not now

export function keyName(instance_id: string, frame: number): string {
  return `key/${instance_id}/${frame}`;
}

const LIMIT_MS = 20_000; // an answer that doesn't come must not hold up the others

/** What the hub never had is gone as well when it is taken away. */
async function send({ path, body }: Change): Promise<void> {
  const abort = AbortSignal.timeout(LIMIT_MS);
  if (body === null) {
    await api.raw(path, { method: 'DELETE', headers: {}, signal: abort }).catch((cause: unknown) => { if (!(cause instanceof ApiError && cause.status === 404)) throw cause; });
  } else {
    await api.raw(path, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, bytes: new TextEncoder().encode(JSON.stringify(body)), signal: abort });
  }
}

const SENDER: Sender<ApiError> = {
  send,
  refusal: (cause) => (cause instanceof ApiError && !LATER_AGAIN.has(cause.status) ? cause : null),
  after: (wait_ms, run) => {
    const id = setTimeout(run, wait_ms);
    return () => clearTimeout(id);
  },
};

function laidOver<T>(kept: readonly T[], own: Own<T>, nameOf: (thing: T) => string): T[] {
  const known = new Set(kept.map(nameOf));
  const changed = kept.map((thing) => { const mine = own.get(nameOf(thing)); return mine ? mine.thing : thing; });
  const added = [...own].filter(([name]) => !known.has(name)).map(([, { thing }]) => thing);
  return [...changed, ...added].filter((thing) => thing !== null);
}

/** The changes that a test keeps. */
function filtered<T>(own: Signal<Own<T>>, stays: (name: string, round: number) => boolean): void {
  own.value = new Map([...own.peek()].filter(([name, { round }]) => stays(name, round)));
}

function stamp(): { by: Person; at: string } {
  return { by: { id: me.value?.account.id ?? '', name: me.value?.account.name ?? '' }, at: new Date().toISOString() };
}

function openMarks(study: string): Marks {
  const kept = signal<Kept | null>(null);
  const ownMarks = signal<Own<KeptMark>>(new Map());
  const ownKeys = signal<Own<KeyImage>>(new Map());
  const fault = signal<ApiError | null>(null);
  const storedAt = signal<Date | null>(null);
  const outbox = openOutbox(SENDER);
  const base = `/api/images/${study}`;
  /** What the hub won't take away is there still. */
  const shown = <T>(own: Own<T>): Own<T> => new Map([...own].filter(([name, { thing }]) => thing !== null || outbox.pending.value.get(name)?.state !== 'refused'));
  /** Each reader chooses for the own report: the same image may be another's, too. */
  const isOwn = ({ by }: { by: Person }): boolean => by.id === me.value?.account.id;
  const nameOf = (key: KeyImage): string => (isOwn(key) ? keyName(key.instance_id, key.frame) : `${keyName(key.instance_id, key.frame)}/${key.by.id}`);
  const keys = computed(() => laidOver(kept.value?.key_images ?? [], shown(ownKeys.value), nameOf)
    .sort((a, b) => a.at.localeCompare(b.at)));
  let asked = 0;

  /** A change that was stored before the question left is in the answer; any other one stays over it. */
  async function reload(): Promise<void> {
    const round = ++asked;
    const pending = outbox.pending.peek();
    try {
      const found = await api.get<Kept>(`${base}/marks`, AbortSignal.timeout(LIMIT_MS));
      if (round !== asked) return;
      const stays = (name: string, of: number): boolean => of >= round || pending.has(name) || outbox.pending.peek().has(name);
      filtered(ownMarks, stays);
      filtered(ownKeys, stays);
      kept.value = found;
      fault.value = null;
    } catch (cause) {
      if (round === asked) fault.value = cause instanceof ApiError ? cause : new ApiError(0, 'away', null);
    }
  }

  function change<T>(own: Signal<Own<T>>, key: string, path: string, thing: T | null, body: object | null): void {
    own.value = new Map([...own.peek(), [key, { thing, round: asked }]]);
    outbox.put(key, { path: `${base}/${path}`, body }, () => { storedAt.value = new Date(); });
  }

  void reload();
  return {
    study,
    list: computed(() => laidOver(kept.value?.annotations ?? [], shown(ownMarks.value), ({ id }) => id)),
    known: computed(() => kept.value !== null),
    keys,
    fault: computed(() => fault.value),
    storedAt: computed(() => storedAt.value),
    unsent: computed(() => unsentOf([...outbox.pending.value], outbox.failures.value > 0)),
    stateOf: (key) => outbox.pending.value.get(key)?.state ?? 'stored',
    mine: isOwn,
    put: ({ id, ...body }) => change(ownMarks, id, `annotations/${id}`, { id, ...body, ...stamp() }, body),
    remove: (id) => change(ownMarks, id, `annotations/${id}`, null, null),
    choose: (image) => {
      const { instance_id, frame, note, window } = image;
      change(ownKeys, keyName(instance_id, frame), `key-images/${instance_id}/${frame}`, { ...image, ...stamp() }, { note, window });
    },
    unchoose: (instance_id, frame) => change(ownKeys, keyName(instance_id, frame), `key-images/${instance_id}/${frame}`, null, null),
    isKey: (instance_id, frame) => keys.value.some((key) => isOwn(key) && key.instance_id === instance_id && key.frame === frame),
    giveUp: (key) => {
      filtered(ownMarks, (name) => name !== key);
      filtered(ownKeys, (name) => name !== key);
      outbox.drop(key);
      void reload();
    },
    retry: outbox.retry,
    reload: () => { void reload(); },
    flush: outbox.flush,
  };
}

function unsentOf(entries: readonly [string, Pending<ApiError>][], away: boolean): Unsent {
  const refused = entries.flatMap(([key, { fault }]) => (fault ? [{ key, fault }] : []));
  return { count: entries.length, away, refused };
}

// --- One for all panes that show a study; what is not stored yet outlives the page's part that showed it.

const opened = new Map<string, Marks>();
const hasUnsent = (marks: Marks): boolean => marks.unsent.peek().count > 0;

/** The marks of a study, on their way from when they are first asked for. */
export function marksOf(study: string): Marks {
  let marks = opened.get(study);
  if (!marks) opened.set(study, (marks = openMarks(study)));
  return marks;
}

/** The viewer was closed. */
export function forgetMarks(): void {
  for (const [study, marks] of opened) if (!hasUnsent(marks)) opened.delete(study);
}

/** Studies with changes the hub has not got, also such as are not shown any more. */
export function unsentStudies(): string[] {
  return [...opened].filter(([, { unsent }]) => unsent.value.count > 0).map(([study]) => study);
}

/** Before the right to mark these studies ends; whether the hub has all that was done to them. */
export async function flushMarks(studies: readonly string[]): Promise<boolean> {
  return (await Promise.all(studies.map((study) => opened.get(study)?.flush() ?? true))).every(Boolean);
}

addEventListener('beforeunload', (event) => { if ([...opened.values()].some(hasUnsent)) event.preventDefault(); });
addEventListener('online', () => {
  for (const marks of opened.values()) {
    marks.retry();
    if (!marks.known.peek()) marks.reload();
  }
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) for (const marks of opened.values()) marks.reload(); });
