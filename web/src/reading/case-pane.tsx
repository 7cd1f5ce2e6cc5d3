// The open case in the middle: who and why, how complete, the rate, the record, findings, hours, events.
import { useState } from 'preact/hooks';
import { t } from '../core/i18n';
import { useAction } from '../core/resource';
import { Button, Dialog, ErrorBanner } from '../core/ui';
import { CaseHead } from './case-head';
import { CriticalValues, Ectopy, St, TwelveLead, Variability } from './figures';
import { Events, Evidence, Findings } from './lists';
import type { OpenCase, Opened } from './open-case';
import { Completeness, Figures, Hours, RateTrend, SignalOverview } from './overview';
import { Record } from './record';
import { Templates } from './templates';

export function CasePane({ open, help, leave }: { open: OpenCase; help: () => void; leave: () => void }) {
  return (
    <div class="case" data-testid="case" data-task={open.task_id} data-fs-hz={open.line.fs_hz}>
      <CaseHead open={open} help={help} leave={leave} />
      <Completeness open={open} />
      <CriticalValues open={open} />
      <Figures open={open} />
      <RateTrend open={open} />
      <SignalOverview open={open} />
      <Record open={open} />
      <TwelveLead open={open} />
      <div class="case-lists">
        <section class="stack-tight"><h2>{t('reading.findings', { count: open.data.value.findings.length })}</h2><Findings open={open} /></section>
        <section class="stack-tight"><h2>{t('reading.evidence')}</h2><Evidence open={open} /></section>
      </div>
      <section class="stack-tight"><h2>{t('reading.templates')}</h2><Templates open={open} /></section>
      <section class="stack-tight"><h2>{t('reading.ectopy')}</h2><Ectopy open={open} /></section>
      <section class="stack-tight"><h2>{t('reading.hours')}</h2><Hours open={open} /></section>
      <section class="stack-tight"><h2>{t('reading.hrv')}</h2><Variability open={open} /></section>
      <section class="stack-tight"><h2>{t('reading.st')}</h2><St open={open} /></section>
      <section class="stack-tight"><h2>{t('reading.events')}</h2><Events open={open} /></section>
    </div>
  );
}

/** The claim is gone: nothing more is stored, but nothing typed is lost either. */
export function LostClaim({ open, again, leave }: { open: Opened; again: () => Promise<void>; leave: () => void }) {
  const work = useAction(again);
  const [copied, setCopied] = useState(false);
  const text = open.draft.text.value;
  const words = [text.findings_text, text.conclusion, text.advice].filter((part) => part.trim()).join('\n\n');
  return (
    <Dialog title={t('reading.lost.title')} close={null}>
      <p>{t('reading.lost.text')}</p>
      {words && <textarea class="input" rows={8} readOnly aria-label={t('reading.lost.words')} value={words} />}
      {work.error && <ErrorBanner error={work.error} />}
      <div class="actions">
        <Button kind="primary" busy={work.busy} onClick={work.run}>{t('reading.lost.again')}</Button>
        {words && <Button onClick={() => { void navigator.clipboard.writeText(words).then(() => setCopied(true)); }}>{t(copied ? 'reading.lost.copied' : 'reading.lost.copy')}</Button>}
        <Button onClick={leave}>{t('reading.lost.leave')}</Button>
      </div>
    </Dialog>
  );
}
