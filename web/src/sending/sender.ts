// Sends what waits: two files at once, piece by piece, the next piece always of the most urgent file (plan.ts).
import { batch, effect, untracked } from '@preact/signals';
import { ApiError } from '../core/api';
import { reach } from '../core/connection';
import { unsent } from '../core/unsent';
import {
  answered, checked, choose, failed, isUnsent, LANES, lineBack, nextAt, nextPiece, nextStep, PIECE, retried,
  type Answer, type Outgoing, type StudyKind,
} from './plan';
import { files, readAll } from './reader';
import { busy, current, keeps, lineUntil, outgoing, update } from './state';
import { joinTabs, type Tabs } from './tabs';
import { create, giveUp, offsetOf, send, uploadsOf } from './tus';
import { openVault, type Vault } from './vault';

const CHECK = { first_ms: 500, most_ms: 10_000, share: 5, busy_ms: 4000 } as const; // the list of a folder is long: asked for seldom while the line is needed
const LEAST_REST_MS = 50;
const LEAVING_MS = 3000; // as long the hub is told what was deleted

let vault: Vault | null = null;
let tabs: Tabs | null = null;
let begun: Promise<void> | null = null;
let piece_bytes: number = PIECE.usual;
const idle = new Set<() => void>();
const stops = new Map<string, AbortController>(); // of the steps under way
let checking = false;

/** Once per page: goes on with what this account left in this browser. */
export function begin(account_id: string): Promise<void> {
  begun ??= (async () => {
    vault = await openVault(account_id);
    keeps.value = vault !== null;
    if (vault) tabs = joinTabs(account_id, vault, { went, retry, remove: (id) => { void remove(id); } });
    for (let lane = 0; lane < LANES; lane++) void work();
    effect(() => { if (reach.value === 'connected') untracked(lineIsBack); });
    addEventListener('online', lineIsBack);
    effect(tellUnsent);
  })();
  return begun;
}

export type Request = { id: string; kind: StudyKind };
export type Picked = { file: File; name: string };

/** Takes files for a request; they are read at once, so that they may be moved or the browser closed soon. */
export async function add(request: Request, picked: readonly Picked[]): Promise<void> {
  const added_ms = Date.now();
  const fresh = picked.map(({ file, name }): Outgoing => {
    const base: Outgoing = {
      id: idOf(), request_id: request.id, kind: request.kind, name, size_bytes: file.size, added_ms, kept: false,
      sha256: null, read_bytes: 0, phase: 'reading', upload_id: null, offset_bytes: 0, sure: false, failures: 0, renewals: 0, not_before_ms: 0, trouble: null,
    };
    if (file.size === 0) return failed(base, { code: 'empty', words: null });
    files.set(base.id, file);
    return base;
  });
  outgoing.value = [...outgoing.value, ...fresh];
  if (vault) void navigator.storage?.persist?.(); // ask the browser not to tidy it away
  await vault?.put(fresh.filter((file) => file.phase === 'reading'), true).catch(() => undefined); // no room: they are sent from the page
  await readAll(vault, went);
}

/** A file was read, or found in the store. */
function went(file?: Outgoing): void {
  if (file?.kept && tabs && !tabs.leads()) tabs.added();
  wake();
  void check();
}

export function retry(id: string): void {
  const file = current(id);
  if (!file) return;
  if (!drives(file)) { tabs?.ask('retry', id); return; }
  update(id, retried);
  wake();
}

export async function remove(id: string): Promise<void> {
  const file = current(id);
  if (!file) return;
  if (!drives(file) && !files.has(id)) { tabs?.ask('remove', id); return; }
  outgoing.value = outgoing.value.filter((other) => other.id !== id);
  files.delete(id);
  await vault?.drop(id);
  stops.get(id)?.abort();
  if (file.upload_id) await giveUp(file.upload_id);
}

/** Deletes all that has not reached the hub, before signing out. */
async function forget(): Promise<void> {
  const open = outgoing.value.filter((file) => file.phase !== 'received');
  for (const file of open) if (!drives(file)) tabs?.ask('remove', file.id);
  outgoing.value = [];
  files.clear();
  for (const { id } of open) {
    stops.get(id)?.abort();
    await vault?.drop(id);
  }
  const told = Promise.all(open.map(({ upload_id }) => upload_id && giveUp(upload_id).catch(() => undefined)));
  await Promise.race([told, sleep(LEAVING_MS)]);
}

function tellUnsent(): void {
  const open = outgoing.value.filter(isUnsent);
  const kept = open.filter((file) => file.kept).length;
  unsent.value = open.length ? { files: open.length, kept, forget } : null;
  removeEventListener('beforeunload', hold);
  if (kept < open.length) addEventListener('beforeunload', hold);
}

function hold(event: BeforeUnloadEvent): void {
  event.preventDefault();
  event.returnValue = true; // older browsers ask only so
}

function drives(file: Outgoing): boolean {
  return file.kept ? tabs?.leads() ?? false : files.has(file.id) || file.phase === 'failed';
}

function lineIsBack(): void {
  lineUntil.value = 0;
  if (outgoing.value.some((file) => file.trouble?.code === 'line')) outgoing.value = outgoing.value.map(lineBack);
  wake();
}

/** One lane: as long as the page lives. */
async function work(): Promise<never> {
  for (;;) {
    const own = outgoing.value.filter(drives);
    const down = lineUntil.value > Date.now(); // one file has tried: the others need not
    const file = down ? null : choose(own, busy.value, Date.now());
    if (file) await take(file);
    else await rest(down ? lineUntil.value : nextAt(own, busy.value));
  }
}

/** Until there is something to do, or until the time given. */
function rest(until_ms: number | null): Promise<void> {
  return new Promise((resolve) => {
    const end = () => { clearTimeout(timer); idle.delete(end); resolve(); };
    const timer = until_ms === null ? undefined : setTimeout(end, Math.max(until_ms - Date.now(), LEAST_REST_MS));
    idle.add(end);
  });
}

function wake(): void {
  for (const end of [...idle]) end();
}

async function take(file: Outgoing): Promise<void> {
  const step = nextStep(file);
  if (step === null) return;
  busy.value = new Set([...busy.value, file.id]);
  const stop = new AbortController();
  stops.set(file.id, stop);
  let after = file;
  try {
    const answer = await (step === 'create' ? create(file, stop) : step === 'ask' ? offsetOf(file.upload_id ?? '', stop) : sendPiece(file, stop));
    after = answered(file, step, answer, Date.now(), Math.random());
    if (current(file.id)) lineUntil.value = answer.status === 0 ? after.not_before_ms : 0;
  } catch {
    after = failed(file, { code: 'unread', words: null }); // its bytes can't be read any more
  }
  stops.delete(file.id);
  batch(() => {
    busy.value = new Set([...busy.value].filter((id) => id !== file.id));
    update(file.id, () => after);
  });
  if (!current(file.id)) { if (after.upload_id && !file.upload_id) await giveUp(after.upload_id); return; } // removed meanwhile
  // Which upload it is and how far it came the hub knows by the file's hash; that it failed only this browser knows.
  if (after.kept && after.phase === 'failed') await vault?.put([after], false).catch(() => undefined);
  if (after.phase === 'checking') void check();
}

async function sendPiece(file: Outgoing, stop: AbortController): Promise<Answer> {
  const to = Math.min(file.offset_bytes + piece_bytes, file.size_bytes);
  const source = files.get(file.id);
  const bytes = source ? new Uint8Array(await source.slice(file.offset_bytes, to).arrayBuffer()) : await vault?.read(file.id, file.offset_bytes, to);
  if (bytes?.length !== to - file.offset_bytes) throw new Error('the file has changed');
  const began_ms = performance.now();
  const answer = await send(file.upload_id ?? '', file.offset_bytes, bytes, stop);
  if (answer.status >= 300 || answer.status === 0) piece_bytes = Math.max(PIECE.least, piece_bytes / 2);
  else if (bytes.length >= piece_bytes) piece_bytes = nextPiece(bytes.length, performance.now() - began_ms);
  return answer;
}

/** Asks what the hub made of files all of whose bytes are sent, a request's files together. */
async function check(): Promise<void> {
  if (checking) return;
  checking = true;
  try {
    for (let pause_ms: number = CHECK.first_ms; unchecked().length; pause_ms = Math.min(pause_ms * 1.5, CHECK.most_ms)) {
      const began_ms = performance.now();
      for (const request_id of new Set(unchecked().map((file) => file.request_id))) await checkRequest(request_id);
      wake();
      const took_ms = performance.now() - began_ms;
      if (outgoing.value.some((file) => file.phase === 'sending' && drives(file))) await sleep(Math.max(CHECK.busy_ms, took_ms * CHECK.share));
      else if (unchecked().length) await sleep(pause_ms);
    }
  } finally {
    checking = false;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function unchecked(): Outgoing[] {
  return outgoing.value.filter((file) => file.phase === 'checking' && drives(file));
}

async function checkRequest(request_id: string): Promise<void> {
  const asked = new Set(unchecked().filter((file) => file.request_id === request_id).map((file) => file.id));
  try {
    const uploads = await uploadsOf(request_id);
    outgoing.value = outgoing.value.map((file) => (asked.has(file.id) ? checked(file, uploads, Date.now()) : file));
  } catch (cause) {
    if (!(cause instanceof ApiError)) throw cause;
    if (cause.status !== 403 && cause.status !== 404) return; // asked again
    for (const id of asked) update(id, (file) => failed(file, { code: 'refused', words: cause.words }));
  }
  for (const id of asked) {
    const file = current(id);
    if (file?.phase === 'received') { files.delete(id); await vault?.drop(id); }
  }
}

/** randomUUID is for secure pages only. */
function idOf(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
