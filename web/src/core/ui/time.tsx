// An instant, and how old something is.
import { duration, t } from '../i18n';
import { formatDate, formatInstant, formatShort, now } from '../time';

type Shown = 'short' | 'full' | 'seconds' | 'date';

export function Time({ at, show = 'short' }: { at: string; show?: Shown }) {
  const text = show === 'short' ? formatShort(at) : show === 'date' ? formatDate(at) : formatInstant(at, show === 'seconds');
  return <time class="figures" dateTime={at} title={formatInstant(at, true)}>{text}</time>;
}

/** "3 s ago", counted on by the page's clock; null = nothing yet. */
export function Age({ at }: { at: string | null }) {
  if (at === null) return <span class="figures">{t('core.age.none')}</span>;
  const seconds = Math.max(0, (now.value - Date.parse(at)) / 1000);
  return <time class="figures" dateTime={at} title={formatInstant(at, true)}>{t('core.age', { duration: duration(seconds) })}</time>;
}
