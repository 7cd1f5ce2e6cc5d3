// The hub's own health, as /healthz tells it: every part with its word, whatever parts there are.
import type { ComponentChildren } from 'preact';
import { t } from '../core/i18n';
import { Loaded, useResource } from '../core/resource';
import { formatClock, now } from '../core/time';
import { Facts, State } from '../core/ui';
import { translated } from '../ecg/rules';

type Health = Record<string, unknown>;

export function HealthSection() {
  const health = useResource<Health>('/healthz', [], 5);
  return (
    <section class="card">
      <div class="card-head"><h2>{t('admin.health.title')}</h2><span class="soft figures">{formatClock(now.value, true)}</span></div>
      <Loaded from={health}>{(data) => <Parts parts={data} />}</Loaded>
    </section>
  );
}

const GOOD: readonly unknown[] = [true, 'ok', 'ready', 'up', 'running'];

function Parts({ parts }: { parts: Health }) {
  return <Facts rows={Object.entries(parts).flatMap(([name, value]) => rowsOf(name, value))} />;
}

/** A part made of parts is a row each, under its name. */
function rowsOf(name: string, value: unknown): [string, ComponentChildren][] {
  const label = translated(`admin.health.part.${name}`, name);
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return [[label, <Value value={value} />]];
  return Object.entries(value).map(([inner, each]) => [`${label} · ${inner}`, <Value value={each} />]);
}

function Value({ value }: { value: unknown }) {
  if (typeof value === 'boolean' || typeof value === 'string') {
    const good = GOOD.includes(value);
    return <State shape={good ? 'done' : 'waiting'}>{good ? t('admin.health.good') : String(value)}</State>;
  }
  return <span class="figures">{Array.isArray(value) ? value.map(String).join(', ') : String(value)}</span>;
}
