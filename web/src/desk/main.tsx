// The township desk: today's people and their studies, residents, requests, devices on the patient, reports back.
import { t } from '../core/i18n';
import { later } from '../core/later';
import { place } from '../core/place';
import { Shell, startPage } from '../core/shell';
import './desk.css';
import { PatientPage } from './patient';
import { RegisterPage } from './register';
import { RequestPage } from './request';
import { RequestFormPage } from './request-form';
import { ResidentsPage } from './residents';
import { TodayPage } from './today';

const Pairing = later(async () => {
  const { PairingPage } = await import('./pairing');
  return () => <PairingPage requestId={place.value.get('pair') ?? ''} />;
}, 'live');
const UnresolvedPage = later(async () => (await import('./unresolved')).UnresolvedPage, 'images');
const UnresolvedHint = later(async () => (await import('./unresolved-hint')).UnresolvedHint, 'images', null);

function Desk() {
  const at = (name: string) => place.value.get(name);
  const [request, patient, pair] = [at('request'), at('patient'), at('pair')];
  if (pair) return <Framed title={t('desk.pair.title')}><Pairing key={pair} /></Framed>;
  if (request) return <Framed title={t('desk.request.title')}><RequestPage key={request} requestId={request} /></Framed>;
  if (patient && at('new')) return <Framed title={t('desk.new.title')}><RequestFormPage key={patient} patientId={patient} /></Framed>;
  if (patient) return <Framed title={t('desk.patient.title')}><PatientPage key={patient} patientId={patient} /></Framed>;
  if (at('register')) return <Framed title={t('desk.register.title')}><RegisterPage /></Framed>;
  if (at('residents')) return <Framed title={t('desk.residents.title')}><ResidentsPage /></Framed>;
  if (at('images')) return <Framed title={t('desk.dicom.title')}><UnresolvedPage /></Framed>;
  return <Shell page="desk" title={t('desk.today.title')}><UnresolvedHint /><TodayPage /></Shell>;
}

function Framed({ title, children }: { title: string; children: preact.ComponentChildren }) {
  return (
    <Shell page="desk" title={title} above={<nav class="crumbs" aria-label={t('desk.crumbs')}><a href="/desk">← {t('desk.today.title')}</a><a href="/desk?residents=1">{t('desk.residents.title')}</a></nav>}>
      {children}
    </Shell>
  );
}

void startPage(Desk);
