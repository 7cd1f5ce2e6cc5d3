// How far a request has come, in a word with its time; and what is to be done next.
import { named, say, t, type MessageKey } from '../core/i18n';
import { State, type Shape } from '../core/ui';
import { percentOf } from '../sending/plan';
import { outgoing } from '../sending/state';
import type { StudyLine, StudyWord } from './types';
import { Progress, SendingLine } from './uploads';

const SHAPES: Record<StudyWord, Shape> = {
  requested: 'waiting', sending: 'moving', received: 'moving', 'set-aside': 'stopped', recording: 'moving', ending: 'moving', analysing: 'moving', 'in-queue': 'waiting', 'on-hold': 'stopped',
  'being-read': 'moving', 'report-back': 'done', opened: 'done', withdrawn: 'stopped', failed: 'stopped',
};

export const WORDS = Object.keys(SHAPES) as StudyWord[];

/** `files`: show how far this page's files are; their own card does so on the request's page. */
export function StudyState({ study, files = true }: { study: StudyLine; files?: boolean }) {
  const { word, at, reason } = study.state;
  const own = outgoing.value.some((file) => file.request_id === study.request_id && file.phase !== 'received');
  return (
    <span class="stack-none">
      {/* What this page sends is told by the line of its files: newer, and with how far it is. */}
      {own && <SendingLine request_id={study.request_id} bar={files} />}
      {!(own && OF_FILES.includes(word)) && <State shape={SHAPES[word]} at={at}>{t(wordOf(study))}</State>}
      {!own && files && word === 'sending' && study.sent && <Progress percent={percentOf(study.sent.sent_bytes, study.sent.all_bytes)} label={t('desk.send.progress.all')} />}
      {reason && <span class="small soft">{say(reason)}</span>}
      {study.reading_organisation && (word === 'in-queue' || word === 'being-read') && <span class="small soft">{named(study.reading_organisation)}</span>}
    </span>
  );
}

const OF_FILES: readonly StudyWord[] = ['requested', 'sending', 'received', 'set-aside'];

function wordOf({ state: { word }, kind, recording_id }: StudyLine): MessageKey {
  if (word !== 'requested') return `desk.state.${word}`;
  if (kind !== 'holter') return 'desk.state.requested.files';
  return recording_id ? 'desk.state.waiting-first-data' : 'desk.state.requested.holter';
}

/** Lower = sooner: what the desk has to act on comes first. */
const RANK: Record<StudyWord, number> = {
  failed: 0, 'set-aside': 1, 'report-back': 2, 'on-hold': 3, requested: 4, sending: 5, received: 6, recording: 7, ending: 8, analysing: 9, 'in-queue': 10, 'being-read': 11, opened: 12, withdrawn: 13,
};

export function byUrgency(a: StudyLine, b: StudyLine): number {
  return RANK[a.state.word] - RANK[b.state.word] || b.state.at.localeCompare(a.state.at);
}
