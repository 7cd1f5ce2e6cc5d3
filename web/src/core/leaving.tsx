// Signing out while files have not reached the hub: stay, leave them encrypted for the next time, or delete them.
import { useState } from 'preact/hooks';
import { t } from './i18n';
import { useAction } from './resource';
import { signOut } from './session';
import { Banner, Button, Dialog, ErrorBanner } from './ui';
import { unsent, type Unsent } from './unsent';

export function SignOut() {
  const [asked, setAsked] = useState(false);
  const open = unsent.value;
  return (
    <>
      <Button kind="quiet" onClick={() => { if (open) setAsked(true); else void signOut(); }}>{t('core.signOut')}</Button>
      {asked && open && <Ask open={open} stay={() => setAsked(false)} />}
      {asked && !open && <Done stay={() => setAsked(false)} />}
    </>
  );
}

function Ask({ open, stay }: { open: Unsent; stay: () => void }) {
  const leave = useAction(signOut);
  const forget = useAction(async () => { await open.forget(); await signOut(); });
  const lost = open.files - open.kept;
  return (
    <Dialog title={t('core.leave.title', { count: open.files })} close={stay}>
      {open.kept > 0 && <p>{t('core.leave.kept', { count: open.kept })}</p>}
      {lost > 0 && <Banner kind="notice">{t('core.leave.lost', { count: lost })}</Banner>}
      {(leave.error ?? forget.error) && <ErrorBanner error={(leave.error ?? forget.error)!} />}
      <div class="stack-tight">
        <Button kind="primary" autoFocus onClick={stay}>{t('core.leave.stay')}</Button>
        {open.kept > 0 && <Button busy={leave.busy} onClick={leave.run}>{t('core.leave.keep')}</Button>}
        <Button kind="grave" busy={forget.busy} onClick={forget.run}>{t('core.leave.delete')}</Button>
      </div>
    </Dialog>
  );
}

/** All went while the question stood there. */
function Done({ stay }: { stay: () => void }) {
  const leave = useAction(signOut);
  return (
    <Dialog title={t('core.leave.done')} close={stay}>
      {leave.error && <ErrorBanner error={leave.error} />}
      <div class="actions">
        <Button kind="primary" busy={leave.busy} onClick={leave.run}>{t('core.signOut')}</Button>
        <Button onClick={stay}>{t('core.leave.stay')}</Button>
      </div>
    </Dialog>
  );
}
