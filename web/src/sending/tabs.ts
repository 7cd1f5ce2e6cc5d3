// Of all open tabs of an account one sends what is kept; the others show what it says, and one of them follows when it closes.
import { effect } from '@preact/signals';
import { failed, type Outgoing } from './plan';
import { files, readLock } from './reader';
import { busy, current, lineUntil, outgoing } from './state';
import type { Vault } from './vault';

type Word =
  | { said: 'files'; files: Outgoing[]; busy: string[]; line_until_ms: number } // by the tab that sends
  | { said: 'hello' | 'added' } // tell me; look into the store again
  | { said: 'retry' | 'remove'; id: string };

export type Tabs = { leads: () => boolean; added: () => void; ask: (said: 'retry' | 'remove', id: string) => void };
type Deeds = { went: () => void; retry: (id: string) => void; remove: (id: string) => void };

export function joinTabs(account_id: string, vault: Vault, { went, retry, remove }: Deeds): Tabs {
  const channel = new BroadcastChannel(`telehub-sending-${account_id}`);
  const say = (word: Word) => channel.postMessage(word);
  let leads = false;
  const tell = () => {
    const word: Word = { said: 'files', files: outgoing.value.filter((file) => file.kept), busy: [...busy.value], line_until_ms: lineUntil.value };
    if (leads) say(word);
  };

  async function gather(): Promise<void> {
    const read = new Set((await navigator.locks.query()).held?.map((lock) => lock.name));
    const found = (await vault.files()).filter((file) => !files.has(file.id) && !read.has(readLock(file.id)));
    const fresh = found.filter((file) => !current(file.id) || current(file.id)?.sha256 === null).map(woken);
    const known = outgoing.value.filter((file) => !fresh.some((other) => other.id === file.id));
    if (fresh.length) outgoing.value = [...known, ...fresh];
    went();
  }

  channel.onmessage = ({ data }: MessageEvent<Word>) => {
    if (data.said === 'files') {
      if (!leads) follow(data.files, data.busy, data.line_until_ms);
    } else if (leads) {
      if (data.said === 'added') void gather();
      else if (data.said === 'retry') retry(data.id);
      else if (data.said === 'remove') remove(data.id);
      tell();
    }
  };
  effect(tell); // with each change of what it tells, once this tab leads
  void navigator.locks.request(`telehub-sending-${account_id}`, async () => {
    leads = true;
    takeOver();
    await gather();
    await new Promise(() => undefined); // until this tab closes
  });
  say({ said: 'hello' });
  return { leads: () => leads, added: () => say({ said: 'added' }), ask: (said, id) => say({ said, id }) };
}

/** What the tab before was doing is done anew, from where the hub is. */
function takeOver(): void {
  busy.value = ownBusy();
  lineUntil.value = 0;
  outgoing.value = outgoing.value.map((file) => (file.kept ? woken(file) : file));
}

function ownBusy(): Set<string> {
  return new Set([...busy.value].filter((id) => files.has(id)));
}

function follow(theirs: Outgoing[], theirBusy: string[], line_until_ms: number): void {
  busy.value = new Set([...ownBusy(), ...theirBusy]);
  lineUntil.value = line_until_ms;
  const own = outgoing.value.filter((file) => files.has(file.id));
  outgoing.value = [...own, ...theirs.filter((file) => !own.some((other) => other.id === file.id))];
}

/** As a file is found after the browser was closed: the hub is asked how far it came. */
function woken(file: Outgoing): Outgoing {
  if (file.sha256 === null) return failed({ ...file, kept: true }, { code: 'incomplete', words: null });
  return { ...file, sure: false, failures: 0, not_before_ms: 0, trouble: file.phase === 'failed' ? file.trouble : null };
}
