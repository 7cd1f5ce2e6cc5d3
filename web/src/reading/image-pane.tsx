// Images in the middle: who and why, what was sent, what came before, and the viewer.
import { t } from '../core/i18n';
import { later } from '../core/later';
import { Banner, Button, ButtonLink, EmptyState, Time } from '../core/ui';
import type { ViewerProps } from '../viewer/viewer';
import { CaseHead } from './case-head';
import type { OpenImages } from './open-images';
import type { Prior } from './types';

export { openImages } from './open-images';

const Viewer = later<ViewerProps>(() => import('../viewer/viewer').then(({ default: part }) => part), 'viewer');

export function ImagePane({ open, help, leave }: { open: OpenImages; help: () => void; leave: () => void }) {
  const { images } = open.data.value;
  const beside = open.beside.value?.dicom_study_id ?? undefined;
  return (
    <div class="case case-images" data-testid="case" data-task={open.task_id}>
      <CaseHead open={open} help={help} leave={leave} />
      <p class="figures-line">
        <strong>{images.description || t('reading.images.unnamed')}</strong>
        <span>{images.modalities.join(', ')}</span>
        <span>{dicomDate(images.study_date)}</span>
        <span class="figures">{t('reading.images.count', { images: images.instances, series: images.series.length })}</span>
        {images.accession && <span class="figures">{t('reading.images.accession', { accession: images.accession })}</span>}
        {images.is_open && <strong role="status">{t('reading.images.coming')}</strong>}
        <ButtonLink kind="quiet" href={`/viewer#${images.id}`} target="_blank">{t('reading.images.window')}</ButtonLink>
      </p>
      {open.changed.value && (
        <Banner kind="notice" action={{ label: t('reading.images.reload'), run: () => { void open.startOver(); } }}>{t('reading.images.changed')}</Banner>
      )}
      {open.signed.value
        ? <EmptyState title={t('reading.images.closed')}><p>{t('reading.images.closed.text')}</p></EmptyState>
        : <div class="case-viewer"><Viewer study={images.id} prior={beside} claim={open.claim} write /></div>}
      <Priors open={open} />
    </div>
  );
}

/** A DA value (PS3.5 6.2) as people write it; what a device wrote otherwise stays as it is. */
export function dicomDate(told: string | null): string {
  return told && /^\d{8}$/.test(told) ? `${told.slice(0, 4)}-${told.slice(4, 6)}-${told.slice(6)}` : told ?? '';
}

function Priors({ open }: { open: OpenImages }) {
  const { priors } = open.data.value;
  return (
    <section class="stack-tight">
      <h2>{t('reading.priors', { count: priors.length })}</h2>
      {priors.length === 0 && <p class="soft">{t('reading.priors.none')}</p>}
      <ul class="case-priors">{priors.map((prior) => <PriorRow key={prior.id} prior={prior} open={open} />)}</ul>
    </section>
  );
}

function PriorRow({ prior, open }: { prior: Prior; open: OpenImages }) {
  const here = open.beside.value?.id === prior.id;
  return (
    <li class="case-prior" data-study={prior.id}>
      <span class="case-prior-what"><strong>{t(`reading.kind.${prior.kind}`)}</strong> {prior.description} <span class="figures">{prior.study_date ? dicomDate(prior.study_date) : <Time at={prior.created_at} show="date" />}</span></span>
      {prior.conclusion && <span class="case-prior-conclusion">{prior.report_status === 'entered-in-error' ? <s>{prior.conclusion}</s> : prior.conclusion}</span>}
      {prior.report_status === 'entered-in-error' && <strong class="small">{t('reading.status.entered-in-error')}</strong>}
      <span class="actions">
        {prior.report_id && <ButtonLink kind="quiet" href={`/api/reports/${prior.report_id}/pdf`} target="_blank">{t('reading.pdf')}</ButtonLink>}
        {prior.dicom_study_id && (
          <Button kind="quiet" aria-pressed={here} onClick={() => { open.beside.value = here ? null : prior; }}>{t('reading.priors.beside')}</Button>
        )}
      </span>
    </li>
  );
}
