// What must stand beside every image: whose it is, when it was made, which slice, how it is looked at, and whether it may be judged yet.
import { t } from '../core/i18n';
import { ageAt } from './age';
import { slicesOf } from './manifest';
import type { StackPane } from './panes';
import { edgesOf, screenWays } from './tools/geometry';
import type { Study } from './types';
import { isGrey } from './windows';

export function Corners({ pane }: { pane: StackPane }) {
  const [series, study] = [pane.series.value, pane.study.value];
  if (series === null) return null;
  const count = slicesOf(series).length;
  return (
    <div class="corners figures">
      <div class="corner-tl">
        {study && <Who study={study} />}
      </div>
      <div class="corner-tr">
        {study && <span class="corner-date">{dateOf(study)}</span>}
        <span>{[series.modality, series.number, series.description].filter((part) => part !== null && part !== '').join(' · ')}</span>
        <span class="corner-slice" data-test="slice">{t('viewer.slice', { place: Math.min(pane.index.value + 1, count), count })}</span>
      </div>
      <div class="corner-bl"><Looking pane={pane} /></div>
      <div class="corner-br"><Trust pane={pane} /></div>
    </div>
  );
}

/** The study's own date; a date unknown is said, since two studies may stand side by side. */
export function dateOf({ study_date }: Study): string {
  if (!study_date) return t('viewer.date.unknown');
  return /^\d{8}$/.test(study_date) ? `${study_date.slice(0, 4)}-${study_date.slice(4, 6)}-${study_date.slice(6)}` : study_date;
}

const SEXES: Readonly<Record<string, 'male' | 'female' | 'other'>> = { male: 'male', female: 'female', other: 'other', M: 'male', F: 'female', O: 'other' };

function Who({ study }: { study: Study }) {
  const { patient } = study;
  if (!patient) return <span><strong>{study.sent_name ?? t('viewer.patient.unknown')}</strong> {t('viewer.patient.unmatched')}</span>;
  const sex = SEXES[patient.sex ?? ''];
  const age = ageAt(patient.birth_date, study.study_date ? dateOf(study) : null);
  return (
    <>
      <strong>{patient.name}</strong>
      <span>{[sex && t(`viewer.sex.${sex}`), age !== null && t(`viewer.age.${age.unit}`, { count: age.count })].filter(Boolean).join(' ')}</span>
    </>
  );
}

/** Laterality and Image Laterality (PS3.3 C.7.3.1, C.7.6.1): of the part of the body, not of the edges. */
const SIDES: Readonly<Record<string, 'left' | 'right' | 'both'>> = { L: 'left', R: 'right', B: 'both' };

/** How it is looked at; on a mirrored or turned image the letters of the edges may be missing. */
function Looking({ pane }: { pane: StackPane }) {
  const view = pane.view.value;
  const { window: { center, width }, scale, rotation, flip } = view;
  const shown = pane.shown.value;
  if (!shown) return null;
  const digits = width < 10 ? 2 : 0;
  const side = SIDES[shown.pixels.laterality ?? ''];
  return (
    <>
      {isGrey(shown.pixels) && (
        <span data-test="window">{pane.voi.value === 'LUT' ? t('viewer.window.table') : t('viewer.window.values', { center: center.toFixed(digits), width: width.toFixed(digits) })}</span>
      )}
      {side && <span>{t(`viewer.side.${side}`)}</span>}
      {edgesOf(shown.pixels, shown.frame, screenWays(view)) === null && <span>{t('viewer.directions.unknown')}</span>}
      {rotation !== 0 && <strong>{t('viewer.turned', { degrees: rotation })}</strong>}
      {flip && <strong>{t('viewer.mirrored')}</strong>}
      <span>{t('viewer.zoom', { percent: Math.round(scale * devicePixelRatio * 100) })}</span>
    </>
  );
}

/** Whether what is shown is all of the image, and what is known against it. */
function Trust({ pane }: { pane: StackPane }) {
  const [shown, frame] = [pane.shown.value, pane.frame.value];
  if (!shown || !frame) return null;
  const { lossy, lossy_ratio, burned_in } = shown.pixels;
  const percent = Math.min(99, Math.floor((100 * frame.got) / frame.cuts[frame.last]!));
  return (
    <>
      {burned_in && <span class="badge">{t('viewer.burned-in')}</span>}
      {lossy && <span class="badge">{lossy_ratio ? t('viewer.lossy.ratio', { ratio: Math.round(lossy_ratio) }) : t('viewer.lossy')}</span>}
      {!frame.complete && <span class="badge badge-early" role="status" data-test="not-diagnostic">{t('viewer.not-diagnostic', { percent })}</span>}
    </>
  );
}
