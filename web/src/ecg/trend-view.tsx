// The rate trend on the page: hover reads, click or Enter jumps, arrow keys move the cursor by a minute.
import { effect } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { theme } from '../core/theme';
import './ecg.css';
import { drawTrend, instantAt, nearest, type TrendView as View } from './trend';

type Props = {
  view: Omit<View, 'cursor_ms'>;
  /** Where the record is open now. */
  cursor_ms: number | null;
  height_px: number;
  label: string;
  describe: (at_ms: number, mean_bpm: number | null, low_bpm: number | null, high_bpm: number | null) => string;
  onJump: (at_ms: number) => void;
};

const MINUTE_MS = 60_000;
const STEPS_MS: Record<string, number> = {
  ArrowLeft: -MINUTE_MS, ArrowRight: MINUTE_MS, PageUp: -60 * MINUTE_MS, PageDown: 60 * MINUTE_MS,
};

export function TrendView({ view, cursor_ms, height_px, label, describe, onJump }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hover_ms, setHover] = useState<number | null>(null);
  const [width, setWidth] = useState(0);
  const shown = hover_ms ?? cursor_ms;
  const full: View = { ...view, cursor_ms: shown };
  useEffect(() => {
    const sizes = new ResizeObserver(([entry]) => setWidth(entry!.contentRect.width));
    sizes.observe(canvas.current!);
    return () => sizes.disconnect();
  }, []);
  useEffect(() => effect(() => {
    void theme.value;
    requestAnimationFrame(() => { if (canvas.current) drawTrend(canvas.current, full); });
  }), [view, shown, width, height_px]);
  const point = shown === null ? null : nearest(shown, view.points);
  const text = shown === null ? '' : describe(shown, point?.mean_bpm ?? null, point?.low_bpm ?? null, point?.high_bpm ?? null);
  function key(event: KeyboardEvent): void {
    const step = STEPS_MS[event.key];
    const base = shown ?? view.from_ms;
    if (step !== undefined) setHover(Math.min(view.to_ms, Math.max(view.from_ms, base + step)));
    else if (event.key === 'Home') setHover(view.from_ms);
    else if (event.key === 'End') setHover(view.to_ms);
    else if (event.key === 'Enter' && shown !== null) onJump(shown);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  return (
    <div class="ecg-trend" role="slider" tabIndex={0} aria-label={label} aria-valuemin={Math.round(view.from_ms)} aria-valuemax={Math.round(view.to_ms)}
      aria-valuenow={Math.round(shown ?? view.from_ms)} aria-valuetext={text} style={{ height: `${height_px}px` }} onKeyDown={key} onBlur={() => setHover(null)}>
      <canvas ref={canvas} class="ecg-layer" data-testid="trend"
        onPointerMove={(event) => setHover(instantAt(event.offsetX, event.currentTarget.clientWidth, full))}
        onPointerLeave={() => setHover(null)}
        onClick={(event) => onJump(instantAt(event.offsetX, event.currentTarget.clientWidth, full))} />
      <output>{text}</output>
    </div>
  );
}
