// People and rights: accounts at or below one's organisation, their roles, and what an administrator may do to them.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { locale, named, t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import { me } from '../core/session';
import { Button, type Column, Confirm, Dialog, EmptyState, ErrorBanner, Form, Select, State, Table, TextField, Time, toast } from '../core/ui';
import { organisationChoices, reachedBy, type TreeOrganisation } from '../core/organisations';
import { ROLES, type Account, type HeldRole, type Role } from './types';

type Deed = { kind: 'add' } | { kind: 'role' | 'password' | 'disable'; account: Account } | { kind: 'end'; account: Account; role: HeldRole };

export function PeopleSection() {
  const accounts = useResource<{ accounts: Account[] }>('/api/accounts');
  const organisations = useResource<{ organisations: TreeOrganisation[] }>('/api/organisations');
  const [deed, setDeed] = useState<Deed | null>(null);
  const close = () => setDeed(null);
  const choices = organisationChoices(reachedBy(['organisation_admin'], organisations.data?.organisations ?? []));
  return (
    <section class="stack">
      <div class="actions"><Button kind="primary" onClick={() => setDeed({ kind: 'add' })}>{t('admin.people.add')}</Button></div>
      <Loaded from={accounts}>{(data) => <Accounts accounts={data.accounts} act={setDeed} />}</Loaded>
      {deed?.kind === 'add' && <AddAccount choices={choices} close={close} done={accounts.reload} />}
      {deed?.kind === 'role' && <GiveRole account={deed.account} choices={choices} close={close} done={accounts.reload} />}
      {deed?.kind === 'password' && <ResetPassword account={deed.account} close={close} done={accounts.reload} />}
      {deed?.kind === 'disable' && (
        <Confirm title={t('admin.people.disable.title', { name: deed.account.name })} confirm={t('admin.people.disable')} grave close={close}
          run={async () => { await api.post(`/api/accounts/${deed.account.id}/disable`); toast(t('admin.people.disabled', { name: deed.account.name })); accounts.reload(); }}
        >{t('admin.people.disable.text')}</Confirm>
      )}
      {deed?.kind === 'end' && (
        <Confirm title={t('admin.people.role.end')} confirm={t('admin.people.role.end')} grave close={close}
          run={async () => { await api.delete(`/api/roles/${deed.role.id}`); toast(t('admin.people.role.ended')); accounts.reload(); }}
        >{t('admin.people.role.end.text', { name: deed.account.name, role: t(`admin.role.${deed.role.role}`), organisation: organisationOf(deed.role) })}</Confirm>
      )}
    </section>
  );
}

function organisationOf(role: HeldRole): string {
  return named({ name: role.organisation_name, name_en: role.organisation_name_en });
}

function running(role: HeldRole): boolean {
  return role.valid_until === null || Date.parse(role.valid_until) > Date.now();
}

function Accounts({ accounts, act }: { accounts: Account[]; act: (deed: Deed) => void }) {
  const columns: Column<Account>[] = [
    { name: 'name', label: t('admin.people.name'), sort: (account) => account.name, cell: (account) => <span><strong>{account.name}</strong> <span class="mono small">{account.login}</span></span> },
    { name: 'roles', label: t('admin.people.roles'), cell: (account) => <Roles account={account} act={act} /> },
    { name: 'state', label: t('admin.people.state'), sort: (account) => account.disabled_at ?? '', cell: (account) => <AccountState account={account} /> },
    { name: 'act', label: t('admin.column.act'), bare: true, cell: (account) => account.disabled_at === null && (
      <span class="actions">
        <Button kind="quiet" onClick={() => act({ kind: 'role', account })}>{t('admin.people.role.give')}</Button>
        <Button kind="quiet" onClick={() => act({ kind: 'password', account })}>{t('admin.people.password')}</Button>
        {account.id !== me.value?.account.id && <Button kind="quiet" onClick={() => act({ kind: 'disable', account })}>{t('admin.people.disable')}</Button>}
      </span>
    ) },
  ];
  return <Table caption={t('admin.section.people')} rows={accounts} columns={columns} rowKey={(account) => account.id} empty={<EmptyState title={t('admin.people.empty')} />} />;
}

function Roles({ account, act }: { account: Account; act: (deed: Deed) => void }) {
  return (
    <ul class="plain-list">
      {account.roles.filter(running).map((role) => (
        <li key={role.id} class="role-line">
          <span>{t(`admin.role.${role.role}`)} <span class="soft">{organisationOf(role)}</span> {role.valid_until && <span class="soft">{t('admin.until')} <Time at={role.valid_until} show="date" /></span>}</span>
          <Button kind="quiet" aria-label={`${t('admin.people.role.end')}: ${t(`admin.role.${role.role}`)}`} onClick={() => act({ kind: 'end', account, role })}>{t('admin.end')}</Button>
        </li>
      ))}
    </ul>
  );
}

function AccountState({ account }: { account: Account }) {
  if (account.disabled_at) return <State shape="stopped" at={account.disabled_at}>{t('admin.people.state.disabled')}</State>;
  if (account.locked_until && Date.parse(account.locked_until) > Date.now()) return <State shape="stopped" at={account.locked_until}>{t('admin.people.state.locked')}</State>;
  return <State shape="done">{t('admin.people.state.active')}</State>;
}

type FormProps = { choices: { value: string; label: string }[]; close: () => void; done: () => void };
const roleChoices = () => ROLES.map((value) => ({ value, label: t(`admin.role.${value}`) }));

function AddAccount({ choices, close, done }: FormProps) {
  const [form, setForm] = useState({ login: '', name: '', password: '', role: 'township_doctor' as Role, organisation_id: me.value?.roles[0]?.organisation.id ?? '' });
  const change = (changes: Partial<typeof form>) => setForm({ ...form, ...changes });
  const work = useAction(async () => {
    await api.post('/api/accounts', { ...form, locale: locale.value });
    toast(t('admin.people.added', { name: form.name }));
    done();
    close();
  });
  const fault = (field: string) => (work.error?.detail.field === field ? work.error.text : null);
  return (
    <Dialog title={t('admin.people.add')} close={close}>
      <Form submit={work.run}>
        <TextField label={t('admin.people.name')} value={form.name} change={(name) => change({ name })} required maxLength={60} error={fault('name')} />
        <TextField label={t('signin.login')} hint={t('admin.people.login.hint')} value={form.login} change={(login) => change({ login: login.trim().toLowerCase() })} required autocapitalize="none" spellcheck={false} autocomplete="off" maxLength={32} error={fault('login')} />
        <TextField label={t('admin.people.password.first')} hint={t('admin.people.password.hint')} type="password" autocomplete="new-password" value={form.password} change={(password) => change({ password })} required error={fault('password')} />
        <Select<Role> label={t('admin.people.role')} value={form.role} change={(role) => change({ role })} choices={roleChoices()} />
        <Select label={t('admin.organisation')} value={form.organisation_id} change={(organisation_id) => change({ organisation_id })} choices={choices} />
        {work.error && !work.error.detail.field && <ErrorBanner error={work.error} />}
        <div class="actions"><Button type="submit" kind="primary" busy={work.busy}>{t('admin.people.add')}</Button><Button onClick={close}>{t('core.cancel')}</Button></div>
      </Form>
    </Dialog>
  );
}

function GiveRole({ account, choices, close, done }: FormProps & { account: Account }) {
  const [role, setRole] = useState<Role>('township_doctor');
  const [organisation_id, setOrganisation] = useState(account.roles[0]?.organisation_id ?? '');
  const work = useAction(async () => {
    await api.post(`/api/accounts/${account.id}/roles`, { role, organisation_id });
    toast(t('admin.people.role.given', { name: account.name, role: t(`admin.role.${role}`) }));
    done();
    close();
  });
  return (
    <Dialog title={t('admin.people.role.give.title', { name: account.name })} close={close}>
      <Form submit={work.run}>
        <Select<Role> label={t('admin.people.role')} value={role} change={setRole} choices={roleChoices()} />
        <Select label={t('admin.organisation')} value={organisation_id} change={setOrganisation} choices={choices} />
        {work.error && <ErrorBanner error={work.error} />}
        <div class="actions"><Button type="submit" kind="primary" busy={work.busy}>{t('admin.people.role.give')}</Button><Button onClick={close}>{t('core.cancel')}</Button></div>
      </Form>
    </Dialog>
  );
}

function ResetPassword({ account, close, done }: { account: Account; close: () => void; done: () => void }) {
  const [password, setPassword] = useState('');
  const work = useAction(async () => {
    await api.post(`/api/accounts/${account.id}/password`, { password });
    toast(t('admin.people.password.done', { name: account.name }));
    done();
    close();
  });
  return (
    <Dialog title={t('admin.people.password.title', { name: account.name })} close={close}>
      <Form submit={work.run}>
        <p>{t('admin.people.password.text')}</p>
        <TextField label={t('admin.people.password.new')} hint={t('admin.people.password.hint')} type="password" autocomplete="new-password" value={password} change={setPassword} required />
        {work.error && <ErrorBanner error={work.error} />}
        <div class="actions"><Button type="submit" kind="primary" busy={work.busy}>{t('admin.people.password')}</Button><Button onClick={close}>{t('core.cancel')}</Button></div>
      </Form>
    </Dialog>
  );
}
