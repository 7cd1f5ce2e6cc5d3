// What a recorder still holds back and how far its clock is off, in the same words on every page.
import { duration, t } from './i18n';
import type { Backlog, DeviceClock } from './types';
import { Time } from './ui';

const CLOCK_WRONG_S = 2; // less is the way through the network
const DRIFT_SAID_PPM = 5; // less is no news of a quartz

/** "3 h 12 min, about 6 min left"; the rest is said to be unknown when it is. */
export function BacklogWords({ backlog }: { backlog: Backlog }) {
  if (backlog.waiting_s <= 0) return <>{t('core.none')}</>;
  const waiting = duration(backlog.waiting_s);
  return <span data-testid="backlog" data-waiting-s={backlog.waiting_s} data-left-s={backlog.left_s ?? ''}>
    {backlog.left_s === null ? t('core.backlog.unknown', { waiting }) : t('core.backlog.left', { waiting, left: duration(roughly(backlog.left_s)) })}
  </span>;
}

/** An estimate: whole minutes from two of them on. */
function roughly(seconds: number): number {
  return seconds < 120 ? Math.ceil(seconds / 10) * 10 : Math.ceil(seconds / 60) * 60;
}

/** Ahead or behind, how fast that grows, and what the recorder itself showed. */
export function DeviceClockWords({ clock }: { clock: DeviceClock }) {
  const size = Math.abs(clock.offset_s);
  const drift = clock.drift_ppm ?? 0;
  return (
    <span data-testid="device-clock" data-offset-s={clock.offset_s}>
      {size < CLOCK_WRONG_S ? t('core.clock.right') : t(clock.offset_s > 0 ? 'core.clock.behind' : 'core.clock.ahead', { duration: duration(size) })}
      {Math.abs(drift) >= DRIFT_SAID_PPM && <span class="soft"> · {t(drift > 0 ? 'core.clock.slow' : 'core.clock.fast', { ppm: Math.round(Math.abs(drift)) })}</span>}
      {size >= CLOCK_WRONG_S && <span class="soft"> · {t('core.clock.itself')} <Time at={clock.device_at} show="seconds" /></span>}
    </span>
  );
}
