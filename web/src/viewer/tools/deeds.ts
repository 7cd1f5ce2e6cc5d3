// What the tools do to a page of images as a whole: key images, going to them, an earlier study beside, its prefetching.
import { effect } from '@preact/signals';
import { api } from '../../core/api';
import { fetchManifest, slicesOf } from '../manifest';
import type { OpenStudy } from '../open-study';
import { setWindow, type Panes, type StackPane } from '../panes';
import type { Manifest } from '../types';
import { mostAlike } from './alike';
import { marksOf, type KeyImage } from './annotations';
import { Linking } from './linking';

export type Prior = { id: string; study_date: string | null; description: string | null; modalities: string[]; body_parts: string[]; instances: number };
export type Tools = { study: OpenStudy; panes: Panes; linking: Linking; write: boolean };

/** Chooses the image of the active pane, in its window, or takes that back. */
export function toggleKey({ panes }: Tools): void {
  const pane = panes.active.peek();
  const [shown, study] = [pane.shown.peek(), pane.study.peek()];
  if (!shown || !study) return;
  const [marks, frame] = [marksOf(study.id), shown.frame + 1];
  if (marks.isKey(shown.instance.id, frame)) { marks.unchoose(shown.instance.id, frame); return; }
  const { center, width } = pane.view.peek().window;
  marks.choose({ instance_id: shown.instance.id, frame, note: '', window: pane.windowOfFile.peek() ? null : { center, width } });
}

export type KeyPlace = { manifest: Manifest; key: KeyImage; series: Manifest['series'][number]; index: number };

/** Key images of all studies that are open, as they lie in their series. */
export function keyPlaces({ study }: Tools): KeyPlace[] {
  const open = [study.manifest.value, ...study.beside.value].filter((each) => each !== null);
  return open.flatMap((manifest) => marksOf(manifest.study.id).keys.value.flatMap((key) => placeOf(manifest, key)));
}

function placeOf(manifest: Manifest, key: KeyImage): KeyPlace[] {
  for (const series of manifest.series) {
    const index = slicesOf(series).findIndex(({ instance, frame }) => instance.id === key.instance_id && frame + 1 === key.frame);
    if (index >= 0) return [{ manifest, key, series, index }];
  }
  return [];
}

export function goToKey({ panes }: Tools, { manifest, series, index, key }: KeyPlace): void {
  const pane = panes.active.peek();
  if (pane.series.peek()?.id === series.id) pane.index.value = index;
  else panes.show(pane, manifest.study, series, index);
  if (key.window) setWindow(pane, key.window, 'LINEAR');
}

/** The next key image from the one that is shown, round and round. */
export function stepKey(tools: Tools, step: 1 | -1): void {
  const places = keyPlaces(tools);
  const pane = tools.panes.active.peek();
  const here = places.findIndex(({ series, index }) => series.id === pane.series.peek()?.id && index === pane.index.peek());
  const next = places.at(here < 0 ? (step > 0 ? 0 : -1) : (here + step) % places.length);
  if (next) goToKey(tools, next);
}

// --- An earlier study

export async function fetchPriors(study_id: string, abort?: AbortSignal): Promise<Prior[]> {
  return (await api.get<{ priors: Prior[] }>(`/api/images/${study_id}/priors`, abort)).priors;
}

/** Beside the active pane, at the series most like the one that is shown there. */
export async function openPrior({ study, panes }: Tools, id: string): Promise<void> {
  const series = panes.active.peek().series.peek();
  await study.openBeside(id, (manifest) => mostAlike(series, manifest));
}

/** The newest one of the same machine; it is what is asked for most often. */
export function likelyPrior(priors: readonly Prior[], pane: StackPane): Prior | null {
  const modality = pane.series.peek()?.modality;
  return priors.find(({ modalities }) => modality !== undefined && modalities.includes(modality)) ?? null;
}

/** Once the series that is read can be paged through: the likeliest prior, behind all that is wanted now. A failure is nobody's concern. */
export function prefetchPrior({ study, panes }: Tools): () => void {
  const abort = new AbortController();
  let begun = false;
  const stop = effect(() => {
    void panes.loader.came.value;
    const pane = panes.active.peek();
    const slices = slicesOf(pane.series.peek());
    if (begun || study.waiting.peek() || slices.length === 0 || panes.loader.progressOf(slices).small < slices.length) return;
    begun = true;
    fetchLikely(study.id, pane, abort.signal).then((likely) => { if (likely && !abort.signal.aborted) panes.loader.prefetch(slicesOf(likely)); }, () => undefined);
  });
  return () => { stop(); abort.abort(); };
}

async function fetchLikely(study_id: string, pane: StackPane, abort: AbortSignal) {
  const prior = likelyPrior(await fetchPriors(study_id, abort), pane);
  return prior && mostAlike(pane.series.peek(), await fetchManifest(prior.id, abort));
}
