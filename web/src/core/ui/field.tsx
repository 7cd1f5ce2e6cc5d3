// A form's field: label, control, hint and error tied together for eyes and screen readers alike.
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { t } from '../i18n';
import { useMissing } from './form';

type Shared = { label: string; hint?: ComponentChildren; error?: string | null | undefined; optional?: boolean };
type Described = { id: string; 'aria-describedby': string | undefined; 'aria-invalid': boolean };

export function Field({ label, hint, error, optional, children }: Shared & { children: (props: Described) => ComponentChildren }) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  return (
    <div class="field">
      <label class="field-label" for={id}>
        {label}{optional && <span class="soft"> {t('core.optional')}</span>}
      </label>
      {children({ id, 'aria-describedby': described, 'aria-invalid': Boolean(error) })}
      {hint && <div class="field-hint" id={`${id}-hint`}>{hint}</div>}
      {error && <div class="field-error" id={`${id}-error`} role="alert">{error}</div>}
    </div>
  );
}

type Control = {
  value: string;
  change: (value: string) => void;
  name?: string;
  required?: boolean;
  disabled?: boolean;
  autoFocus?: boolean;
  maxLength?: number;
  placeholder?: string;
} & Shared;
type TextProps = Control & {
  type?: 'text' | 'password' | 'search' | 'tel' | 'date' | 'number' | 'time' | 'datetime-local';
  inputMode?: 'text' | 'numeric' | 'decimal' | 'tel';
  min?: string | number;
  max?: string | number;
  autocomplete?: 'off' | 'username' | 'current-password' | 'new-password';
  autocapitalize?: 'none' | 'characters';
  spellcheck?: boolean;
  onKeyDown?: (event: KeyboardEvent) => void;
  onKeyUp?: (event: KeyboardEvent) => void;
};

export function TextField({ label, hint, error, optional, value, change, type = 'text', ...rest }: TextProps) {
  const missing = useMissing(rest.required, value);
  return (
    <Field label={label} hint={hint} error={error ?? missing} optional={optional ?? false}>
      {(props) => <input {...rest} {...props} type={type as 'text' /* one of many narrow types to Preact */} class="input" value={value} onInput={(event) => change(event.currentTarget.value)} />}
    </Field>
  );
}

export function TextArea({ label, hint, error, optional, value, change, rows = 3, ...rest }: Control & { rows?: number }) {
  const missing = useMissing(rest.required, value);
  return (
    <Field label={label} hint={hint} error={error ?? missing} optional={optional ?? false}>
      {(props) => <textarea {...rest} {...props} rows={rows} class="input" value={value} onInput={(event) => change(event.currentTarget.value)} />}
    </Field>
  );
}

export type Choice<V extends string = string> = { value: V; label: string };

type SelectProps<V extends string> = Shared & { value: V | ''; change: (value: V) => void; choices: readonly Choice<V>[]; placeholder?: string; required?: boolean; disabled?: boolean };

export function Select<V extends string>({ label, hint, error, optional, value, change, choices, placeholder, ...rest }: SelectProps<V>) {
  const missing = useMissing(rest.required, value);
  return (
    <Field label={label} hint={hint} error={error ?? missing} optional={optional ?? false}>
      {(props) => (
        <select {...rest} {...props} class="input" value={value} onChange={(event) => change(event.currentTarget.value as V)}>
          {placeholder !== undefined && <option value="">{placeholder}</option>}
          {choices.map((choice) => <option key={choice.value} value={choice.value} selected={choice.value === value}>{choice.label}</option>)}
        </select>
      )}
    </Field>
  );
}

type RadioProps<V extends string> = Omit<SelectProps<V>, 'placeholder' | 'disabled' | 'optional'>;

/** A few choices all in sight. */
export function Radios<V extends string>({ label, hint, error, value, change, choices }: RadioProps<V>) {
  const id = useId();
  return (
    <fieldset class="field" aria-describedby={error ? `${id}-error` : undefined}>
      <legend class="field-label">{label}</legend>
      <div class="choices">
        {choices.map((choice) => (
          <label key={choice.value} class="choice">
            <input type="radio" name={id} checked={choice.value === value} onChange={() => change(choice.value)} />
            <span>{choice.label}</span>
          </label>
        ))}
      </div>
      {hint && <div class="field-hint">{hint}</div>}
      {error && <div class="field-error" id={`${id}-error`} role="alert">{error}</div>}
    </fieldset>
  );
}

export function Check({ label, checked, change, hint }: { label: string; checked: boolean; change: (checked: boolean) => void; hint?: string }) {
  const id = useId();
  return (
    <div class="field">
      <label class="choice">
        <input type="checkbox" checked={checked} aria-describedby={hint ? id : undefined} onChange={(event) => change(event.currentTarget.checked)} />
        <span>{label}</span>
      </label>
      {hint && <div class="field-hint" id={id}>{hint}</div>}
    </div>
  );
}
