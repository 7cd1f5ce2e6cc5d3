// The keys of the marks' tools, as one table that both acts and explains itself; asked before the page's own keys.
import type { MessageKey } from '../../core/i18n';
import { chosen, graphicsOn, keysOpen, marksOn, priorsOpen, sheetOpen, take, tool } from './bench';
import { stepKey, toggleKey, type Tools } from './deeds';
import { chosenBy, handOf } from './hand';
import type { Tool } from './marks';

/** `write`: only for who may mark. `here`: whether this page has what it is about. `act` false = it was no deed of ours just now. */
type Key = { keys: readonly string[]; says: MessageKey; write?: boolean; here?: () => boolean; act: (tools: Tools) => boolean };

const TOOLS: readonly [string, Tool][] = [['m', 'length'], ['a', 'angle'], ['c', 'cobb'], ['e', 'ellipse'], ['b', 'rectangle'], ['w', 'arrow'], ['t', 'text']];

export const KEY_OF: Readonly<Record<Tool, string>> = Object.fromEntries(TOOLS.map(([key, name]) => [name, key])) as Record<Tool, string>;

function done(deed: () => void): true {
  deed();
  return true;
}

function removeChosen({ panes }: Tools): boolean {
  const own = chosenBy(panes.active.peek());
  return own ? done(() => own.hand.remove(own.mark)) : false;
}

/** Where the case has a report beside it. */
function conclusion(): HTMLElement | null {
  return document.querySelector<HTMLElement>('[data-field="conclusion"]');
}

function write(): boolean {
  const field = conclusion();
  return field ? done(() => field.focus()) : false;
}

function leave({ panes }: Tools): boolean {
  const hand = handOf(panes.active.peek());
  const used = tool.peek() !== null || chosen.peek() !== null || Boolean(hand?.draft.peek());
  const drawing = Boolean(hand?.draft.peek());
  hand?.abandon();
  if (!drawing) { tool.value = null; chosen.value = null; }
  return used;
}

export const TOOL_KEYS: readonly Key[] = [
  ...TOOLS.map(([key, name]): Key => ({ keys: [key], says: `tools.${name}`, write: true, act: () => done(() => take(name)) })),
  { keys: ['Enter'], says: 'tools.key.place', write: true, act: ({ panes }) => (tool.peek() === null ? false : done(() => handOf(panes.active.peek())?.place())) },
  { keys: ['Delete', 'Backspace'], says: 'tools.key.remove', write: true, act: removeChosen },
  { keys: ['Escape'], says: 'tools.key.leave', act: leave },
  { keys: ['k'], says: 'tools.key.key-image', write: true, act: (tools) => done(() => toggleKey(tools)) },
  { keys: [']'], says: 'tools.key.next-key', act: (tools) => done(() => stepKey(tools, 1)) },
  { keys: ['['], says: 'tools.key.key-before', act: (tools) => done(() => stepKey(tools, -1)) },
  { keys: ['p'], says: 'tools.priors', act: () => done(() => { priorsOpen.value = true; }) },
  { keys: ['l'], says: 'tools.link', act: ({ linking }) => done(() => linking.toggle()) },
  { keys: ['L'], says: 'tools.link.here', act: ({ linking }) => done(() => linking.link(false)) },
  { keys: ['v'], says: 'tools.hide', act: () => done(() => { marksOn.value = !marksOn.peek(); }) },
  { keys: ['o'], says: 'tools.graphics', act: () => done(() => { graphicsOn.value = !graphicsOn.peek(); }) },
  { keys: ['y'], says: 'tools.keys', act: () => done(() => { keysOpen.value = !keysOpen.peek(); }) },
  { keys: ['j'], says: 'tools.key.conclusion', here: () => conclusion() !== null, act: write },
  { keys: ['?'], says: 'tools.sheet', act: () => done(() => { sheetOpen.value = true; }) },
];

/** Whether this key did something here. */
export function pressTool(event: KeyboardEvent, tools: Tools): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return false;
  const target = event.target as Element;
  if (target.closest('input, textarea, select, dialog, [contenteditable]')) return false;
  if (event.key === 'Enter' && target.closest('button, a')) return false;
  const key = TOOL_KEYS.find(({ keys, write }) => keys.includes(event.key) && (!write || tools.write));
  if (!key?.act(tools)) return false;
  event.preventDefault();
  return true;
}
