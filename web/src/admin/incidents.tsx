// What is broken in the hub: told at once, also from memory; taken by one person, resolved with what came of it.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api } from '../core/api';
import { say, t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import { me } from '../core/session';
import { now } from '../core/time';
import { Age, Banner, Button, Confirm, EmptyState, ErrorBanner, State, Time, toast } from '../core/ui';
import { PriorityMark } from '../ecg/priority';
import { soundFor, soundOn, switchSound } from '../live/sound';
import { figure, hub } from './hub';
import type { Fact, Incident, Told } from './types';

const SECTION = '/admin?section=incidents';

/** Over every section: what is urgent and nobody has resolved. */
export function HubBanner() {
  const urgent = (hub.value?.incidents ?? []).filter((one) => one.priority === 'high');
  if (urgent.length === 0) return null;
  return (
    <Banner kind="error">
      <ul class="plain-list stack-tight">
        {urgent.map((one) => <li key={`${one.kind} ${one.subject}`}><strong>{say(one.words)}</strong>{one.subject && <> <span class="mono">{one.subject}</span></>} · <Age at={one.since_at} /></li>)}
      </ul>
      <a class="row-link" href={SECTION}>{t('admin.incident.what')}</a>
    </Banner>
  );
}

export function isOpen(one: Incident): boolean {
  return one.gone_at === null && one.resolved_at === null;
}

export function IncidentsSection() {
  const found = useResource<{ incidents: Incident[] }>('/api/incidents', ['incidents'], 30);
  const rows = found.data?.incidents ?? [];
  const told = (hub.value?.incidents ?? []).filter((one) => !rows.some((row) => row.kind === one.kind && row.subject === one.subject && row.gone_at === null));
  useEffect(() => {
    const waiting = [...rows.filter((row) => isOpen(row) && !row.owner), ...told];
    soundFor(waiting.map((one) => ({ priority: one.priority, handling: 'raised' as const })), now.value);
  }, [now.value]);
  return (
    <section class="stack">
      <div class="actions">
        <Button aria-pressed={soundOn.value} onClick={switchSound}>{t(soundOn.value ? 'admin.incident.sound.off' : 'admin.incident.sound.on')}</Button>
        <span class="soft">{t('admin.incident.text')}</span>
      </div>
      {told.length > 0 && <ul class="plain-list stack">{told.map((one) => <li key={`${one.kind} ${one.subject}`}><Card one={one}><State shape="waiting">{t('admin.incident.unstored')}</State></Card></li>)}</ul>}
      <Loaded from={found}>{(data) => <Incidents incidents={data.incidents} changed={found.reload} quiet={told.length === 0} />}</Loaded>
    </section>
  );
}

function Incidents({ incidents, changed, quiet }: { incidents: Incident[]; changed: () => void; quiet: boolean }) {
  const open = incidents.filter(isOpen);
  const over = incidents.filter((one) => !isOpen(one));
  return (
    <>
      {open.length === 0 && quiet && <EmptyState title={t('admin.incident.none')} />}
      <ul class="plain-list stack" data-testid="open-incidents">{open.map((one) => <li key={one.id}><Card one={one}><Handling one={one} changed={changed} /></Card></li>)}</ul>
      {over.length > 0 && <h2>{t('admin.incident.today')}</h2>}
      <ul class="plain-list stack">{over.map((one) => <li key={one.id}><Card one={one}><Outcome one={one} /></Card></li>)}</ul>
    </>
  );
}

function Card({ one, children }: { one: Incident | Told; children: ComponentChildren }) {
  const gone = 'gone_at' in one ? one.gone_at : null;
  return (
    <article class={gone ? 'card incident incident-over' : 'card incident'}>
      <div class="card-head">
        <h3 class="incident-title"><PriorityMark priority={one.priority} /> {say(one.words)}{one.subject && <> <span class="mono">{one.subject}</span></>}</h3>
        <span class="soft">{gone ? <><Time at={one.since_at} show="seconds" /> – <Time at={gone} show="seconds" /></> : <>{t('admin.incident.since')} <Time at={one.since_at} show="seconds" /> · <Age at={one.since_at} /></>}</span>
      </div>
      {one.facts.length > 0 && <p class="figures">{one.facts.map((fact) => <FactText key={fact.name} fact={fact} />)}</p>}
      {!gone && <p><strong>{t('admin.incident.do')}</strong> {say(one.todo)}</p>}
      {children}
    </article>
  );
}

function FactText({ fact }: { fact: Fact }) {
  return <span class="fact">{say(fact.label)} <strong class={fact.unit === 'word' ? 'mono' : undefined}>{figure(fact.value, fact.unit)}</strong></span>;
}

function Handling({ one, changed }: { one: Incident; changed: () => void }) {
  const [resolving, setResolving] = useState(false);
  const mine = one.owner?.id === me.value?.account.id;
  const take = useAction(async () => { await api.post(`/api/incidents/${one.id}/take`, { take_over: one.owner !== null }); changed(); });
  return (
    <div class="actions">
      {one.owner ? <State shape="moving" at={one.owned_at}>{t('admin.incident.owned', { name: one.owner.name })}</State> : <State shape="waiting">{t('admin.incident.nobody')}</State>}
      {one.times > 1 && <span class="soft">{t('admin.incident.times', { count: one.times })}</span>}
      {one.may_handle && !mine && <Button kind={one.owner ? 'quiet' : 'primary'} busy={take.busy} onClick={take.run}>{t(one.owner ? 'admin.incident.takeOver' : 'admin.incident.take')}</Button>}
      {one.may_handle && (mine || !one.owner) && <Button onClick={() => setResolving(true)}>{t('admin.incident.resolve')}</Button>}
      {take.error && <ErrorBanner error={take.error} />}
      {resolving && (
        <Confirm title={say(one.words)} confirm={t('admin.incident.resolve')} reason={t('admin.incident.outcome')} close={() => setResolving(false)}
          run={async (outcome) => { await api.post(`/api/incidents/${one.id}/resolve`, { outcome }); toast(t('admin.incident.resolved')); changed(); }}
        >{t('admin.incident.resolve.text')}</Confirm>
      )}
    </div>
  );
}

function Outcome({ one }: { one: Incident }) {
  return (
    <p>
      {one.resolved_at
        ? <State shape="done" at={one.resolved_at}>{t('admin.incident.done', { name: one.owner?.name ?? '', outcome: one.outcome ?? '' })}</State>
        : <State shape="done">{t('admin.incident.gone')}</State>}
      {one.resolved_at && one.gone_at === null && <> <State shape="waiting">{t('admin.incident.still')}</State></>}
    </p>
  );
}
