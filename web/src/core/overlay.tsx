// Signing in again, or the password once more before signing a report, over a page that keeps everything typed into it.
import { useState } from 'preact/hooks';
import { api, prompt, type Prompt } from './api';
import { CredentialsForm } from './credentials';
import { t } from './i18n';
import { me, signIn } from './session';
import { useAction } from './resource';
import { Banner, Button, Dialog, Form, TextField } from './ui';

export function Overlay() {
  const asked = prompt.value;
  if (!asked) return null;
  return asked.kind === 'sign-in' ? <SignInAgain asked={asked} /> : <StepUp asked={asked} />;
}

function SignInAgain({ asked }: { asked: Prompt }) {
  const before = me.value?.account;
  async function again(login: string, password: string): Promise<void> {
    await signIn(login, password);
    // Somebody else must not inherit what the first person had on the page.
    if (before && me.value?.account.id !== before.id) location.assign('/');
    else asked.resolve(true);
  }
  return (
    <Dialog title={t('signin.again.title')} close={null}>
      <p>{t('signin.again.text')}</p>
      <CredentialsForm login={before?.login ?? ''} submit={again} />
      <div class="actions"><Button kind="quiet" onClick={() => location.assign('/')}>{t('signin.again.leave')}</Button></div>
    </Dialog>
  );
}

function StepUp({ asked }: { asked: Prompt }) {
  const [password, setPassword] = useState('');
  const work = useAction(async () => {
    await api.post('/api/me/step-up', { password }, { promptOn401: false });
    asked.resolve(true);
  });
  return (
    <Dialog title={t('signin.stepUp.title')} close={() => asked.resolve(false)}>
      <Form submit={work.run}>
        <p>{t('signin.stepUp.text', { name: me.value?.account.name ?? '' })}</p>
        <TextField label={t('signin.password')} type="password" autocomplete="current-password" autoFocus required value={password} change={setPassword} />
        {work.error && <Banner kind="error">{work.error.code === 'wrong_credentials' ? t('signin.stepUp.wrong') : work.error.text}</Banner>}
        <div class="actions">
          <Button type="submit" kind="primary" busy={work.busy}>{t('signin.stepUp.confirm')}</Button>
          <Button onClick={() => asked.resolve(false)}>{t('core.cancel')}</Button>
        </div>
      </Form>
    </Dialog>
  );
}
