// Names, thresholds and sources of the rhythm rules as the hub has them, fetched once; and evidence numbers in words.
import { signal } from '@preact/signals';
import { api } from '../core/api';
import { say, t, type Bilingual, type MessageKey } from '../core/i18n';

export type Rule = {
  rule: string; version: number; name: Bilingual; onset: Bilingual; offset: Bilingual; priority: unknown;
  thresholds: { name: string; value: number; unit: string; source: Bilingual }[];
};

const rules = signal<ReadonlyMap<string, Rule> | null>(null);
let asked = false;

export function ruleOf(rule: string): Rule | null {
  if (!asked) {
    asked = true;
    void api.get<{ rules: Rule[] }>('/api/rules').then(
      (found) => { rules.value = new Map(found.rules.map((row) => [row.rule, row])); },
      () => { asked = false; },
    );
  }
  return rules.value?.get(rule) ?? null;
}

/** Rules of the ECG engine have their own names; what the hub itself raises (no data) is in the catalogue. */
export function ruleName(rule: string): string {
  const known = ruleOf(rule);
  return known ? say(known.name) : translated(`live.rule.${rule}`, rule);
}

/** The message if there is one, else the fallback. */
export function translated(key: string, fallback: string): string {
  const text = t(key as MessageKey);
  return text === key ? fallback : text;
}

const SUFFIXES: readonly [suffix: string, unit: MessageKey, factor: number, digits: number][] = [
  ['_bpm', 'live.unit.per-minute', 1, 0],
  ['_share', 'live.unit.percent', 100, 0],
  ['_ms', 'live.unit.ms', 1, 0],
  ['_uv', 'live.unit.uv', 1, 0],
  ['_mv', 'live.unit.mv', 1, 2],
  ['_s', 'live.unit.s', 1, 2],
];

/** {longest_rr_s: 3.216} -> [["最长 RR 间期", "3.22 秒"]]: the unit is in the key. */
export function evidence(numbers: Record<string, number | string>): [name: string, value: string][] {
  return Object.entries(numbers).map(([key, value]) => {
    const name = translated(`live.number.${key}`, key);
    const row = SUFFIXES.find(([suffix]) => key.endsWith(suffix));
    if (typeof value === 'string') return [name, value];
    if (!row) return [name, String(Math.round(value * 100) / 100)];
    const [, unit, factor, digits] = row;
    const shown = value * factor;
    const gap = unit === 'live.unit.percent' ? '' : ' ';
    return [name, `${shown.toFixed(Math.abs(shown) >= 10 ? 0 : digits)}${gap}${t(unit)}`];
  });
}

export function evidenceText(numbers: Record<string, number | string>): string {
  return evidence(numbers).map(([name, value]) => `${name} ${value}`).join(t('live.comma'));
}

/** What a rule adds about one episode, "one lead". */
export function noteWord(note: string): string {
  return translated(`live.note.${note.replaceAll(' ', '-')}`, note);
}

export function qualityWord(quality: string): string {
  return translated(`live.quality.${quality}`, quality);
}
