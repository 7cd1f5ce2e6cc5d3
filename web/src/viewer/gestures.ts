// Pointer and wheel on a pane: what the marks' tools leave. Mouse: left as chosen, middle pans, right zooms, wheel pages.
// Touch: one finger pages (or does what was chosen), two zoom and pan.
import { effect, signal } from '@preact/signals';
import { pan, setWindow, zoom, type Panes, type StackPane } from './panes';
import { slicesOf } from './manifest';
import type { Point } from './types';
import { isGrey } from './windows';

export type Drag = 'window' | 'scroll' | 'pan' | 'zoom';
export const DRAGS: readonly Drag[] = ['window', 'scroll', 'pan', 'zoom'];
/** What the left button or one finger does. */
export const drag = signal<Drag>(matchMedia('(pointer: coarse)').matches ? 'scroll' : 'window');

const WHEEL_STEP_PX = 40; // a notch is 100 to 120; a touchpad sends many small ones
const LINE_PX = 40; // of wheels that count lines
const ZOOM_PER_PX = 1.006;
const WINDOW_PX = 400; // across these the width is four times as large, the centre one width further
const SCROLL_ACROSS = 0.7; // of the pane's height pages through a long stack

type Finger = { at: Point; drag: Drag };

/** Listens on a pane's element until the returned function is called. */
export function listen(element: HTMLElement, pane: StackPane, panes: Panes): () => void {
  const fingers = new Map<number, Finger>();
  let rest = 0;
  const place = (event: MouseEvent): Point => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const down = (event: PointerEvent): void => {
    panes.active.value = pane;
    const chosen = event.button === 1 ? 'pan' : event.button === 2 ? 'zoom' : drag.value;
    if ((event.target as Element).closest('button, a, input')) return;
    element.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { at: place(event), drag: chosen });
    rest = 0;
  };
  const move = (event: PointerEvent): void => {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    const [before, now] = [finger.at, place(event)];
    if (fingers.size === 2) {
      const other = [...fingers.values()].find((each) => each !== finger)!.at;
      pinch(pane, before, now, other);
    } else rest = dragged(panes, pane, finger.drag, before, now, rest);
    finger.at = now;
  };
  const up = (event: PointerEvent): void => { fingers.delete(event.pointerId); };
  const wheel = (event: WheelEvent): void => {
    event.preventDefault();
    panes.active.value = pane;
    const by = event.deltaMode === 0 ? event.deltaY : event.deltaY * LINE_PX;
    if (event.ctrlKey) { zoom(pane, ZOOM_PER_PX ** -by, place(event)); return; }
    rest += by / WHEEL_STEP_PX;
    // One notch, one slice, however far a driver says it went.
    const steps = Math.abs(by) >= 2 * WHEEL_STEP_PX ? Math.sign(by) : Math.trunc(rest);
    rest = Math.abs(by) >= 2 * WHEEL_STEP_PX ? 0 : rest - steps;
    if (steps !== 0) panes.scroll(pane, steps);
  };
  const menu = (event: Event): void => event.preventDefault();
  const sizes = new ResizeObserver(([entry]) => {
    const { width, height } = entry!.contentRect;
    pane.size.value = { width, height };
  });
  sizes.observe(element);
  element.addEventListener('pointerdown', down);
  element.addEventListener('pointermove', move);
  element.addEventListener('pointerup', up);
  element.addEventListener('pointercancel', up);
  element.addEventListener('wheel', wheel, { passive: false });
  element.addEventListener('contextmenu', menu);
  const stop = effect(() => { element.dataset.drag = drag.value; });
  return () => {
    stop();
    sizes.disconnect();
    for (const [name, call] of Object.entries({ pointerdown: down, pointermove: move, pointerup: up, pointercancel: up, wheel, contextmenu: menu })) {
      element.removeEventListener(name, call as EventListener);
    }
  };
}

/** What is left of a slice after the whole ones were paged. */
function dragged(panes: Panes, pane: StackPane, what: Drag, before: Point, now: Point, rest: number): number {
  const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
  if (what === 'pan') pan(pane, dx, dy);
  else if (what === 'zoom') zoom(pane, ZOOM_PER_PX ** -dy, [pane.size.peek().width / 2, pane.size.peek().height / 2]);
  else if (what === 'window') dragWindow(pane, dx, dy);
  else {
    const count = slicesOf(pane.series.peek()).length;
    const per_px = Math.max(1 / 24, count / (pane.size.peek().height * SCROLL_ACROSS));
    const steps = Math.trunc(rest + dy * per_px);
    if (steps !== 0) panes.scroll(pane, steps);
    return rest + dy * per_px - steps;
  }
  return rest;
}

/** To the right wider, down brighter: the centre goes down with the pointer. */
function dragWindow(pane: StackPane, dx: number, dy: number): void {
  const shown = pane.shown.peek();
  if (!shown || !isGrey(shown.pixels)) return;
  const { center, width } = pane.view.peek().window;
  setWindow(pane, { width: width * 2 ** ((2 * dx) / WINDOW_PX), center: center - (dy * Math.max(width, 1)) / WINDOW_PX });
}

function pinch(pane: StackPane, before: Point, now: Point, other: Point): void {
  const length = (a: Point) => Math.hypot(a[0] - other[0], a[1] - other[1]);
  const middle = (a: Point): Point => [(a[0] + other[0]) / 2, (a[1] + other[1]) / 2];
  const [from, to] = [middle(before), middle(now)];
  pan(pane, to[0] - from[0], to[1] - from[1]);
  if (length(before) > 0) zoom(pane, length(now) / length(before), to);
}
