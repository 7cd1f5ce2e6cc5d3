// Organisations as choices, their place in the tree shown by indentation.
import { named } from '../core/i18n';
import type { Organisation } from '../core/types';
import type { Choice } from '../core/ui';

export type TreeOrganisation = Organisation & { parent_id: string | null; tier: string | null };

/** Depth first, so that a town stands below its district. */
export function organisationChoices(organisations: readonly TreeOrganisation[], parent: string | null = null, depth = 0): Choice[] {
  const known = new Set(organisations.map((each) => each.id));
  return organisations
    .filter((each) => (parent === null ? each.parent_id === null || !known.has(each.parent_id) : each.parent_id === parent))
    .flatMap((each) => [{ value: each.id, label: `${'　'.repeat(depth)}${named(each)}` }, ...organisationChoices(organisations, each.id, depth + 1)]);
}

export function organisationName(organisations: readonly TreeOrganisation[], id: string): string {
  const found = organisations.find((each) => each.id === id);
  return found ? named(found) : id;
}
