// A report at the desk: open and print it as the PDF that was signed, or keep the file.
import { t } from '../core/i18n';
import { ButtonLink, State } from '../core/ui';
import type { ReportBrief } from './types';

export function ReportLinks({ report }: { report: ReportBrief }) {
  const pdf = `/api/reports/${report.id}/pdf`;
  return (
    <span class="actions">
      <ButtonLink kind={report.opened_at ? 'plain' : 'primary'} href={pdf} target="_blank">{t('desk.report.open')}</ButtonLink>
      <ButtonLink kind="quiet" href={pdf} download={`report-${report.id}.pdf`}>{t('desk.report.save')}</ButtonLink>
    </span>
  );
}

export function ReportCard({ report }: { report: ReportBrief }) {
  return (
    <section class="card">
      <h2>{t('desk.report.title')}</h2>
      <div class="stack-tight">
        <State shape="done" at={report.signed_at}>{t('desk.report.signed', { name: report.signed_by_name ?? '' })}</State>
        {report.delivered_at && <State shape="done" at={report.delivered_at}>{t('desk.report.delivered')}</State>}
        {report.opened_at
          ? <State shape="done" at={report.opened_at}>{t('desk.report.opened')}</State>
          : <State shape="waiting">{t('desk.report.unopened')}</State>}
        {report.version > 1 && <span class="soft">{t('desk.report.version', { version: report.version })}</span>}
      </div>
      <ReportLinks report={report} />
      <p class="small soft">{t('desk.report.signature')}</p>
    </section>
  );
}
