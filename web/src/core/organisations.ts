// The tree of organisations as choices, indented by depth, and the part of it in which somebody may act.
import { named } from './i18n';
import { me } from './session';
import type { Organisation } from './types';
import type { Choice } from './ui';

export type TreeOrganisation = Organisation & { parent_id: string | null; tier: string | null };

/** Those in which the signed-in person holds one of the roles, and all below them. */
export function reachedBy(roles: readonly string[], organisations: readonly TreeOrganisation[]): TreeOrganisation[] {
  const reached = new Set(me.value?.roles.filter((held) => roles.includes(held.role)).map((held) => held.organisation.id));
  // The hub lists parents before children.
  for (const each of organisations) if (each.parent_id !== null && reached.has(each.parent_id)) reached.add(each.id);
  return organisations.filter((each) => reached.has(each.id));
}

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
