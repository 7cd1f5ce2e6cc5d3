// Marks as lines on the screen: drawn twice, wide and unseen for the hand, then thin and seen.
import { Fragment } from 'preact';
import type { Point } from '../types';
import type { Kind } from './marks';

const TICK_PX = 5;
const HEAD_PX = 12;

/** Points are CSS px of the pane. */
export function Shape({ kind, points }: { kind: Kind; points: readonly Point[] }) {
  return (
    <>
      <g class="mark-hit" aria-hidden="true"><Lines kind={kind} points={points} /></g>
      <g class="mark-halo" aria-hidden="true"><Lines kind={kind} points={points} /></g>
      <g class="mark-line" aria-hidden="true"><Lines kind={kind} points={points} /></g>
    </>
  );
}

function Lines({ kind, points }: { kind: Kind; points: readonly Point[] }) {
  const [a, b, c, d] = points as [Point, Point?, Point?, Point?];
  if (kind === 'text' || !b) return <circle cx={a[0]} cy={a[1]} r={3} />;
  if (kind === 'length') return <>{line(a, b)}{tick(a, b)}{tick(b, a)}</>;
  if (kind === 'arrow') return <>{line(b, a)}{head(b, a)}</>;
  if (kind === 'angle') return <Angle points={d && c ? [a, b, c, d] : c ? [a, b, c] : [a, b]} />;
  const [x, y, width, height] = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(b[0] - a[0]), Math.abs(b[1] - a[1])];
  if (kind === 'rectangle') return <rect x={x} y={y} width={width} height={height} />;
  return <ellipse cx={x + width / 2} cy={y + height / 2} rx={width / 2} ry={height / 2} />;
}

/** Two arms, or Cobb's two lines with what joins their middles. */
function Angle({ points }: { points: Point[] }) {
  const [a, b, c, d] = points as [Point, Point, Point?, Point?];
  if (!c) return line(a, b);
  if (!d) return <path d={`M${a}L${b}L${c}`} />;
  const middle = (p: Point, q: Point): Point => [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
  return <Fragment>{line(a, b)}{line(c, d)}<path class="mark-join" d={`M${middle(a, b)}L${middle(c, d)}`} /></Fragment>;
}

function line(a: Point, b: Point) {
  return <path d={`M${a}L${b}`} />;
}

function unit(from: Point, to: Point): Point {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]) || 1;
  return [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
}

/** A short line across the end at `a`. */
function tick(a: Point, b: Point) {
  const [x, y] = unit(a, b);
  return <path d={`M${[a[0] - y * TICK_PX, a[1] + x * TICK_PX]}L${[a[0] + y * TICK_PX, a[1] - x * TICK_PX]}`} />;
}

function head(from: Point, to: Point) {
  const [x, y] = unit(from, to);
  const side = (sign: 1 | -1): Point => [to[0] - x * HEAD_PX + sign * y * HEAD_PX * 0.4, to[1] - y * HEAD_PX - sign * x * HEAD_PX * 0.4];
  return <path d={`M${side(1)}L${to}L${side(-1)}`} />;
}
