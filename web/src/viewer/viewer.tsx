// The images of a study: strip of series, panes, tools. Alone on /viewer, and beside the report in the reading room.
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ApiError } from '../core/api';
import { reach } from '../core/connection';
import { t } from '../core/i18n';
import { now } from '../core/time';
import { Banner, ErrorState, NoRight, Skeleton } from '../core/ui';
import { Cine } from './cine';
import { press } from './keys';
import { slicesOf } from './manifest';
import { OpenStudy } from './open-study';
import { PaneView } from './pane-view';
import { Strip } from './strip';
import { Toolbar } from './toolbar';
import { mostAlike } from './tools/alike';
import { useTools } from './tools/late';
import './viewer.css';

export type ViewerProps = {
  study: string;
  /** Another study of the patient to open beside it. */
  prior?: string | undefined;
  /** Whether marks may be made. */
  write: boolean;
  /** By what right images are seen: with another one, what was refused is asked for again. */
  claim?: unknown;
  /** Already on its way, from before the page was drawn. */
  opened?: OpenStudy | undefined;
};

export default function Viewer({ study: study_id, prior, write, claim, opened }: ViewerProps) {
  const study = useMemo(() => (opened?.id === study_id && !opened.isClosed ? opened : new OpenStudy(study_id)), [study_id]);
  const cine = useMemo(() => new Cine(study.panes), [study]);
  const root = useRef<HTMLDivElement>(null);
  const [fault, setFault] = useState<{ error: ApiError; again: () => void } | null>(null); // of what should lie beside
  useEffect(() => {
    study.listen();
    return () => { cine.stop(); study.close(); };
  }, [study]);
  useEffect(() => {
    if (!prior) return;
    const open = (): void => {
      setFault(null);
      study.openBeside(prior, (found) => mostAlike(study.panes.active.peek().series.peek(), found)).catch((cause: unknown) => {
        if (!(cause instanceof ApiError)) throw cause;
        setFault({ error: cause, again: open });
      });
    };
    open();
    return () => { setFault(null); study.closeBeside(prior); };
  }, [study, prior]);
  useEffect(() => study.panes.loader.retry(), [study, claim]);
  useLayoutEffect(() => { // not away from who is writing already
    const { activeElement } = document;
    if (activeElement === null || activeElement === document.body) root.current?.querySelector<HTMLElement>('.pane')?.focus({ preventScroll: true });
  }, [study]);
  const { late, failed, retry } = useTools(study, write);
  const keys = (event: KeyboardEvent): void => { if (!late?.pressTool(event, late.tools)) press(event, study.panes, cine); };
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => { // what had the focus has gone, as a button does with what it was about: the keys are ours still
    const nowhere = (event: KeyboardEvent): void => { if (event.target === document.body) latest.current(event); };
    addEventListener('keydown', nowhere);
    return () => removeEventListener('keydown', nowhere);
  }, []);
  const { panes, error, manifest } = study;
  if (manifest.value === null && error.value !== null) {
    return error.value.status === 403 ? <NoRight /> : <ErrorState error={error.value} retry={() => { void study.reload(); }} />;
  }
  return (
    <div class="viewer" data-theme="dark" ref={root} onKeyDown={keys} data-write={write}>
      <Toolbar panes={panes} cine={cine} />
      {late ? <late.MarksBar tools={late.tools} /> : <div class="tools marks-bar" />}
      {late && <late.KeyList tools={late.tools} />}
      <div class="viewer-body">
        {manifest.value === null ? <Skeleton rows={5} /> : <Strip study={study} decorate={late ? (series) => <late.SeriesStars tools={late.tools} series={series} /> : undefined} />}
        <div class={`viewer-panes viewer-panes-${panes.layout.value}`}>
          {panes.open.value.map((pane) => <PaneView key={pane.id} pane={pane} study={study} active={pane === panes.active.value} many={panes.open.value.length > 1}>{late && <late.Overlay pane={pane} tools={late.tools} />}</PaneView>)}
        </div>
      </div>
      <Line study={study}>{late && <late.SavedLine tools={late.tools} />}</Line>
      {fault && <Banner kind="error" action={{ label: t('core.retry'), run: fault.again }}>{t('viewer.beside.failed', { reason: fault.error.text })}</Banner>}
      {failed && <Banner kind="error" action={{ label: t('core.retry'), run: retry }}>{t('core.part_missing')}</Banner>}
      {late && <late.ToolDialogs tools={late.tools} />}
    </div>
  );
}

/** What is still coming, and how the line is. */
function Line({ study, children }: { study: OpenStudy; children: ComponentChildren }) {
  const { panes } = study;
  void panes.loader.came.value;
  const trouble = panes.loader.trouble.value;
  const slices = slicesOf(panes.active.value.series.value);
  const { total, small, full } = panes.loader.progressOf(slices);
  const seconds = trouble ? Math.max(0, Math.ceil((trouble.retry_at - now.value) / 1000)) : 0;
  return (
    <div class="viewer-line figures">
      {children}
      {trouble && <Banner kind="notice" action={{ label: t('core.retry'), run: () => panes.loader.retry() }}>{t(`viewer.line.no-${trouble.of}`, { seconds })}</Banner>}
      {!trouble && reach.value === 'away' && <Banner kind="notice">{t('viewer.line.away')}</Banner>}
      {study.error.value && study.manifest.value && <Banner kind="notice" action={{ label: t('core.retry'), run: () => { void study.reload(); } }}>{t('core.stale', { reason: study.error.value.text })}</Banner>}
      {total > 0 && (
        <span class="viewer-progress" data-test="progress" data-small={small} data-full={full} data-total={total}>
          <progress max={2 * total} value={small + full} aria-label={t('viewer.progress')} hidden={full === total} />
          {full === total ? t('viewer.progress.all', { total }) : t('viewer.progress.some', { small, full, total })}
        </span>
      )}
    </div>
  );
}
