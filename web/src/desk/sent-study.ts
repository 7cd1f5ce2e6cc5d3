// A DICOM study in the words of who sent it.
import { t } from '../core/i18n';
import { dateOf, namesOf, sexOf, type Sent } from './identity';
import type { DicomStudy } from './types';

/** As its sender describes it, and whose it is. */
export type SentStudy = DicomStudy & Sent & {
  patient_id: string | null; patient_name: string | null; resolved_by: 'accession' | 'worklist' | 'identifier' | 'person' | null;
  description: string; study_date: string; first_at: string; sender_name: string | null;
};

export function sentName(study: Sent): string {
  return namesOf(study.sent_name).join(' / ') || t('desk.dicom.nameless');
}

/** "male · 1950-05-01 · id P1 (HIS)": what was sent, as far as it was. */
export function sentFacts(study: Sent): string {
  const sex = sexOf(study.sent_sex);
  const id = study.sent_patient_id && t('desk.dicom.id', { id: study.sent_issuer ? `${study.sent_patient_id} (${study.sent_issuer})` : study.sent_patient_id });
  return [sex ? t(`core.sex.${sex}`) : study.sent_sex, dateOf(study.sent_birth_date), id].filter(Boolean).join(' · ');
}

export function modalityWords(study: DicomStudy): string {
  return `${study.modalities.join(' · ') || '—'} ${t('desk.dicom.images', { count: study.instances })}`;
}
