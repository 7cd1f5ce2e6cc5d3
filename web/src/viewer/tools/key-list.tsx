// Key images of the studies that are open: small pictures that lead there, and the stars in the strip of series.
import { t } from '../../core/i18n';
import { dateOf } from '../corners';
import type { Series } from '../types';
import { keysOpen } from './bench';
import { goToKey, keyPlaces, type KeyPlace, type Tools } from './deeds';

const EDGE_PX = 96;

export function KeyList({ tools }: { tools: Tools }) {
  if (!keysOpen.value) return null;
  const places = keyPlaces(tools);
  return (
    <nav class="key-list" aria-label={t('tools.key-images')} data-test="key-list">
      {places.length === 0 && <p>{t(tools.write ? 'tools.key-images.none' : 'tools.key-images.none.read')}</p>}
      {places.map((place) => <Key key={`${place.key.instance_id}/${place.key.frame}`} place={place} tools={tools} />)}
    </nav>
  );
}

function Key({ place, tools }: { place: KeyPlace; tools: Tools }) {
  const { key, series, index, manifest } = place;
  const pane = tools.panes.active.value;
  const here = pane.series.value?.id === series.id && pane.index.value === index;
  const many = tools.study.beside.value.length > 0;
  return (
    <button type="button" class="key-image" aria-pressed={here} onClick={() => goToKey(tools, place)}>
      <img class="tile-picture" alt="" width={48} height={48} src={`/api/images/instances/${key.instance_id}/frames/${key.frame}/thumbnail?edge=${EDGE_PX}`} />
      <span class="tile-words">
        <strong class="figures">★ {t('tools.key-image.name', { series: series.description || series.modality, place: index + 1 })}</strong>
        {many && <span class="figures">{dateOf(manifest.study)}</span>}
        {key.note && <span>{key.note}</span>}
        <span>{key.by.name}</span>
      </span>
    </button>
  );
}

/** How many images of a series were chosen. */
export function SeriesStars({ tools, series }: { tools: Tools; series: Series }) {
  const count = keyPlaces(tools).filter((place) => place.series.id === series.id).length;
  return count > 0 ? <span class="figures" data-test="stars"><span aria-hidden="true">★ </span>{t('tools.key-images.of', { count })}</span> : null;
}
