// A strip on the page: fetches its samples, draws them, takes clicks on beats and carries the calipers.
import { effect } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../core/api';
import { t } from '../core/i18n';
import { theme } from '../core/theme';
import { formatClock } from '../core/time';
import { Calipers } from './calipers';
import './ecg.css';
import type { Scale } from './paper';
import type { SampleWindow, Samples } from './samples';
import { drawStrip, sampleAt, samplesAcross, xOf, type Beat, type StripView as View } from './strip';

type Props = {
  samples: Samples;
  boot: number;
  /** First sample at the left edge; negative is cut to 0. */
  first: number;
  scale: Scale;
  height_px: number;
  label: string;
  beats?: readonly Beat[];
  chosen_beat?: number | null;
  extent?: readonly [number, number] | null;
  calipers?: boolean;
  onWindow?: (window: SampleWindow) => void;
  onPick?: (sample: number) => void;
};

function useWidth() {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const sizes = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    sizes.observe(box.current!);
    return () => sizes.disconnect();
  }, []);
  return [box, width] as const;
}

/** The window for this place and width; the old one stays until the new one is there. */
function useWindow({ samples, boot, first, scale }: Props, width: number): { window: SampleWindow | null; error: ApiError | null; retry: () => void } {
  const [state, setState] = useState<{ window: SampleWindow | null; error: ApiError | null }>({ window: null, error: null });
  const [round, setRound] = useState(0);
  const count = width > 0 ? samplesAcross(width, scale, samples.fs_hz) : 0;
  useLayoutEffect(() => {
    if (count === 0) return;
    let current = true;
    samples.read(boot, first, count).then(
      (window) => { if (current) setState({ window, error: null }); },
      (error: unknown) => { if (current && error instanceof ApiError) setState({ window: null, error }); },
    );
    return () => { current = false; };
  }, [samples, boot, first, count, round]);
  return { ...state, retry: () => setRound((n) => n + 1) };
}

export function clockOf(window: SampleWindow): (sample: number) => string {
  const start_ms = Date.parse(window.start_at);
  return (sample) => formatClock(start_ms + ((sample - window.first_sample) / window.fs_hz) * 1000, true);
}

export function StripView(props: Props) {
  const { scale, height_px, label, beats = [], chosen_beat = null, extent = null, calipers = false, onWindow, onPick } = props;
  const [box, width] = useWidth();
  const canvas = useRef<HTMLCanvasElement>(null);
  const { window, error, retry } = useWindow(props, width);
  const view: View | null = window && { window, scale, beats, chosen_beat, extent, no_data: t('live.no-data'), clock: clockOf(window) };
  useEffect(() => { if (window) onWindow?.(window); }, [window]);
  useLayoutEffect(() => effect(() => {
    void theme.value;
    requestAnimationFrame(() => { if (view && canvas.current) drawStrip(canvas.current, view); });
  }), [window, width, height_px, beats, chosen_beat, extent, scale.mm_per_mv, scale.mm_per_s, scale.px_per_mm, label]);
  return (
    <div ref={box} class="ecg-strip" style={{ height: `${height_px}px` }}>
      <canvas
        ref={canvas} class="ecg-layer" role="img" aria-label={label} data-testid="strip"
        data-ready={view ? 'yes' : 'no'}
        onClick={(event) => { if (view) onPick?.(sampleAt(event.offsetX, view)); }}
      />
      {calipers && view && <Calipers window={view.window} x={(sample) => xOf(sample, view)} sample={(x) => sampleAt(x, view)} />}
      {!view && !error && <div class="ecg-strip-state" role="status">{t('live.strip.loading')}</div>}
      {error && <div class="ecg-strip-state" role="alert">{error.text}<button type="button" class="button" onClick={retry}>{t('core.retry')}</button></div>}
    </div>
  );
}
