// Earlier studies of the same person, to be opened beside; and on the panes which is which, so large that nobody mistakes them.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../../core/api';
import { t } from '../../core/i18n';
import { Loaded, useResource } from '../../core/resource';
import { Dialog, EmptyState, ErrorBanner } from '../../core/ui';
import { dateOf } from '../corners';
import type { StackPane } from '../panes';
import type { Study } from '../types';
import { priorsOpen } from './bench';
import { openPrior, type Prior, type Tools } from './deeds';
import { apartOf } from './apart';

export function PriorsDialog({ tools }: { tools: Tools }) {
  const priors = useResource<{ priors: Prior[] }>(`/api/images/${tools.study.id}/priors`);
  const [error, setError] = useState<ApiError | null>(null);
  const close = (): void => { priorsOpen.value = false; };
  async function open(id: string): Promise<void> {
    try {
      setError(null);
      await openPrior(tools, id);
      close();
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      setError(cause);
    }
  }
  return (
    <Dialog title={t('tools.priors')} close={close}>
      {error && <ErrorBanner error={error} />}
      <Loaded from={priors}>
        {({ priors: found }) => (found.length === 0 ? <EmptyState title={t('tools.priors.none')} /> : (
          <ul class="priors">
            {found.map((prior, n) => <li key={prior.id}><PriorButton prior={prior} tools={tools} first={n === 0} open={() => { void open(prior.id); }} /></li>)}
          </ul>
        ))}
      </Loaded>
    </Dialog>
  );
}

function PriorButton({ prior, tools, first, open }: { prior: Prior; tools: Tools; first: boolean; open: () => void }) {
  const ref = useRef<HTMLButtonElement>(null);
  useEffect(() => { if (first) ref.current!.focus(); }, []);
  const { study_date, description, modalities, body_parts, instances } = prior;
  const own = tools.study.manifest.value?.study;
  const about = [modalities.join('/'), description, body_parts.join(', ')].filter(Boolean).join(' · ');
  return (
    <button ref={ref} type="button" class="prior" data-test="prior" onClick={open}>
      <strong class="figures">{dateOf({ study_date } as Study)}</strong>
      {own && <span>{apartText(own.study_date, study_date)}</span>}
      <span>{about}</span>
      <span class="figures soft">{t('tools.priors.images', { count: instances })}</span>
    </button>
  );
}

/** How much earlier or later the other study is, in the unit one would say it in. */
function apartText(own: string | null, other: string | null): string {
  const apart = apartOf(own, other);
  if (!apart) return '';
  if (apart.unit === 'same') return t('tools.apart.same');
  return t(apart.later ? `tools.later.${apart.unit}` : `tools.earlier.${apart.unit}`, { count: apart.count });
}

/** While two studies are open: on each pane which one it shows. */
export function StudyBanner({ pane, tools }: { pane: StackPane; tools: Tools }) {
  const [study, own] = [pane.study.value, tools.study.manifest.value?.study];
  const studies = new Set(tools.panes.open.value.map((each) => each.study.value?.id).filter(Boolean));
  if (!study || !own || (studies.size < 2 && study.id === own.id)) return null;
  return <Banner study={study} own={own} narrow={pane.size.value.width < NARROW_PX} />;
}

const NARROW_PX = 350; // below, a word, a date and how far apart don't fit in one line

function Banner({ study, own, narrow }: { study: Study; own: Study; narrow: boolean }) {
  const ref = useRef<HTMLParagraphElement>(null);
  useLayoutEffect(() => {
    const { dataset } = ref.current!.closest<HTMLElement>('.pane')!;
    dataset.named = ''; // the corners make room
    return () => { delete dataset.named; };
  }, []);
  const isOwn = study.id === own.id;
  const apart = isOwn ? '' : apartText(own.study_date, study.study_date);
  return (
    <p ref={ref} class={isOwn ? 'study-banner' : 'study-banner study-banner-other'} data-test="study-banner">
      {(!narrow || !apart) && <span>{isOwn ? t('tools.this_study') : t('tools.other_study')}</span>} <strong class="figures">{dateOf(study)}</strong>
      {apart && <span> {apart}</span>}
    </p>
  );
}

/** How this pane follows the active one. */
export function LinkedWord({ pane, tools: { linking, panes } }: { pane: StackPane; tools: Tools }) {
  const way = linking.ways.value.get(pane.id);
  if (!linking.on.value || !way || panes.active.value === pane) return null;
  return <p class="linked-word" data-test="linked" data-way={way}>{t(`tools.linked.${way}`)}</p>;
}
