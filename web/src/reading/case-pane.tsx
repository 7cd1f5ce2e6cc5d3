// The open case in the middle: who and why, how complete, the rate, the record, findings, hours, events.
import { useState } from 'preact/hooks';
import { t } from '../core/i18n';
import { formatClock } from '../core/time';
import { useAction } from '../core/resource';
import { Button, Dialog, ErrorBanner } from '../core/ui';
import { CriticalValues, Ectopy, St, TwelveLead, Variability } from './figures';
import { Events, Evidence, Findings } from './lists';
import type { OpenCase } from './open-case';
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

function CaseHead({ open, help, leave }: { open: OpenCase; help: () => void; leave: () => void }) {
  const { patient, request } = open.data.value;
  const release = useAction(async () => {
    await open.draft.flush();
    await open.claim.release();
    leave();
  });
  return (
    <header class="case-head">
      <h2 class="case-name">{patient.name} <span class="soft">{t(`core.sex.${patient.sex}`)} · {t('core.age_years', { count: patient.age_years })}</span></h2>
      <p class="case-question">
        <span><strong>{t('reading.question')}</strong> {request.question}</span>
        {request.symptoms && <span><strong>{t('reading.symptoms')}</strong> {request.symptoms}</span>}
        {request.drugs && <span><strong>{t('reading.drugs')}</strong> {request.drugs}</span>}
        {request.pacemaker && <strong>{t('live.paced')}</strong>}
      </p>
      <div class="actions">
        {!open.signed.value && <Lease open={open} />}
        {!open.signed.value && <Button kind="quiet" busy={release.busy} onClick={release.run}>{t('reading.release')}</Button>}
        <Button kind="quiet" onClick={help}>{t('reading.keys.short')}</Button>
      </div>
      {release.error && <ErrorBanner error={release.error} />}
    </header>
  );
}

function Lease({ open }: { open: OpenCase }) {
  const { state, until } = open.claim;
  const at = until.value ? formatClock(until.value) : '';
  return <span class="small soft" role="status" data-testid="lease" data-state={state.value}>{t(state.value === 'unsure' ? 'reading.lease.unsure' : 'reading.lease', { until: at })}</span>;
}

/** The claim is gone: nothing more is stored, but nothing typed is lost either. */
export function LostClaim({ open, again, leave }: { open: OpenCase; again: () => Promise<void>; leave: () => void }) {
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
