// Everybody monitored now, the most urgent first; a name opens the single page.
import { signal, type Signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { duration, named, t } from '../core/i18n';
import { Shell } from '../core/shell';
import { openSocket, type SocketState } from '../core/socket';
import { formatShort, now } from '../core/time';
import type { AlarmPriority, Organisation, PatientBrief } from '../core/types';
import { Banner, EmptyState, NoRight, Skeleton } from '../core/ui';
import { PriorityMark, URGENCY } from '../ecg/priority';
import { qualityWord, ruleName } from '../ecg/rules';
import { STALE_S } from './corner';
import { STORING_WELL, StoringBanner, type Storing } from './storing';
import { vitalRows, type VitalBrief } from './vitals';

type OpenAlarm = { id: string; rule: string; priority: AlarmPriority; handling: string; owner_name: string | null; stored?: boolean; late?: boolean; onset_at?: string };
type BoardRow = {
  recording_id: string; patient: PatientBrief; organisation: Organisation; device_id: string; rate_bpm: number | null;
  quality: string[] | string | null; age_s: number | null; connected: boolean; battery_percent: number | null;
  vitals: Record<string, VitalBrief>; open_alarms: OpenAlarm[]; alarms_left_out: number;
};
type BoardState = { rows: readonly BoardRow[] | null; heard_ms: number; state: SocketState; storing: Storing };

const LOW_BATTERY_PERCENT = 20;
const QUALITY_ORDER = ['good', 'noisy', 'unreadable', 'off'];

function watchBoard(board: Signal<BoardState>): () => void {
  return openSocket('/api/board', {
    text: (message) => {
      if (message.type === 'board') board.value = { ...board.value, rows: message.patients as BoardRow[], storing: message.storing as Storing, heard_ms: Date.now() };
    },
    state: (state) => { board.value = { ...board.value, state }; },
  }).close;
}

export function Board() {
  const [board] = useState(() => signal<BoardState>({ rows: null, heard_ms: 0, state: 'connecting', storing: STORING_WELL }));
  useEffect(() => watchBoard(board), [board]);
  const { rows, heard_ms, state } = board.value;
  const elapsed_s = rows === null ? 0 : Math.max(0, (now.value - heard_ms) / 1000);
  return (
    <Shell page="live" wide title={t('live.board.title')} corner={rows && <span class={elapsed_s > STALE_S ? 'corner-age corner-stale' : 'corner-age'}>{t('live.board.updated', { age: duration(elapsed_s) })}</span>}>
      <StoringBanner storing={board.value.storing} />
      {state === 'refused' ? <NoRight /> : rows === null ? <Waiting state={state} /> : <Rows rows={rows} elapsed_s={elapsed_s} state={state} />}
    </Shell>
  );
}

function Waiting({ state }: { state: SocketState }) {
  return <>{state === 'waiting' && <Banner kind="error">{t('live.board.away')}</Banner>}<Skeleton rows={6} /></>;
}

/** Alarms nobody has first, by priority; then owned ones; then those not heard; then by name. */
function urgency(row: BoardRow): number {
  const levels = row.open_alarms.map((alarm) => URGENCY[alarm.priority]! + (alarm.handling === 'owned' ? 3 : 0));
  return Math.min(row.age_s === null || row.age_s > STALE_S ? 6 : 7, ...levels);
}

function Rows({ rows, elapsed_s, state }: { rows: readonly BoardRow[]; elapsed_s: number; state: SocketState }) {
  const sorted = [...rows].sort((a, b) => urgency(a) - urgency(b) || a.patient.name.localeCompare(b.patient.name, 'zh-CN'));
  const [alarmed, silent] = [rows.filter((row) => row.open_alarms.length > 0).length, rows.filter((row) => row.age_s === null || row.age_s + elapsed_s > STALE_S).length];
  return (
    <>
      {state === 'waiting' && <Banner kind="error">{t('live.board.away')}</Banner>}
      <p role="status" data-testid="board-summary">{t('live.board.summary', { count: rows.length, alarmed, silent })}</p>
      {rows.length === 0
        ? <EmptyState title={t('live.board.empty')}><p>{t('live.board.empty.text')}</p></EmptyState>
        : <ul class="board">{sorted.map((row) => <Tile key={row.recording_id} row={row} elapsed_s={elapsed_s} />)}</ul>}
    </>
  );
}

function Tile({ row, elapsed_s }: { row: BoardRow; elapsed_s: number }) {
  const age_s = row.age_s === null ? null : row.age_s + elapsed_s;
  const fresh = age_s !== null && age_s <= STALE_S;
  const worst = grouped(row.open_alarms);
  return (
    <li class="tile card" data-recording={row.recording_id} data-open-alarms={row.open_alarms.length + row.alarms_left_out}>
      <div class="tile-head">
        <a href={`/live?recording=${row.recording_id}`} class="tile-name">{row.patient.name}</a>
        <span class="soft small">{t(`core.sex.${row.patient.sex}`)} · {t('core.age_years', { count: row.patient.age_years })} · {named(row.organisation)}</span>
      </div>
      <p class="tile-rate"><strong class="figures">{fresh && row.rate_bpm !== null ? Math.round(row.rate_bpm) : '–'}</strong> <span class="small">{t('live.unit.per-minute')}</span></p>
      <p class="tile-vitals small">{vitalRows(new Map(Object.entries(row.vitals))).slice(0, 3).map(({ code, name, value, unit }) => <span key={code}>{name} <strong class="figures">{value}</strong>{unit}</span>)}</p>
      <p class="tile-state small">
        <span class={fresh ? '' : 'corner-stale'}>{age_s === null ? t('live.newest.none') : t('live.newest', { age: duration(age_s) })}</span>
        <span>{t('live.quality.is', { quality: fresh ? bestQuality(row.quality) : t('live.quality.unknown') })}</span>
        {row.battery_percent !== null && <span class={row.battery_percent < LOW_BATTERY_PERCENT ? 'corner-stale' : ''}>{t('live.battery', { percent: row.battery_percent })}</span>}
        {!row.connected && <span>{t('live.device.away')}</span>}
      </p>
      <ul class="tile-alarms small">
        {worst.map(({ alarm, times }) => <li key={alarm.id}><PriorityMark priority={alarm.priority} /> {ruleName(alarm.rule)}{times > 1 && ` × ${times}`} · {alarm.owner_name ? t('live.alarm.owned', { name: alarm.owner_name }) : t('live.alarm.unowned')}{alarm.stored === false && ` · ${t('live.alarm.unstored')}`}{alarm.late && alarm.onset_at && ` · ${t('live.alarm.late', { at: formatShort(alarm.onset_at) })}`}</li>)}
        {row.alarms_left_out > 0 && <li class="soft">{t('live.board.more', { count: row.alarms_left_out })}</li>}
        {worst.length === 0 && <li class="soft">{t('live.alarms.none')}</li>}
      </ul>
    </li>
  );
}

/** Alarms alike in all that a tile says (a late one says when it was) are one line with their number, the most urgent first. */
function grouped(alarms: readonly OpenAlarm[]): { alarm: OpenAlarm; times: number }[] {
  const groups = new Map<string, { alarm: OpenAlarm; times: number }>();
  for (const alarm of alarms) {
    const key = `${alarm.priority} ${alarm.rule} ${alarm.owner_name ?? ''} ${alarm.stored ?? ''} ${alarm.late ? alarm.id : ''}`;
    groups.set(key, { alarm, times: (groups.get(key)?.times ?? 0) + 1 });
  }
  return [...groups.values()].sort((a, b) => URGENCY[a.alarm.priority]! - URGENCY[b.alarm.priority]!);
}

/** One word for the tile: the best lead decides whether there is something to see. */
function bestQuality(quality: BoardRow['quality']): string {
  const words = Array.isArray(quality) ? quality : quality ? [quality] : [];
  const best = QUALITY_ORDER.find((word) => words.includes(word));
  return best ? qualityWord(best) : t('live.quality.unknown');
}
