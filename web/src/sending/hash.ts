// SHA-256 of a file read block by block; the browser's own digest wants a file whole in memory. Big files are hashed beside the page.
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

const WORKER_ABOVE_BYTES = 8 * 1024 * 1024;

/** `update` may take the bytes away: nobody uses them afterwards. */
export type Hash = { update: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>; hex: () => Promise<string>; close: () => void };

export function startHash(size_bytes: number): Hash {
  return size_bytes > WORKER_ABOVE_BYTES ? besidePage() : onPage();
}

export function digest(bytes: Uint8Array): Uint8Array {
  return sha256(bytes);
}

function onPage(): Hash {
  const hash = sha256.create();
  return {
    update: async (bytes) => { hash.update(bytes); },
    hex: async () => bytesToHex(hash.digest()),
    close: () => undefined,
  };
}

function besidePage(): Hash {
  const worker = new Worker(new URL('./hash-worker.ts', import.meta.url), { type: 'module' });
  const ask = (message: Uint8Array<ArrayBuffer> | null) => new Promise<string>((resolve, reject) => {
    worker.onmessage = (event: MessageEvent<string>) => resolve(event.data);
    worker.onerror = () => reject(new Error('the hash worker failed'));
    worker.postMessage(message, message ? [message.buffer] : []);
  });
  return {
    update: async (bytes) => { await ask(bytes); },
    hex: () => ask(null),
    close: () => worker.terminate(),
  };
}
