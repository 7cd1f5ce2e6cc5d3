// One request from asking to the report: what was asked, its files or the recording as it runs, the report when it is back.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { duration, t } from '../core/i18n';
import { Loaded, useResource } from '../core/resource';
import type { Recording } from '../core/types';
import { Button, ButtonLink, Confirm, Facts, Time, toast } from '../core/ui';
import { Diary } from './diary';
import { RecordingCard } from './recording';
import { ReportCard } from './report';
import { StudyState } from './states';
import type { ServiceRequest, StudyLine } from './types';
import { FilesCard } from './uploads';

const CANCELLABLE = ['requested', 'sending', 'received', 'set-aside', 'on-hold'];

export function RequestPage({ requestId }: { requestId: string }) {
  const request = useResource<{ request: ServiceRequest }>(`/api/requests/${requestId}`, ['requests']);
  const studies = useResource<{ studies: StudyLine[] }>('/api/studies', ['requests', 'recordings', 'tasks', 'reports', 'uploads']);
  const study = studies.data?.studies.find((each) => each.request_id === requestId) ?? null;
  const made = useResource<{ recording: Recording }>(study?.kind === 'holter' && study.recording_id ? `/api/recordings/${study.recording_id}` : null);
  const worn = made.data?.recording.device_id ? made.data.recording.id : null; // a sent Holter file is a recording without a device
  return (
    <Loaded from={request}>
      {({ request: data }) => (
        <>
          <div class="card-head">
            <div class="stack-tight">
              <p class="who"><a href={`/desk?patient=${data.patient.id}`}>{data.patient.name}</a> <span class="soft">{t(`core.sex.${data.patient.sex}`)} {t('core.age_years', { count: data.patient.age_years })}</span></p>
              {study && <StudyState study={study} files={false} />}
            </div>
            <NextStep request={data} study={study} />
          </div>
          {study?.report && <ReportCard report={study.report} />}
          {worn && <RecordingCard key={worn} recordingId={worn} />}
          <div class={worn ? 'columns' : 'columns columns-main'}>
            {!worn && (!study?.recording_id || study.kind !== 'holter' || made.data) && <FilesCard request={data} open={data.status === 'active' || data.status === 'on-hold'} />}
            <Asked request={data} study={study} changed={request.reload} />
            {worn && <Diary recordingId={worn} />}
          </div>
        </>
      )}
    </Loaded>
  );
}

function NextStep({ request, study }: { request: ServiceRequest; study: StudyLine | null }) {
  if (study?.state.word !== 'requested' || request.status !== 'active' || request.kind !== 'holter') return null;
  return <ButtonLink kind="primary" href={`/desk?pair=${request.id}`}>{t(study.recording_id ? 'desk.next.check' : 'desk.next.pair')}</ButtonLink>;
}

/** By which a modality or an ECG cart says to which request its files belong. */
function Accession({ number }: { number: string }) {
  return <><strong class="accession mono">{number}</strong><br /><span class="small soft">{t('desk.request.accession.hint')}</span></>;
}

type Row = readonly [string, preact.ComponentChildren];

/** What only some kinds ask for. */
function ofKind(request: ServiceRequest): (Row | null)[] {
  if (request.kind !== 'imaging') {
    return [[t('desk.new.drugs'), request.drugs || '—'], [t('desk.new.pacemaker.short'), t(request.pacemaker ? 'core.yes' : 'core.no')]];
  }
  return [
    request.modality && [t('desk.new.modality'), t(`desk.modality.${request.modality}`)],
    [t('desk.new.body-part'), request.body_part ?? '—'],
    [t('desk.new.images.short'), request.expected_instances ?? '—'],
  ];
}

function Asked({ request, study, changed }: { request: ServiceRequest; study: StudyLine | null; changed: () => void }) {
  const [cancelling, setCancelling] = useState(false);
  const open = request.status === 'active' && CANCELLABLE.includes(study?.state.word ?? 'requested');
  return (
    <section class="card">
      <h2>{t('desk.request.asked')}</h2>
      <Facts rows={[
        [t('desk.column.kind'), t(`desk.kind.${request.kind}`)],
        [t('desk.new.question'), request.question],
        [t('desk.new.symptoms'), request.symptoms || '—'],
        ...ofKind(request),
        request.kind !== 'holter' ? [t('desk.request.accession'), <Accession number={request.accession} />] : null,
        [t('desk.new.priority'), t(`core.priority.${request.priority}`)],
        request.kind === 'holter' ? [t('desk.new.hours.short'), duration(request.planned_hours * 3600)] : null,
        [t('desk.column.requested'), <><Time at={request.created_at} /> {request.requester.name}</>],
        request.revoked_reason ? [t('desk.request.cancel.reason'), request.revoked_reason] : null,
      ]} />
      <div class="actions">
        {request.kind !== 'holter' && <Button onClick={() => print()}>{t('desk.request.print')}</Button>}
        {open && <Button onClick={() => setCancelling(true)}>{t('desk.request.cancel')}</Button>}
      </div>
      {cancelling && (
        <Confirm
          title={t('desk.request.cancel')} confirm={t('desk.request.cancel')} reason={t('desk.request.cancel.reason')} grave close={() => setCancelling(false)}
          run={async (reason) => {
            // A device that was told to start but has sent nothing is set free first.
            if (study?.state.word === 'requested' && study.recording_id) await api.post(`/api/recordings/${study.recording_id}/cancel`);
            await api.post(`/api/requests/${request.id}/cancel`, { reason });
            toast(t('desk.request.cancelled'));
            changed();
          }}
        >{t('desk.request.cancel.text', { name: request.patient.name })}</Confirm>
      )}
    </section>
  );
}
