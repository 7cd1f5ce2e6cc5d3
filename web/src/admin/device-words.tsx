// What a device's figures mean, in words.
import { duration, t } from '../core/i18n';
import { State } from '../core/ui';
import { qualityWord } from '../ecg/rules';
import type { Device, Held } from './types';

const CLOCK_WRONG_S = 2; // worth a word; vitals and ECG are corrected anyway
const BATTERY_LOW = 20;

/** Why somebody should look after it. */
export function Hands({ device }: { device: Pick<Device, 'hand'> }) {
  if (device.hand.length === 0) return <span class="soft">—</span>;
  return <span class="hands">{device.hand.map((each) => <State key={each} shape="waiting">{t(`admin.hand.${each}`)}</State>)}</span>;
}

export function BatteryWords({ percent }: { percent: number | null }) {
  if (percent === null) return <>—</>;
  return percent < BATTERY_LOW ? <strong>{percent}%</strong> : <>{percent}%</>;
}

/** The newest second's quality: the worst leads first, nothing where no live result is there. */
export function SignalWords({ quality }: { quality: string[] | null }) {
  if (!quality) return <span class="soft">—</span>;
  const bad = quality.filter((word) => word !== 'good');
  if (bad.length === 0) return <>{t('live.quality.good')}</>;
  return <>{[...new Set(bad)].map((word) => t('admin.device.leads', { word: qualityWord(word), count: bad.filter((each) => each === word).length })).join(t('live.comma'))}</>;
}

/** Declared lost: the device gave it up before it could be sent. */
export function Gaps({ held }: { held: Held | null }) {
  if (!held) return <>—</>;
  return held.lost_s > 0 ? <strong>{t('admin.device.gaps.lost', { duration: duration(held.lost_s), count: held.lost_ranges })}</strong> : <>{t('admin.device.gaps.none')}</>;
}

export function ClockWords({ offset_s }: { offset_s: number | null }) {
  if (offset_s === null) return <>—</>;
  const size = Math.abs(offset_s);
  if (size < CLOCK_WRONG_S) return <>{t('admin.device.clock.right')}</>;
  return <>{t(offset_s > 0 ? 'admin.device.clock.slow' : 'admin.device.clock.fast', { duration: duration(size) })}</>;
}
