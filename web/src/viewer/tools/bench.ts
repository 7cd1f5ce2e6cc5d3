// What the reader holds and what is laid over the pictures: the same for all panes of a page.
import { signal } from '@preact/signals';
import type { Tool } from './marks';

export const tool = signal<Tool | null>(null);
/** The mark that was chosen last, with its handles out. */
export const chosen = signal<string | null>(null);
export const marksOn = signal(true);
/** Graphics that came with the file (PS3.3 C.9). */
export const graphicsOn = signal(true);

/** Puts the tool away if it is the one in hand. */
export function take(wanted: Tool): void {
  tool.value = tool.peek() === wanted ? null : wanted;
  marksOn.value = true;
  chosen.value = null;
}

/** RFC 9562 version 4; crypto.randomUUID is for secure pages only. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

// --- What stands open beside the pictures

export const keysOpen = signal(false);
export const priorsOpen = signal(false);
export const sheetOpen = signal(false);
