// The head of any open case: who and why, how long it is this reader's, and giving it back.
import { t } from '../core/i18n';
import { useAction } from '../core/resource';
import { formatClock } from '../core/time';
import { Button, ErrorBanner } from '../core/ui';
import type { Opened } from './open-case';

export function CaseHead({ open, help, leave }: { open: Opened; help: () => void; leave: () => void }) {
  const { patient, request } = open.data.value;
  const release = useAction(async () => {
    await open.store();
    await open.claim.release();
    leave();
  });
  return (
    <header class="case-head">
      <h2 class="case-name">{patient.name} <span class="soft">{t(`core.sex.${patient.sex}`)} · {t('core.age_years', { count: patient.age_years })}</span></h2>
      <p class="case-question">
        <span><strong>{t('reading.question')}</strong> {request.question || t('reading.question.none')}</span>
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

function Lease({ open }: { open: Opened }) {
  const { state, until } = open.claim;
  const at = until.value ? formatClock(until.value) : '';
  return <span class="small soft" role="status" data-testid="lease" data-state={state.value}>{t(state.value === 'unsure' ? 'reading.lease.unsure' : 'reading.lease', { until: at })}</span>;
}
