// A state: a word with a time, and a shape that tells at a glance whether work is open, moving, or done.
import type { ComponentChildren } from 'preact';
import { Time } from './time';

export type Shape = 'waiting' | 'moving' | 'done' | 'stopped';
const GLYPHS: Record<Shape, string> = { waiting: '○', moving: '◐', done: '●', stopped: '✕' };

export function State({ shape, children, at }: { shape: Shape; children: ComponentChildren; at?: string | null | undefined }) {
  return (
    <span class={`state-word state-${shape}`}>
      <span aria-hidden="true" class="state-glyph">{GLYPHS[shape]}</span>
      {children}{at && <> <Time at={at} /></>}
    </span>
  );
}

export function Facts({ rows }: { rows: readonly (readonly [string, ComponentChildren] | null)[] }) {
  return (
    <dl class="facts">
      {rows.map((row) => row && <div key={row[0]}><dt>{row[0]}</dt><dd>{row[1]}</dd></div>)}
    </dl>
  );
}
