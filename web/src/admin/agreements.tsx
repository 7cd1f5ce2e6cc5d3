// Agreements: without one in force no study leaves its organisation for a reading centre.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import { me } from '../core/session';
import { instantOf } from '../core/time';
import { Button, type Column, Confirm, Dialog, EmptyState, ErrorBanner, Form, Select, State, Table, TextField, Time, toast } from '../core/ui';
import { organisationChoices, organisationName, reachedBy, type TreeOrganisation } from '../core/organisations';
import { STUDY_KINDS, type Agreement, type StudyKind } from './types';

export function AgreementsSection() {
  const agreements = useResource<{ agreements: Agreement[] }>('/api/agreements');
  const tree = useResource<{ organisations: TreeOrganisation[] }>('/api/organisations');
  const [adding, setAdding] = useState(false);
  const [ending, setEnding] = useState<Agreement | null>(null);
  const organisations = tree.data?.organisations ?? [];
  return (
    <section class="stack">
      <p class="soft">{t('admin.agreement.text')}</p>
      <div class="actions"><Button kind="primary" onClick={() => setAdding(true)}>{t('admin.agreement.add')}</Button></div>
      <Loaded from={agreements}>{(data) => <Agreements agreements={data.agreements} organisations={organisations} end={setEnding} />}</Loaded>
      {adding && <AddAgreement organisations={organisations} close={() => setAdding(false)} done={agreements.reload} />}
      {ending && (
        <Confirm title={t('admin.agreement.end')} confirm={t('admin.agreement.end')} grave close={() => setEnding(null)}
          run={async () => { await api.post(`/api/agreements/${ending.id}/end`); toast(t('admin.agreement.ended')); agreements.reload(); }}
        >{t('admin.agreement.end.text', { from: organisationName(organisations, ending.from_organisation_id), to: organisationName(organisations, ending.to_organisation_id) })}</Confirm>
      )}
    </section>
  );
}

function over(agreement: Agreement): boolean {
  return agreement.valid_until !== null && Date.parse(agreement.valid_until) <= Date.now();
}

type ListProps = { agreements: Agreement[]; organisations: TreeOrganisation[]; end: (agreement: Agreement) => void };

function Agreements({ agreements, organisations, end }: ListProps) {
  const name = (id: string) => organisationName(organisations, id);
  const columns: Column<Agreement>[] = [
    { name: 'from', label: t('admin.agreement.from'), sort: (agreement) => name(agreement.from_organisation_id), cell: (agreement) => name(agreement.from_organisation_id) },
    { name: 'to', label: t('admin.agreement.to'), sort: (agreement) => name(agreement.to_organisation_id), cell: (agreement) => name(agreement.to_organisation_id) },
    { name: 'kind', label: t('admin.agreement.kind'), sort: (agreement) => agreement.study_kind, cell: (agreement) => t(`admin.study.${agreement.study_kind}`) },
    { name: 'since', label: t('admin.agreement.since'), sort: (agreement) => agreement.valid_from, cell: (agreement) => <Time at={agreement.valid_from} show="date" /> },
    { name: 'state', label: t('admin.agreement.state'), sort: (agreement) => agreement.valid_until ?? '9', cell: (agreement) => over(agreement)
      ? <State shape="stopped" at={agreement.valid_until}>{t('admin.agreement.over')}</State>
      : <State shape="done" at={agreement.valid_until}>{t(agreement.valid_until ? 'admin.agreement.until' : 'admin.agreement.open')}</State> },
    { name: 'end', label: t('admin.column.act'), bare: true, cell: (agreement) => !over(agreement) && <Button kind="quiet" onClick={() => end(agreement)}>{t('admin.agreement.end')}</Button> },
  ];
  return <Table caption={t('admin.section.agreements')} rows={agreements} columns={columns} rowKey={(agreement) => agreement.id} empty={<EmptyState title={t('admin.agreement.empty')} />} />;
}

function AddAgreement({ organisations, close, done }: { organisations: TreeOrganisation[]; close: () => void; done: () => void }) {
  const [form, setForm] = useState({ from_organisation_id: me.value?.roles[0]?.organisation.id ?? '', to_organisation_id: '', study_kind: 'holter' as StudyKind, until: '' });
  const change = (changes: Partial<typeof form>) => setForm({ ...form, ...changes });
  const work = useAction(async () => {
    const { until, ...rest } = form;
    await api.post('/api/agreements', until ? { ...rest, valid_until: instantOf(until, '23:59') } : rest);
    toast(t('admin.agreement.added'));
    done();
    close();
  });
  return (
    <Dialog title={t('admin.agreement.add')} close={close}>
      <Form submit={work.run}>
        <Select label={t('admin.agreement.from')} value={form.from_organisation_id} change={(from_organisation_id) => change({ from_organisation_id })} choices={organisationChoices(reachedBy(['organisation_admin'], organisations))} />
        <Select label={t('admin.agreement.to')} value={form.to_organisation_id} change={(to_organisation_id) => change({ to_organisation_id })} choices={organisationChoices(organisations)} placeholder={t('admin.choose')} required />
        <Select<StudyKind> label={t('admin.agreement.kind')} value={form.study_kind} change={(study_kind) => change({ study_kind })} choices={STUDY_KINDS.map((value) => ({ value, label: t(`admin.study.${value}`) }))} />
        <TextField label={t('admin.agreement.last-day')} type="date" optional value={form.until} change={(until) => change({ until })} />
        {work.error && <ErrorBanner error={work.error} />}
        <div class="actions"><Button type="submit" kind="primary" busy={work.busy}>{t('admin.agreement.add')}</Button><Button onClick={close}>{t('core.cancel')}</Button></div>
      </Form>
    </Dialog>
  );
}
