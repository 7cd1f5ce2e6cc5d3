// Three panes side by side; the bars between them move by hand and by arrow keys, and stay where this browser left them.
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { t } from '../core/i18n';

const STORED = 'telehub.reading-panes';
const STEP = 24;
const LIMITS = { left: [200, 520], right: [280, 720] } as const;
type Side = keyof typeof LIMITS;

function stored(): Record<Side, number> {
  const [left, right] = (localStorage.getItem(STORED) ?? '').split(',').map(Number);
  return { left: clamp('left', left || 300), right: clamp('right', right || 400) };
}

function clamp(side: Side, width: number): number {
  return Math.min(Math.max(Math.round(width), LIMITS[side][0]), LIMITS[side][1]);
}

const widths = signal(stored());

function resize(side: Side, width: number): void {
  widths.value = { ...widths.value, [side]: clamp(side, width) };
  localStorage.setItem(STORED, `${widths.value.left},${widths.value.right}`);
}

type Props = { left: ComponentChildren; middle: ComponentChildren; right: ComponentChildren };

export function Panes({ left, middle, right }: Props) {
  const style = { '--left': `${widths.value.left}px`, '--right': `${widths.value.right}px` };
  return (
    <div class={right === null ? 'panes panes-two' : 'panes'} style={style}>
      <section class="room-part" aria-label={t('reading.pane.queue')}>{left}</section>
      <Bar side="left" label={t('reading.pane.bar.queue')} />
      <section class="room-part" aria-label={t('reading.pane.case')}>{middle}</section>
      {right !== null && <Bar side="right" label={t('reading.pane.bar.report')} />}
      {right !== null && <section class="room-part" aria-label={t('reading.pane.report')}>{right}</section>}
    </div>
  );
}

function Bar({ side, label }: { side: Side; label: string }) {
  const start = useRef<{ x: number; width: number } | null>(null);
  const sign = side === 'left' ? 1 : -1;
  return (
    <div
      class="pane-bar" role="separator" tabIndex={0} aria-orientation="vertical" aria-label={label}
      aria-valuenow={widths.value[side]} aria-valuemin={LIMITS[side][0]} aria-valuemax={LIMITS[side][1]}
      onPointerDown={(event) => { start.current = { x: event.clientX, width: widths.value[side] }; event.currentTarget.setPointerCapture(event.pointerId); }}
      onPointerMove={(event) => { if (start.current) resize(side, start.current.width + sign * (event.clientX - start.current.x)); }}
      onPointerUp={() => { start.current = null; }}
      onKeyDown={(event) => {
        const step = event.key === 'ArrowLeft' ? -STEP : event.key === 'ArrowRight' ? STEP : 0;
        if (step === 0) return;
        resize(side, widths.value[side] + sign * step);
        event.preventDefault();
        event.stopPropagation();
      }}
    />
  );
}
