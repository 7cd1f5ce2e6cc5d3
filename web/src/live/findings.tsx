// What the rules found in this recording so far; each opens its strip with the reason.
import { useEffect, useState } from 'preact/hooks';
import { t } from '../core/i18n';
import type { Finding } from '../core/types';
import { Button, Dialog, Time } from '../core/ui';
import { BEFORE_S, FindingEvidence } from '../ecg/finding';
import { pxPerMm } from '../ecg/paper';
import { PriorityMark } from '../ecg/priority';
import { evidenceText, ruleName } from '../ecg/rules';
import type { Samples } from '../ecg/samples';
import { StripView } from '../ecg/strip-view';
import { findingKey } from './feed';

const SHOWN = 30; // the newest; the reading room has them all

export function FindingList({ findings, open }: { findings: readonly Finding[]; open: (finding: Finding) => void }) {
  if (findings.length === 0) return <p class="soft">{t('live.findings.none')}</p>;
  return (
    <ul class="findings">
      {findings.slice(0, SHOWN).map((finding) => (
        <li key={findingKey(finding)} data-finding={finding.rule} data-onset-sample={finding.onset_sample}>
          <button type="button" class="finding" onClick={() => open(finding)}>
            <span class="figures"><Time at={finding.onset_at} show="seconds" /></span>
            <span><PriorityMark priority={finding.priority} /> <strong>{ruleName(finding.rule)}</strong></span>
            <span class="soft small">{evidenceText(finding.numbers)}{finding.offset_at === null && <> · {t('live.finding.going-on')}</>}</span>
          </button>
        </li>
      ))}
      {findings.length > SHOWN && <li class="soft">{t('live.findings.more', { count: findings.length - SHOWN })}</li>}
    </ul>
  );
}

/** The strip as it is stored now: a sample still on its way shows as no data until the dialog is opened again. */
export function FindingDialog({ finding, samples, close }: { finding: Finding; samples: Samples; close: () => void }) {
  const [calipers, setCalipers] = useState(false);
  const [last, setLast] = useState(finding.offset_sample ?? finding.onset_sample);
  useEffect(() => setLast(finding.offset_sample ?? finding.onset_sample), [finding.offset_sample]);
  const first = Math.max(0, finding.onset_sample - BEFORE_S * samples.fs_hz);
  return (
    <Dialog title={ruleName(finding.rule)} close={close} wide>
      <StripView samples={samples} boot={finding.boot} first={first} scale={{ px_per_mm: pxPerMm(), mm_per_s: 25, mm_per_mv: 10 }} height_px={360}
        label={t('live.strip.label', { what: ruleName(finding.rule) })} extent={[finding.onset_sample, last]} calipers={calipers} />
      <div class="actions"><Button aria-pressed={calipers} onClick={() => setCalipers(!calipers)}>{t('live.calipers')}</Button></div>
      <FindingEvidence finding={finding} />
    </Dialog>
  );
}
