// Speed, gain and the screen's true scale: a bank card held to the screen tells how many pixels a millimetre has.
import { useState } from 'preact/hooks';
import { t } from '../core/i18n';
import { Button, Dialog } from '../core/ui';
import { calibrate } from '../ecg/paper';
import { mm_per_mv, mm_per_s, screen_px_per_mm } from './sheet';

const SPEEDS = [5, 12.5, 25, 50];
const GAINS = [5, 10, 20];
const CARD_MM = 85.6; // ISO/IEC 7810 ID-1

export function Scales() {
  const [dialog, setDialog] = useState(false);
  return (
    <>
      <select class="input" aria-label={t('live.speed')} value={mm_per_s.value} onChange={(event) => { mm_per_s.value = Number(event.currentTarget.value); }}>
        {SPEEDS.map((speed) => <option key={speed} value={speed} selected={speed === mm_per_s.value}>{speed} mm/s</option>)}
      </select>
      <select class="input" aria-label={t('live.gain')} value={mm_per_mv.value} onChange={(event) => { mm_per_mv.value = Number(event.currentTarget.value); }}>
        {GAINS.map((gain) => <option key={gain} value={gain} selected={gain === mm_per_mv.value}>{gain} mm/mV</option>)}
      </select>
      <Button kind="quiet" onClick={() => setDialog(true)}>{t('reading.scale')}</Button>
      {dialog && <ScaleDialog close={() => setDialog(false)} />}
    </>
  );
}

function ScaleDialog({ close }: { close: () => void }) {
  const [width, setWidth] = useState(Math.round(screen_px_per_mm.value * CARD_MM));
  return (
    <Dialog title={t('reading.scale.title')} close={close}>
      <p>{t('reading.scale.text')}</p>
      <div class="scale-card" style={{ width: `${width}px` }} aria-hidden="true" />
      <label class="field"><span class="field-label">{t('reading.scale.width')}</span>
        <input type="range" min="200" max="900" value={width} onInput={(event) => setWidth(Number(event.currentTarget.value))} />
      </label>
      <div class="actions">
        <Button kind="primary" onClick={() => { calibrate(width / CARD_MM); screen_px_per_mm.value = width / CARD_MM; close(); }}>{t('reading.scale.keep')}</Button>
        <Button onClick={close}>{t('core.cancel')}</Button>
      </div>
    </Dialog>
  );
}
