// Find a resident by name or by identity number, then go on from there.
import { useEffect, useState } from 'preact/hooks';
import { withQuery } from '../core/api';
import { named, t } from '../core/i18n';
import { Loaded, useResource } from '../core/resource';
import { ButtonLink, EmptyState, Table, TextField, type Column } from '../core/ui';
import type { Patient } from './types';

const PAUSE_MS = 250; // after the last key, before asking

export function ResidentsPage() {
  const [typed, setTyped] = useState('');
  const [asked, setAsked] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setAsked(typed.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const found = useResource<{ patients: Patient[] }>(withQuery('/api/patients', { q: asked }));
  return (
    <>
      <div class="toolbar">
        <TextField label={t('core.residents.search')} type="search" autocomplete="off" autoFocus value={typed} change={setTyped} hint={t('desk.residents.search.hint')} />
        <ButtonLink href="/desk?register=1">{t('desk.register.title')}</ButtonLink>
      </div>
      <Loaded from={found}>{(data) => <Residents patients={data.patients} asked={asked} />}</Loaded>
    </>
  );
}

function Residents({ patients, asked }: { patients: Patient[]; asked: string }) {
  const columns: Column<Patient>[] = [
    { name: 'name', label: t('desk.column.name'), cell: (patient) => <a class="row-link" href={`/desk?patient=${patient.id}`}>{patient.name}</a>, sort: (patient) => patient.name },
    { name: 'sex', label: t('desk.column.sex'), minor: true, cell: (patient) => t(`core.sex.${patient.sex}`), sort: (patient) => patient.sex },
    { name: 'age', label: t('desk.column.age'), cell: (patient) => t('core.age_years', { count: patient.age_years }), sort: (patient) => patient.age_years },
    { name: 'birth', label: t('desk.column.birth'), cell: (patient) => <span class="figures">{patient.birth_date}</span>, sort: (patient) => patient.birth_date },
    { name: 'organisation', label: t('desk.column.organisation'), minor: true, cell: (patient) => named(patient.organisation), sort: (patient) => named(patient.organisation) },
    { name: 'next', label: t('desk.column.next'), bare: true, cell: (patient) => <ButtonLink href={`/desk?patient=${patient.id}&new=1`} aria-label={t('desk.new.for', { name: patient.name })}>{t('desk.new.title')}</ButtonLink> },
  ];
  return (
    <Table
      caption={t('desk.residents.title')} rows={patients} columns={columns} rowKey={(patient) => patient.id}
      empty={
        <EmptyState title={asked ? t('desk.residents.none', { text: asked }) : t('desk.residents.empty')}>
          <p>{t('desk.residents.none.text')}</p>
          <ButtonLink href="/desk?register=1">{t('desk.register.title')}</ButtonLink>
        </EmptyState>
      }
    />
  );
}
