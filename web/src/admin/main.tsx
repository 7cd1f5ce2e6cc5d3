// Administration: devices, DICOM nodes and what goes to them, what was set aside, what is broken, people and rights, agreements, routing rules, retention, audit, the hub's health.
import type { ComponentType } from 'preact';
import { t } from '../core/i18n';
import { later } from '../core/later';
import { place } from '../core/place';
import { hasRole } from '../core/session';
import { Shell, startPage } from '../core/shell';
import './admin.css';
import { DevicesSection } from './devices';
import { HealthSection } from './health';
import { hub, useHub } from './hub';
import { HubBanner, IncidentsSection } from './incidents';
import { SetAsideSection } from './set-aside';

// Who sees what is decided by the hub; these only leave out what would be refused anyway. No role listed = everybody.
const OPERATORS = ['device_manager', 'organisation_admin'] as const;
const SECTIONS = {
  devices: { roles: ['device_manager', 'technician', 'township_doctor', 'village_doctor'], Section: DevicesSection },
  'set-aside': { roles: ['device_manager'], Section: SetAsideSection },
  incidents: { roles: OPERATORS, Section: IncidentsSection },
  nodes: { roles: OPERATORS, Section: later(async () => (await import('./nodes')).NodesSection, 'routing') },
  forwards: { roles: OPERATORS, Section: later(async () => (await import('./forwards')).ForwardsSection, 'routing') },
  people: { roles: ['organisation_admin'], Section: later(async () => (await import('./people')).PeopleSection) },
  agreements: { roles: ['organisation_admin'], Section: later(async () => (await import('./agreements')).AgreementsSection) },
  routing: { roles: ['organisation_admin', 'reader', 'senior_reader'], Section: later(async () => (await import('./routing')).RoutingSection, 'routing') },
  retention: { roles: ['organisation_admin'], Section: later(async () => (await import('./retention')).RetentionSection) },
  audit: { roles: ['auditor'], Section: later(async () => (await import('./audit')).AuditSection) },
  health: { roles: [], Section: HealthSection },
} as const satisfies Record<string, { roles: readonly string[]; Section: ComponentType }>;
type SectionName = keyof typeof SECTIONS;
const NAMES = Object.keys(SECTIONS) as SectionName[];

function Admin() {
  const mine = NAMES.filter((name) => SECTIONS[name].roles.length === 0 || hasRole(...SECTIONS[name].roles));
  const asked = place.value.get('section');
  const name = mine.find((each) => each === asked) ?? mine[0] ?? 'health';
  const { Section } = SECTIONS[name];
  const operates = hasRole(...OPERATORS);
  useHub(operates);
  const broken = hub.value?.incidents.length ?? 0;
  return (
    <Shell page="admin" wide title={t('admin.title')}>
      <nav class="sections" aria-label={t('admin.sections')}>
        {mine.map((each) => <a key={each} href={`/admin?section=${each}`} aria-current={each === name ? 'page' : undefined}>{t(`admin.section.${each}`)}{each === 'incidents' && broken > 0 && <span class="badge figures">{broken}</span>}</a>)}
      </nav>
      {operates && <HubBanner />}
      <Section key={name} />
    </Shell>
  );
}

void startPage(Admin);
