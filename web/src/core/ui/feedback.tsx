// The honest states of a page: a message with what to do, still loading, nothing there, failed, away, no right.
import type { ComponentChildren } from 'preact';
import type { ApiError } from '../api';
import { t } from '../i18n';
import { Button } from './button';

type BannerProps = { kind: 'info' | 'notice' | 'error'; children: ComponentChildren; action?: { label: string; run: () => void } };
const SIGNS = { info: 'i', notice: '!', error: '!' } as const;

export function Banner({ kind, children, action }: BannerProps) {
  return (
    <div class={`banner banner-${kind}`} role={kind === 'error' ? 'alert' : 'status'}>
      <span class="banner-sign" aria-hidden="true">{SIGNS[kind]}</span>
      <div class="banner-text">{children}</div>
      {action && <Button kind="quiet" onClick={action.run}>{action.label}</Button>}
    </div>
  );
}

export function ErrorBanner({ error }: { error: ApiError }) {
  return <Banner kind="error">{error.text}</Banner>;
}

export function Skeleton({ rows = 3 }: { rows?: number }) {
  return (
    <div class="skeleton" role="status" aria-label={t('core.loading')}>
      {Array.from({ length: rows }, (_, row) => <div key={row} class="skeleton-row" style={{ width: `${92 - (row % 3) * 14}%` }} />)}
    </div>
  );
}

export function EmptyState({ title, children }: { title: string; children?: ComponentChildren }) {
  return <div class="state"><p class="state-title">{title}</p>{children}</div>;
}

export function ErrorState({ error, retry }: { error: ApiError; retry?: () => void }) {
  const title = error.status === 0 ? 'core.away.title' : error.status === 404 ? 'core.missing.title' : 'core.failed.title';
  return (
    <div class="state" role="alert">
      <p class="state-title">{t(title)}</p>
      <p>{error.text}</p>
      {retry && <Button onClick={retry}>{t('core.retry')}</Button>}
    </div>
  );
}

export function NoRight() {
  return <div class="state" role="alert"><p class="state-title">{t('core.noRight.title')}</p><p>{t('core.noRight.text')}</p></div>;
}
