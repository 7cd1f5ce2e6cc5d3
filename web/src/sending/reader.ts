// Reads picked files one after another: hash, and where the browser allows it an encrypted copy, so that the file itself is
// not needed any more. A file is kept only once all of its blocks are on disk.
import { startHash } from './hash';
import { bySending, failed, type Outgoing } from './plan';
import { current, outgoing, update } from './state';
import { BLOCK_BYTES, type Vault } from './vault';

/** The bytes of what is not kept; they last as long as the page. */
export const files = new Map<string, File>();
let reading = false;

/** Calls `done` after each file. Held locks tell other tabs which files are being read (tabs.ts). */
export async function readAll(vault: Vault | null, done: (file: Outgoing) => void): Promise<void> {
  if (reading) return;
  reading = true;
  try {
    for (let next = nextUnread(); next; next = nextUnread()) {
      const { id } = next;
      const read = () => readOne(id, vault);
      await (vault ? navigator.locks.request(readLock(id), read) : read());
      const file = current(id);
      if (file) done(file);
    }
  } finally {
    reading = false;
  }
}

export function readLock(id: string): string {
  return `telehub-reading-${id}`;
}

function nextUnread(): Outgoing | undefined {
  return outgoing.value.filter((file) => file.phase === 'reading' && files.has(file.id)).sort(bySending)[0];
}

async function readOne(id: string, vault: Vault | null): Promise<void> {
  const source = files.get(id);
  if (!source) return;
  let kept = vault;
  const hash = startHash(source.size);
  try {
    for (let index = 0; index * BLOCK_BYTES < source.size; index++) {
      const bytes = new Uint8Array(await source.slice(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES).arrayBuffer());
      kept = kept && (await keepBlock(kept, id, index, bytes));
      const length = bytes.length; // the hash may take the bytes away
      await hash.update(bytes);
      if (!current(id)) { await vault?.drop(id); return; } // removed meanwhile
      update(id, (file) => ({ ...file, read_bytes: file.read_bytes + length }));
    }
    await finish(id, await hash.hex(), kept);
  } catch {
    update(id, (file) => failed(file, { code: 'unread', words: null }));
    await vault?.drop(id);
  } finally {
    hash.close();
  }
}

/** A full disk must not stop the sending: then the file is sent from where it is, and the page says that it must stay open. */
async function keepBlock(vault: Vault, id: string, index: number, bytes: Uint8Array<ArrayBuffer>): Promise<Vault | null> {
  try {
    await vault.putBlock(id, index, bytes);
    return vault;
  } catch {
    await vault.drop(id).catch(() => undefined);
    return null;
  }
}

async function finish(id: string, sha256: string, vault: Vault | null): Promise<void> {
  const file = current(id);
  if (!file) return;
  const twin = outgoing.value.find((other) => other.id !== id && other.request_id === file.request_id && other.sha256 === sha256);
  if (twin) {
    outgoing.value = outgoing.value.filter((other) => other.id !== id);
    files.delete(id);
    await vault?.drop(id);
    return;
  }
  const read: Outgoing = { ...file, sha256, kept: vault !== null, phase: 'sending' };
  if (vault && (await keptWhole(vault, read))) files.delete(id);
  else read.kept = false;
  update(id, () => read);
}

async function keptWhole(vault: Vault, file: Outgoing): Promise<boolean> {
  try {
    await vault.put([file], true);
    return true;
  } catch {
    await vault.drop(file.id).catch(() => undefined);
    return false;
  }
}
