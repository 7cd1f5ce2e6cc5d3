// The tools that measure, mark and compare, in the page's row of tools; and whether the marks are stored.
import { useComputed } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { t } from '../../core/i18n';
import { Time } from '../../core/ui';
import type { Panes, StackPane } from '../panes';
import { Group, Tool } from '../toolbar';
import { marksOf, unsentStudies, type Marks } from './annotations';
import { graphicsOn, keysOpen, marksOn, priorsOpen, sheetOpen, take, tool } from './bench';
import { keyPlaces, toggleKey, type Tools } from './deeds';
import { chosenBy } from './hand';
import { WITH_TEXT, type Tool as Name } from './marks';
import { KEY_OF } from './tool-keys';

const NAMES: readonly Name[] = ['length', 'angle', 'cobb', 'ellipse', 'rectangle', 'arrow', 'text'];

export function MarksBar({ tools }: { tools: Tools }) {
  const { panes, linking, write } = tools;
  const many = panes.open.value.length > 1;
  const graphics = useComputed(() => hasGraphics(panes)); // not drawn again for each slice
  return (
    <div class="tools marks-bar" role="toolbar" aria-label={t('tools.marks')}>
      {write && (
        <Group label={t('tools.measure')}>
          {NAMES.map((name) => <Tool key={name} press={() => take(name)} pressed={tool.value === name} hint={KEY_OF[name]}>{t(`tools.${name}`)}</Tool>)}
        </Group>
      )}
      {write && <ChosenTools pane={panes.active.value} />}
      <Group label={t('tools.key-images')}>
        {write && <KeyTool tools={tools} />}
        <Tool press={() => { keysOpen.value = !keysOpen.peek(); }} pressed={keysOpen.value} hint="y">{t('tools.key-images.count', { count: keyPlaces(tools).length })}</Tool>
      </Group>
      <Group label={t('tools.compare')}>
        <Tool press={() => { priorsOpen.value = true; }} hint="p">{t('tools.priors')}</Tool>
        <Tool press={() => linking.toggle()} pressed={linking.on.value} disabled={!many} hint="l">{t('tools.link')}</Tool>
        {many && linking.on.value && <Tool press={() => linking.link(false)} hint="L">{t('tools.link.here')}</Tool>}
      </Group>
      <Group label={t('tools.shown')}>
        <Tool press={() => { marksOn.value = !marksOn.peek(); }} pressed={!marksOn.value} hint="v">{t('tools.hide')}</Tool>
        {graphics.value && <Tool press={() => { graphicsOn.value = !graphicsOn.peek(); }} pressed={graphicsOn.value} hint="o">{t('tools.graphics')}</Tool>}
        <Tool press={() => { sheetOpen.value = true; }} hint="?">{t('tools.sheet')}</Tool>
      </Group>
    </div>
  );
}

/** For who has no keys: what can be done with the chosen mark, when it is the reader's own. Always there, so that choosing moves nothing. */
function ChosenTools({ pane }: { pane: StackPane }) {
  const own = chosenBy(pane);
  const mark = marksOn.value ? own?.mark : undefined;
  return (
    <Group label={t('tools.chosen_mark')}>
      <Tool press={() => own?.hand.write(own.mark)} disabled={!mark || !WITH_TEXT.has(mark.kind)} hint="⏎">{t('tools.words')}</Tool>
      <Tool press={() => own?.hand.remove(own.mark)} disabled={!mark} hint="Del">{t('tools.remove')}</Tool>
    </Group>
  );
}

function hasGraphics(panes: Panes): boolean {
  return panes.open.value.some((pane) => (pane.shown.value?.pixels.overlays?.length ?? 0) > 0);
}

function KeyTool({ tools }: { tools: Tools }) {
  const pane = tools.panes.active.value;
  const shown = pane.shown.value;
  const marks = pane.study.value && marksOf(pane.study.value.id);
  const isKey = shown !== null && (marks?.isKey(shown.instance.id, shown.frame + 1) ?? false);
  return <Tool press={() => toggleKey(tools)} pressed={isKey} disabled={shown === null} hint="k">{`${isKey ? '★' : '☆'} ${t('tools.key-image')}`}</Tool>;
}

/** What the hub has of the marks of all studies that are open, in words, and what it lacks of others; nothing where nothing was done. */
export function SavedLine({ tools: { study } }: { tools: Tools }) {
  const ids = [...new Set([study.id, ...study.beside.value.map(({ study: { id } }) => id), ...unsentStudies()])];
  return <span class="marks-saved" role="status" data-test="marks-saved">{ids.map((id) => <Saved key={id} marks={marksOf(id)} />)}</span>;
}

function Saved({ marks }: { marks: Marks }) {
  const { fault, known } = marks;
  return (
    <>
      {fault.value && !known.value && <Line action={{ label: t('core.retry'), run: marks.reload }}>{t('tools.not_loaded', { reason: fault.value.text })}</Line>}
      <OwnSaved marks={marks} />
    </>
  );
}

function OwnSaved({ marks }: { marks: Marks }) {
  const { unsent: { value: { count, away, refused } }, storedAt } = marks;
  if (refused.length > 0) {
    return (
      <>
        {refused.map(({ key, fault: why }) => (
          <Line key={key} action={{ label: t('core.retry'), run: marks.retry }} other={{ label: t('tools.give_up'), run: () => marks.giveUp(key) }}>
            {t('tools.refused', { reason: why.text })}
          </Line>
        ))}
      </>
    );
  }
  if (count > 0) return <Line>{t(away ? 'tools.unsent.away' : 'tools.unsent', { count })}</Line>;
  return storedAt.value && <Line>{t('tools.stored')} <Time at={storedAt.value.toISOString()} /></Line>;
}

type Deed = { label: string; run: () => void };

function Line({ children, action, other }: { children: ComponentChildren; action?: Deed; other?: Deed }) {
  return (
    <span class="marks-line">
      {children}
      {[action, other].map((deed) => deed && <button key={deed.label} type="button" class="tool" onClick={deed.run}>{deed.label}</button>)}
    </span>
  );
}
