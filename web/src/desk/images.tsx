// The images of a request as the hub has them, however they came: sent here, or by the modality itself.
import { t } from '../core/i18n';
import { useResource } from '../core/resource';
import { ButtonLink, State } from '../core/ui';
import type { DicomStudy, ServiceRequest } from './types';

const REFRESH_S = 15;

export function ImagesOf({ request }: { request: ServiceRequest }) {
  const found = useResource<{ studies: DicomStudy[] }>('/api/dicom/studies', ['uploads', 'requests'], REFRESH_S);
  const own = found.data?.studies.filter((study) => study.service_request_id === request.id) ?? [];
  if (own.length === 0) return null;
  return <ul class="plain-list stack-tight">{own.map((study) => <li key={study.id} class="card-head"><Images study={study} expected={request.expected_instances} /><ButtonLink href={`/viewer#${study.id}`} target="_blank">{t('desk.images.open')}</ButtonLink></li>)}</ul>;
}

function Images({ study, expected }: { study: DicomStudy; expected: number | null }) {
  const count = study.instances;
  const fewer = expected !== null && count < expected;
  const said = expected === null ? t('desk.images.count', { count }) : t('desk.images.count.of', { count, expected });
  return (
    <span class="stack-none" data-test="images" data-count={count}>
      <strong>{study.modalities.join(' · ')} {said}</strong>
      {study.identity_differs
        ? <State shape="stopped">{t('desk.images.differs')}</State>
        : study.is_open || !study.completed_at
          ? <State shape="moving">{t(fewer ? 'desk.images.waiting' : 'desk.images.settling')}</State>
          : <State shape={fewer ? 'stopped' : 'done'} at={study.completed_at}>{t(fewer ? 'desk.images.fewer' : 'desk.images.complete')}</State>}
    </span>
  );
}
