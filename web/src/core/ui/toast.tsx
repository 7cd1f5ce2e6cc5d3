// A short word on what was stored, with a way back where there is one. Stays while the pointer or focus is on it.
import { signal } from '@preact/signals';
import { t } from '../i18n';

type Message = { id: number; text: string; undo: (() => void) | null };
const messages = signal<readonly Message[]>([]);
const SHOWN_MS = 6000;
let nextId = 0;

export function toast(text: string, undo: (() => void) | null = null): void {
  const id = nextId++;
  messages.value = [...messages.value.slice(-2), { id, text, undo }];
  fade(id);
}

function fade(id: number): void {
  setTimeout(() => {
    if (document.querySelector(`[data-toast="${id}"]:is(:hover, :focus-within)`)) fade(id);
    else drop(id);
  }, SHOWN_MS);
}

function drop(id: number): void {
  messages.value = messages.value.filter((message) => message.id !== id);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {messages.value.map(({ id, text, undo }) => (
        <div key={id} class="toast" data-toast={id}>
          <span>{text}</span>
          {undo && <button type="button" class="toast-button" onClick={() => { undo(); drop(id); }}>{t('core.undo')}</button>}
          <button type="button" class="toast-button" aria-label={t('core.close')} onClick={() => drop(id)}>×</button>
        </div>
      ))}
    </div>
  );
}
