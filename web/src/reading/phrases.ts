// Sentences a reader writes every day, by field; and the findings text drawn from the figures.
import { count, duration, t, type MessageKey } from '../core/i18n';
import { formatInstant } from '../core/time';
import { evidenceText, ruleName } from '../ecg/rules';
import type { DraftText } from './draft';
import type { Line } from './line';
import type { Case, CaseFinding, Task } from './types';

export type Field = Exclude<keyof DraftText, 'critical' | 'full_disclosure' | 'language'>;
export const FIELDS: readonly Field[] = ['findings_text', 'conclusion', 'advice'];

type Phrases = Record<Field, readonly MessageKey[]>;

const ECG: Phrases = {
  findings_text: ['reading.phrase.sinus', 'reading.phrase.rare-ventricular', 'reading.phrase.frequent-ventricular', 'reading.phrase.no-pause', 'reading.phrase.symptom-none', 'reading.phrase.quality'],
  conclusion: ['reading.phrase.c.sinus', 'reading.phrase.c.brady', 'reading.phrase.c.tachy', 'reading.phrase.c.ventricular', 'reading.phrase.c.run', 'reading.phrase.c.af', 'reading.phrase.c.pause', 'reading.phrase.c.unreadable'],
  advice: ['reading.phrase.a.clinic', 'reading.phrase.a.follow', 'reading.phrase.a.echo', 'reading.phrase.a.electrolytes', 'reading.phrase.a.refer', 'reading.phrase.a.now'],
};

const IMAGES: Phrases = {
  findings_text: ['reading.phrase.i.quality', 'reading.phrase.i.compare', 'reading.phrase.i.nothing', 'reading.phrase.i.chest'],
  conclusion: ['reading.phrase.i.c.nothing', 'reading.phrase.i.c.unchanged', 'reading.phrase.i.c.nodule', 'reading.phrase.i.c.infection', 'reading.phrase.i.c.limited'],
  advice: ['reading.phrase.a.clinic', 'reading.phrase.i.a.follow', 'reading.phrase.i.a.contrast', 'reading.phrase.a.now'],
};

export function phrasesOf(kind: Task['kind']): Phrases {
  return kind === 'imaging' ? IMAGES : ECG;
}

/** Hours with three decimals, to the nearest minute: 0.333 h is 20 min; below a minute, to the second. */
export function minutes(hours: number): string {
  return duration(hours < 1 / 60 ? hours * 3600 : Math.round(hours * 60) * 60);
}

/** What the figures say, in sentences for the reader to keep or change; statements of rules stay "suspected". */
export function figuresText(data: Case, line: Line, included: readonly CaseFinding[]): string {
  const { summary } = data.analysis;
  const at = (sample: number) => formatInstant(line.instant_ms(sample), true);
  const lines = [
    t('reading.text.recorded', { recorded: minutes(summary.recorded_h), readable: minutes(summary.analysable_h), beats: count(summary.beats_total) }),
    summary.mean_rate_bpm === null ? null : t('reading.text.mean', { mean: Math.round(summary.mean_rate_bpm) }),
    summary.lowest_rate && t('reading.text.lowest', { rate: Math.round(summary.lowest_rate.bpm), at: at(summary.lowest_rate.sample) }),
    summary.highest_rate && t('reading.text.highest', { rate: Math.round(summary.highest_rate.bpm), at: at(summary.highest_rate.sample) }),
    summary.longest_rr && t('reading.text.longest', { rr: summary.longest_rr.rr_s.toFixed(2), at: at(summary.longest_rr.sample) }),
    t('reading.text.ventricular', { count: count(summary.beats_by_class.V ?? 0) }),
    t('reading.text.supraventricular', { count: count(summary.beats_by_class.S ?? 0) }),
    ...included.map((finding) => t('reading.text.finding', { what: ruleName(finding.rule), at: formatInstant(finding.onset_at, true), numbers: evidenceText(finding.numbers) })),
  ];
  return lines.filter((text) => text !== null && text !== undefined).join('\n');
}
