// The sweep on the page: two canvases, kept in size, scale and theme; whoever feeds it gets the Sweep itself.
import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { theme } from '../core/theme';
import './ecg.css';
import type { Scale } from './paper';
import { Sweep, type SweepSignal, type SweepWords } from './sweep';

type Props = {
  signal: SweepSignal;
  scale: Scale;
  words: SweepWords;
  label: string;
  attach: (sweep: Sweep | null) => void;
};

export function SweepView({ signal, scale, words, label, attach }: Props) {
  const paper = useRef<HTMLCanvasElement>(null);
  const trace = useRef<HTMLCanvasElement>(null);
  const latest = useRef({ scale, words });
  latest.current = { scale, words };
  const sweep = useRef<Sweep | null>(null);
  useEffect(() => {
    const made = new Sweep({ paper: paper.current!, trace: trace.current! }, signal, latest.current.scale, latest.current.words);
    sweep.current = made;
    const redraw = () => made.resize(latest.current.scale, latest.current.words);
    const sizes = new ResizeObserver(redraw);
    sizes.observe(trace.current!);
    const untheme = effect(() => { void theme.value; requestAnimationFrame(redraw); });
    made.start();
    attach(made);
    return () => { attach(null); made.stop(); sizes.disconnect(); untheme(); };
  }, [signal.boot, signal.fs_hz, signal.leads.join()]);
  useEffect(() => sweep.current?.resize(scale, words), [scale.mm_per_mv, scale.mm_per_s, scale.px_per_mm, words.no_data]);
  return (
    <div class="ecg-sweep" role="img" aria-label={label}>
      <canvas ref={paper} class="ecg-layer" data-testid="sweep-paper" />
      <canvas ref={trace} class="ecg-layer" data-testid="sweep" />
    </div>
  );
}
