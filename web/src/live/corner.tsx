// The corner of every live page: how old the newest sample is and whether the device is heard; beside it stands the connection.
import type { Signal } from '@preact/signals';
import { duration, t } from '../core/i18n';
import { now } from '../core/time';
import type { DeviceState } from '../core/types';
import type { Newest } from './feed';

export const STALE_S = 10; // older than this, a rate is no longer the patient's rate now

/** Age of the newest sample, counted on while nothing comes; null = none ever. */
export function ageOf(newest: Newest | null): number | null {
  return newest === null ? null : Math.max(0, newest.age_s + Math.max(0, now.value - newest.heard_ms) / 1000);
}

export function ageWords(age_s: number | null): string {
  return age_s === null ? t('live.newest.none') : t('live.newest', { age: duration(age_s) });
}

export function LiveCorner({ newest, device }: { newest: Signal<Newest | null>; device: Signal<DeviceState | null> }) {
  const age_s = ageOf(newest.value);
  const stale = age_s === null || age_s > STALE_S;
  return (
    <>
      <span class={stale ? 'corner-age corner-stale' : 'corner-age'} data-testid="newest-age" data-age-s={age_s?.toFixed(1) ?? ''}>{ageWords(age_s)}</span>
      {device.value && <span class="soft">{t(device.value.connected ? 'live.device.connected' : 'live.device.away')}</span>}
    </>
  );
}
