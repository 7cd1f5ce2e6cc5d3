// A form that says in the page's language what is still missing; the browser's own bubbles speak the browser's.
import { createContext, type ComponentChildren } from 'preact';
import { useContext, useState } from 'preact/hooks';
import { t } from '../i18n';

const Tried = createContext(false);

/** Calls `submit` only when nothing required is empty; else marks the fields and goes to the first. */
export function Form({ submit, children }: { submit: () => void; children: ComponentChildren }) {
  const [tried, setTried] = useState(false);
  function onSubmit(event: SubmitEvent): void {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const invalid = form.querySelector<HTMLElement>('.input:invalid');
    if (!invalid) { submit(); requestAnimationFrame(() => goToFault(form)); return; }
    setTried(true);
    invalid.focus();
  }
  return <form class="stack" noValidate onSubmit={onSubmit}><Tried.Provider value={tried}>{children}</Tried.Provider></form>;
}

/** To the first field that the form itself found wrong; to what it says, where that is about no single field. */
function goToFault(form: HTMLFormElement): void {
  const fault = form.querySelector('.field-error');
  const field = fault?.parentElement?.querySelector<HTMLElement>('input, select, textarea');
  if (field) field.focus();
  else fault?.scrollIntoView({ block: 'center' });
}

/** The fault of a field of a form that somebody tried to send: empty though required. */
export function useMissing(required: boolean | undefined, value: string): string | null {
  return useContext(Tried) && required && !value.trim() ? t('core.field.missing') : null;
}
