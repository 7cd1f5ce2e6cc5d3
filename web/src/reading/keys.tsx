// The reading room's keys, one table: what the page listens to and what "?" shows.
import { useEffect } from 'preact/hooks';
import { prompt } from '../core/api';
import { t, type MessageKey } from '../core/i18n';
import { Dialog } from '../core/ui';
import { keyOf, type OpenCase, type Opened } from './open-case';
import { classify, page, stepBeat } from './record';
import { calipersOn } from './sheet';
import type { CaseFinding } from './types';

type Key = { keys: readonly string[]; words: MessageKey; run: (open: OpenCase) => void };

function chosen(open: OpenCase): CaseFinding | undefined {
  return open.data.value.findings.find((finding) => keyOf(finding) === open.finding.value);
}

function stepFinding(open: OpenCase, step: 1 | -1): void {
  const { findings } = open.data.value;
  const place = findings.findIndex((finding) => keyOf(finding) === open.finding.value);
  const next = findings[place < 0 ? (step > 0 ? 0 : findings.length - 1) : place + step];
  if (next) open.choose(next);
}

function withChosen(deed: (open: OpenCase, finding: CaseFinding) => void): (open: OpenCase) => void {
  return (open) => {
    const finding = chosen(open);
    if (finding) deed(open, finding);
  };
}

function dismissChosen(open: OpenCase, finding: CaseFinding): void {
  const { findings } = open.data.value;
  const next = findings[findings.indexOf(finding) + 1];
  open.dismiss(finding);
  if (next) open.choose(next);
}

export const KEYS: readonly Key[] = [
  { keys: ['j'], words: 'reading.key.next', run: (open) => stepFinding(open, 1) },
  { keys: ['k'], words: 'reading.key.previous', run: (open) => stepFinding(open, -1) },
  { keys: ['Enter'], words: 'reading.key.open', run: withChosen((open, finding) => { open.choose(finding); document.getElementById('record-strip')?.focus(); }) },
  { keys: ['i'], words: 'reading.key.include', run: withChosen((open, finding) => open.draft.include(keyOf(finding), !open.draft.included.value.has(keyOf(finding)))) },
  { keys: ['x'], words: 'reading.key.dismiss', run: withChosen(dismissChosen) },
  { keys: ['ArrowRight', 'PageDown'], words: 'reading.key.on', run: (open) => page(open, 0.9) },
  { keys: ['ArrowLeft', 'PageUp'], words: 'reading.key.back', run: (open) => page(open, -0.9) },
  { keys: ['.'], words: 'reading.key.second.on', run: (open) => open.goTo(open.place.value + open.line.fs_hz) },
  { keys: [','], words: 'reading.key.second.back', run: (open) => open.goTo(open.place.value - open.line.fs_hz, false) },
  { keys: ['Home'], words: 'reading.key.start', run: (open) => open.goTo(0) },
  { keys: ['End'], words: 'reading.key.end', run: (open) => open.goTo(open.line.length - 1, false) },
  { keys: ['g'], words: 'reading.key.jump', run: () => document.getElementById('jump-to')?.focus() },
  { keys: ['c'], words: 'reading.key.calipers', run: () => { calipersOn.value = !calipersOn.value; } },
  { keys: [']'], words: 'reading.key.beat.next', run: (open) => stepBeat(open, 1) },
  { keys: ['['], words: 'reading.key.beat.previous', run: (open) => stepBeat(open, -1) },
  { keys: ['n'], words: 'reading.key.class.N', run: (open) => classify(open, 'N') },
  { keys: ['v'], words: 'reading.key.class.V', run: (open) => classify(open, 'V') },
  { keys: ['q'], words: 'reading.key.class.Q', run: (open) => classify(open, 'Q') },
  { keys: ['Delete'], words: 'reading.key.beat.delete', run: (open) => classify(open, null) },
  { keys: ['t'], words: 'reading.key.templates', run: () => document.querySelector<HTMLElement>('.template-open')?.focus() },
  { keys: ['r'], words: 'reading.key.report', run: () => document.querySelector<HTMLElement>('[data-field="conclusion"]')?.focus() },
];

const NAMES: Record<string, string> = { ArrowRight: '→', ArrowLeft: '←', PageDown: 'PgDn', PageUp: 'PgUp', Delete: 'Del' };

/** Typing, sliders and open dialogs keep their keys. Enter on a button is the button's. */
function taken(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || prompt.value || document.querySelector('dialog[open]')) return true;
  const target = event.target as Element;
  return target.matches('input, textarea, select, [role="slider"], [role="separator"]') || (event.key === 'Enter' && target.matches('button, a'));
}

export function useKeys(open: Opened | null, help: () => void): void {
  useEffect(() => {
    function pressed(event: KeyboardEvent): void {
      if (event.defaultPrevented) return; // the viewer's
      if (event.key === 'Escape' && event.target instanceof HTMLElement && event.target.matches('input, textarea')) event.target.blur();
      if (taken(event)) return;
      if (event.key === '?') { help(); return; }
      const key = KEYS.find(({ keys }) => keys.includes(event.key));
      if (!key || !open || open.kind === 'images') return; // the viewer has its own, and hears them first
      event.preventDefault();
      key.run(open);
    }
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, [open]);
}

/** `record`: a recording's keys, too; those of images are the viewer's, while it is there. */
export function KeysDialog({ record, close }: { record: boolean; close: () => void }) {
  return (
    <Dialog title={t('reading.keys')} close={close}>
      <dl class="keys">
        {record && KEYS.map(({ keys, words }) => <div key={words}><dt>{keys.map((key) => <kbd key={key}>{NAMES[key] ?? key}</kbd>)}</dt><dd>{t(words)}</dd></div>)}
        <div><dt><kbd>Esc</kbd></dt><dd>{t('reading.key.leave')}</dd></div>
        <div><dt><kbd>?</kbd></dt><dd>{t('reading.keys')}</dd></div>
      </dl>
    </Dialog>
  );
}
