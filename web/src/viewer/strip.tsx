// The series of the study, and of those beside it: a small picture each, or a tile that leads to what is no image.
import type { ComponentChildren } from 'preact';
import { say, t } from '../core/i18n';
import { dateOf } from './corners';
import { slicesOf } from './manifest';
import type { OpenStudy } from './open-study';
import type { Instance, InstanceKind, Manifest, Series } from './types';

const EDGE_PX = 128;

export function Strip({ study, decorate }: { study: OpenStudy; decorate?: ((series: Series) => ComponentChildren) | undefined }) {
  const own = study.manifest.value;
  if (!own) return null;
  const beside = study.beside.value;
  return (
    <nav class="strip" aria-label={t('viewer.strip')}>
      {[own, ...beside].map((manifest) => (
        <section key={manifest.study.id} class="strip-study" aria-label={dateOf(manifest.study)}>
          {beside.length > 0 && <h2 class="strip-date figures">{dateOf(manifest.study)}</h2>}
          {manifest.series.map((series) => <Tile key={series.id} series={series} manifest={manifest} study={study} mark={decorate?.(series)} />)}
        </section>
      ))}
    </nav>
  );
}

type TileProps = { series: Series; manifest: Manifest; study: OpenStudy; mark: ComponentChildren };

function Tile({ series, manifest, study, mark }: TileProps) {
  const slices = slicesOf(series);
  if (slices.length === 0) return <>{series.instances.map((instance) => <Other key={instance.id} series={series} instance={instance} />)}</>;
  const { panes } = study;
  const shownIn = panes.open.value.filter((pane) => pane.series.value?.id === series.id);
  return (
    <button
      type="button" class="tile-series" aria-pressed={panes.active.value.series.value?.id === series.id} data-test="series"
      onClick={() => panes.show(panes.active.peek(), manifest.study, series)}
    >
      <Thumbnail study={study} series={series} />
      <span class="tile-words">
        <strong>{series.description || series.modality}</strong>
        <span class="figures">{t('viewer.series.count', { modality: series.modality, count: slices.length })}</span>
        {series.body_part && <span>{series.body_part}</span>}
        {shownIn.length > 0 && panes.open.value.length > 1 && <span>{t('viewer.series.in', { panes: shownIn.map(({ id }) => id + 1).join(', ') })}</span>}
        <Troubles series={series} />
        {mark}
      </span>
    </button>
  );
}

/** The picture of the middle slice; it comes when the first image of the pane is there. */
function Thumbnail({ study, series }: { study: OpenStudy; series: Series }) {
  const slices = slicesOf(series);
  const { instance, frame } = slices[Math.floor(slices.length / 2)]!;
  const early = study.panes.active.value.picture.value === null && study.panes.loader.came.value < 1;
  if (early || instance.state !== 'ready') return <span class="tile-picture" />;
  return <img class="tile-picture" alt="" width={64} height={64} src={`/api/images/instances/${instance.id}/frames/${frame + 1}/thumbnail?edge=${EDGE_PX}`} />;
}

function Troubles({ series }: { series: Series }) {
  const count = (state: Instance['state']) => series.instances.filter((each) => each.state === state).length;
  const [waiting, failed] = [count('waiting'), count('failed')];
  return (
    <>
      {waiting > 0 && <span>{t('viewer.series.waiting', { count: waiting })}</span>}
      {failed > 0 && <span><span aria-hidden="true">! </span>{t('viewer.series.failed', { count: failed })}</span>}
    </>
  );
}

/** An ECG, a document, or what this page does not show. */
function Other({ series, instance }: { series: Series; instance: Instance }) {
  const name = series.description || series.modality;
  const kind = instance.kind as Exclude<InstanceKind, 'image'>; // an image has slices
  const words = <span class="tile-words"><strong>{name}</strong><span>{t(`viewer.kind.${kind}`)}</span>{instance.state === 'failed' && <span>{say(instance.fault)}</span>}</span>;
  if (instance.kind === 'ecg' && instance.recording_id) return <a class="tile-series" href={`/live?recording=${instance.recording_id}`} target="_blank" rel="noopener">{words}</a>;
  if (instance.kind === 'document') return <a class="tile-series" href={`/api/images/instances/${instance.id}/document`} target="_blank" rel="noopener">{words}</a>;
  return <div class="tile-series tile-plain">{words}</div>;
}
