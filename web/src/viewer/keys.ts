// The keyboard of the viewer, as one table that both acts and explains itself.
import type { MessageKey } from '../core/i18n';
import type { Cine } from './cine';
import { slicesOf } from './manifest';
import { change, fit, mirror, oneToOne, reset, setWindow, turn, zoom, type Panes, type StackPane } from './panes';
import { presetsOf } from './windows';

const PAGE = 10;
const ZOOM_STEP = 1.25;

type Key = { keys: readonly string[]; says: MessageKey; act: (pane: StackPane, panes: Panes, cine: Cine) => void };

const middle = ({ size }: StackPane): [number, number] => [size.peek().width / 2, size.peek().height / 2];

export const KEYS: readonly Key[] = [
  { keys: ['ArrowDown', 'ArrowRight'], says: 'viewer.key.next', act: (pane, panes) => panes.scroll(pane, 1) },
  { keys: ['ArrowUp', 'ArrowLeft'], says: 'viewer.key.before', act: (pane, panes) => panes.scroll(pane, -1) },
  { keys: ['PageDown'], says: 'viewer.key.page-on', act: (pane, panes) => panes.scroll(pane, PAGE) },
  { keys: ['PageUp'], says: 'viewer.key.page-back', act: (pane, panes) => panes.scroll(pane, -PAGE) },
  { keys: ['Home'], says: 'viewer.key.first', act: (pane, panes) => panes.scroll(pane, -Infinity) },
  { keys: ['End'], says: 'viewer.key.last', act: (pane, panes) => panes.scroll(pane, slicesOf(pane.series.peek()).length) },
  { keys: [' '], says: 'viewer.cine', act: (pane, _, cine) => cine.toggle(pane) },
  { keys: ['1', '2', '3', '4', '5', '6'], says: 'viewer.key.presets', act: () => undefined },
  { keys: ['0'], says: 'viewer.reset', act: (pane) => reset(pane) },
  { keys: ['i'], says: 'viewer.invert', act: (pane) => change(pane, { invert: !pane.view.peek().invert }) },
  { keys: ['r'], says: 'viewer.turn', act: (pane) => turn(pane) },
  { keys: ['h'], says: 'viewer.mirror', act: (pane) => mirror(pane) },
  { keys: ['f'], says: 'viewer.fit', act: (pane) => { pane.fitted.value = true; fit(pane); } },
  { keys: ['='], says: 'viewer.one-to-one', act: (pane) => oneToOne(pane) },
  { keys: ['+'], says: 'viewer.key.larger', act: (pane) => zoom(pane, ZOOM_STEP, middle(pane)) },
  { keys: ['-'], says: 'viewer.key.smaller', act: (pane) => zoom(pane, 1 / ZOOM_STEP, middle(pane)) },
];

/** Whether this key did something; what is typed into a field is not a key of ours. */
export function press(event: KeyboardEvent, panes: Panes, cine: Cine): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return false;
  const target = event.target as Element;
  if (target.closest('input, textarea, select, dialog, [contenteditable]')) return false;
  if (event.key === ' ' && target.closest('button, a')) return false;
  const pane = panes.active.peek();
  const key = KEYS.find(({ keys }) => keys.includes(event.key));
  if (!key) return false;
  const preset = presetsOf(pane.series.peek()?.modality ?? '', pane.shown.peek()?.pixels ?? null)[Number(event.key) - 1];
  if (preset && event.key !== ' ') setWindow(pane, preset, 'LINEAR');
  else key.act(pane, panes, cine);
  event.preventDefault();
  return true;
}
