// Which reading centre gets a study, and which nodes a copy of its images: two lists of rules; and a dry run that explains which one a study would meet.
import { signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import { t } from '../core/i18n';
import { organisationChoices, organisationName, reachedBy, type TreeOrganisation } from '../core/organisations';
import { Loaded, useResource } from '../core/resource';
import { type Answer, type RuleList, Rules } from './rule-list';
import { bodyOf, type Drafts, draftsOf, forwardsOf } from './rules-draft';
import { TryOut } from './try-out';
import type { ForwardRule, RoutingRule } from './types';

const routing = signal<{ drafts: Drafts; from: readonly RoutingRule[] } | null>(null);
const forwarding = signal<{ drafts: Drafts; from: readonly ForwardRule[] } | null>(null);

type Place = { organisations: TreeOrganisation[]; mayEdit: boolean };

export function RoutingSection() {
  const tree = useResource<{ organisations: TreeOrganisation[] }>('/api/organisations');
  const organisations = tree.data?.organisations ?? [];
  const mayEdit = reachedBy(['organisation_admin'], organisations).some((each) => each.parent_id === null);
  const unsaved = routing.value?.drafts ?? null;
  return (
    <div class="columns">
      <div class="stack">
        <Routing organisations={organisations} mayEdit={mayEdit} />
        <Forwarding organisations={organisations} mayEdit={mayEdit} />
      </div>
      <TryOut organisations={organisations} unsaved={unsaved && { ...bodyOf(unsaved), complete: unsaved.fallback?.to !== '' }} />
    </div>
  );
}

function Routing({ organisations, mayEdit }: Place) {
  const rules = useResource<Answer<RoutingRule>>('/api/routing');
  const [answer, setAnswer] = useState<Answer<RoutingRule> | null>(null); // of the latest saving
  const list: RuleList<RoutingRule> = {
    path: '/api/routing', to: 'to_organisation_id', words: 'routing', kept: routing, draftsOf,
    nameOf: (to) => organisationName(organisations, to),
    choices: (present) => organisationChoices(organisations.filter((each) => each.tier !== null || each.id === present)), // who may read; the one that stands there, too
  };
  return (
    <section class="card" aria-labelledby="rules-title">
      <h2 id="rules-title">{t('admin.routing.rules')}</h2>
      <p class="soft">{t('admin.routing.text')}</p>
      <Loaded from={rules}>{(data) => <Rules list={list} rules={(answer ?? data).rules} organisations={organisations} mayEdit={mayEdit} saved={setAnswer} reload={() => { setAnswer(null); rules.reload(); }} />}</Loaded>
    </section>
  );
}

type Node = { id: string; name: string; may_receive: boolean; disabled_at: string | null };

function Forwarding({ organisations, mayEdit }: Place) {
  const rules = useResource<Answer<ForwardRule>>('/api/forwarding');
  const nodes = useResource<{ nodes: Node[] }>(mayEdit ? '/api/dicom/nodes' : null);
  const [answer, setAnswer] = useState<Answer<ForwardRule> | null>(null);
  const known = nodes.data?.nodes ?? [];
  const named = (answer ?? rules.data)?.rules ?? [];
  const list: RuleList<ForwardRule> = {
    path: '/api/forwarding', to: 'to_node_id', words: 'forward', kept: forwarding, draftsOf: forwardsOf,
    nameOf: (to) => known.find(({ id }) => id === to)?.name ?? named.find(({ to_node_id }) => to_node_id === to)?.to_node_name ?? '',
    choices: (present) => known.filter((node) => (node.may_receive && node.disabled_at === null) || node.id === present).map(({ id, name }) => ({ value: id, label: name })),
  };
  return (
    <section class="card" aria-labelledby="forward-rules-title">
      <h2 id="forward-rules-title">{t('admin.forward.rules')}</h2>
      <p class="soft">{t('admin.forward.rules.text')}</p>
      <Loaded from={rules}>{(data) => <Rules list={list} rules={(answer ?? data).rules} organisations={organisations} mayEdit={mayEdit} saved={setAnswer} reload={() => { setAnswer(null); rules.reload(); }} />}</Loaded>
    </section>
  );
}
