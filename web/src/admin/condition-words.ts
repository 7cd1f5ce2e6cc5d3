// A condition of a routing rule as a person reads it.
import { organisationName, type TreeOrganisation } from '../core/organisations';
import { t } from '../core/i18n';
import { ruleName } from '../ecg/rules';
import { KEYWORD_NAMES, OPERATORS, PRIORITIES, SEXES } from './rules-draft';
import { STUDY_KINDS, type Condition } from './types';

export function conditionWords(condition: Condition, organisations: readonly TreeOrganisation[]): string {
  if (condition.keyword === 'pacemaker') return t(condition.value ? 'admin.routing.keyword.pacemaker' : 'admin.routing.keyword.pacemaker.not');
  const operator = OPERATORS.find((each) => each === condition.operator);
  return [
    keywordWord(condition.keyword),
    operator ? t(`admin.routing.operator.${operator}`) : condition.operator,
    (Array.isArray(condition.value) ? condition.value : [condition.value]).map((value) => valueWords(condition.keyword, value, organisations)).join(', '),
  ].join(' ');
}

export function keywordWord(name: string): string {
  const keyword = KEYWORD_NAMES.find((each) => each === name);
  return keyword ? t(`admin.routing.keyword.${keyword}`) : name;
}

export function valueWords(keyword: string, value: unknown, organisations: readonly TreeOrganisation[]): string {
  const text = String(value);
  const kind = STUDY_KINDS.find((each) => keyword === 'study_kind' && each === text);
  const priority = PRIORITIES.find((each) => keyword === 'priority' && each === text);
  const sex = SEXES.find((each) => keyword === 'sex' && each === text);
  if (kind) return t(`admin.study.${kind}`);
  if (priority) return t(`core.priority.${priority}`);
  if (sex) return t(`core.sex.${sex}`);
  if (keyword === 'findings') return ruleName(text);
  return keyword === 'organisations' ? organisationName(organisations, text) : text;
}
