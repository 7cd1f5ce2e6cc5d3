// tus 1.0 as this hub speaks it (docs/protocol/http.md): what is said, and what is made of the answer.
import { api, ApiError } from '../core/api';
import { digest } from './hash';
import type { Answer, Outgoing, Upload } from './plan';

const PATH = '/api/uploads';
const VERSION = { 'Tus-Resumable': '1.0.0' };
const PATIENCE_MS = 20_000;
const SLOWEST_BYTES_PER_S = 8192; // a line slower than that is none

export function create({ request_id, name, sha256, size_bytes }: Outgoing, stop: AbortController): Promise<Answer> {
  const metadata = Object.entries({ request_id, filename: name, sha256: sha256 ?? '' }).map(([key, value]) => `${key} ${base64(new TextEncoder().encode(value))}`);
  return ask('POST', PATH, stop, { 'Upload-Length': String(size_bytes), 'Upload-Metadata': metadata.join(',') });
}

export function offsetOf(upload_id: string, stop: AbortController): Promise<Answer> {
  return ask('HEAD', `${PATH}/${upload_id}`, stop);
}

export function send(upload_id: string, offset_bytes: number, piece: Uint8Array<ArrayBuffer>, stop: AbortController): Promise<Answer> {
  const headers = {
    'Content-Type': 'application/offset+octet-stream', 'Upload-Offset': String(offset_bytes), 'Upload-Checksum': `sha256 ${base64(digest(piece))}`,
  };
  return ask('PATCH', `${PATH}/${upload_id}`, stop, headers, piece);
}

/** The hub forgets an unfinished one; if it isn't reached, the upload expires there by itself. */
export async function giveUp(upload_id: string): Promise<void> {
  await ask('DELETE', `${PATH}/${upload_id}`, new AbortController());
}

export async function uploadsOf(request_id: string): Promise<Upload[]> {
  return (await api.get<{ uploads: Upload[] }>(`${PATH}?request_id=${request_id}`)).uploads;
}

type Method = 'POST' | 'HEAD' | 'PATCH' | 'DELETE';

async function ask(method: Method, path: string, stop: AbortController, headers: Record<string, string> = {}, bytes?: Uint8Array<ArrayBuffer>): Promise<Answer> {
  const timer = setTimeout(() => stop.abort(), PATIENCE_MS + ((bytes?.length ?? 0) / SLOWEST_BYTES_PER_S) * 1000);
  try {
    const response = await api.raw(path, { method, headers: { ...VERSION, ...headers }, signal: stop.signal, ...(bytes ? { bytes } : {}) });
    const offset = response.headers.get('Upload-Offset');
    const location = response.headers.get('Location');
    return { status: response.status, offset_bytes: offset === null ? null : Number(offset), upload_id: location?.split('/').pop() ?? null };
  } catch (cause) {
    if (cause instanceof ApiError) return { status: cause.status, code: cause.code, words: cause.words };
    if (stop.signal.aborted) return { status: 0 };
    throw cause;
  } finally {
    clearTimeout(timer);
  }
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
