// Why a finding is there: its rule with thresholds and their source, the numbers with units, the signal's quality.
import { say, t } from '../core/i18n';
import { formatInstant } from '../core/time';
import type { Finding } from '../core/types';
import { Facts } from '../core/ui';
import { leadName } from './paper';
import { PriorityMark } from './priority';
import { evidence, noteWord, qualityWord, ruleName, ruleOf, translated } from './rules';

/** Samples shown before the onset, so that the eye sees what changes. */
export const BEFORE_S = 3;

export function FindingEvidence({ finding }: { finding: Finding }) {
  const rule = ruleOf(finding.rule);
  return (
    <div class="stack-tight">
      <p><PriorityMark priority={finding.priority} /> <strong>{ruleName(finding.rule)}</strong> <span class="figures soft">{span(finding)}</span></p>
      <Facts rows={[
        ...evidence(finding.numbers),
        [t('live.finding.quality'), qualityWord(finding.quality)],
        finding.note ? [t('live.finding.note'), noteWord(finding.note)] : null,
        [t('live.finding.leads'), finding.leads.map(leadName).join(' ')],
        rule && [t('live.finding.onset'), say(rule.onset)],
        rule && [t('live.finding.offset'), say(rule.offset)],
        rule && [t('live.finding.source'), <Thresholds rule={finding.rule} />],
      ]} />
    </div>
  );
}

function Thresholds({ rule }: { rule: string }) {
  const known = ruleOf(rule);
  return (
    <ul class="thresholds small">
      {known?.thresholds.map(({ name, value, source }) => <li key={name}>{translated(`live.threshold.${name}`, name)} <span class="figures">{evidence({ [name]: value })[0]?.[1]}</span> <span class="soft">{say(source)}</span></li>)}
      <li class="soft">{t('live.finding.version', { version: known?.version ?? '' })}</li>
    </ul>
  );
}

function span(finding: Finding): string {
  const from = formatInstant(finding.onset_at, true);
  return finding.offset_at === null ? t('live.finding.since', { from }) : `${from} – ${formatInstant(finding.offset_at, true).slice(11)}`;
}
