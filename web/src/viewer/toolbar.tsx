// The row over the images: what the pointer does, windows, turning, paging by itself, how many panes.
import type { ComponentChildren } from 'preact';
import { t } from '../core/i18n';
import { SLOWEST_HZ, FASTEST_HZ, type Cine } from './cine';
import { drag, DRAGS } from './gestures';
import { slicesOf } from './manifest';
import { change, fileTone, fit, mirror, oneToOne, PANES, reset, setWindow, turn, type LayoutName, type Panes, type StackPane } from './panes';
import { fileWindows, fullWindow, isGrey, presetsOf } from './windows';

export function Toolbar({ panes, cine }: { panes: Panes; cine: Cine }) {
  const pane = panes.active.value;
  return (
    <div class="tools" role="toolbar" aria-label={t('viewer.tools')}>
      <Group label={t('viewer.pointer')}>
        {DRAGS.map((name) => <Tool key={name} pressed={drag.value === name} press={() => { drag.value = name; }}>{t(`viewer.drag.${name}`)}</Tool>)}
      </Group>
      <Windows pane={pane} />
      <Group label={t('viewer.view')}>
        <Tool press={() => { pane.fitted.value = true; fit(pane); }} pressed={pane.fitted.value} hint="f">{t('viewer.fit')}</Tool>
        <Tool press={() => oneToOne(pane)} hint="=">{t('viewer.one-to-one')}</Tool>
        <Tool press={() => turn(pane)} hint="r">{t('viewer.turn')}</Tool>
        <Tool press={() => mirror(pane)} pressed={pane.view.value.flip} hint="h">{t('viewer.mirror')}</Tool>
        <Tool press={() => change(pane, { invert: !pane.view.peek().invert })} pressed={pane.view.value.invert} hint="i">{t('viewer.invert')}</Tool>
        <Tool press={() => reset(pane)} hint="0">{t('viewer.reset')}</Tool>
      </Group>
      <CineTools pane={pane} cine={cine} />
      <Group label={t('viewer.layout')}>
        {(Object.keys(PANES) as LayoutName[]).map((name) => <Tool key={name} pressed={panes.layout.value === name} press={() => panes.setLayout(name)} label={t('viewer.layout.name', { name })}>{name}</Tool>)}
      </Group>
    </div>
  );
}

export function Group({ label, children }: { label: string; children: ComponentChildren }) {
  return <div class="tool-group" role="group" aria-label={label}>{children}</div>;
}

type ToolProps = { press: () => void; pressed?: boolean; disabled?: boolean; hint?: string; label?: string; children: ComponentChildren };

/** `hint`: its key. */
export function Tool({ press, pressed, disabled, hint, label, children }: ToolProps) {
  return (
    <button type="button" class="tool" aria-pressed={pressed} disabled={disabled} aria-label={label} aria-keyshortcuts={hint} onClick={press}>
      {children}{hint && <kbd class="tool-key" aria-hidden="true">{hint}</kbd>}
    </button>
  );
}

/** The file's own windows, then the usual ones of the modality. */
function Windows({ pane }: { pane: StackPane }) {
  const shown = pane.shown.value;
  const layout = shown && isGrey(shown.pixels) ? shown.pixels : null;
  const own = fileWindows(layout);
  const presets = presetsOf(pane.series.value?.modality ?? '', layout);
  const { center, width } = pane.view.value.window;
  const same = (window: { center: number; width: number }) => !pane.windowOfFile.value && window.center === center && window.width === width;
  const chosen = pane.windowOfFile.value ? 'file' : presets.find(same)?.name ?? 'own';
  const choose = (value: string): void => {
    const preset = presets.find(({ name }) => name === value);
    const window = value.startsWith('file-') ? own[Number(value.slice(5))] : undefined;
    if (preset) setWindow(pane, preset, 'LINEAR');
    else if (window) setWindow(pane, window, window.function);
    else if (value === 'all' && layout) setWindow(pane, fullWindow(layout), 'LINEAR_EXACT');
    else if (value === 'file') fileTone(pane);
  };
  return (
    <label class="tool-choice">
      <span class="unseen">{t('viewer.window')}</span>
      <select class="tool" value={chosen} disabled={layout === null} data-test="windows" onChange={(event) => choose(event.currentTarget.value)}>
        <option value="file" selected={chosen === 'file'}>{t('viewer.window.file')}</option>
        {own.length > 1 && own.map((window, place) => <option key={place} value={`file-${place}`}>{window.label || t('viewer.window.values', { center: window.center, width: window.width })}</option>)}
        {presets.map(({ name }, place) => <option key={name} value={name} selected={chosen === name}>{`${place + 1} ${t(`viewer.preset.${name}`)}`}</option>)}
        <option value="all">{t('viewer.window.all')}</option>
        {chosen === 'own' && <option value="own" selected>{t('viewer.window.own')}</option>}
      </select>
    </label>
  );
}

function CineTools({ pane, cine }: { pane: StackPane; cine: Cine }) {
  const playing = cine.playing.value === pane;
  const rate_hz = cine.rate_hz.value;
  return (
    <Group label={t('viewer.cine')}>
      <Tool press={() => cine.toggle(pane)} pressed={playing} disabled={slicesOf(pane.series.value).length < 2} hint={t('viewer.key.space')}>
        {t(playing ? 'viewer.cine.stop' : 'viewer.cine.play')}
      </Tool>
      {playing && (
        <label class="tool-choice figures">
          <span class="unseen">{t('viewer.cine.rate')}</span>
          <input type="range" min={SLOWEST_HZ} max={FASTEST_HZ} value={rate_hz} onInput={(event) => { cine.rate_hz.value = Number(event.currentTarget.value); }} />
          <span>{t('viewer.cine.rate.value', { rate_hz })}</span>
        </label>
      )}
    </Group>
  );
}
