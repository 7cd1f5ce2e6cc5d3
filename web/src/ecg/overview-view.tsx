// The signal of any length of a recording: zoom, drag or press keys to any second of it.
import { effect } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../core/api';
import { t } from '../core/i18n';
import { theme } from '../core/theme';
import { formatClock, formatInstant } from '../core/time';
import { Button } from '../core/ui';
import './ecg.css';
import { drawOverview, heightOf, instantAt, parseOverview, plotWidth, type Overview } from './overview';
import type { FetchBytes } from './samples';

type Props = {
  fetchBytes: FetchBytes;
  recording_id: string;
  leads: number;
  /** The whole recording. */
  from_ms: number;
  to_ms: number;
  /** What the strip shows. */
  window_ms: readonly [number, number];
  onJump: (at_ms: number) => void;
};
type Span = readonly [number, number];

const LEAST_MS = 20_000;
const ZOOM = 2;
const WHEEL_ZOOM = 1.25;
const COLUMNS = [10, 4000] as const;
const PAUSE_MS = 60; // of zooming before the hub is asked
const DRAG_MS = 120; // between two places that a drag opens

function within(from_ms: number, length_ms: number, whole: Span): Span {
  const length = Math.min(Math.max(length_ms, LEAST_MS), whole[1] - whole[0]);
  const from = Math.min(Math.max(from_ms, whole[0]), whole[1] - length);
  return [from, from + length];
}

function useWidth() {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const sizes = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    sizes.observe(canvas.current!);
    return () => sizes.disconnect();
  }, []);
  return [canvas, width] as const;
}

/** The newest answer for a span; the one before stays on the page, stretched, until it is there. */
function useOverview({ fetchBytes, recording_id }: Props, [from_ms, to_ms]: Span, width: number) {
  const [state, setState] = useState<{ data: Overview | null; error: ApiError | null }>({ data: null, error: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (width === 0) return;
    let current = true;
    const columns = Math.min(COLUMNS[1], Math.max(COLUMNS[0], Math.round(plotWidth(width) * Math.min(2, devicePixelRatio))));
    const [from, to] = [from_ms, to_ms].map((at_ms) => encodeURIComponent(new Date(at_ms).toISOString()));
    const ask = () => fetchBytes(`/api/recordings/${recording_id}/overview?from=${from}&to=${to}&columns=${columns}`).then(parseOverview).then(
      (data) => { if (current) setState({ data, error: null }); },
      (error: unknown) => { if (current && error instanceof ApiError) setState((before) => ({ ...before, error })); },
    );
    const timer = setTimeout(ask, state.data === null ? 0 : PAUSE_MS);
    return () => { current = false; clearTimeout(timer); };
  }, [recording_id, from_ms, to_ms, width, round]);
  return { ...state, retry: () => setRound((n) => n + 1) };
}

/** The span in view; it follows the strip when that leaves it. */
function useSpan({ from_ms, to_ms, window_ms }: Props) {
  const whole: Span = [from_ms, to_ms];
  const [span, setSpan] = useState<Span>(whole);
  useEffect(() => {
    if (window_ms[0] < span[0] || window_ms[1] > span[1]) {
      const length = span[1] - span[0];
      setSpan(within((window_ms[0] + window_ms[1] - length) / 2, length, whole));
    }
  }, [window_ms[0], window_ms[1]]);
  return {
    span,
    zoom: (factor: number, at_ms: number) => {
      const length = (span[1] - span[0]) / factor;
      const share = (at_ms - span[0]) / (span[1] - span[0]);
      setSpan(within(at_ms - share * Math.max(LEAST_MS, length), length, whole));
    },
    shift: (share: number) => setSpan(within(span[0] + share * (span[1] - span[0]), span[1] - span[0], whole)),
    reset: () => setSpan(whole),
    isWhole: span[0] <= whole[0] && span[1] >= whole[1],
  };
}

/** From when to when; a day or more needs the date of its end, too. */
function spanWords([from_ms, to_ms]: Span): string {
  const [from, to] = [formatInstant(from_ms, true), formatInstant(to_ms, true)];
  const [day] = from.split(' ');
  return `${from} – ${to.startsWith(day!) ? formatClock(to_ms, true) : to}`;
}

export function OverviewView(props: Props) {
  const { leads, from_ms, to_ms, window_ms, onJump } = props;
  const [canvas, width] = useWidth();
  const view = useSpan(props);
  const { span } = view;
  const { data, error, retry } = useOverview(props, span, width);
  const [hover_ms, setHover] = useState<number | null>(null);
  const drag = useRef<number | null>(null); // when a drag last opened a place
  const shown = hover_ms ?? (window_ms[0] + window_ms[1]) / 2;
  const height = heightOf(leads);
  useEffect(() => effect(() => {
    void theme.value;
    requestAnimationFrame(() => {
      if (data && canvas.current) drawOverview(canvas.current, { from_ms: span[0], to_ms: span[1], data, window_ms, cursor_ms: hover_ms, clock: formatClock });
    });
  }), [data, span[0], span[1], window_ms[0], window_ms[1], hover_ms, width, height]);
  useEffect(() => {
    const element = canvas.current!;
    const zoomed = (event: WheelEvent): void => {
      if (event.deltaY === 0 || !(event.ctrlKey || document.activeElement === element.parentElement)) return; // else it scrolls the page
      event.preventDefault();
      view.zoom(event.deltaY < 0 ? WHEEL_ZOOM : 1 / WHEEL_ZOOM, instantAt(event.offsetX, width, span[0], span[1]));
    };
    element.addEventListener('wheel', zoomed, { passive: false });
    return () => element.removeEventListener('wheel', zoomed);
  }, [span[0], span[1], width]);

  const at = (event: PointerEvent): number => instantAt(event.offsetX, width, span[0], span[1]);
  function dragged(event: PointerEvent): void {
    setHover(at(event));
    if (drag.current === null || performance.now() - drag.current < DRAG_MS) return;
    drag.current = performance.now();
    onJump(at(event));
  }
  function key(event: KeyboardEvent): void {
    const step = Math.max(1000, Math.round((span[1] - span[0]) / plotWidth(width) / 1000) * 1000);
    const steps: Record<string, number> = { ArrowLeft: -step, ArrowRight: step, PageUp: -(span[1] - span[0]) / 10, PageDown: (span[1] - span[0]) / 10 };
    const wanted = event.key === 'Home' ? from_ms : event.key === 'End' ? to_ms : steps[event.key] === undefined ? null : shown + steps[event.key]!;
    if (wanted !== null) {
      const next = Math.min(to_ms, Math.max(from_ms, wanted));
      setHover(next);
      if (next < span[0] || next > span[1]) view.shift((next - (span[0] + span[1]) / 2) / (span[1] - span[0]));
    } else if (event.key === 'Enter') onJump(shown);
    else if (event.key === '+' || event.key === '=') view.zoom(ZOOM, shown);
    else if (event.key === '-') view.zoom(1 / ZOOM, shown);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <div class="ecg-overview">
      <div class="ecg-overview-tools">
        <Button aria-label={t('live.overview.closer')} title={t('live.overview.closer')} onClick={() => view.zoom(ZOOM, (window_ms[0] + window_ms[1]) / 2)}>＋</Button>
        <Button aria-label={t('live.overview.wider')} title={t('live.overview.wider')} disabled={view.isWhole} onClick={() => view.zoom(1 / ZOOM, (window_ms[0] + window_ms[1]) / 2)}>－</Button>
        <Button disabled={view.isWhole} onClick={view.reset}>{t('live.overview.whole')}</Button>
        <span class="small soft figures" data-testid="overview-span">{spanWords(span)}</span>
      </div>
      <div class="ecg-trend" role="slider" tabIndex={0} aria-label={t('live.overview')} aria-valuemin={Math.round(from_ms)} aria-valuemax={Math.round(to_ms)}
        aria-valuenow={Math.round(shown)} aria-valuetext={formatInstant(shown, true)} style={{ height: `${height}px` }} onKeyDown={key} onBlur={() => setHover(null)}>
        <canvas ref={canvas} class="ecg-layer ecg-overview-canvas" data-testid="overview"
          onPointerDown={(event) => { drag.current = performance.now(); event.currentTarget.setPointerCapture(event.pointerId); setHover(at(event)); }}
          onPointerMove={dragged}
          onPointerUp={(event) => { if (drag.current !== null) onJump(at(event)); drag.current = null; }}
          onPointerCancel={() => { drag.current = null; }}
          onPointerLeave={() => { if (drag.current === null) setHover(null); }} />
        <output>{hover_ms === null ? '' : formatInstant(hover_ms, true)}</output>
        {!data && !error && <div class="ecg-strip-state" role="status">{t('live.strip.loading')}</div>}
        {error && <div class="ecg-strip-state" role="alert">{error.text}<button type="button" class="button" onClick={retry}>{t('core.retry')}</button></div>}
      </div>
    </div>
  );
}
