/* What the reader did to marks and key images, on its way to the hub. The page shows it at once; here is what the hub has not
   confirmed yet. Nothing leaves this list but by the hub's answer or the reader's word. */
import { computed, signal, type ReadonlySignal } from '@preact/signals';

/** `body` null = take it away. */
export type Change = { path: string; body: object | null };
/** 'waiting': not sent, or the line was cut and it goes again by itself. 'refused': the hub said no, with its words. */
export type Pending<Fault> = { change: Change; state: 'waiting' | 'sending' | 'refused'; fault: Fault | null };

export type Sender<Fault> = {
  send: (change: Change) => Promise<void>; // throws
  /** The words of a refusal; null: it may go better next time. */
  refusal: (cause: unknown) => Fault | null;
  after: (wait_ms: number, run: () => void) => () => void; // gives what calls it off
};

export type Outbox<Fault> = {
  pending: ReadonlySignal<ReadonlyMap<string, Pending<Fault>>>;
  /** Consecutive attempts that found no hub. */
  failures: ReadonlySignal<number>;
  /** The newest change of a thing replaces an older one; `stored` is told when the hub has it. */
  put: (key: string, change: Change, stored: () => void) => void;
  /** Gives up what the hub refused. */
  drop: (key: string) => void;
  /** All again, now: refused ones, too. */
  retry: () => void;
  /** Sends now what waits, and tells whether the hub has all there is; false at the first attempt that finds no hub. */
  flush: () => Promise<boolean>;
};

export const WAIT_MS = 400; // a handle that is nudged is sent once, not for each step
const BACK_OFF_MS = { first: 1_000, most: 30_000 };

type Entry<Fault> = Pending<Fault> & { stored: () => void };

export function openOutbox<Fault>({ send, refusal, after }: Sender<Fault>): Outbox<Fault> {
  const entries = signal<ReadonlyMap<string, Entry<Fault>>>(new Map());
  const failures = signal(0);
  let running: Promise<void> | null = null;
  let callOff: () => void = () => undefined;

  function set(key: string, entry: Entry<Fault> | null): void {
    const next = new Map(entries.value);
    if (entry) next.set(key, entry);
    else next.delete(key);
    entries.value = next;
  }

  function plan(wait_ms: number): void {
    callOff();
    callOff = after(wait_ms, () => { void run(); });
  }

  /** One round at a time: who asks meanwhile waits for the same. */
  function run(): Promise<void> {
    running ??= sendAll().finally(() => { running = null; });
    return running;
  }

  async function sendAll(): Promise<void> {
    for (let key = nextOf(entries.value); key !== null; key = nextOf(entries.value)) {
      if (!(await sendOne(key))) { plan(Math.min(BACK_OFF_MS.first * 2 ** (failures.value - 1), BACK_OFF_MS.most)); break; }
    }
  }

  async function flush(): Promise<boolean> {
    do await run(); while (failures.value === 0 && nextOf(entries.value) !== null);
    return entries.value.size === 0;
  }

  /** Whether the next one may go. What was changed meanwhile stays, and goes again. */
  async function sendOne(key: string): Promise<boolean> {
    const sent = entries.value.get(key)!;
    const changed = () => entries.value.get(key)?.change !== sent.change;
    set(key, { ...sent, state: 'sending' });
    try {
      await send(sent.change);
    } catch (cause) {
      const fault = refusal(cause);
      failures.value = fault === null ? failures.value + 1 : 0;
      if (!changed()) set(key, { ...sent, state: fault === null ? 'waiting' : 'refused', fault });
      return fault !== null;
    }
    failures.value = 0;
    if (!changed()) {
      sent.stored();
      set(key, null);
    }
    return true;
  }

  return {
    pending: computed(() => entries.value),
    failures: computed(() => failures.value),
    put: (key, change, stored) => {
      set(key, { change, stored, state: 'waiting', fault: null });
      if (failures.value === 0) plan(WAIT_MS);
    },
    drop: (key) => set(key, null),
    retry: () => {
      for (const [key, entry] of entries.value) if (entry.state === 'refused') set(key, { ...entry, state: 'waiting', fault: null });
      plan(0);
    },
    flush,
  };
}

function nextOf<Fault>(entries: ReadonlyMap<string, Entry<Fault>>): string | null {
  for (const [key, { state }] of entries) if (state === 'waiting') return key;
  return null;
}
