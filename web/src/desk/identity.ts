// Whom a DICOM study names, held against a resident: what agrees, what does not, and what can't be told.
// No page in here: `web/check/rules.mjs` tries it.
import type { Sex } from '../core/types';

export type Sent = {
  sent_name: string; sent_birth_date: string; sent_sex: string; sent_patient_id: string; sent_issuer: string; accession: string; modalities: string[];
};
export type Verdict = 'same' | 'differs' | 'unsure' | 'unsaid';

const HAN = /\p{Script=Han}/u;
const SEXES: Record<string, Sex> = { M: 'male', F: 'female', O: 'other' }; // PS3.3 C.7.1.1

/** The groups of a PN (PS3.5 6.2.1.1: alphabetic, ideographic, phonetic), as they are read: family name first, no carets. */
export function namesOf(sent: string): string[] {
  return [...new Set(sent.split('=').map((group) => group.split('^').map((part) => part.trim()).filter(Boolean).join(' ')).filter(Boolean))]
    .map((name) => (HAN.test(name) ? name.replaceAll(' ', '') : name));
}

/** 19500501 -> 1950-05-01; anything else as it came. */
export function dateOf(sent: string): string {
  return /^\d{8}$/.test(sent) ? `${sent.slice(0, 4)}-${sent.slice(4, 6)}-${sent.slice(6)}` : sent;
}

export function sexOf(sent: string): Sex | null {
  return SEXES[sent] ?? null;
}

export type Verdicts = { name: Verdict; birth_date: Verdict; sex: Verdict };

/** A name in letters can't be held against one in characters. */
export function compare(sent: Pick<Sent, 'sent_name' | 'sent_birth_date' | 'sent_sex'>, patient: { name: string; birth_date: string; sex: Sex }): Verdicts {
  const names = namesOf(sent.sent_name);
  const bare = (name: string) => name.replaceAll(' ', '').toLowerCase();
  const same = names.some((name) => bare(name) === bare(patient.name));
  const comparable = names.some((name) => HAN.test(name) === HAN.test(patient.name));
  const sex = sexOf(sent.sent_sex);
  return {
    name: names.length === 0 ? 'unsaid' : same ? 'same' : comparable ? 'differs' : 'unsure',
    birth_date: sent.sent_birth_date === '' ? 'unsaid' : dateOf(sent.sent_birth_date) === patient.birth_date ? 'same' : 'differs',
    sex: sex === null ? 'unsaid' : patient.sex === 'unknown' ? 'unsure' : sex === patient.sex ? 'same' : 'differs',
  };
}

type Asked = { id: string; kind: string; accession: string; modality: string | null };

/** Whether what a request asks for is what came. */
export function compareRequest({ accession, modalities }: Pick<Sent, 'accession' | 'modalities'>, request: Asked): { accession: Verdict; modality: Verdict } {
  const wanted = request.kind === 'imaging' ? request.modality : 'ECG';
  return {
    accession: accession === '' ? 'unsaid' : accession === request.accession ? 'same' : 'differs',
    modality: wanted === null ? 'unsaid' : modalities.includes(wanted) ? 'same' : 'differs',
  };
}

/** The request that is meant for certain, or the only one that fits; else a person chooses. */
export function likeliest<R extends Asked>(sent: Pick<Sent, 'accession' | 'modalities'>, requests: readonly R[]): R | null {
  const numbered = requests.find((request) => compareRequest(sent, request).accession === 'same');
  if (numbered) return numbered;
  const fitting = requests.filter((request) => compareRequest(sent, request).modality === 'same');
  return fitting.length === 1 ? fitting[0] ?? null : null;
}
