// Templates: each shape of beat once. A reader gives all beats of one another class, or puts two together; both can be undone.
import { useState } from 'preact/hooks';
import { count, t } from '../core/i18n';
import { Button } from '../core/ui';
import type { OpenCase } from './open-case';
import { BEAT_CLASSES } from './record';
import type { Template } from './types';

const POINT_MS = 8; // shapes come at 125 Hz
const UV_PER_MM = 100; // 10 mm/mV
const MM_PER_S = 25;
const PX_PER_MM = 3;
const GAP_MM = 2;
const HEIGHT_MM = 26;

export function className(label: string): string {
  return `${label} ${t(`reading.class.${label as (typeof BEAT_CLASSES)[number]}`)}`;
}

export function Templates({ open }: { open: OpenCase }) {
  const [merging, setMerging] = useState<Template | null>(null);
  const { templates } = open.data.value.analysis.summary;
  if (templates.length === 0) return <p class="soft">{t('reading.templates.none')}</p>;
  const from = templates.find((row) => row.template === merging?.template) ?? null;
  return (
    <>
      {from && (
        <p class="banner banner-notice" role="status">
          {t('reading.templates.merging', { what: className(from.beat_class), count: count(from.beats) })} <Button kind="quiet" onClick={() => setMerging(null)}>{t('core.cancel')}</Button>
        </p>
      )}
      <ul class="templates" data-testid="templates" data-count={templates.length}>
        {templates.map((row) => <Card key={row.template} open={open} row={row} from={from} choose={setMerging} />)}
      </ul>
    </>
  );
}

type CardProps = { open: OpenCase; row: Template; from: Template | null; choose: (row: Template | null) => void };

function Card({ open, row, from, choose }: CardProps) {
  const { beats_total } = open.data.value.analysis.summary;
  const words = t('reading.templates.beats', { count: count(row.beats), share: ((100 * row.beats) / Math.max(1, beats_total)).toFixed(1) });
  const merge = (): void => {
    open.regroup({ operation: 'merge-templates', sample: from!.sample, into: row.sample }, t('reading.templates.merged', { what: className(row.beat_class) }));
    choose(null);
  };
  const relabel = (label: string): void => {
    if (label !== row.beat_class || Object.keys(row.by_class).length > 1) open.regroup({ operation: 'relabel-template', sample: row.sample, beat_class: label }, t('reading.templates.relabelled', { count: count(row.beats), label: className(label) }));
  };
  return (
    <li class="template" data-template={row.template} data-class={row.beat_class} data-beats={row.beats}>
      <button type="button" class="template-open" title={t('reading.templates.open')} onClick={() => { open.finding.value = null; open.goTo(row.sample - open.across.value / 2); open.beat.value = row.sample; }}>
        <span><strong>{className(row.beat_class)}</strong> <span class="figures">{words}</span></span>
        <span class="small soft figures">{row.mixed ? t('reading.templates.mixed') : ''} {row.rr_s === null ? '' : `RR ${row.rr_s.toFixed(2)} ${t('live.unit.s')}`}</span>
        <Shape row={row} />
      </button>
      <span class="template-deeds" role="group" aria-label={t('reading.templates.relabel', { what: words })}>
        {BEAT_CLASSES.map((label) => <button key={label} type="button" class="button button-quiet" title={className(label)} aria-label={className(label)} aria-pressed={label === row.beat_class} onClick={() => relabel(label)}>{label}</button>)}
        {from === null && <button type="button" class="button button-quiet" onClick={() => choose(row)}>{t('reading.templates.merge')}</button>}
        {from !== null && from.template !== row.template && <button type="button" class="button" onClick={merge}>{t('reading.templates.into')}</button>}
      </span>
    </li>
  );
}

/** The median beat on each lead, side by side, on one scale. */
function Shape({ row }: { row: Template }) {
  const width_mm = ((row.shape_uv[0]?.length ?? 0) * POINT_MS * MM_PER_S) / 1000;
  const whole_mm = row.shape_uv.length * (width_mm + GAP_MM);
  return (
    <svg class="template-shape" viewBox={`0 0 ${whole_mm} ${HEIGHT_MM}`} width={whole_mm * PX_PER_MM} height={HEIGHT_MM * PX_PER_MM} aria-hidden="true">
      {row.shape_uv.map((shape, lead) => {
        const left = lead * (width_mm + GAP_MM);
        const step = (uv: number, place: number): string => `${(left + (place * POINT_MS * MM_PER_S) / 1000).toFixed(2)},${Math.min(HEIGHT_MM, Math.max(0, HEIGHT_MM / 2 - uv / UV_PER_MM)).toFixed(2)}`;
        return <polyline key={lead} points={shape.map(step).join(' ')} />;
      })}
    </svg>
  );
}
