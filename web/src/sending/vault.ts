// Files that wait to be sent, kept encrypted in this browser: AES-GCM (NIST SP 800-38D) in blocks of 1 MiB, under a key that
// no script can read out and that belongs to one account. A file's name and request are under the same key; only an
// id, whose file it is and how many blocks it has stand in clear.
import type { Outgoing } from './plan';

const DATABASE = 'telehub-sending';
const VERSION = 1;
export const BLOCK_BYTES = 1024 * 1024;
const IV_BYTES = 12;

type Sealed = { iv: Uint8Array<ArrayBuffer>; sealed: ArrayBuffer };
type ItemRow = Sealed & { id: string; account_id: string };
type BlockRow = Sealed & { id: string; index: number };

export type Vault = {
  files: () => Promise<Outgoing[]>;
  /** `durable`: on disk before it resolves, else soon. */
  put: (files: readonly Outgoing[], durable: boolean) => Promise<void>;
  putBlock: (id: string, index: number, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  read: (id: string, from: number, to: number) => Promise<Uint8Array<ArrayBuffer>>;
  drop: (id: string) => Promise<void>;
};

/** Whether this page may encrypt and lock at all: a browser gives that only to https and to the machine itself. */
export function canKeep(): boolean {
  return Boolean(globalThis.crypto?.subtle && globalThis.indexedDB && navigator.locks);
}

/** The account's files in this browser; null where a browser refuses to keep anything. */
export async function openVault(account_id: string): Promise<Vault | null> {
  if (!canKeep()) return null;
  try {
    const database = await openDatabase();
    return vaultOf(database, account_id, await keyOf(database, account_id));
  } catch {
    return null; // a private window, or storage switched off
  }
}

function vaultOf(database: IDBDatabase, account_id: string, key: CryptoKey): Vault {
  const name = (id: string, index: number) => `${account_id}/${id}/${index}`;
  return {
    files: async () => {
      const rows = await answerOf<ItemRow[]>(store(database, 'items', 'readonly').index('account_id').getAll(account_id));
      return Promise.all(rows.map(async (row) => JSON.parse(new TextDecoder().decode(await open(key, row, name(row.id, -1)))) as Outgoing));
    },
    put: async (files, durable) => {
      const rows = await Promise.all(files.map(async (file): Promise<ItemRow> => {
        return { id: file.id, account_id, ...(await seal(key, new TextEncoder().encode(JSON.stringify(file)), name(file.id, -1))) };
      }));
      await written(database, ['items'], (stores) => { for (const row of rows) stores('items').put(row); }, durable);
    },
    putBlock: async (id, index, bytes) => {
      const row = await seal(key, bytes, name(id, index));
      await written(database, ['blocks'], (stores) => stores('blocks').put({ id, index, ...row } satisfies BlockRow));
    },
    read: async (id, from, to) => {
      const bytes = new Uint8Array(to - from);
      for (let index = Math.floor(from / BLOCK_BYTES); index * BLOCK_BYTES < to; index++) {
        const row = await answerOf<BlockRow | undefined>(store(database, 'blocks', 'readonly').get([id, index]));
        if (!row) throw new Error('a block is missing');
        const start = index * BLOCK_BYTES;
        const block = new Uint8Array(await open(key, row, name(id, index))).subarray(Math.max(from - start, 0), to - start);
        bytes.set(block, Math.max(start - from, 0));
      }
      return bytes;
    },
    drop: (id) => written(database, ['items', 'blocks'], (stores) => {
      stores('items').delete(id);
      stores('blocks').delete(IDBKeyRange.bound([id], [id, []]));
    }, false),
  };
}

/** The account's key: made here once, usable here only, never readable. */
async function keyOf(database: IDBDatabase, account_id: string): Promise<CryptoKey> {
  const known = () => answerOf<{ key: CryptoKey } | undefined>(store(database, 'keys', 'readonly').get(account_id));
  const found = await known();
  if (found) return found.key;
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
  await written(database, ['keys'], (stores) => stores('keys').add({ account_id, key })).catch(() => undefined); // another tab was first
  const stored = await known();
  if (!stored) throw new Error('the key was not kept');
  return stored.key;
}

async function seal(key: CryptoKey, bytes: Uint8Array<ArrayBuffer>, place: string): Promise<Sealed> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  return { iv, sealed: await crypto.subtle.encrypt(parameters(iv, place), key, bytes) };
}

function open(key: CryptoKey, { iv, sealed }: Sealed, place: string): Promise<ArrayBuffer> {
  return crypto.subtle.decrypt(parameters(iv, place), key, sealed);
}

/** A block is valid only in its own place of its own file. */
function parameters(iv: Uint8Array<ArrayBuffer>, place: string): AesGcmParams {
  return { name: 'AES-GCM', iv, additionalData: new TextEncoder().encode(place) };
}

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore('keys', { keyPath: 'account_id' });
    request.result.createObjectStore('items', { keyPath: 'id' }).createIndex('account_id', 'account_id');
    request.result.createObjectStore('blocks', { keyPath: ['id', 'index'] });
  };
  return answerOf(request);
}

function store(database: IDBDatabase, name: string, mode: IDBTransactionMode): IDBObjectStore {
  return database.transaction(name, mode).objectStore(name);
}

function answerOf<T>(request: IDBRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result as T);
    request.onerror = () => reject(request.error ?? new Error('storage failed'));
  });
}

/** `durable`: resolves once the browser has it on disk, not before. */
function written(database: IDBDatabase, names: string[], change: (stores: (name: string) => IDBObjectStore) => void, durable = true): Promise<void> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(names, 'readwrite', { durability: durable ? 'strict' : 'relaxed' });
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error('storage failed'));
    change((name) => transaction.objectStore(name));
  });
}
