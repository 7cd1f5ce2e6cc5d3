// "?": all keys of the viewer, the page's own and those of the tools.
import { t, type MessageKey } from '../../core/i18n';
import { Dialog } from '../../core/ui';
import { KEYS } from '../keys';
import { sheetOpen } from './bench';
import { TOOL_KEYS } from './tool-keys';

const NAMES: Readonly<Record<string, string>> = {
  ArrowRight: '→', ArrowLeft: '←', ArrowDown: '↓', ArrowUp: '↑', PageDown: 'PgDn', PageUp: 'PgUp', Delete: 'Del', Backspace: '⌫', Escape: 'Esc', Enter: '⏎', L: '⇧ L',
};

export function KeySheet({ write }: { write: boolean }) {
  return (
    <Dialog title={t('tools.sheet')} close={() => { sheetOpen.value = false; }} wide>
      <Keys title={t('viewer.view')} rows={KEYS} />
      <Keys title={t('tools.marks')} rows={TOOL_KEYS.filter((key) => (write || !key.write) && (key.here?.() ?? true))} />
      <Keys title={t('tools.chosen_mark')} rows={[{ keys: ['←', '→', '↑', '↓'], says: 'tools.key.nudge' }, { keys: ['⇧'], says: 'tools.key.even' }]} />
    </Dialog>
  );
}

/** A row of figures by its ends. */
function shortened(keys: readonly string[]): readonly string[] {
  return keys.length > 4 ? [`${keys[0]} – ${keys.at(-1)}`] : keys;
}

function Keys({ title, rows }: { title: string; rows: readonly { keys: readonly string[]; says: MessageKey }[] }) {
  return (
    <section class="key-sheet">
      <h3>{title}</h3>
      <dl>
        {rows.map(({ keys, says }) => (
          <div key={says}><dt>{shortened(keys).map((key) => <kbd key={key}>{key === ' ' ? t('viewer.key.space') : NAMES[key] ?? key}</kbd>)}</dt><dd>{t(says)}</dd></div>
        ))}
      </dl>
    </section>
  );
}
