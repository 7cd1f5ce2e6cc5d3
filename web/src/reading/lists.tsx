// What to look at: findings in the order of urgency, and what the patient or the device told; each opens its place.
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../core/i18n';
import { formatInstant } from '../core/time';
import { Button, EmptyState } from '../core/ui';
import { FindingEvidence } from '../ecg/finding';
import { PriorityMark } from '../ecg/priority';
import { evidenceText, ruleName, translated } from '../ecg/rules';
import { eventPlace, keyOf, type OpenCase } from './open-case';
import type { CaseFinding, RecordingEvent } from './types';

export function Findings({ open }: { open: OpenCase }) {
  const { findings } = open.data.value;
  if (findings.length === 0) return <EmptyState title={t('reading.findings.none')}><p>{t('reading.findings.none.text')}</p></EmptyState>;
  return (
    <ul class="case-findings" data-testid="findings" data-count={findings.length}>
      {findings.map((finding) => <FindingRow key={keyOf(finding)} open={open} finding={finding} />)}
    </ul>
  );
}

function FindingRow({ open, finding }: { open: OpenCase; finding: CaseFinding }) {
  const key = keyOf(finding);
  const here = open.finding.value === key;
  const included = open.draft.included.value.has(key);
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => { if (here && row.current) showInList(row.current); }, [here]);
  return (
    <li ref={row} class={here ? 'case-finding case-finding-here' : 'case-finding'} data-finding={finding.rule} data-onset-sample={finding.onset_sample}
      data-boot={finding.boot} data-included={included ? 'yes' : 'no'}>
      <button type="button" class="case-finding-open" aria-current={here ? 'true' : undefined} onClick={() => open.choose(finding)}>
        <span><PriorityMark priority={finding.priority} /> <strong>{ruleName(finding.rule)}</strong></span>
        <span class="small soft figures">{formatInstant(finding.onset_at, true).slice(5)} · {evidenceText(finding.numbers)}</span>
      </button>
      <span class="case-finding-deeds">
        <button type="button" class="button button-quiet" aria-pressed={included} onClick={() => open.draft.include(key, !included)}>{t(included ? 'reading.included' : 'reading.include')}</button>
        <button type="button" class="button button-quiet" onClick={() => open.dismiss(finding)}>{t('reading.dismiss')}</button>
      </span>
    </li>
  );
}

/** Moves the list, never the page: the strip above stays where the reader looks. */
function showInList(row: HTMLElement): void {
  const list = row.parentElement!;
  const [top, bottom] = [row.offsetTop - list.offsetTop, row.offsetTop - list.offsetTop + row.offsetHeight];
  if (top < list.scrollTop) list.scrollTop = top;
  else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
}

export function Evidence({ open }: { open: OpenCase }) {
  const finding = open.data.value.findings.find((other) => keyOf(other) === open.finding.value);
  if (!finding) return <p class="soft">{t('reading.evidence.hint')}</p>;
  return <div data-testid="evidence"><FindingEvidence finding={finding} /></div>;
}

export function Events({ open }: { open: OpenCase }) {
  const events = open.data.value.events.filter(({ kind }) => kind !== 'command'); // answers to the hub, not of the patient
  if (events.length === 0) return <p class="soft">{t('reading.events.none')}</p>;
  return (
    <ul class="case-events">
      {events.map((event) => (
        <li key={event.id} data-event={event.kind}>
          <Button kind="quiet" onClick={() => { open.finding.value = null; open.goTo(eventPlace(open.line, event) - open.across.value / 2); }}>
            <span class="figures">{formatInstant(event.at, true).slice(5)}</span> {translated(`reading.event.${event.kind}`, event.kind)}
          </Button>
          <span>{eventText(event)}</span>
        </li>
      ))}
    </ul>
  );
}

function eventText({ detail }: RecordingEvent): string {
  return typeof detail.text === 'string' ? detail.text : '';
}
