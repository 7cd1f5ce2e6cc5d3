// What has been signed: its versions, the paper once it is made, when the clinic had and opened it, and the next case.
import { t } from '../core/i18n';
import { useResource } from '../core/resource';
import { Button, ButtonLink, Time } from '../core/ui';
import { translated } from '../ecg/rules';
import type { Opened } from './open-case';
import type { ReportBrief } from './types';

type ReportState = { pdf_sha256: string | null; delivered_at: string | null; opened_at: string | null };

/** `next`: null = nothing waits; undefined = not the time to ask. */
export function Signed({ open, next }: { open: Opened; next: (() => void) | null | undefined }) {
  const { reports } = open.data.value;
  return (
    <div class="card signed" data-testid="signed">
      <h3>{t('reading.versions')}</h3>
      <ul class="versions">{[...reports].reverse().map((report) => <Version key={report.id} report={report} />)}</ul>
      {next === null && <p class="soft">{t('reading.queue.empty.open')}</p>}
      {next && <Button kind="primary" data-testid="next-case" onClick={next}>{t('reading.next')}</Button>}
    </div>
  );
}

function Version({ report }: { report: ReportBrief }) {
  const found = useResource<{ report: ReportState }>(`/api/reports/${report.id}`, ['reports'], 3);
  const state = found.data?.report ?? null;
  return (
    <li class="stack-tight" data-report={report.id}>
      <span>{t('reading.version', { version: report.version })} · {translated(`reading.status.${report.status}`, report.status)}</span>
      <span class="small">{t('reading.signed.by', { name: report.signed_by_name })} <Time at={report.signed_at} show="seconds" /></span>
      <span class="small" role="status">
        {state?.delivered_at ? <>{t('reading.delivered')} <Time at={state.delivered_at} show="seconds" />{t('reading.semicolon')}{state.opened_at ? <>{t('reading.opened')} <Time at={state.opened_at} show="seconds" /></> : t('reading.opened.not')}</> : t('reading.delivered.not')}
      </span>
      {state?.pdf_sha256
        ? <ButtonLink href={`/api/reports/${report.id}/pdf`} target="_blank" data-testid="pdf">{t('reading.pdf')}</ButtonLink>
        : <span class="soft" role="status">{t('reading.pdf.making')}</span>}
    </li>
  );
}
