// A resident's page: who, what they agreed to, and every request made for them.
import { useState } from 'preact/hooks';
import { named, t } from '../core/i18n';
import { Loaded, useResource } from '../core/resource';
import { ButtonLink, EmptyState, Facts, Table, Time, type Column } from '../core/ui';
import { Consents } from './consent';
import { StudyState } from './states';
import type { Patient, StudyLine } from './types';

export function PatientPage({ patientId }: { patientId: string }) {
  const patient = useResource<{ patient: Patient }>(`/api/patients/${patientId}`);
  return (
    <Loaded from={patient}>
      {({ patient: data }) => (
        <>
          <div class="card-head">
            <p class="who">{data.name} <span class="soft">{t(`core.sex.${data.sex}`)} {t('core.age_years', { count: data.age_years })}</span></p>
            <ButtonLink kind="primary" href={`/desk?patient=${patientId}&new=1`}>{t('desk.new.title')}</ButtonLink>
          </div>
          <div class="columns">
            <Person patient={data} />
            <Consents patient={data} changed={patient.reload} />
          </div>
          <Requests patientId={patientId} />
          <AccessLog patientId={patientId} />
        </>
      )}
    </Loaded>
  );
}

function Person({ patient }: { patient: Patient }) {
  return (
    <section class="card">
      <h2>{t('desk.patient.facts')}</h2>
      <Facts rows={[
        [t('desk.register.birth'), <span class="figures">{patient.birth_date}</span>],
        [t(`desk.id-type.${patient.id_type}`), patient.id_number_masked ?? '—'],
        [t('desk.register.phone'), patient.phone ?? '—'],
        patient.guardian_name ? [t('desk.patient.guardian'), `${patient.guardian_name} ${patient.guardian_phone ?? ''}`] : null,
        [t('desk.register.organisation'), named(patient.organisation)],
      ]} />
    </section>
  );
}

function Requests({ patientId }: { patientId: string }) {
  const studies = useResource<{ studies: StudyLine[] }>('/api/studies', ['requests', 'recordings', 'tasks', 'reports', 'uploads']);
  const columns: Column<StudyLine>[] = [
    { name: 'kind', label: t('desk.column.kind'), cell: (study) => <a class="row-link" href={`/desk?request=${study.request_id}`}>{t(`desk.kind.${study.kind}`)}</a> },
    { name: 'state', label: t('desk.column.state'), cell: (study) => <StudyState study={study} /> },
    { name: 'created', label: t('desk.column.requested'), cell: (study) => <Time at={study.created_at} />, sort: (study) => study.created_at },
  ];
  return (
    <section class="stack">
      <h2>{t('desk.patient.requests')}</h2>
      <Loaded from={studies}>
        {(data) => (
          <Table
            caption={t('desk.patient.requests')} columns={columns} rowKey={(study) => study.request_id}
            rows={data.studies.filter((study) => study.patient.id === patientId)} empty={<EmptyState title={t('desk.patient.requests.empty')} />}
          />
        )}
      </Loaded>
    </section>
  );
}

type Access = { at: string; actor_name: string | null; actor_kind: string; action: string; organisation_name: string | null; reason: string | null };

/** Who looked at this record: the resident may ask, the desk can answer. */
function AccessLog({ patientId }: { patientId: string }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="card" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary class="summary">{t('desk.access.title')}</summary>
      {open && <AccessRows patientId={patientId} />}
    </details>
  );
}

function AccessRows({ patientId }: { patientId: string }) {
  const log = useResource<{ entries: Access[] }>(`/api/patients/${patientId}/access-log`);
  const columns: Column<Access>[] = [
    { name: 'at', label: t('desk.column.when'), cell: (entry) => <Time at={entry.at} show="seconds" />, sort: (entry) => entry.at },
    { name: 'who', label: t('desk.column.who'), cell: (entry) => <>{entry.actor_name ?? t('core.actor.hub')} {entry.organisation_name && <span class="soft">{entry.organisation_name}</span>}</> },
    { name: 'what', label: t('desk.column.what'), cell: (entry) => <><span class="mono small">{entry.action}</span> {entry.reason}</> },
  ];
  return <Loaded from={log}>{(data) => <Table caption={t('desk.access.title')} rows={data.entries} columns={columns} rowKey={(entry) => entry.at + entry.action} empty={<EmptyState title={t('desk.access.empty')} />} />}</Loaded>;
}
