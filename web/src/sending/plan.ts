// One file on its way to the hub: which step is next, and what an answer of the hub, or silence of the line, makes of it.
// No clock, network or storage in here, so that any order of faults can be tried (web/check/sending.mjs).
// Steps and answers are those of tus 1.0 (https://tus.io/protocols/resumable-upload): creation, checksum, expiration.
import type { Bilingual } from '../core/i18n';

export type StudyKind = 'ecg-12-lead' | 'holter' | 'imaging';

/** Why a file does not go on: the line, the hub for now, the hub for good, the file itself. */
export type Trouble = {
  code: 'line' | 'hub' | 'full' | 'refused' | 'too-large' | 'damaged' | 'gone' | 'unread' | 'incomplete' | 'empty';
  words: Bilingual | null; // the hub's own, where it gave any
};

export type Outgoing = {
  id: string; request_id: string; kind: StudyKind; name: string; size_bytes: number; added_ms: number;
  kept: boolean; // encrypted in this browser, so that closing it loses nothing
  sha256: string | null; // of the whole file; null until it has been read
  read_bytes: number;
  phase: 'reading' | 'sending' | 'checking' | 'received' | 'failed';
  upload_id: string | null; // the hub's name for it
  offset_bytes: number; // what the hub says it has
  sure: boolean; // the hub has said so since the last doubt
  failures: number; // in a row
  renewals: number; // how often the hub had forgotten it
  not_before_ms: number;
  trouble: Trouble | null;
};

export type Step = 'create' | 'ask' | 'send';
/** `status` 0: nobody answered. */
export type Answer = { status: number; code?: string; upload_id?: string | null; offset_bytes?: number | null; words?: Bilingual | null };

export const LANES = 2; // files at once
export const PIECE = { least: 64 * 1024, usual: 256 * 1024, most: 1024 * 1024, grain: 16 * 1024, aim_ms: 2000 } as const;
const BACK_OFF = { first_ms: 1000, most_ms: 60_000, full_ms: 30_000 } as const;
const MOST = { damaged: 5, renewals: 3 } as const; // more of these is no accident
const KIND_RANK: Record<StudyKind, number> = { 'ecg-12-lead': 0, holter: 1, imaging: 1 };

/** Sooner first: a 12-lead ECG never waits for a scan, small files never wait for big ones. */
export function bySending(a: Outgoing, b: Outgoing): number {
  return KIND_RANK[a.kind] - KIND_RANK[b.kind] || a.size_bytes - b.size_bytes || a.added_ms - b.added_ms || (a.id < b.id ? -1 : 1);
}

export function nextStep(file: Outgoing): Step | null {
  if (file.phase !== 'sending' || file.sha256 === null) return null;
  if (file.upload_id === null) return 'create';
  return file.sure ? 'send' : 'ask';
}

/** What to do now: asked anew for each piece, so that an ECG that has just come goes before the rest of a scan. */
export function choose(files: readonly Outgoing[], busy: ReadonlySet<string>, now_ms: number): Outgoing | null {
  const ready = files.filter((file) => nextStep(file) !== null && !busy.has(file.id) && file.not_before_ms <= now_ms);
  return ready.sort(bySending)[0] ?? null;
}

/** When the next file that waits may go on; null = none waits. */
export function nextAt(files: readonly Outgoing[], busy: ReadonlySet<string>): number | null {
  const waiting = files.filter((file) => nextStep(file) !== null && !busy.has(file.id)).map((file) => file.not_before_ms);
  return waiting.length ? Math.min(...waiting) : null;
}

/** The size of the next piece, so that one takes about two seconds on this line. */
export function nextPiece(bytes: number, took_ms: number): number {
  const fitting = (bytes * PIECE.aim_ms) / Math.max(took_ms, 1);
  const slowly = Math.min(Math.max(fitting, bytes / 2), bytes * 2);
  return Math.min(Math.max(Math.round(slowly / PIECE.grain) * PIECE.grain, PIECE.least), PIECE.most);
}

function backOff(failures: number, random: number): number {
  return Math.min(BACK_OFF.first_ms * 2 ** Math.min(failures - 1, 10), BACK_OFF.most_ms) * (0.75 + random / 2);
}

/** The file after a step's answer. `random` in [0, 1) spreads the desks of a district that come back together. */
export function answered(file: Outgoing, step: Step, answer: Answer, now_ms: number, random: number): Outgoing {
  const { status } = answer;
  if (status >= 200 && status < 300) return advanced(file, step, answer, now_ms, random);
  if (status === 0) return waits(file, 'line', answer, now_ms, random);
  if (status === 507) return waits(file, 'full', answer, now_ms, random);
  if (status === 409 && (step === 'send' || answer.code === 'too_many_uploads')) return waits(file, 'hub', answer, now_ms, random, step === 'send' && file.failures === 0);
  if (status === 460) return damaged(file, answer, now_ms, random);
  if ((status === 404 || status === 410) && step !== 'create') return forgotten(file, answer, now_ms, random);
  if (status === 413) return failed(file, { code: 'too-large', words: answer.words ?? null });
  if (status >= 500 || status === 401 || status === 408 || status === 429) return waits(file, 'hub', answer, now_ms, random);
  return failed(file, { code: 'refused', words: answer.words ?? null });
}

function advanced(file: Outgoing, step: Step, answer: Answer, now_ms: number, random: number): Outgoing {
  const upload_id = step === 'create' ? answer.upload_id ?? null : file.upload_id;
  const offset = answer.offset_bytes ?? null;
  const senseless = upload_id === null || offset === null || !(offset >= 0 && offset <= file.size_bytes);
  const whole = offset === file.size_bytes;
  if (senseless || (step === 'send' && offset <= file.offset_bytes && !whole)) return waits(file, 'hub', answer, now_ms, random);
  if (step === 'ask' && offset < file.offset_bytes && file.renewals >= MOST.renewals) return failed(file, { code: 'damaged', words: null });
  return {
    ...file, upload_id, offset_bytes: offset, sure: true, not_before_ms: 0, trouble: null,
    // The answer to a piece, were it an empty one, is what ends an upload; an offset may stand there unfinished.
    phase: step === 'send' && whole ? 'checking' : 'sending',
    failures: offset > file.offset_bytes ? 0 : file.failures, // being answered is no progress: bytes are
    renewals: step === 'ask' && offset < file.offset_bytes ? file.renewals + 1 : file.renewals,
  };
}

/** The hub is asked what it has before anything is sent again. */
function waits(file: Outgoing, code: 'line' | 'hub' | 'full', { words }: Answer, now_ms: number, random: number, at_once = false): Outgoing {
  const failures = file.failures + 1;
  const least_ms = code === 'full' ? BACK_OFF.full_ms : 0;
  const not_before_ms = at_once ? now_ms : now_ms + Math.max(backOff(failures, random), least_ms);
  return { ...file, phase: 'sending', sure: false, failures, not_before_ms, trouble: at_once ? file.trouble : { code, words: words ?? null } };
}

function damaged(file: Outgoing, answer: Answer, now_ms: number, random: number): Outgoing {
  return file.failures + 1 >= MOST.damaged ? failed(file, { code: 'damaged', words: answer.words ?? null }) : waits(file, 'hub', answer, now_ms, random, true);
}

function forgotten(file: Outgoing, answer: Answer, now_ms: number, random: number): Outgoing {
  if (file.renewals >= MOST.renewals) return failed(file, { code: 'gone', words: answer.words ?? null });
  return { ...waits(file, 'hub', answer, now_ms, random, true), upload_id: null, offset_bytes: 0, renewals: file.renewals + 1 };
}

export function failed(file: Outgoing, trouble: Trouble): Outgoing {
  return { ...file, phase: 'failed', sure: false, trouble };
}

/** Somebody pressed "try again". A file whose bytes are not here any more can't. */
export function retried(file: Outgoing): Outgoing {
  if (file.phase !== 'failed' || file.sha256 === null) return file;
  return { ...file, phase: 'sending', sure: false, failures: 0, renewals: 0, not_before_ms: 0, trouble: null };
}

/** The line is back: what waited for it goes on at once. */
export function lineBack(file: Outgoing): Outgoing {
  return file.trouble?.code === 'line' ? { ...file, not_before_ms: 0 } : file;
}

/** One thing found in a file: taken in, or with the reason why not. */
export type Content = { name: string; kind?: string; leads?: number; fs_hz?: number; seconds?: number; reason?: Bilingual };
/** As the hub lists an upload. */
export type Upload = {
  id: string; request_id: string; file_name: string; sha256: string; size_bytes: number; offset_bytes: number;
  state: 'receiving' | 'received' | 'taken-in' | 'set-aside' | 'expired'; received_at: string | null;
  reason: Bilingual | null; study_id: string | null; contents: readonly Content[];
};

const STORED: readonly Upload['state'][] = ['received', 'taken-in', 'set-aside'];

export function isStored(upload: Upload): boolean {
  return STORED.includes(upload.state);
}

/** A file all of whose bytes are sent, and what the hub says of it: only here a file becomes received. */
export function checked(file: Outgoing, uploads: readonly Upload[], now_ms: number): Outgoing {
  if (file.phase !== 'checking') return file;
  const upload = uploads.find((each) => each.id === file.upload_id);
  if (!upload || upload.state === 'expired') return forgotten(file, { status: 410 }, now_ms, 0);
  if (isStored(upload)) return { ...file, phase: 'received', trouble: null };
  return { ...file, phase: 'sending', sure: false, failures: file.failures + 1, not_before_ms: now_ms + backOff(file.failures + 1, 0) };
}

/** What a person reads of a file. */
export type Look =
  | { word: 'reading' | 'sending' | 'waiting'; percent: number; place: number; of: number }
  | { word: 'no-line' | 'hub-waits'; percent: number; again_ms: number }
  | { word: 'checking' | 'received' | 'failed'; percent: number };

export function percentOf(done: number, all: number): number {
  return all > 0 ? Math.min(99, Math.floor((100 * done) / all)) : 0; // 100 is said by a word, never by a number
}

/** The places of all that is on its way, the next one first. */
export function placesOf(files: readonly Outgoing[]): ReadonlyMap<string, number> {
  const open = files.filter((file) => file.phase === 'sending' || file.phase === 'reading').sort(bySending);
  return new Map(open.map((file, index) => [file.id, index + 1]));
}

/** `busy`: of which a step is under way; `line_until_ms`: when a line that is down is tried again, 0 if it is not down. */
export function lookOf(file: Outgoing, places: ReadonlyMap<string, number>, busy: ReadonlySet<string>, line_until_ms = 0): Look {
  const percent = percentOf(file.offset_bytes, file.size_bytes);
  if (file.phase === 'checking' || file.phase === 'received' || file.phase === 'failed') return { word: file.phase, percent };
  if (line_until_ms > 0 && file.phase === 'sending') return { word: 'no-line', percent, again_ms: line_until_ms };
  if (file.trouble) return { word: file.trouble.code === 'line' ? 'no-line' : 'hub-waits', percent, again_ms: file.not_before_ms };
  const at = { place: places.get(file.id) ?? 0, of: places.size };
  if (file.phase === 'reading') return { word: 'reading', percent: percentOf(file.read_bytes, file.size_bytes), ...at };
  return { word: busy.has(file.id) ? 'sending' : 'waiting', percent, ...at };
}

/** Bytes and files of a group, as one line tells them. */
export function tally(files: readonly Outgoing[]): { files: number; received: number; failed: number; percent: number } {
  const sum = (of: (file: Outgoing) => number) => files.reduce((total, file) => total + of(file), 0);
  return {
    files: files.length, received: files.filter((file) => file.phase === 'received').length, failed: files.filter((file) => file.phase === 'failed').length,
    percent: percentOf(sum((file) => file.offset_bytes), sum((file) => file.size_bytes)),
  };
}

/** Whether the page must stay open for it, or it would have to be picked again. */
export function isUnsent(file: Outgoing): boolean {
  return file.phase !== 'received' && !(file.phase === 'failed' && file.sha256 === null);
}
