// DICOM nodes: whose machine may send images, by what the hub knows it, and how it is set up to send.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { t } from '../core/i18n';
import { organisationChoices, organisationName, reachedBy, type TreeOrganisation } from '../core/organisations';
import { Loaded, useAction, useResource } from '../core/resource';
import { formatClock } from '../core/time';
import { Banner, Button, Check, type Choice, type Column, Confirm, Dialog, EmptyState, ErrorBanner, Facts, Form, Select, State, Table, TextField, Time, toast } from '../core/ui';
import { CopyText } from './copy';

type Node = {
  id: string; organisation_id: string; name: string; ae_title: string; address: string | null; certificate_sha256: string | null; has_token: boolean;
  may_send: boolean; may_receive: boolean; may_query: boolean; port: number | null; send_from_hour: number | null; send_until_hour: number | null; created_at: string; disabled_at: string | null; worklist_modalities: string[] | null;
};
type Hub = { ae_title: string; port: number; tls_port: number; query_port: number; query_tls_port: number };
type Made = { id: string; token: string | null };

const KEEPERS = ['device_manager', 'organisation_admin'] as const;
const AE_TITLE = /^[ -[\]-~]{1,16}$/; // as the hub takes it: no backslash
const SHA256 = /^[0-9a-f]{64}$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}$/;
const IPV6 = /^[0-9a-f:.]+$/i; // the hub looks closer

export function NodesSection() {
  const found = useResource<{ nodes: Node[]; hub: Hub }>('/api/dicom/nodes');
  const tree = useResource<{ organisations: TreeOrganisation[] }>('/api/organisations');
  const organisations = tree.data?.organisations ?? [];
  const [adding, setAdding] = useState(false);
  const [disabling, setDisabling] = useState<Node | null>(null);
  return (
    <section class="stack">
      <p class="soft">{t('admin.node.text')}</p>
      <div class="actions"><Button kind="primary" onClick={() => setAdding(true)}>{t('admin.node.add')}</Button></div>
      <Loaded from={found}>
        {(data) => (
          <>
            <Nodes nodes={data.nodes} organisations={organisations} disable={setDisabling} />
            <SetUp hub={data.hub} />
          </>
        )}
      </Loaded>
      {adding && <AddNode organisations={organisations} close={() => setAdding(false)} done={found.reload} />}
      {disabling && (
        <Confirm title={t('admin.node.disable.title', { name: disabling.name })} confirm={t('admin.node.disable')} grave close={() => setDisabling(null)}
          run={async () => { await api.post(`/api/dicom/nodes/${disabling.id}/disable`); toast(t('admin.node.disabled', { name: disabling.name })); found.reload(); }}
        >{t('admin.node.disable.text', { ae_title: disabling.ae_title })}</Confirm>
      )}
    </section>
  );
}

function Nodes({ nodes, organisations, disable }: { nodes: Node[]; organisations: TreeOrganisation[]; disable: (node: Node) => void }) {
  const columns: Column<Node>[] = [
    { name: 'name', label: t('admin.node.name'), sort: (node) => node.name, cell: (node) => <strong>{node.name}</strong> },
    { name: 'organisation', label: t('admin.organisation'), sort: (node) => organisationName(organisations, node.organisation_id), cell: (node) => organisationName(organisations, node.organisation_id) },
    { name: 'title', label: t('admin.node.ae-title'), sort: (node) => node.ae_title, cell: (node) => <span class="mono">{node.ae_title}</span> },
    { name: 'known', label: t('admin.node.known'), cell: (node) => <Known node={node} /> },
    { name: 'may', label: t('admin.node.may'), cell: (node) => <May node={node} /> },
    { name: 'state', label: t('admin.node.state'), sort: (node) => node.disabled_at ?? '', cell: (node) => node.disabled_at
      ? <State shape="stopped" at={node.disabled_at}>{t('admin.node.off')}</State>
      : <span><State shape="done">{t('admin.node.on')}</State> <span class="small soft"><Time at={node.created_at} show="date" /></span></span> },
    { name: 'act', label: t('admin.column.act'), bare: true, cell: (node) => node.disabled_at === null && <Button kind="quiet" aria-label={t('admin.node.disable.title', { name: node.name })} onClick={() => disable(node)}>{t('admin.node.disable')}</Button> },
  ];
  const empty = <EmptyState title={t('admin.node.empty')}><p>{t('admin.node.empty.text')}</p></EmptyState>;
  return <Table caption={t('admin.section.nodes')} rows={nodes} columns={columns} rowKey={(node) => node.id} empty={empty} />;
}

/** By what the hub knows it when it calls. */
function Known({ node }: { node: Node }) {
  return (
    <span class="node-known">
      {node.address && <span>{t('admin.node.by.address')} <span class="mono">{node.address}</span></span>}
      {node.certificate_sha256 && <span title={node.certificate_sha256}>{t('admin.node.by.certificate')} <span class="mono">{node.certificate_sha256.slice(0, 8)}…</span></span>}
      {node.has_token && <span>{t('admin.node.by.token')}</span>}
    </span>
  );
}

function May({ node }: { node: Node }) {
  const { may_send, may_receive, may_query, port, send_from_hour: from, send_until_hour: until } = node;
  const word = may_send && may_receive ? 'both' : may_send ? 'send' : may_receive ? 'receive' : may_query ? 'query' : 'nothing';
  return (
    <span class="node-known">
      <span>{t(`admin.node.may.${word}`)}</span>
      {node.worklist_modalities && <span class="small soft">{t('admin.node.may.worklist', { modalities: node.worklist_modalities.join(', ') })}</span>}
      {may_query && word !== 'query' && <span>{t('admin.node.may.query')}</span>}
      {may_receive && port !== null && <span class="small soft">{t('admin.node.may.port', { port })}</span>}
      {may_receive && from !== null && until !== null && <span class="small soft">{t('admin.node.may.hours', { from: clockOf(from), until: clockOf(until) })}</span>}
    </span>
  );
}

/** 18 -> "02:00" in China: hours are kept in UTC, people live in their own. */
function clockOf(utcHour: number): string {
  return formatClock(new Date().setUTCHours(utcHour, 0, 0, 0));
}

const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

/** Every hour of the day, by the person's clock, from midnight. */
function hourChoices(): Choice[] {
  return HOURS.map((hour) => ({ value: String(hour), label: clockOf(hour) })).sort((a, b) => a.label.localeCompare(b.label));
}

/** What is typed into the machine that sends. */
function SetUp({ hub }: { hub: Hub }) {
  const port = (number: number) => (number ? <span class="mono">{number}</span> : t('admin.node.hub.closed'));
  return (
    <section class="card" aria-labelledby="set-up">
      <h2 id="set-up">{t('admin.node.hub')}</h2>
      <p class="soft">{t('admin.node.hub.text')}</p>
      <Facts rows={[
        [t('admin.node.hub.ae-title'), <span class="mono">{hub.ae_title}</span>],
        [t('admin.node.hub.host'), <span class="mono">{location.hostname}</span>],
        [t('admin.node.hub.tls'), port(hub.tls_port)],
        [t('admin.node.hub.plain'), port(hub.port)],
        [t('admin.node.hub.query-tls'), port(hub.query_tls_port)],
        [t('admin.node.hub.query-plain'), port(hub.query_port)],
        [t('admin.node.hub.web'), <><span class="mono">{`${location.origin}/dicom-web/studies`}</span><br /><span class="small soft">{t('admin.node.hub.web.text')}</span></>],
      ]} />
      {hub.tls_port === 0 && hub.port === 0 && <Banner kind="notice">{t('admin.node.hub.none')}</Banner>}
    </section>
  );
}

const EMPTY = { organisation_id: '', name: '', ae_title: '', address: '', certificate: '', with_token: false, may_send: true, may_receive: false, may_query: false, worklist_modalities: '', port: '', send_from_hour: '', send_until_hour: '' };
type NodeForm = typeof EMPTY;

/** As browsers and OpenSSL show a fingerprint: colons, blanks, capitals. */
function fingerprint(text: string): string {
  return text.replace(/^sha-?256(?:\s+fingerprint)?\s*[=:]/i, '').replace(/[\s:]/g, '').toLowerCase();
}

/** What is wrong with each field; `none`: nothing the hub could know it by. */
function faultsOf(form: NodeForm): { ae_title?: string; address?: string; certificate?: string; none?: string; may?: string; port?: string; hours?: string; worklist?: string } {
  const address = form.address.trim();
  return {
    ...(form.ae_title.trim() && !AE_TITLE.test(form.ae_title.trim()) && { ae_title: t('admin.node.fault.ae-title') }),
    ...(address && !IPV4.test(address) && !(address.includes(':') && IPV6.test(address)) && { address: t('admin.node.fault.address') }),
    ...(form.certificate.trim() && !SHA256.test(fingerprint(form.certificate)) && { certificate: t('admin.node.fault.certificate') }),
    ...(!address && !form.certificate.trim() && !form.with_token && { none: t('admin.node.fault.none') }),
    ...(form.may_receive && !address && { address: t('admin.node.fault.receive') }),
    ...(form.may_receive && !(/^\d+$/.test(form.port) && Number(form.port) >= 1 && Number(form.port) <= 65_535) && { port: t('admin.node.fault.port') }),
    ...(form.may_receive && (form.send_from_hour === '') !== (form.send_until_hour === '') && { hours: t('admin.node.fault.hours') }),
    ...(form.may_query && !modalitiesOf(form).every((each) => /^[A-Z0-9_]+$/.test(each)) && { worklist: t('admin.node.fault.worklist') }),
    ...(!form.may_send && !form.may_receive && !form.may_query && { may: t('admin.node.fault.may') }),
  };
}

/** As people write a list, with Chinese commas, too. */
function modalitiesOf({ worklist_modalities: text }: Pick<NodeForm, 'worklist_modalities'>): string[] {
  return text.split(/[,，、;；\s]+/).filter(Boolean);
}

function bodyOf({ name, ae_title, address, certificate, port, send_from_hour, send_until_hour, ...rest }: NodeForm) {
  const goesTo = rest.may_receive && { port: Number(port), ...(send_from_hour !== '' && { send_from_hour: Number(send_from_hour), send_until_hour: Number(send_until_hour) }) };
  return { ...rest, ...goesTo, worklist_modalities: modalitiesOf(rest).join(', '), name: name.trim(), ae_title: ae_title.trim(), address: address.trim(), certificate_sha256: fingerprint(certificate) };
}

function AddNode({ organisations, close, done }: { organisations: TreeOrganisation[]; close: () => void; done: () => void }) {
  const [form, setForm] = useState<NodeForm>(EMPTY);
  const [tried, setTried] = useState(false);
  const [made, setMade] = useState<string | null>(null);
  const change = (changes: Partial<NodeForm>) => setForm({ ...form, ...changes });
  const faults = faultsOf(form);
  const shown = tried ? faults : {};
  const work = useAction(async () => {
    setTried(true);
    if (Object.keys(faults).length > 0) return;
    const { token } = await api.post<Made>('/api/dicom/nodes', bodyOf(form));
    done();
    if (token) { setMade(token); return; }
    toast(t('admin.node.added', { name: form.name.trim() }));
    close();
  });
  if (made) return <Token name={form.name.trim()} token={made} close={close} />;
  return (
    <Dialog title={t('admin.node.add')} close={close}>
      <Form submit={work.run}>
        <TextField label={t('admin.node.name')} hint={t('admin.node.name.hint')} value={form.name} change={(name) => change({ name })} required maxLength={80} />
        <Select label={t('admin.organisation')} hint={t('admin.node.organisation.hint')} value={form.organisation_id} change={(organisation_id) => change({ organisation_id })} required placeholder={t('admin.choose')} choices={organisationChoices(reachedBy(KEEPERS, organisations))} />
        <TextField label={t('admin.node.ae-title')} hint={t('admin.node.ae-title.hint')} value={form.ae_title} change={(ae_title) => change({ ae_title })} required maxLength={16} autocomplete="off" autocapitalize="characters" spellcheck={false} error={shown.ae_title} />
        <fieldset class="stack">
          <legend class="field-label">{t('admin.node.known')}</legend>
          <p class="field-hint">{t('admin.node.known.hint')}</p>
          <TextField label={t('admin.node.certificate')} hint={t('admin.node.certificate.hint')} value={form.certificate} change={(certificate) => change({ certificate })} autocomplete="off" spellcheck={false} error={shown.certificate} />
          <TextField label={t('admin.node.address')} hint={t('admin.node.address.hint')} value={form.address} change={(address) => change({ address })} maxLength={45} autocomplete="off" spellcheck={false} error={shown.address} />
          <Check label={t('admin.node.token')} hint={t('admin.node.token.hint')} checked={form.with_token} change={(with_token) => change({ with_token })} />
          {shown.none && <div class="field-error" role="alert">{shown.none}</div>}
        </fieldset>
        <fieldset class="field">
          <legend class="field-label">{t('admin.node.may')}</legend>
          <Check label={t('admin.node.may-send')} checked={form.may_send} change={(may_send) => change({ may_send })} />
          <Check label={t('admin.node.may-receive')} checked={form.may_receive} change={(may_receive) => change({ may_receive })} />
          <Check label={t('admin.node.may-query')} hint={t('admin.node.may-query.hint')} checked={form.may_query} change={(may_query) => change({ may_query })} />
          {form.may_query && <TextField label={t('admin.node.worklist')} hint={t('admin.node.worklist.hint')} value={form.worklist_modalities} change={(text) => change({ worklist_modalities: text.toUpperCase() })} maxLength={80} autocomplete="off" autocapitalize="characters" spellcheck={false} error={shown.worklist} />}
          {form.may_receive && <Receiving form={form} change={change} port={shown.port} hours={shown.hours} />}
          {shown.may && <div class="field-error" role="alert">{shown.may}</div>}
        </fieldset>
        {work.error && (work.error.code === 'conflict' ? <Banner kind="error">{t('admin.node.conflict')}</Banner> : <ErrorBanner error={work.error} />)}
        <div class="actions"><Button type="submit" kind="primary" busy={work.busy}>{t('admin.node.add')}</Button><Button onClick={close}>{t('core.cancel')}</Button></div>
      </Form>
    </Dialog>
  );
}

type ReceivingProps = { form: NodeForm; change: (changes: Partial<NodeForm>) => void; port: string | undefined; hours: string | undefined };

/** Where and when a copy is sent to it. */
function Receiving({ form, change, port, hours }: ReceivingProps) {
  return (
    <div class="form-grid form-grid-tight">
      <TextField label={t('admin.node.port')} inputMode="numeric" maxLength={5} value={form.port} change={(value) => change({ port: value })} error={port} />
      <Select label={t('admin.node.from-hour')} value={form.send_from_hour} change={(send_from_hour) => change({ send_from_hour })} placeholder={t('admin.node.any-hour')} choices={hourChoices()} error={hours} />
      <Select label={t('admin.node.until-hour')} value={form.send_until_hour} change={(send_until_hour) => change({ send_until_hour })} placeholder={t('admin.node.any-hour')} choices={hourChoices()} />
    </div>
  );
}

/** The token is nowhere readable afterwards: the hub keeps only its hash. */
function Token({ name, token, close }: { name: string; token: string; close: () => void }) {
  return (
    <Dialog title={t('admin.node.made', { name })} close={null}>
      <Banner kind="notice">{t('admin.node.once')}</Banner>
      <CopyText text={token} />
      <p class="small soft">{t('admin.node.once.use')}</p>
      <pre class="hex" tabIndex={0}>{`POST ${location.origin}/dicom-web/studies\nAuthorization: Bearer …\n\nPOST ${location.origin}/api/ecg?accession=…&filename=…\nAuthorization: Bearer …`}</pre>
      <div class="actions"><Button kind="primary" onClick={close}>{t('admin.device.noted')}</Button></div>
    </Dialog>
  );
}
