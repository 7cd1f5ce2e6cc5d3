// The hand on one pane: draws a new mark, or moves one that is there. Nothing is stored before the pointer is let go.
import { signal, type Signal } from '@preact/signals';
import { toast } from '../../core/ui';
import { t } from '../../core/i18n';
import { toImage, toScreen, type Shown } from '../viewport';
import type { StackPane } from '../panes';
import type { Point } from '../types';
import type { KeptMark, Marks } from './annotations';
import { chosen, newId } from './bench';
import { screenWays } from './geometry';
import { evened, followed, isEmpty, isWhole, kindOf, movedBy, placedAt, pressed, released, WITH_TEXT, type Draft, type Mark, type Tool } from './marks';

/** A mark being moved: all of it, or the point `only`. */
type Move = { mark: KeptMark; only: number | null; from: Point; points: readonly Point[] };
/** A mark whose words are being written. */
export type Writing = { mark: Mark };

const KEYBOARD_REACH = 0.12; // of the image's width to either side of the middle
const NUDGE_PX = { fine: 1, coarse: 10 }; // pixels of the image
const ARROWS: Readonly<Record<string, Point>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Hand {
  readonly draft = signal<Draft | null>(null);
  readonly move = signal<Move | null>(null);
  readonly writing = signal<Writing | null>(null);
  /** The first finger, which may turn out to be one of two. */
  #first: PointerEvent | null = null;

  constructor(readonly pane: StackPane, readonly tool: Signal<Tool | null>, readonly marks: Marks) {}

  /** Where a pointer is: on the pane and in its image. */
  #at(event: PointerEvent): { screen: Point; image: Point } {
    const box = (event.currentTarget as SVGElement).ownerSVGElement!.getBoundingClientRect();
    const screen: Point = [event.clientX - box.left, event.clientY - box.top];
    return { screen, image: toImage(this.pane.view.peek(), this.pane.size.peek(), screen) };
  }

  // --- Drawing

  pressed(event: PointerEvent): void {
    const held = this.tool.peek();
    if (held === null || event.button !== 0) return;
    if (!event.isPrimary) { this.#giveToPage(event); return; }
    event.stopPropagation();
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    this.#first = event;
    const { screen, image } = this.#at(event);
    chosen.value = null;
    this.draft.value = pressed(this.draft.peek(), held, image, screen);
  }

  moved(event: PointerEvent): void {
    const draft = this.draft.peek();
    if (!draft || !event.isPrimary) return;
    event.stopPropagation();
    this.draft.value = this.#follow(draft, this.#at(event).image, event.shiftKey);
  }

  released(event: PointerEvent): void {
    const draft = this.draft.peek();
    this.#first = null;
    if (!draft || !event.isPrimary) return;
    const { screen, image } = this.#at(event);
    const next = released(this.#follow(draft, image, event.shiftKey), screen);
    this.draft.value = isWhole(next) ? null : next;
    if (isWhole(next)) this.#finish(next.tool, next.points);
  }

  /** A second finger: both are the page's, to zoom and pan. */
  #giveToPage(event: PointerEvent): void {
    const first = this.#first;
    this.abandon();
    if (!first || !(event.currentTarget instanceof Element)) return;
    event.currentTarget.releasePointerCapture(first.pointerId);
    event.currentTarget.parentElement!.dispatchEvent(new PointerEvent('pointerdown', {
      bubbles: true, pointerId: first.pointerId, pointerType: first.pointerType, isPrimary: true, button: 0, buttons: 1, clientX: first.clientX, clientY: first.clientY,
    }));
  }

  #follow(draft: Draft, image: Point, even: boolean): Draft {
    const isRegion = draft.tool === 'ellipse' || draft.tool === 'rectangle';
    return followed(draft, even && isRegion ? evened(draft.points[0]!, image, this.#stretch()) : image);
  }

  /** A pixel's height over its width. */
  #stretch(): number {
    const { spacing_mm, aspect } = this.pane.shown.peek()!.pixels;
    const [height, width] = spacing_mm ?? aspect;
    return height / width;
  }

  #finish(tool: Tool, points: Point[]): void {
    const shown = this.pane.shown.peek();
    const kind = kindOf(tool);
    if (!shown || isEmpty(kind, points)) return;
    const mark: Mark = { id: newId(), instance_id: shown.instance.id, frame: shown.frame + 1, kind, points, text: '' };
    if (WITH_TEXT.has(kind)) this.writing.value = { mark };
    else this.#keep(mark);
  }

  #keep(mark: Mark): void {
    this.marks.put(mark);
    chosen.value = mark.id;
  }

  /** For who draws without a pointer: a mark in the middle, to be moved by its handles. */
  place(): void {
    const [held, shown] = [this.tool.peek(), this.pane.shown.peek()];
    if (held === null || shown === null) return;
    const { view, size } = this.pane;
    const middle = toImage(view.peek(), size.peek(), [size.peek().width / 2, size.peek().height / 2]);
    this.#finish(held, placedAt(held, middle, shown.pixels.columns * KEYBOARD_REACH));
  }

  abandon(): void {
    this.draft.value = null;
    this.move.value = null;
    this.#first = null;
  }

  // --- What is there

  grabbed(event: PointerEvent, mark: KeptMark, only: number | null): void {
    if (event.button !== 0 || !event.isPrimary) return;
    event.stopPropagation();
    chosen.value = mark.id;
    if (!this.marks.mine(mark)) return;
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    this.move.value = { mark, only, from: this.#at(event).image, points: mark.points };
  }

  dragged(event: PointerEvent): void {
    const move = this.move.peek();
    if (!move) return;
    event.stopPropagation();
    const { image } = this.#at(event);
    this.move.value = { ...move, points: movedBy(move.mark.points, [image[0] - move.from[0], image[1] - move.from[1]], move.only) };
  }

  dropped(): void {
    const move = this.move.peek();
    this.move.value = null;
    if (move && move.points !== move.mark.points && !isEmpty(move.mark.kind, move.points)) this.marks.put({ ...plain(move.mark), points: [...move.points] });
  }

  /** Where a mark's points are now, also while it is being moved. */
  pointsOf(mark: KeptMark): readonly Point[] {
    const move = this.move.value;
    return move?.mark.id === mark.id ? move.points : mark.points;
  }

  /** Keys of a chosen mark (`only`: of one of its points); whether it was one. */
  key(event: KeyboardEvent, mark: KeptMark, only: number | null): boolean {
    const mine = this.marks.mine(mark);
    const arrow = ARROWS[event.key];
    if (event.key === 'Escape') { chosen.value = null; (event.currentTarget as SVGElement).closest<HTMLElement>('.pane')?.focus({ preventScroll: true }); }
    else if (event.key === 'Enter' && mine && WITH_TEXT.has(mark.kind)) this.write(mark);
    else if (event.key === 'Enter') chosen.value = mark.id;
    else if (!mine) return false;
    else if (event.key === 'Delete' || event.key === 'Backspace') this.remove(mark);
    else if (arrow) this.#nudge(mark, only, arrow, event.shiftKey ? NUDGE_PX.coarse : NUDGE_PX.fine);
    else return false;
    return true;
  }

  /** As the arrow looks on the screen, however the image is turned. */
  #nudge(mark: KeptMark, only: number | null, [x, y]: Point, step: number): void {
    const { right, down } = screenWays(this.pane.view.peek());
    const by: Point = [(x * right[0] + y * down[0]) * step, (x * right[1] + y * down[1]) * step];
    this.marks.put({ ...plain(mark), points: movedBy(mark.points, by, only) });
  }

  write(mark: KeptMark): void {
    this.writing.value = { mark: plain(mark) };
  }

  remove(mark: KeptMark): void {
    this.marks.remove(mark.id);
    chosen.value = null;
    toast(t('tools.removed'), () => this.marks.put(plain(mark)));
  }

  /** The words are done; without any, what has nothing else to say is not kept. */
  wrote(text: string | null): void {
    const writing = this.writing.peek();
    this.writing.value = null;
    if (!writing || text === null) return;
    const mark = { ...writing.mark, text: text.trim() };
    if (mark.text || mark.kind !== 'text') this.#keep(mark);
  }

  toPane(point: Point): Point {
    return toScreen(this.pane.view.value, this.pane.size.value, point);
  }
}

function plain({ id, instance_id, frame, kind, points, text }: Mark): Mark {
  return { id, instance_id, frame, kind, points, text };
}

export function isOn(mark: Mark, { instance, frame }: Shown): boolean {
  return mark.instance_id === instance.id && mark.frame === frame + 1;
}

const hands = new WeakMap<StackPane, Hand>();

/** Whose keys the active pane's are. */
export function handOf(pane: StackPane): Hand | undefined {
  return hands.get(pane);
}

export function setHand(pane: StackPane, hand: Hand | null): void {
  if (hand) hands.set(pane, hand);
  else hands.delete(pane);
}

/** The reader's own mark that is chosen in a pane, and the hand that may change it. */
export function chosenBy(pane: StackPane): { hand: Hand; mark: KeptMark } | null {
  const [hand, wanted] = [hands.get(pane), chosen.value];
  const mark = hand?.marks.list.value.find(({ id }) => id === wanted);
  return hand && mark && hand.marks.mine(mark) ? { hand, mark } : null;
}
