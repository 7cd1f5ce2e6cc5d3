// How long data are kept: rules that are off until the administrator of the whole tree switches them on, and what each would remove now.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { count, named, t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import { Banner, Button, Check, type Column, Dialog, ErrorBanner, Form, State, Table, TextField, Time, toast } from '../core/ui';

interface Rule {
  kind: string;
  name: string;
  name_en: string;
  minimum_days: number;
  keep_days: number;
  enabled: boolean;
  changed_at: string | null;
  changed_by: string | null;
}

interface Due {
  kind: string;
  object_kind: 'recording' | 'dicom-study' | 'study' | 'dicom-commitment' | 'vital-signs' | 'session' | 'set-aside';
  number: number;
}

export function RetentionSection() {
  const rules = useResource<{ rules: Rule[] }>('/api/retention');
  const due = useResource<{ due: Due[] }>('/api/retention/due');
  const [changing, setChanging] = useState<Rule | null>(null);
  const reload = () => { rules.reload(); due.reload(); };
  return (
    <section class="stack">
      <p class="soft">{t('admin.retention.text')}</p>
      <Loaded from={rules}>{(data) => <Rules rules={data.rules} due={due.data?.due ?? null} change={setChanging} />}</Loaded>
      {changing && <ChangeRule rule={changing} due={due.data?.due ?? null} close={() => setChanging(null)} done={reload} />}
    </section>
  );
}

/** "15 年（5479 天）", "90 天" */
function span(days: number): string {
  const years = Math.floor(days / 365.2);
  return years > 0 ? t('admin.retention.years', { years, days }) : t('core.duration.d', { count: days });
}

type ListProps = { rules: Rule[]; due: Due[] | null; change: (rule: Rule) => void };

function Rules({ rules, due, change }: ListProps) {
  const columns: Column<Rule>[] = [
    { name: 'what', label: t('admin.retention.what'), cell: (rule) => named(rule) },
    { name: 'minimum', label: t('admin.retention.minimum'), sort: (rule) => rule.minimum_days, cell: (rule) => span(rule.minimum_days) },
    { name: 'keep', label: t('admin.retention.keep'), sort: (rule) => rule.keep_days, cell: (rule) => span(rule.keep_days) },
    { name: 'state', label: t('admin.retention.state'), cell: (rule) => <RuleState rule={rule} /> },
    { name: 'due', label: t('admin.retention.due'), cell: (rule) => dueWords(rule, due) },
    { name: 'act', label: t('admin.column.act'), bare: true, cell: (rule) => <Button kind="quiet" onClick={() => change(rule)}>{t('admin.retention.change')}</Button> },
  ];
  return <Table caption={t('admin.section.retention')} rows={rules} columns={columns} rowKey={(rule) => rule.kind} empty={null} />;
}

function RuleState({ rule }: { rule: Rule }) {
  return (
    <>
      <State shape={rule.enabled ? 'moving' : 'stopped'}>{t(rule.enabled ? 'admin.retention.on' : 'admin.retention.off')}</State>
      {rule.changed_at && <span class="soft"> {rule.changed_by} <Time at={rule.changed_at} /></span>}
    </>
  );
}

/** "3 recordings, 1,200 values"; "nothing". */
function dueWords(rule: Rule, due: Due[] | null): string {
  if (due === null) return '';
  const some = due.filter((each) => each.kind === rule.kind && each.number > 0);
  return some.map((each) => t(`admin.retention.due.${each.object_kind}`, { count: count(each.number) })).join(t('admin.retention.and')) || t('admin.retention.nothing');
}

function ChangeRule({ rule, due, close, done }: { rule: Rule; due: Due[] | null; close: () => void; done: () => void }) {
  const [form, setForm] = useState({ days: String(rule.keep_days), enabled: rule.enabled });
  const days = Number(form.days);
  const short = !Number.isInteger(days) || days < rule.minimum_days;
  const work = useAction(async () => {
    if (short) return;
    await api.put('/api/retention', { kind: rule.kind, keep_days: days, enabled: form.enabled });
    toast(t('admin.retention.changed'));
    done();
    close();
  });
  return (
    <Dialog title={named(rule)} close={close}>
      <Form submit={work.run}>
        <TextField label={t('admin.retention.days')} inputMode="numeric" value={form.days} change={(value) => setForm({ ...form, days: value })} required
          hint={t('admin.retention.days.hint', { days: rule.minimum_days })} error={short ? t('admin.retention.days.fault', { days: rule.minimum_days }) : undefined} />
        <Check label={t('admin.retention.enable')} checked={form.enabled} change={(enabled) => setForm({ ...form, enabled })} hint={t('admin.retention.enable.hint')} />
        {form.enabled && !rule.enabled && <Banner kind="notice">{t('admin.retention.warning', { due: dueWords(rule, due) })}</Banner>}
        {work.error && <ErrorBanner error={work.error} />}
        <div class="actions"><Button type="submit" kind="primary" busy={work.busy}>{t('admin.retention.change')}</Button><Button onClick={close}>{t('core.cancel')}</Button></div>
      </Form>
    </Dialog>
  );
}
