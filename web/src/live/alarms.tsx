// Open alarms: what, since when, how urgent, who has it; taken by one person, resolved with an outcome.
import { useState } from 'preact/hooks';
import { api, type ApiError } from '../core/api';
import { t, type MessageKey } from '../core/i18n';
import { me } from '../core/session';
import { useAction, useResource } from '../core/resource';
import { formatShort } from '../core/time';
import type { Alarm } from '../core/types';
import { Age, Button, Dialog, ErrorBanner, TextArea, Time } from '../core/ui';
import { PriorityMark, URGENCY } from '../ecg/priority';
import { evidenceText, noteWord, ruleName, translated } from '../ecg/rules';

export function byUrgency(a: Pick<Alarm, 'priority' | 'handling' | 'raised_at'>, b: Pick<Alarm, 'priority' | 'handling' | 'raised_at'>): number {
  return URGENCY[a.priority]! - URGENCY[b.priority]! || Number(a.handling === 'owned') - Number(b.handling === 'owned')
    || b.raised_at.localeCompare(a.raised_at);
}

type Props = { alarms: readonly Alarm[]; changed: () => void; openStrip: ((alarm: Alarm) => (() => void) | null) };

const SHOWN = 3; // more would push the trace off the screen

/** The most urgent in full; the rest are counted and one press away. */
export function AlarmList({ alarms, changed, openStrip }: Props) {
  const [all, setAll] = useState(false);
  const sorted = [...alarms].sort(byUrgency);
  const shown = all ? sorted : sorted.slice(0, SHOWN);
  return (
    <>
      <ul class="alarms" aria-label={t('live.alarms.open')}>
        {shown.map((alarm) => <AlarmRow key={alarm.id} alarm={alarm} changed={changed} strip={openStrip(alarm)} />)}
      </ul>
      {alarms.length > SHOWN && (
        <span class="actions"><Button aria-expanded={all} onClick={() => setAll(!all)}>{all ? t('live.alarms.fewer', { count: SHOWN }) : t('live.alarms.more', { count: alarms.length - SHOWN })}</Button></span>
      )}
    </>
  );
}

function AlarmRow({ alarm, changed, strip }: { alarm: Alarm; changed: () => void; strip: (() => void) | null }) {
  const [dialog, setDialog] = useState<'resolve' | 'log' | null>(null);
  const mine = alarm.owner?.id === me.value?.account.id;
  const own = useAction(async () => {
    await api.post(`/api/alarms/${alarm.id}/own`, alarm.owner === null ? {} : { take_over: true });
    changed();
  });
  return (
    <li class={`alarm alarm-${alarm.priority}`} data-alarm={alarm.id} data-rule={alarm.rule} data-handling={alarm.handling}>
      <div class="alarm-what">
        <PriorityMark priority={alarm.priority} />
        <strong>{ruleName(alarm.rule)}</strong>
        {alarm.category === 'technical' && <span class="soft">{t('live.alarm.technical')}</span>}
        {alarm.stored === false && <strong class="alarm-unstored" data-testid="unstored">{t('live.alarm.unstored')}</strong>}
        {alarm.late && <span class="alarm-late">{t('live.alarm.late', { at: formatShort(alarm.onset_at) })}{alarm.addressee && <> · {t('live.alarm.addressee', { name: alarm.addressee.name })}</>}</span>}
      </div>
      <div class="alarm-when small">
        <span><Time at={alarm.onset_at} show="seconds" /> (<Age at={alarm.onset_at} />)</span>
        <span>{t(`live.alarm.condition.${alarm.condition}`)}{alarm.gone_at && <> <Time at={alarm.gone_at} /></>}</span>
        {Object.keys(alarm.numbers).length > 0 && <span>{evidenceText(alarm.numbers)}</span>}
        {typeof alarm.note === 'string' && alarm.note && <span>{noteWord(alarm.note)}</span>}
      </div>
      <div class="alarm-who">
        <strong>{alarm.owner ? t('live.alarm.owned', { name: alarm.owner.name }) : t('live.alarm.unowned')}</strong>
        {alarm.owned_at && alarm.owner && <span class="soft small"> <Time at={alarm.owned_at} /></span>}
      </div>
      <div class="actions">
        {strip && <Button onClick={strip}>{t('live.alarm.strip')}</Button>}
        {alarm.stored === false && <span class="soft small">{t('live.alarm.unstored.text')}</span>}
        {!mine && alarm.stored !== false && <Button kind={alarm.owner ? 'plain' : 'primary'} busy={own.busy} onClick={own.run}>{t(alarm.owner ? 'live.alarm.takeOver' : 'live.alarm.own')}</Button>}
        {mine && <Button kind="primary" onClick={() => setDialog('resolve')}>{t('live.alarm.resolve')}</Button>}
        {alarm.stored !== false && <Button kind="quiet" onClick={() => setDialog('log')}>{t('live.alarm.log')}</Button>}
      </div>
      {own.error && <ErrorBanner error={own.error} />}
      {dialog === 'resolve' && <ResolveDialog alarm={alarm} close={() => setDialog(null)} done={changed} />}
      {dialog === 'log' && <LogDialog alarm={alarm} close={() => setDialog(null)} />}
    </li>
  );
}

const OUTCOMES: readonly MessageKey[] = ['live.outcome.called', 'live.outcome.family', 'live.outcome.visit', 'live.outcome.ambulance', 'live.outcome.artefact', 'live.outcome.device'];

function ResolveDialog({ alarm, close, done }: { alarm: Alarm; close: () => void; done: () => void }) {
  const [outcome, setOutcome] = useState('');
  const [missing, setMissing] = useState(false);
  const work = useAction(async () => {
    await api.post(`/api/alarms/${alarm.id}/resolve`, { outcome: outcome.trim() });
    done();
    close();
  });
  return (
    <Dialog title={t('live.resolve.title', { what: ruleName(alarm.rule) })} close={close}>
      <form class="stack" onSubmit={(event) => { event.preventDefault(); if (outcome.trim()) work.run(); else setMissing(true); }}>
        {alarm.condition === 'active' && <p>{t('live.resolve.active')}</p>}
        <div class="actions">
          {OUTCOMES.map((key) => <Button key={key} onClick={() => setOutcome(outcome ? `${outcome} ${t(key)}` : t(key))}>{t(key)}</Button>)}
        </div>
        <TextArea label={t('live.resolve.outcome')} value={outcome} change={setOutcome} required maxLength={500}
          error={missing && !outcome.trim() ? t('live.resolve.missing') : null} />
        {work.error && <ErrorBanner error={work.error} />}
        <div class="actions">
          <Button type="submit" kind="primary" busy={work.busy}>{t('live.alarm.resolve')}</Button>
          <Button onClick={close}>{t('core.cancel')}</Button>
        </div>
      </form>
    </Dialog>
  );
}

function LogDialog({ alarm, close }: { alarm: Alarm; close: () => void }) {
  const { data, error } = useResource<{ alarm: Alarm }>(`/api/alarms/${alarm.id}`, ['alarms']);
  return (
    <Dialog title={ruleName(alarm.rule)} close={close}>
      {error && <ErrorBanner error={error as ApiError} />}
      <ol class="alarm-log">
        {data?.alarm.log?.map(({ at, step, name, detail }) => (
          <li key={at + step}><Time at={at} show="seconds" /> {translated(`live.step.${step}`, step)} {name ?? ''} {typeof detail === 'string' ? detail : ''}</li>
        ))}
      </ol>
    </Dialog>
  );
}
