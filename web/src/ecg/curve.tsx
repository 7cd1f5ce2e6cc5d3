// A small curve over the recording (ST, SDNN): its scale in words beside it; gaps stay gaps; a click jumps.
import './ecg.css';

type Props = {
  label: string;
  unit: string;
  values: readonly (number | null)[];
  /** The curve shows at least this much, so that noise does not look like change. */
  least: number;
  /** Called with the share of the recording that was clicked. */
  onJump: (share: number) => void;
};

const WIDTH = 600;
const HEIGHT = 60;

function pathOf(values: readonly (number | null)[], low: number, high: number): string {
  let pen = 'M';
  return values.map((value, place) => {
    if (value === null) { pen = 'M'; return ''; }
    const x = ((place + 0.5) / values.length) * WIDTH;
    const y = HEIGHT - ((value - low) / (high - low)) * HEIGHT;
    const step = `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = 'L';
    return step;
  }).join('');
}

export function Curve({ label, unit, values, least, onJump }: Props) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return null;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const spare = Math.max(0, least - (high - low)) / 2;
  return (
    <figure class="curve">
      <figcaption class="small">{label} <span class="soft figures">{low} – {high} {unit}</span></figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${label} ${low} – ${high} ${unit}`}
        onClick={(event) => onJump(event.offsetX / event.currentTarget.clientWidth)}>
        <path d={pathOf(values, low - spare, high + spare)} />
      </svg>
    </figure>
  );
}
