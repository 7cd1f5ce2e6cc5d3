// Text to be noted elsewhere, such as a password shown once.
import { t } from '../core/i18n';
import { Button, toast } from '../core/ui';

export function CopyText({ text }: { text: string }) {
  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(text);
    toast(t('core.copied'));
  }
  return (
    <span class="actions">
      <span class="mono secret">{text}</span>
      {'clipboard' in navigator && <Button onClick={() => { void copy(); }}>{t('core.copy')}</Button>}
    </span>
  );
}
