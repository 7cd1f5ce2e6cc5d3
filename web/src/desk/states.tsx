// How far a request has come, in a word with its time; and what is to be done next.
import { named, say, t } from '../core/i18n';
import { State, type Shape } from '../core/ui';
import type { StudyLine, StudyWord } from './types';

const SHAPES: Record<StudyWord, Shape> = {
  requested: 'waiting', recording: 'moving', ending: 'moving', analysing: 'moving', 'in-queue': 'waiting', 'on-hold': 'stopped',
  'being-read': 'moving', 'report-back': 'done', opened: 'done', withdrawn: 'stopped', failed: 'stopped',
};

export const WORDS = Object.keys(SHAPES) as StudyWord[];

export function StudyState({ study }: { study: StudyLine }) {
  const { word, at, reason } = study.state;
  const paired = word === 'requested' && study.recording_id !== null;
  return (
    <span class="stack-none">
      <State shape={SHAPES[word]} at={at}>{t(paired ? 'desk.state.waiting-first-data' : `desk.state.${word}`)}</State>
      {reason && <span class="small soft">{say(reason)}</span>}
      {study.reading_organisation && (word === 'in-queue' || word === 'being-read') && <span class="small soft">{named(study.reading_organisation)}</span>}
    </span>
  );
}

/** Lower = sooner: what the desk has to act on comes first. */
const RANK: Record<StudyWord, number> = {
  failed: 0, 'report-back': 1, 'on-hold': 2, requested: 3, recording: 4, ending: 5, analysing: 6, 'in-queue': 7, 'being-read': 8, opened: 9, withdrawn: 10,
};

export function byUrgency(a: StudyLine, b: StudyLine): number {
  return RANK[a.state.word] - RANK[b.state.word] || b.state.at.localeCompare(a.state.at);
}
