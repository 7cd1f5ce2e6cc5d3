// The figures of a Holter beyond its rates: ectopy, HRV, ST, 12-lead statements, critical values; what is withheld says why.
import { count, say, t, type MessageKey } from '../core/i18n';
import { formatClock } from '../core/time';
import { Banner, Button, Table } from '../core/ui';
import { Curve } from '../ecg/curve';
import { translated } from '../ecg/rules';
import type { OpenCase } from './open-case';
import { className } from './templates';
import type { Ectopy as EctopyRow, Reason, StLead, StEpisode, Statement } from './types';

const HRV: readonly [name: string, unit: string][] = [
  ['mean_nn_ms', 'ms'], ['sdnn_24h_ms', 'ms'], ['sdann_24h_ms', 'ms'], ['sdnn_5min_ms', 'ms'], ['rmssd_ms', 'ms'], ['pnn50_pct', '%'],
  ['lf_ms2', 'ms²'], ['hf_ms2', 'ms²'], ['lf_hf', ''],
];

function Withheld({ reason }: { reason: Reason }) {
  return <p data-withheld={reason.code}>{t('reading.withheld', { reason: say(reason.words) })}</p>;
}

/** Jumps to a share of the recording's line. */
function jumpIn(open: OpenCase): (share: number) => void {
  return (share) => open.goTo(share * open.line.length - open.across.value / 2);
}

export function leadName(code: string): string {
  return code.replace('MDC_ECG_LEAD_', '').replace('AVR', 'aVR').replace('AVL', 'aVL').replace('AVF', 'aVF');
}

export function CriticalValues({ open }: { open: OpenCase }) {
  const { critical_values, twelve_lead } = open.data.value.analysis.summary;
  const told = [critical_values, twelve_lead?.critical_values].filter((row) => row !== null && row !== undefined);
  const rows = told.flatMap((pack) => pack.met.map((row) => t('reading.critical.met', { row: say(row.words), pack: say(pack.title) })));
  return <>{rows.map((words) => <Banner key={words} kind="notice">{words}</Banner>)}</>;
}

export function Ectopy({ open }: { open: OpenCase }) {
  const { ectopy } = open.data.value.analysis.summary;
  const rows = (['V', 'S'] as const).map((label) => ({ label, ...ectopy[label] }));
  type Row = EctopyRow & { label: 'V' | 'S' };
  const number = (name: keyof EctopyRow) => ({ name, label: t(`reading.ectopy.${name}` as MessageKey), numeric: true, cell: (row: Row) => { const value = row[name]; return value === null ? '–' : count(Math.round(value)); } });
  return (
    <Table<Row> caption={t('reading.ectopy')} rows={rows} rowKey={(row) => row.label} empty={null} columns={[
      { name: 'label', label: t('reading.ectopy.class'), cell: (row) => className(row.label) },
      ...(['beats', 'single', 'couplets', 'runs', 'longest_run_beats', 'fastest_run_bpm'] as const).map(number),
    ]} />
  );
}

export function Variability({ open }: { open: OpenCase }) {
  const { hrv } = open.data.value.analysis.summary;
  if (hrv.withheld) return <Withheld reason={hrv.withheld} />;
  return (
    <>
      <dl class="values" data-testid="hrv">
        {HRV.map(([name, unit]) => {
          const value = hrv.values[name];
          return value === null || value === undefined ? null : <div key={name}><dt>{t(`reading.hrv.${name}` as MessageKey)}</dt><dd class="figures">{value} {unit}</dd></div>;
        })}
      </dl>
      {hrv.day_withheld && <p class="small" data-withheld={hrv.day_withheld.code}>{t('reading.hrv.day_withheld', { reason: say(hrv.day_withheld.words) })}</p>}
      <p class="small soft">{t('reading.hrv.share', { share: Math.round(100 * hrv.nn_share), stretches: hrv.stretches })}</p>
      <Curve label={t('reading.hrv.trend')} unit="ms" least={20} values={hrv.trend_sdnn_ms} onJump={jumpIn(open)} />
    </>
  );
}

function mv(uv: number | null): string {
  if (uv === null) return '–';
  const size = (Math.abs(uv) / 1000).toFixed(2);
  return Number(size) === 0 ? size : `${uv < 0 ? '−' : '+'}${size}`;
}

export function St({ open }: { open: OpenCase }) {
  const { st } = open.data.value.analysis.summary;
  if (st.withheld) return <Withheld reason={st.withheld} />;
  const link = (sample: number, words: string) => <button type="button" class="figure-link figures" onClick={() => open.goTo(sample)}>{words} {formatClock(open.line.instant_ms(sample))}</button>;
  return (
    <>
      {st.unverified && <p class="small"><strong>{say(st.unverified.words)}</strong></p>}
      <Table<StLead> caption={t('reading.st')} rows={st.leads} rowKey={(row) => row.lead} empty={null} columns={[
        { name: 'lead', label: t('reading.st.lead'), cell: (row) => leadName(row.lead) },
        { name: 'reference', label: t('reading.st.reference'), numeric: true, cell: (row) => mv(row.reference_uv) },
        { name: 'lowest', label: t('reading.st.lowest'), numeric: true, cell: (row) => row.lowest && link(row.lowest.sample, mv(row.lowest.uv)) },
        { name: 'highest', label: t('reading.st.highest'), numeric: true, cell: (row) => row.highest && link(row.highest.sample, mv(row.highest.uv)) },
        { name: 'episodes', label: t('reading.st.episodes'), numeric: true, cell: (row) => row.episodes },
      ]} />
      <Table<StEpisode> caption={t('reading.st.episodes')} rows={st.episodes} rowKey={(row) => `${row.lead}/${row.sample}`} empty={<p class="soft">{t('reading.st.none')}</p>} columns={[
        { name: 'lead', label: t('reading.st.lead'), cell: (row) => leadName(row.lead) },
        { name: 'from', label: t('reading.hours.from'), cell: (row) => link(row.extreme_sample, ''), sort: (row) => row.sample },
        { name: 'length', label: t('reading.st.length'), numeric: true, cell: (row) => Math.round(row.length_s), sort: (row) => row.length_s },
        { name: 'change', label: t('reading.st.change'), numeric: true, cell: (row) => mv(row.change_uv), sort: (row) => Math.abs(row.change_uv) },
        { name: 'level', label: t('reading.st.level'), numeric: true, cell: (row) => mv(row.level_uv) },
      ]} />
      {st.leads.map((row) => <Curve key={row.lead} label={`ST ${leadName(row.lead)}`} unit="uV" least={200} values={row.trend_uv} onJump={jumpIn(open)} />)}
    </>
  );
}

export function TwelveLead({ open }: { open: OpenCase }) {
  const told = open.data.value.analysis.summary.twelve_lead;
  if (!told) return null;
  return (
    <section class="stack-tight">
      <h2>{t('reading.twelve')}</h2>
      {told.statements.length === 0 && <p class="soft">{t('reading.twelve.none')}</p>}
      <ul class="case-events" data-testid="statements" data-count={told.statements.length}>
        {told.statements.map((row) => <StatementRow key={row.name} open={open} row={row} />)}
      </ul>
      <dl class="values">
        {Object.entries(told.values).map(([name, value]) => (
          <div key={name}><dt>{translated(`reading.value.${name}`, name)}</dt><dd class="figures">{value.value === null ? <span class="soft small">{t('reading.value.none')}</span> : value.value}</dd></div>
        ))}
      </dl>
    </section>
  );
}

function StatementRow({ open, row }: { open: OpenCase; row: Statement }) {
  return (
    <li data-statement={row.name}>
      <Button kind="quiet" onClick={() => { open.finding.value = null; open.goTo(row.strip[0]); }}><strong>{say(row.words)}</strong></Button>
      <span class="small">{t(`core.priority.${row.priority}` as MessageKey)}</span>
      <span class="small soft figures">{say(row.evidence)} {row.leads.join(' ')}</span>
    </li>
  );
}
