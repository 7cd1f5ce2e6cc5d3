// Account and password, for the sign-in page and for signing in again.
import { useState } from 'preact/hooks';
import type { ApiError } from './api';
import { t } from './i18n';
import { useAction } from './resource';
import { formatShort } from './time';
import { Banner, Button, Form, TextField } from './ui';

export function CredentialsForm({ login: initial, submit }: { login: string; submit: (login: string, password: string) => Promise<void> }) {
  const [login, setLogin] = useState(initial);
  const [password, setPassword] = useState('');
  const [capsLock, setCapsLock] = useState(false);
  const work = useAction(() => submit(login.trim(), password));
  const onKey = (event: KeyboardEvent) => setCapsLock(event.getModifierState?.('CapsLock') ?? false);
  return (
    <Form submit={work.run}>
      <TextField label={t('signin.login')} name="login" autocomplete="username" autocapitalize="none" spellcheck={false} required autoFocus={!initial} value={login} change={setLogin} />
      <TextField
        label={t('signin.password')} name="password" type="password" autocomplete="current-password" required autoFocus={Boolean(initial)}
        value={password} change={setPassword} onKeyDown={onKey} onKeyUp={onKey} hint={capsLock ? t('signin.capsLock') : undefined}
      />
      {work.error && <Banner kind="error">{refusal(work.error)}</Banner>}
      <Button type="submit" kind="primary" busy={work.busy} busyLabel={t('signin.working')}>{t('signin.submit')}</Button>
    </Form>
  );
}

function refusal(error: ApiError): string {
  const until = error.detail.until;
  if (error.code === 'locked_out' && typeof until === 'string') return t('signin.locked', { time: formatShort(until) });
  return error.text;
}
