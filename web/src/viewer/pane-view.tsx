// One pane: the picture, what is said of it in its corners, and how far it has come.
import { effect } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { say, t } from '../core/i18n';
import { Button } from '../core/ui';
import { Corners } from './corners';
import { Painter } from './draw';
import { listen } from './gestures';
import { slicesOf } from './manifest';
import type { OpenStudy } from './open-study';
import type { StackPane } from './panes';

/** `children`: what the tools lay over it. */
type Props = { pane: StackPane; study: OpenStudy; active: boolean; many: boolean; children?: ComponentChildren };

export function PaneView({ pane, study, active, many, children }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => listen(box.current!, pane, study.panes), [pane]);
  useEffect(() => draws(canvas.current!, pane), [pane]);
  const count = slicesOf(pane.series.value).length;
  const name = t('viewer.pane.name', { number: pane.id + 1, series: pane.series.value?.description ?? '', place: pane.index.value + 1, count });
  return (
    <div
      ref={box} class={active && many ? 'pane pane-active' : 'pane'} role="group" aria-label={name} tabIndex={0} data-test={`pane-${pane.id}`}
      onFocus={() => { study.panes.active.value = pane; }}
    >
      <canvas ref={canvas} class="pane-canvas" data-testid="image" />
      <Corners pane={pane} />
      {children}
      <PaneState pane={pane} study={study} />
    </div>
  );
}

/** Draws once for all that changed since the last picture of the screen. */
function draws(canvas: HTMLCanvasElement, pane: StackPane): () => void {
  const painter = new Painter();
  let asked = 0;
  const paint = (): void => {
    asked = 0;
    const [view, frame, size] = [pane.view.peek(), pane.frame.peek(), pane.size.peek()];
    if (size.width === 0) return;
    painter.draw(canvas, frame, view, size, { voi: pane.voi.peek(), window: view.window, invert: view.invert });
    describe(canvas, pane);
  };
  const stop = effect(() => {
    void [pane.view.value, pane.frame.value, pane.picture.value, pane.size.value, pane.voi.value];
    asked ||= requestAnimationFrame(paint);
  });
  return () => { stop(); cancelAnimationFrame(asked); };
}

/** For tests: which slice is drawn, and at what size. */
function describe(canvas: HTMLCanvasElement, pane: StackPane): void {
  const frame = pane.frame.peek();
  const drawn = frame?.picture ? frame : null;
  canvas.dataset.slice = String(pane.index.peek());
  canvas.dataset.level = drawn ? String(drawn.level) : '';
  canvas.dataset.complete = String(drawn?.complete ?? false);
}

/** In place of a picture, or of the whole of it: why it is not there. */
function PaneState({ pane, study }: { pane: StackPane; study: OpenStudy }) {
  if (pane.series.value === null) return <p class="pane-state">{t('viewer.pane.empty')}</p>;
  const slice = slicesOf(pane.series.value)[pane.index.value];
  if (!slice) return <p class="pane-state">{t('viewer.state.no-images')}</p>;
  const { state, fault } = slice.instance;
  if (state === 'waiting') return <p class="pane-state" role="status">{t('viewer.state.waiting')}</p>;
  if (state === 'failed') return <p class="pane-state" role="status"><strong>{t('viewer.state.failed')}</strong> {say(fault)}</p>;
  if (state === 'none') return <p class="pane-state" role="status">{t('viewer.state.none')}</p>;
  void study.panes.loader.came.value;
  const frame = pane.frame.value;
  const picture = pane.picture.value;
  if (!frame || frame.complete) return null;
  const refused = frame.refusal?.text ?? (frame.isSpoilt ? t('viewer.state.spoilt') : null);
  if (refused === null) return picture ? null : <p class="pane-state pane-coming">{t('viewer.state.coming')}</p>;
  return <p class="pane-state" role="alert">{refused} <Button onClick={() => study.panes.loader.retry()}>{t('core.retry')}</Button></p>;
}
