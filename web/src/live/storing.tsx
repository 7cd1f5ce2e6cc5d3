// How the hub stores, as every open live page is told: seeing goes on without storing, and whoever looks must know it.
import { t, type MessageKey } from '../core/i18n';
import { formatClock } from '../core/time';
import type { Alarm } from '../core/types';
import { Banner } from '../core/ui';
import { translated } from '../ecg/rules';

export type Storing = { state: 'ok' | 'slow' | 'unseen' | 'away' | 'blocked'; why: string | null; since_at: string | null };
export const STORING_WELL: Storing = { state: 'ok', why: null, since_at: null };

export function isBroken({ state }: Storing): boolean {
  return state === 'away' || state === 'blocked' || state === 'unseen';
}

/** Sounds like any other high alarm as long as it lasts. */
export function storingAlarms(storing: Storing): Pick<Alarm, 'priority' | 'handling'>[] {
  return isBroken(storing) ? [{ priority: 'high', handling: 'raised' }] : [];
}

export function StoringBanner({ storing }: { storing: Storing }) {
  const { state, why, since_at } = storing;
  if (state === 'ok') return null;
  const since = since_at === null ? '' : t('live.storing.since', { since: formatClock(since_at, true) });
  const text = translated(`live.storing.${state}.${why ?? ''}`, t(`live.storing.${state}` as MessageKey));
  return (
    <div data-testid="storing" data-state={state} data-why={why ?? ''}>
      <Banner kind={isBroken(storing) ? 'error' : 'info'}>
        {isBroken(storing) && <strong>{t('live.storing.alarm')} </strong>}{since}{text}
      </Banner>
    </div>
  );
}
