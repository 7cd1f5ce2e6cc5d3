// The value of the pixel under the mouse, in the unit the object gives.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../../core/i18n';
import type { StackPane } from '../panes';
import { toImage } from '../viewport';
import type { Point } from '../types';
import { valueAt } from './measure';
import { tidy } from './words';

export function Probe({ pane }: { pane: StackPane }) {
  const ref = useRef<HTMLParagraphElement>(null);
  const at = useSignal<Point | null>(null);
  useEffect(() => {
    const element = ref.current!.closest<HTMLElement>('.pane')!;
    const move = (event: PointerEvent): void => {
      const box = element.getBoundingClientRect();
      at.value = event.pointerType === 'mouse' ? [event.clientX - box.left, event.clientY - box.top] : null;
    };
    const leave = (): void => { at.value = null; };
    element.addEventListener('pointermove', move);
    element.addEventListener('pointerleave', leave);
    return () => { element.removeEventListener('pointermove', move); element.removeEventListener('pointerleave', leave); };
  }, [pane]);
  return <p ref={ref} class="probe figures" data-test="probe" aria-hidden="true">{at.value && words(pane, at.value)}</p>;
}

function words(pane: StackPane, at: Point): string {
  const shown = pane.shown.value;
  const [x, y] = toImage(pane.view.value, pane.size.value, at);
  const value = shown?.values ? valueAt(shown.pixels, shown.values, [x, y]) : null;
  return value === null ? '' : t('tools.value', { value: tidy(value), unit: shown!.pixels.modality.unit, x: Math.floor(x) + 1, y: Math.floor(y) + 1 });
}
