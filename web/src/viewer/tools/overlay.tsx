// Everything over the picture of a pane: marks with their figures, handles, letters of the edges, cut lines, the file's graphics.
import { computed, effect, untracked } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { t } from '../../core/i18n';
import type { Panes, StackPane } from '../panes';
import type { Shown } from '../viewport';
import type { Point } from '../types';
import { marksOf, type KeptMark, type Marks } from './annotations';
import { chosen, graphicsOn, marksOn, tool } from './bench';
import type { Tools } from './deeds';
import { CutLine, EdgeLetters, FileGraphics } from './graphics';
import { Hand, isOn, setHand, type Writing } from './hand';
import { boxOf, keptFree, kindOf, labelPlace, type Box, type Kind, type Tool } from './marks';
import { LinkedWord, StudyBanner } from './priors';
import { Probe } from './probe';
import { Shape } from './shapes';
import { figuresOf, linesOf } from './words';
import './tools.css';

/** Above the pane's own words; what no tool wants goes through to the pane. Each part follows the slices by itself: most show the same on all. */
export function Overlay({ pane, tools }: { pane: StackPane; tools: Tools }) {
  const study = pane.study.value;
  if (!study) return null;
  return (
    <div class="over">
      {graphicsOn.value && <FileGraphics pane={pane} />}
      <Canvas pane={pane} panes={tools.panes} marks={marksOf(study.id)} />
      <StudyBanner pane={pane} tools={tools} />
      <LinkedWord pane={pane} tools={tools} />
      <Probe pane={pane} />
    </div>
  );
}

type CanvasProps = { pane: StackPane; panes: Panes; marks: Marks };

function Canvas({ pane, panes, marks }: CanvasProps) {
  const hand = useMemo(() => new Hand(pane, tool, marks), [pane, marks]);
  useEffect(() => { setHand(pane, hand); return () => setHand(pane, null); }, [pane, hand]);
  useEffect(() => abandonsBetween(hand), [hand]);
  const { width, height } = pane.size.value;
  return (
    <>
      <svg class="over-drawn" width={width} height={height} role="group" aria-label={t('tools.marks')} onPointerDownCapture={() => { panes.active.value = pane; }}>
        <EdgeLetters pane={pane} />
        {marksOn.value && <CutLine pane={pane} panes={panes} />}
        {tool.value && <Sheet hand={hand} />}
        {marksOn.value && <Drawn hand={hand} />}
      </svg>
      <TextEntry hand={hand} />
    </>
  );
}

/** What was begun on one slice, or with another tool, is not finished on the next. */
function abandonsBetween(hand: Hand): () => void {
  const slice = computed(() => { const shown = hand.pane.shown.value; return shown && `${shown.instance.id}/${shown.frame}`; });
  return effect(() => {
    void [slice.value, hand.tool.value];
    untracked(() => hand.abandon());
  });
}

/** Takes the pointer while a tool is in the hand. */
function Sheet({ hand }: { hand: Hand }) {
  const { width, height } = hand.pane.size.value;
  return (
    <rect class="over-sheet" data-test="sheet" width={width} height={height} onPointerDown={(event) => hand.pressed(event)} onPointerMove={(event) => hand.moved(event)}
      onPointerUp={(event) => hand.released(event)} onPointerCancel={() => hand.abandon()} />
  );
}

type Seen = { mark: KeptMark; points: Point[]; lines: string[]; label: Box | null };

function Drawn({ hand }: { hand: Hand }) {
  const shown = hand.pane.shown.value;
  return shown && <DrawnOn hand={hand} shown={shown} />;
}

function DrawnOn({ hand, shown }: { hand: Hand; shown: Shown }) {
  const own = hand.marks.list.value.filter((mark) => isOn(mark, shown));
  const placed = own.map((mark) => {
    const moved = { ...mark, points: [...hand.pointsOf(mark)] };
    return { mark, points: moved.points.map((point) => hand.toPane(point)), lines: [...linesOf(moved, shown, figuresOf(moved, shown)), ...about(hand.marks, mark)] };
  });
  const things = placed.map(({ points }) => boxOf(points));
  const free = keptFree(hand.pane.size.value);
  const labels: Box[] = [];
  const seen = placed.map((each, n): Seen => {
    const label = placeOf(hand, each.points, each.lines, [...free, ...labels, ...things.filter((_, other) => other !== n)]);
    if (label) labels.push(label);
    return { ...each, label };
  });
  return (
    <>
      {seen.map((each) => <MarkView key={each.mark.id} {...each} hand={hand} />)}
      {seen.filter(({ mark }) => mark.id === chosen.value && hand.marks.mine(mark)).map((each) => <Handles key={each.mark.id} {...each} hand={hand} />)}
      <Drafted hand={hand} shown={shown} taken={[...free, ...labels]} />
    </>
  );
}

/** Who drew it, when that was somebody else; and that it is not stored, as long as it isn't. */
function about(marks: Marks, mark: KeptMark): string[] {
  if (!marks.mine(mark)) return [mark.by.name];
  return marks.stateOf(mark.id) === 'stored' ? [] : [t('tools.unstored')];
}

/** Who worked on something that goes away goes on with the pane's own keys. */
function useFocusBack<E extends Element>() {
  const ref = useRef<E>(null);
  useLayoutEffect(() => {
    const element = ref.current!;
    return () => { if (element.contains(document.activeElement)) element.closest<HTMLElement>('.pane')?.focus({ preventScroll: true }); };
  }, []);
  return ref;
}

function MarkView({ mark, points, lines, label, hand }: Seen & { hand: Hand }) {
  const ref = useFocusBack<SVGGElement>();
  const kinds = t(`tools.${kindName(mark.kind, points)}`);
  return (
    <>
      <g ref={ref} class={mark.id === chosen.value ? 'mark mark-chosen' : 'mark'} data-mark={mark.id} data-kind={mark.kind} tabindex={0} role="button"
        aria-label={[kinds, ...lines].join(t('tools.comma'))} aria-pressed={mark.id === chosen.value}
        onFocus={() => { chosen.value = mark.id; }} onPointerDown={(event) => hand.grabbed(event, mark, null)} onPointerMove={(event) => hand.dragged(event)}
        onPointerUp={() => hand.dropped()} onPointerCancel={() => hand.abandon()} onKeyDown={(event) => stopIf(event, hand.key(event, mark, null))}
        onDblClick={() => { if (hand.marks.mine(mark)) hand.write(mark); }}>
        <Shape kind={mark.kind} points={points} />
      </g>
      {label && <Label box={label} lines={lines} points={points} />}
    </>
  );
}

function kindName(kind: Kind, points: readonly Point[]): Tool {
  return kind === 'angle' && points.length === 4 ? 'cobb' : kind;
}

function stopIf(event: KeyboardEvent, used: boolean): void {
  if (!used) return;
  event.preventDefault();
  event.stopPropagation();
}

function Handles({ mark, points, hand }: Seen & { hand: Hand }) {
  const ref = useFocusBack<SVGGElement>();
  return (
    <g ref={ref}>
      {points.map(([x, y], n) => (
        <g key={n} class="handle" data-test="handle" tabindex={0} role="button" aria-label={t('tools.point', { number: n + 1 })}
          onPointerDown={(event) => hand.grabbed(event, mark, n)} onPointerMove={(event) => hand.dragged(event)} onPointerUp={() => hand.dropped()}
          onPointerCancel={() => hand.abandon()} onKeyDown={(event) => stopIf(event, hand.key(event, mark, n))}>
          <circle class="handle-hit" cx={x} cy={y} r={hitRadius} />
          <circle class="handle-dot" cx={x} cy={y} r={5} />
        </g>
      ))}
    </g>
  );
}

const hitRadius = matchMedia('(pointer: coarse)').matches ? 22 : 8; // CSS px

/** What is being drawn, with what it measures so far. */
function Drafted({ hand, shown, taken }: { hand: Hand; shown: Shown; taken: readonly Box[] }) {
  const draft = hand.draft.value;
  if (!draft) return null;
  const kind = kindOf(draft.tool);
  const points = draft.points.map((point) => hand.toPane(point));
  const isMeasured = kind !== 'angle' || draft.points.length === (draft.tool === 'cobb' ? 4 : 3);
  const drawn = { kind, points: draft.points, text: '' };
  const lines = isMeasured ? linesOf(drawn, shown, figuresOf(drawn, shown)) : [];
  const label = placeOf(hand, points, lines, taken);
  return (
    <g class="mark mark-draft">
      <Shape kind={kind} points={points} />
      {label && <Label box={label} lines={lines} points={points} />}
    </g>
  );
}

// --- Words beside a mark

const LINE_PX = 18;
const PAD_PX = 5;
const FONT = '600 13px "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", system-ui, sans-serif';
let pen: CanvasRenderingContext2D | null = null;

function widthOf(text: string): number {
  pen ??= document.createElement('canvas').getContext('2d')!;
  pen.font = FONT;
  return pen.measureText(text).width;
}

function placeOf(hand: Hand, points: readonly Point[], lines: readonly string[], taken: readonly Box[]): Box | null {
  if (lines.length === 0) return null;
  const size = { width: Math.ceil(Math.max(...lines.map(widthOf))) + 2 * PAD_PX, height: lines.length * LINE_PX + PAD_PX };
  return labelPlace(boxOf(points), size, hand.pane.size.value, taken);
}

function Label({ box, lines, points }: { box: Box; lines: readonly string[]; points: readonly Point[] }) {
  const thing = boxOf(points);
  const end = (low: number, long: number, at: number): number => Math.min(Math.max(at, low), low + long);
  const [cx, cy] = [thing.x + thing.width / 2, thing.y + thing.height / 2];
  const [x, y] = [end(box.x, box.width, cx), end(box.y, box.height, cy)];
  return (
    <g class="mark-label" data-test="mark-label" aria-hidden="true">
      <line x1={end(thing.x, thing.width, x)} y1={end(thing.y, thing.height, y)} x2={x} y2={y} />
      <rect x={box.x} y={box.y} width={box.width} height={box.height} rx={4} />
      {lines.map((line, n) => <text key={n} x={box.x + PAD_PX} y={box.y + LINE_PX * (n + 1) - 4}>{line}</text>)}
    </g>
  );
}

/** The words of an arrow or text, written where they will stand. */
function TextEntry({ hand }: { hand: Hand }) {
  const writing = hand.writing.value;
  return writing && <Entry key={writing.mark.id} writing={writing} hand={hand} />;
}

const ENTRY_PX = { width: 220, height: 44 };

function Entry({ writing: { mark }, hand }: { writing: Writing; hand: Hand }) {
  const ref = useFocusBack<HTMLInputElement>();
  const done = useRef(false);
  useLayoutEffect(() => ref.current!.focus({ preventScroll: true }), []);
  const [x, y] = hand.toPane(mark.points.at(-1)!);
  const { width, height } = hand.pane.size.value;
  const finish = (text: string | null): void => {
    if (done.current) return; // going away takes the focus, too
    done.current = true;
    hand.wrote(text);
  };
  return (
    <input ref={ref} class="mark-entry" data-test="mark-text" aria-label={t('tools.words')} placeholder={t('tools.words')} defaultValue={mark.text} maxLength={200}
      style={{ left: `${Math.min(Math.max(x, 0), Math.max(0, width - ENTRY_PX.width))}px`, top: `${Math.min(Math.max(y - ENTRY_PX.height / 2, 0), height - ENTRY_PX.height)}px` }}
      onPointerDown={(event) => event.stopPropagation()} onBlur={(event) => finish(event.currentTarget.value)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === 'Enter' && !event.isComposing) finish(event.currentTarget.value);
        if (event.key === 'Escape') finish(null);
      }} />
  );
}
