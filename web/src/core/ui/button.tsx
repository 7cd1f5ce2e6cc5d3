// Buttons and links that look alike: at least a finger's size, busy in words, never colour alone.
import type { ComponentChildren } from 'preact';
import { t } from '../i18n';

type ButtonProps = {
  kind?: 'primary' | 'plain' | 'quiet' | 'grave';
  type?: 'button' | 'submit';
  busy?: boolean;
  busyLabel?: string | undefined;
  disabled?: boolean;
  autoFocus?: boolean;
  onClick?: () => void;
  title?: string;
  'aria-label'?: string;
  'aria-pressed'?: boolean;
  'aria-expanded'?: boolean;
  'data-test'?: string;
  children: ComponentChildren;
};

export function Button({ kind = 'plain', busy = false, busyLabel, children, type = 'button', ...rest }: ButtonProps) {
  return (
    <button {...rest} type={type} class={`button button-${kind}`} aria-busy={busy} aria-disabled={busy}>
      {busy ? busyLabel ?? t('core.working') : children}
    </button>
  );
}

type LinkProps = {
  kind?: 'primary' | 'plain' | 'quiet';
  href: string;
  target?: '_blank' | '_self';
  download?: string;
  'aria-label'?: string;
  children: ComponentChildren;
};

export function ButtonLink({ kind = 'plain', target, children, ...rest }: LinkProps) {
  return <a {...rest} target={target} rel={target === '_blank' ? 'noopener' : undefined} class={`button button-${kind}`}>{children}</a>;
}
