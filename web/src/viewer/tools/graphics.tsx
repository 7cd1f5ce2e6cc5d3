// What is laid over a picture that nobody drew here: letters of its edges, lines of the other series, the file's own graphics.
import { useComputed } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { toScreen } from '../viewport';
import type { Panes, StackPane } from '../panes';
import type { OverlayPlane, Point } from '../types';
import { edgesOf, planeOf, referenceLine, screenWays } from './geometry';

const EDGE_PX = 14; // of the letters from the edge

/** Which side of the patient each edge looks at. */
export function EdgeLetters({ pane }: { pane: StackPane }) {
  const told = useComputed(() => { // the same on all slices of most stacks
    const shown = pane.shown.value;
    const edges = shown && edgesOf(shown.pixels, shown.frame, screenWays(pane.view.value));
    return edges && `${edges.top} ${edges.right} ${edges.bottom} ${edges.left}`;
  });
  if (!told.value) return null;
  const { width, height } = pane.size.value;
  const [top, right, bottom, left] = told.value.split(' ') as [string, string, string, string];
  const places: [string, number, number][] = [[top, width / 2, EDGE_PX], [bottom, width / 2, height - EDGE_PX], [left, EDGE_PX, height / 2], [right, width - EDGE_PX, height / 2]];
  return (
    <g class="edge-letters" data-test="edges" data-edges={told.value}>
      {places.map(([letters, x, y], n) => <text key={n} x={x} y={y}>{letters}</text>)}
    </g>
  );
}

/** Where the slice of the active pane cuts this one. */
export function CutLine({ pane, panes }: { pane: StackPane; panes: Panes }) {
  const [here, there] = [pane.shown.value, panes.active.value.shown.value];
  if (panes.active.value === pane || !here || !there) return null;
  const [picture, cutting] = [planeOf(here.pixels, here.frame), planeOf(there.pixels, there.frame)];
  const line = picture && cutting && referenceLine(cutting, picture);
  if (!line) return null;
  const [[x1, y1], [x2, y2]] = line.map((end) => toScreen(pane.view.value, pane.size.value, end)) as [Point, Point];
  return <line class="cut-line" data-test="cut-line" x1={x1} y1={y1} x2={x2} y2={y2} />;
}

/** Overlay planes of the file (PS3.3 C.9.2), each as a picture of its own under the image's transform. */
export function FileGraphics({ pane }: { pane: StackPane }) {
  const planes = pane.shown.value?.pixels.overlays ?? [];
  const view = pane.view.value;
  const at = (point: Point): Point => toScreen(view, pane.size.value, point);
  const [[e, f], [ax, ay], [cx, cy]] = [at([0, 0]), at([1, 0]), at([0, 1])];
  const matrix = [ax - e, ay - f, cx - e, cy - f, e, f].map((each) => each.toFixed(5));
  return <>{planes.map((plane, n) => <Plane key={n} plane={plane} transform={`matrix(${matrix.join()})`} />)}</>;
}

function Plane({ plane, transform }: { plane: OverlayPlane; transform: string }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => { draw(ref.current!, plane); }, [plane]);
  const [row, column] = plane.origin; // from 1; of the first pixel of the plane in the image
  return <canvas ref={ref} class="file-graphics" aria-label={plane.label} style={{ transform: `${transform} translate(${column - 1}px, ${row - 1}px)` }} />;
}

/** Bits are packed with the first one lowest. */
function draw(canvas: HTMLCanvasElement, { rows, columns, bits }: OverlayPlane): void {
  [canvas.width, canvas.height] = [columns, rows];
  const packed = Uint8Array.from(atob(bits), (letter) => letter.charCodeAt(0));
  const picture = new ImageData(columns, rows);
  const ink = new Uint32Array(picture.data.buffer);
  const white = new Uint32Array(new Uint8Array([255, 255, 255, 255]).buffer)[0]!;
  for (let n = 0; n < ink.length; n++) if ((packed[n >> 3]! >> (n & 7)) & 1) ink[n] = white;
  canvas.getContext('2d')?.putImageData(picture, 0, 0);
}
