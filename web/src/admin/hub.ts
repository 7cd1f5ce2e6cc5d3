// The state of every hop, told once a second by the hub from memory, also while its database is away.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { count, duration, t } from '../core/i18n';
import { openSocket } from '../core/socket';
import type { HubView, Unit } from './types';

export const hub = signal<HubView | null>(null);

/** Kept open while an operator's page is. */
export function useHub(allowed: boolean): void {
  useEffect(() => {
    if (!allowed) return;
    const socket = openSocket('/api/operations/watch', { text: (message) => { hub.value = message as unknown as HubView; } });
    return () => { socket.close(); hub.value = null; };
  }, [allowed]);
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;

/** A figure with its unit, as short as it can be told. */
export function figure(value: number | string, unit: Unit): string {
  if (typeof value === 'string') return value;
  switch (unit) {
    case 'bytes': return value >= GIB ? `${(value / GIB).toFixed(1)} GB` : `${Math.round(value / MIB)} MB`;
    case 's': return Math.abs(value) < 10 && !Number.isInteger(value) ? t('admin.unit.ms', { count: count(Math.round(value * 1000)) }) : duration(Math.abs(value));
    case 'days': return t('admin.unit.days', { count: value });
    case 'percent': return `${value}%`;
    default: return count(value);
  }
}
