// A modal dialog on the browser's own <dialog> (focus trap, Escape, inert page behind) and the question asked before grave deeds.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import type { ApiError } from '../api';
import { Button } from './button';
import { ErrorBanner } from './feedback';
import { TextArea } from './field';
import { Form } from './form';

type DialogProps = { title: string; close: (() => void) | null; children: ComponentChildren; wide?: boolean };

/** `close: null` = it can't be waved away. */
export function Dialog({ title, close, children, wide }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    return () => { if (before instanceof HTMLElement) before.focus(); };
  }, []);
  return (
    <dialog
      ref={element} class={wide ? 'dialog dialog-wide' : 'dialog'} aria-labelledby={id}
      onCancel={(event) => { event.preventDefault(); close?.(); }}
      onClick={(event) => { if (event.target === element.current) close?.(); }}
    >
      <div class="dialog-body">
        <div class="dialog-head">
          <h2 id={id}>{title}</h2>
          {close && <button type="button" class="dialog-close" aria-label={t('core.close')} onClick={close}>×</button>}
        </div>
        {children}
      </div>
    </dialog>
  );
}

type ConfirmProps = {
  title: string;
  children: ComponentChildren;
  confirm: string;
  grave?: boolean;
  reason?: string; // label of the reason to give; without it none is asked
  run: (reason: string) => Promise<unknown>;
  close: () => void;
};

/** Says what will happen, asks for a reason where one is due, stays open with the error if it fails. */
export function Confirm({ title, children, confirm, grave, reason, run, close }: ConfirmProps) {
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  async function go(): Promise<void> {
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      await run(text.trim());
      close();
    } catch (cause) {
      setError(cause as ApiError);
    } finally {
      setBusy(false);
    }
  }
  return (
    <Dialog title={title} close={close}>
      <Form submit={() => { void go(); }}>
        <div>{children}</div>
        {reason && <TextArea label={reason} value={text} change={setText} required maxLength={500} />}
        {error && <ErrorBanner error={error} />}
        <div class="actions">
          <Button type="submit" kind={grave ? 'grave' : 'primary'} busy={busy}>{confirm}</Button>
          <Button onClick={close}>{t('core.cancel')}</Button>
        </div>
      </Form>
    </Dialog>
  );
}
