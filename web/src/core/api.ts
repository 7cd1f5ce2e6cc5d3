// The hub's HTTP interface: JSON both ways, CSRF header, errors in the reader's language.
// A lost session or a needed step-up does not lose the page: the request waits for the overlay, then goes again.
import { signal } from '@preact/signals';
import { tellHttp } from './connection';
import type { Bilingual } from './i18n';
import { say, t } from './i18n';

export type ErrorDetail = Record<string, string | number | boolean | null>;

export class ApiError extends Error {
  constructor(
    readonly status: number, // 0 = the hub was not reached
    readonly code: string,
    readonly words: Bilingual | null,
    readonly detail: ErrorDetail = {},
  ) {
    super(code);
  }

  /** What happened, in the page's language now. */
  get text(): string {
    return this.words ? say(this.words) : t(this.status === 0 ? 'core.error.away' : 'core.error.unexpected', { code: this.code });
  }
}

export type Prompt = { kind: 'sign-in' | 'step-up'; resolve: (done: boolean) => void };
/** What the overlay asks for; null = nothing. */
export const prompt = signal<Prompt | null>(null);
export const csrf = signal('');
/** Whose page this is. */
export const accountId = signal('');

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
type Raw = { method: Method; headers: Record<string, string>; bytes?: Uint8Array<ArrayBuffer>; signal?: AbortSignal };
type Options = Partial<Raw> & { body?: unknown; promptOn401?: boolean };

async function send(path: string, { method = 'GET', headers: own = {}, body, bytes, signal: abort }: Options): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', ...own };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET') headers['X-CSRF-Token'] = csrf.value;
  try {
    const response = await fetch(path, { method, headers, body: bytes ?? (body === undefined ? null : JSON.stringify(body)), signal: abort ?? null });
    tellHttp(true);
    return response;
  } catch (cause) {
    if (abort?.aborted) throw cause;
    tellHttp(false);
    throw new ApiError(0, 'away', null);
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => null)) as { error?: { code: string; message: Bilingual; detail?: ErrorDetail } } | null;
  if (!body?.error) return new ApiError(response.status, response.status === 401 ? 'not_signed_in' : `http-${response.status}`, null);
  return new ApiError(response.status, body.error.code, body.error.message, body.error.detail);
}

/** Opens the overlay once, however many requests wait for it. */
let waiting: Promise<boolean> | null = null;
export function ask(kind: Prompt['kind']): Promise<boolean> {
  waiting ??= new Promise<boolean>((resolve) => { prompt.value = { kind, resolve }; })
    .finally(() => { waiting = null; prompt.value = null; });
  return waiting;
}

async function request(path: string, options: Options = {}): Promise<Response> {
  for (;;) {
    const response = await send(path, options);
    if (response.ok) return response;
    const error = await errorOf(response);
    if (!(await mended(error, options))) throw error;
  }
}

/** Whether the reason of a refusal is gone, so that the same request may go again. */
async function mended(error: ApiError, { promptOn401 = true }: Options): Promise<boolean> {
  if (error.code === 'csrf') return renewToken();
  if (!promptOn401) return false;
  if (error.code === 'not_signed_in') return ask('sign-in');
  return error.code === 'step_up_needed' && ask('step-up');
}

/** Signing in again in another tab changed the token; a second refusal is not for that reason. */
async function renewToken(): Promise<boolean> {
  const response = await send('/api/me', {});
  if (!response.ok) return false;
  const { csrf: fresh, account } = (await response.json()) as { csrf: string; account: { id: string } };
  // Somebody else signed in there: nothing of this page may be done or sent in their name.
  if (account.id !== accountId.value) { location.assign('/'); return false; }
  const changed = fresh !== csrf.value;
  csrf.value = fresh;
  return changed;
}

async function json<T>(path: string, options: Options): Promise<T> {
  const response = await request(path, options);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const api = {
  get: <T>(path: string, abort?: AbortSignal) => json<T>(path, abort ? { signal: abort } : {}),
  post: <T = void>(path: string, body: unknown = {}, options: Pick<Options, 'promptOn401'> = {}) =>
    json<T>(path, { method: 'POST', body, ...options }),
  put: <T = void>(path: string, body: unknown) => json<T>(path, { method: 'PUT', body }),
  delete: (path: string) => json<void>(path, { method: 'DELETE' }),
  /** Bytes and headers both ways (tus). */
  raw: (path: string, options: Raw) => request(path, options),
  bytes: async (path: string, abort?: AbortSignal) => (await request(path, abort ? { signal: abort } : {})).arrayBuffer(),
};

/** A path with its query, leaving out what is empty. */
export function withQuery(path: string, query: Record<string, string | number | null | undefined>): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return pairs.length ? `${path}?${new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]))}` : path;
}
