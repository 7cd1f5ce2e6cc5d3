// The whole record at a glance: how complete it is, its rate over the hours, what was found where.
import { useMemo } from 'preact/hooks';
import { api } from '../core/api';
import { count, t } from '../core/i18n';
import { formatClock } from '../core/time';
import { Banner, Table } from '../core/ui';
import { OverviewView } from '../ecg/overview-view';
import { TrendView } from '../ecg/trend-view';
import type { TrendPoint, TrendView as View } from '../ecg/trend';
import type { Line } from './line';
import type { OpenCase } from './open-case';
import { minutes } from './phrases';
import type { Case, Hour } from './types';

export function Completeness({ open }: { open: OpenCase }) {
  const data = open.data.value;
  const { completeness, summary } = data.analysis;
  const share = completeness.produced > 0 ? (100 * completeness.stored) / completeness.produced : 0;
  const numbers = {
    produced: count(completeness.produced), stored: count(completeness.stored), lost: count(completeness.declared_lost),
    share: share === 100 ? '100' : Math.min(99.99, share).toFixed(2), // never rounded up to complete
    recorded: minutes(summary.recorded_h), readable: minutes(summary.analysable_h),
  };
  const stale = data.recording.ledger.stored !== completeness.stored;
  return (
    <>
      <p class="completeness figures" data-testid="completeness" data-stored={completeness.stored} data-produced={completeness.produced} data-lost={completeness.declared_lost} data-waiting={completeness.waiting}>
        {t('reading.completeness', numbers)}{completeness.waiting > 0 && ` ${t('reading.completeness.waiting', { waiting: count(completeness.waiting) })}`}{completeness.end_not_known > 0 && ` ${t('reading.completeness.end')}`}
      </p>
      {data.analysis.unmatched_edits.length > 0 && <Banner kind="notice">{t('reading.unmatched', { count: data.analysis.unmatched_edits.length })}</Banner>}
      {stale && !open.signed.value && <Banner kind="notice" action={{ label: t('reading.completeness.reload'), run: () => { void open.startOver(); } }}>{t('reading.completeness.stale')}</Banner>}
    </>
  );
}

function trendOf(data: Case, line: Line): Omit<View, 'cursor_ms'> {
  const points: TrendPoint[] = data.analysis.summary.rate_trend.flatMap((minute, number) => {
    if (minute.mean_rate_bpm === null) return [];
    return [{
      at_ms: line.instant_ms((number + 0.5) * 60 * line.fs_hz), mean_bpm: minute.mean_rate_bpm,
      low_bpm: minute.lowest_rate_bpm ?? minute.mean_rate_bpm, high_bpm: minute.highest_rate_bpm ?? minute.mean_rate_bpm,
    }];
  });
  const ends = line.stretches.map((stretch) => Date.parse(stretch.anchor_at) + (stretch.count / line.fs_hz) * 1000);
  const breaks = line.stretches.slice(1).map((stretch, number) => [ends[number]!, Date.parse(stretch.anchor_at)] as const);
  const gaps = data.recording.ledger.boots.flatMap((boot) => boot.gaps.map(([from, to]) =>
    [line.instant_ms(line.index(boot.boot, from)), line.instant_ms(line.index(boot.boot, to - 1))] as const));
  return {
    from_ms: line.instant_ms(0), to_ms: Math.max(...ends), points, gaps: [...gaps, ...breaks.filter(([from, to]) => to > from)],
    ticks: data.findings.map((finding) => ({ at_ms: Date.parse(finding.onset_at), priority: finding.priority as 'high' | 'medium' | 'low' | null })),
    clock: (at_ms) => formatClock(at_ms),
  };
}

const TALL_PX = 1000; // on lower screens the trend leaves more to the strip below it

export function RateTrend({ open }: { open: OpenCase }) {
  const data = open.data.value;
  const view = useMemo(() => trendOf(data, open.line), [data]);
  return (
    <TrendView view={view} cursor_ms={open.line.instant_ms(open.place.value + open.across.value / 2)} height_px={innerHeight < TALL_PX ? 104 : 148} label={t('reading.trend')}
      describe={(at_ms, mean, low, high) => mean === null
        ? t('reading.trend.none', { at: formatClock(at_ms) })
        : t('reading.trend.at', { at: formatClock(at_ms), mean: Math.round(mean), low: Math.round(low ?? mean), high: Math.round(high ?? mean) })}
      onJump={(at_ms) => open.goTo(open.line.indexAt(at_ms) - open.across.value / 2)} />
  );
}

/** The signal itself from end to end: any second of the record is one click away. */
export function SignalOverview({ open }: { open: OpenCase }) {
  const { line, place, across } = open;
  const { recording } = open.data.value;
  const from_ms = line.instant_ms(place.value);
  return (
    <OverviewView fetchBytes={api.bytes} recording_id={recording.id} leads={recording.leads.length} from_ms={line.instant_ms(0)} to_ms={line.instant_ms(line.length - 1)}
      window_ms={[from_ms, from_ms + (across.value / line.fs_hz) * 1000]} onJump={(at_ms) => open.goTo(line.indexAt(at_ms) - across.value / 2)} />
  );
}

export function Figures({ open }: { open: OpenCase }) {
  const { summary } = open.data.value.analysis;
  const link = (index: number, words: string) => <button type="button" class="figure-link figures" onClick={() => open.goTo(index - open.line.fs_hz * 2)}>{words} {formatClock(open.line.instant_ms(index), true)}</button>;
  return (
    <p class="figures-line figures">
      <span>{t('reading.figure.beats', { count: count(summary.beats_total) })}</span>
      <span data-testid="ventricular" data-count={summary.beats_by_class.V ?? 0}>{t('reading.figure.ventricular', { count: count(summary.beats_by_class.V ?? 0) })}</span>
      <span>{t('reading.figure.supraventricular', { count: count(summary.beats_by_class.S ?? 0) })}</span>
      {summary.mean_rate_bpm !== null && <span>{t('reading.figure.mean', { rate: Math.round(summary.mean_rate_bpm) })}</span>}
      {summary.lowest_rate && link(summary.lowest_rate.sample, t('reading.figure.lowest', { rate: Math.round(summary.lowest_rate.bpm) }))}
      {summary.highest_rate && link(summary.highest_rate.sample, t('reading.figure.highest', { rate: Math.round(summary.highest_rate.bpm) }))}
      {summary.longest_rr && link(summary.longest_rr.sample, t('reading.figure.longest', { rr: summary.longest_rr.rr_s.toFixed(2) }))}
    </p>
  );
}

export function Hours({ open }: { open: OpenCase }) {
  const { hours } = open.data.value.analysis.summary;
  const rate = (bpm: number | null | undefined) => (bpm === null || bpm === undefined ? '–' : Math.round(bpm));
  return (
    <Table<Hour> caption={t('reading.hours')} rows={hours} rowKey={(hour) => String(hour.sample)} empty={null} columns={[
      { name: 'at', label: t('reading.hours.from'), cell: (hour) => <button type="button" class="figure-link figures" onClick={() => open.goTo(hour.sample)}>{formatClock(open.line.instant_ms(hour.sample))}</button>, sort: (hour) => hour.sample },
      { name: 'beats', label: t('reading.hours.beats'), numeric: true, cell: (hour) => count(hour.beats), sort: (hour) => hour.beats },
      { name: 'mean', label: t('reading.hours.mean'), numeric: true, cell: (hour) => rate(hour.mean_rate_bpm), sort: (hour) => hour.mean_rate_bpm ?? 0 },
      { name: 'low', label: t('reading.hours.low'), numeric: true, cell: (hour) => rate(hour.lowest_rate_bpm), sort: (hour) => hour.lowest_rate_bpm ?? 0 },
      { name: 'high', label: t('reading.hours.high'), numeric: true, cell: (hour) => rate(hour.highest_rate_bpm), sort: (hour) => hour.highest_rate_bpm ?? 0 },
      { name: 'v', label: t('reading.class.V'), numeric: true, cell: (hour) => count(hour.by_class.V ?? 0), sort: (hour) => hour.by_class.V ?? 0 },
      { name: 's', label: t('reading.class.S'), numeric: true, cell: (hour) => count(hour.by_class.S ?? 0), sort: (hour) => hour.by_class.S ?? 0 },
      { name: 'rr', label: t('reading.hours.rr'), numeric: true, cell: (hour) => hour.longest_rr_s?.toFixed(2) ?? '–', sort: (hour) => hour.longest_rr_s ?? 0 },
    ]} />
  );
}
