// A list of rules while somebody edits it: any order, some switched off; of routing rules always one fallback without conditions at the end.
// No page in here: `web/check/rules.mjs` tries it with any order of deeds.
import type { Priority, Sex } from '../core/types';
import { STUDY_KINDS, type Condition, type ForwardRule, type RoutingRule } from './types';

export const PRIORITIES: readonly Priority[] = ['routine', 'asap', 'urgent', 'stat'];
export const SEXES: readonly Sex[] = ['male', 'female', 'other', 'unknown'];
export const MODALITIES = ['CR', 'DX', 'CT', 'MR', 'US', 'XA', 'MG', 'OT'] as const;
export const OPERATORS = ['equals', 'in', 'at-least', 'at-most', 'contains'] as const;
export type Operator = (typeof OPERATORS)[number];

type Shape = { value: 'number' | 'yes-no' | 'text' | 'organisation' | 'finding' | 'choice'; operators: readonly Operator[]; choices?: readonly string[]; least?: number; most?: number; upper?: boolean };
const ONE_OR_SOME: readonly Operator[] = ['equals', 'in'];
const NUMERIC: readonly Operator[] = ['at-least', 'at-most', 'equals'];

/** What a condition may ask about, as the hub has it, with the operators that make sense of each. */
export const KEYWORDS = {
  study_kind: { value: 'choice', operators: ONE_OR_SOME, choices: STUDY_KINDS },
  priority: { value: 'choice', operators: ONE_OR_SOME, choices: PRIORITIES },
  organisations: { value: 'organisation', operators: ['contains'] },
  modalities: { value: 'choice', operators: ['contains'], choices: MODALITIES },
  body_part: { value: 'text', operators: ['contains', 'equals', 'in'], upper: true },
  question: { value: 'text', operators: ['contains'] },
  sex: { value: 'choice', operators: ONE_OR_SOME, choices: SEXES },
  age_years: { value: 'number', operators: NUMERIC, least: 0, most: 150 },
  pacemaker: { value: 'yes-no', operators: ['equals'] },
  findings: { value: 'finding', operators: ['contains'] },
  recorded_hours: { value: 'number', operators: NUMERIC, least: 0, most: 10_000 },
  hour: { value: 'number', operators: NUMERIC, least: 0, most: 23 },
} as const satisfies Record<string, Shape>;
export type Keyword = keyof typeof KEYWORDS;
export const KEYWORD_NAMES = Object.keys(KEYWORDS) as Keyword[];

export function shapeOf(keyword: string): Shape | null {
  return KEYWORD_NAMES.includes(keyword as Keyword) ? KEYWORDS[keyword as Keyword] : null;
}

/** A condition in a form: what is typed or chosen as text, and what is ticked. */
export type Row = { keyword: string; operator: string; text: string; ticked: readonly string[] };

export function freshRow(keyword: Keyword): Row {
  const { operators, value } = KEYWORDS[keyword];
  return { keyword, operator: operators[0], text: value === 'yes-no' ? 'yes' : '', ticked: [] };
}

export function rowOf({ keyword, operator, value }: Condition): Row {
  const many = Array.isArray(value) ? value.map(String) : [];
  const text = typeof value === 'boolean' ? (value ? 'yes' : 'no') : many.length ? many.join('、') : String(value ?? '');
  return { keyword, operator, text, ticked: many };
}

/** The condition a row says, or null while it says none that the hub takes. */
export function conditionOf(row: Row): Condition | null {
  const shape = shapeOf(row.keyword);
  if (!shape || !shape.operators.includes(row.operator as Operator)) return null;
  const { keyword, operator } = row;
  const cased = (text: string) => (shape.upper ? text.toUpperCase() : text);
  const text = cased(row.text.trim());
  if (operator === 'in') {
    const all = shape.choices ? shape.choices.filter((each) => row.ticked.includes(each)) : text.split(/[,，、;；]/).map((part) => part.trim()).filter(Boolean);
    return all.length ? { keyword, operator, value: all } : null;
  }
  if (shape.value === 'yes-no') return { keyword, operator, value: text === cased('yes') };
  if (shape.value === 'number') {
    const value = Number(text);
    return /^\d+$/.test(text) && value >= (shape.least ?? 0) && value <= (shape.most ?? value) ? { keyword, operator, value } : null;
  }
  return text ? { keyword, operator, value: text } : null;
}

/** `key` is the hub's id, or one of this page's for a new rule; `to` a reading centre, or a node. */
export type Draft = { key: string; name: string; conditions: readonly Condition[]; to: string; enabled: boolean };
/** Forwarding has no fallback: each rule sends a copy for itself, one without conditions of everything. */
export type Drafts = { rules: readonly Draft[]; fallback: Draft | null };
export type Destination = 'to_organisation_id' | 'to_node_id';

export const wholeOf = ({ rules, fallback }: Drafts): readonly Draft[] => (fallback ? [...rules, fallback] : rules);

export function forwardsOf(rules: readonly ForwardRule[]): Drafts {
  return { fallback: null, rules: rules.map(({ id, name, conditions, to_node_id, enabled }) => ({ key: id, name, conditions, to: to_node_id, enabled })) };
}

export function draftsOf(rules: readonly RoutingRule[]): { rules: readonly Draft[]; fallback: Draft } {
  const all = [...rules].sort((a, b) => a.position - b.position)
    .map(({ id, name, conditions, to_organisation, enabled }): Draft => ({ key: id, name, conditions, to: to_organisation.id, enabled }));
  const fallback = [...all].reverse().find((rule) => rule.enabled && rule.conditions.length === 0) ?? { key: 'fallback', name: '', conditions: [], to: '', enabled: true };
  return { rules: all.filter((rule) => rule !== fallback), fallback };
}

/** A rule changed, or a new one just above the fallback; the fallback stays one. */
export function put({ rules, fallback }: Drafts, rule: Draft): Drafts {
  if (rule.key === fallback?.key) return { rules, fallback: { ...rule, conditions: [], enabled: true } };
  const usable = { ...rule, enabled: rule.enabled && (rule.conditions.length > 0 || fallback === null) };
  return { fallback, rules: rules.some(({ key }) => key === rule.key) ? rules.map((each) => (each.key === rule.key ? usable : each)) : [...rules, usable] };
}

/** Up (-1) or down (+1) among those with conditions. */
export function move({ rules, fallback }: Drafts, key: string, by: -1 | 1): Drafts {
  const from = rules.findIndex((rule) => rule.key === key);
  const [moved, other] = [rules[from], rules[from + by]];
  if (!moved || !other) return { rules, fallback };
  return { fallback, rules: rules.map((rule) => (rule === moved ? other : rule === other ? moved : rule)) };
}

export function remove({ rules, fallback }: Drafts, key: string): Drafts {
  return { fallback, rules: rules.filter((rule) => rule.key !== key) };
}

/** What `PUT /api/routing` and `PUT /api/forwarding` take. */
export function bodyOf(drafts: Drafts, destination: Destination = 'to_organisation_id') {
  return { rules: wholeOf(drafts).map(({ name, conditions, to, enabled }) => ({ name, conditions, [destination]: to, enabled })) };
}

const said = ({ name, conditions, to, enabled }: Draft) => JSON.stringify([name, conditions, to, enabled]);

export type Changes = { added: string[]; changed: string[]; removed: string[]; moved: boolean };

/** What saving would do, by the names of the rules; null = nothing. */
export function changesOf(before: Drafts, after: Drafts): Changes | null {
  const old = new Map(wholeOf(before).map((rule) => [rule.key, rule]));
  const now = wholeOf(after);
  const left = new Set(now.map(({ key }) => key));
  const order = (list: readonly Draft[], among: (key: string) => boolean) => list.map(({ key }) => key).filter(among).join();
  const changes = {
    added: now.filter(({ key }) => !old.has(key)).map(({ name }) => name),
    changed: now.filter((rule) => { const was = old.get(rule.key); return was && said(was) !== said(rule); }).map(({ name }) => name),
    removed: [...old.values()].filter(({ key }) => !left.has(key)).map(({ name }) => name),
    moved: order(before.rules, (key) => left.has(key)) !== order(after.rules, (key) => old.has(key)),
  };
  return changes.moved || changes.added.length + changes.changed.length + changes.removed.length > 0 ? changes : null;
}

const PARTS = ['name', 'keyword', 'operator', 'value', 'to_organisation_id', 'to_node_id'] as const;
export type Part = (typeof PARTS)[number] | 'other';

/** Which rule the hub means by `rules[2].conditions.value`, and what of it. */
export function placeOf(drafts: Drafts, field: unknown): { key: string; part: Part } | null {
  const [, number, rest = ''] = /^rules\[(\d+)\]\.(.+)$/.exec(String(field)) ?? [];
  const rule = wholeOf(drafts)[Number(number)];
  return number !== undefined && rule ? { key: rule.key, part: PARTS.find((part) => rest === part || rest.endsWith(`.${part}`)) ?? 'other' } : null;
}
