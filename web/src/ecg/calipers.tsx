// Two caliper lines over a strip: dragged by hand or moved by arrow keys, with what they measure in words and units.
import { useRef, useState } from 'preact/hooks';
import { t } from '../core/i18n';
import { measure, moved, type Measured } from './caliper';
import { leadName } from './paper';
import type { SampleWindow } from './samples';

type Props = { window: SampleWindow; x: (sample: number) => number; sample: (x: number) => number };

export function Calipers({ window, x, sample }: Props) {
  const [places, setPlaces] = useState<readonly [number, number]>([0.35, 0.6]); // shares of the strip: they stay while it scrolls
  const [lead, setLead] = useState(0);
  const at = places.map((share) => window.first_sample + Math.round(share * (window.count - 1))) as [number, number];
  const place = (index: number, wanted: number) => {
    const share = (wanted - window.first_sample) / Math.max(1, window.count - 1);
    setPlaces(index === 0 ? [share, places[1]] : [places[0], share]);
  };
  const chosen = Math.min(lead, window.leads.length - 1);
  const result = measure(window, chosen, at[0], at[1]);
  return (
    <>
      {at.map((line, index) => (
        <Line key={index} index={index} window={window} at={line} x={x} sample={sample} place={(wanted) => place(index, wanted)}
          changeLead={() => setLead((chosen + 1) % window.leads.length)} text={words(result)} />
      ))}
      <output class="ecg-measured" data-testid="caliper-result" data-interval-ms={result.interval_ms} data-rate-bpm={result.rate_bpm ?? ''}
        data-voltage-mv={result.voltage_mv?.toFixed(3) ?? ''}>
        {words(result)} ({leadName(window.leads[chosen]!)})
      </output>
    </>
  );
}

function words({ interval_ms, rate_bpm, voltage_mv }: Measured): string {
  return t('live.caliper.result', {
    interval: interval_ms,
    rate: rate_bpm ?? '–',
    voltage: voltage_mv === null ? '–' : voltage_mv.toFixed(2),
  });
}

type LineProps = Props & { index: number; at: number; place: (wanted: number) => void; changeLead: () => void; text: string };

function Line({ index, window, at, x, sample, place, changeLead, text }: LineProps) {
  const dragging = useRef(false);
  const name = index === 0 ? 'A' : 'B';
  return (
    <button
      type="button" class="ecg-caliper" role="slider" data-name={name} data-sample={at} style={{ left: `${x(at)}px` }}
      aria-label={t('live.caliper.line', { name })} aria-valuemin={window.first_sample}
      aria-valuemax={window.first_sample + window.count - 1} aria-valuenow={at} aria-valuetext={text}
      onPointerDown={(event) => { dragging.current = true; event.currentTarget.setPointerCapture(event.pointerId); }}
      onPointerUp={() => { dragging.current = false; }}
      onPointerMove={(event) => {
        if (dragging.current) place(sample(event.clientX - event.currentTarget.parentElement!.getBoundingClientRect().left));
      }}
      onKeyDown={(event) => {
        const wanted = moved(event.key, event.shiftKey, at, window);
        if (wanted !== null) place(wanted);
        else if (event.key === 'ArrowUp' || event.key === 'ArrowDown') changeLead();
        else return;
        event.preventDefault();
        event.stopPropagation();
      }}
    />
  );
}
