// Vital signs: value, unit and age, the newest of each quantity.
import { t } from '../core/i18n';
import type { Vital } from '../core/types';
import { Age } from '../core/ui';
import { translated } from '../ecg/rules';

const SYSTOLIC = 'MDC_PRESS_BLD_NONINV_SYS';
const DIASTOLIC = 'MDC_PRESS_BLD_NONINV_DIA';
/** In the order a doctor asks; anything else follows. The mean pressure stands with the pair it was computed from. */
const ORDER = ['MDC_PULS_OXIM_SAT_O2', SYSTOLIC, DIASTOLIC, 'MDC_RESP_RATE', 'MDC_TEMP_BODY', 'MDC_PULS_OXIM_PULS_RATE', 'MDC_ECG_HEART_RATE'];
const HIDDEN = new Set(['MDC_ATTR_VAL_BATT_CHARGE', 'MDC_PRESS_BLD_NONINV_MEAN']);
const UNITS: Record<string, string> = { '%': '%', 'mm[Hg]': 'mmHg', Cel: '°C' };

export type VitalBrief = Pick<Vital, 'value' | 'unit' | 'at'> & { text_value?: string | null };
type Row = { code: string; name: string; value: string; unit: string; at: string };

function unitWord(unit: string): string {
  return unit === '/min' ? t('live.unit.per-minute') : UNITS[unit] ?? unit;
}

function shown(vital: VitalBrief): string {
  return vital.value === null ? vital.text_value ?? '–' : String(Math.round(vital.value * 10) / 10);
}

/** Blood pressure taken at one instant is one row: 128/76 mmHg. */
export function vitalRows(vitals: ReadonlyMap<string, VitalBrief>): Row[] {
  const [high, low] = [vitals.get(SYSTOLIC), vitals.get(DIASTOLIC)];
  const paired = high !== undefined && low !== undefined && high.at === low.at;
  const place = (code: string): number => (ORDER.indexOf(code) + 1 || ORDER.length + 1);
  return [...vitals].filter(([code]) => !HIDDEN.has(code) && !(paired && code === DIASTOLIC))
    .sort(([a], [b]) => place(a) - place(b))
    .map(([code, vital]) => {
      const pressure = paired && code === SYSTOLIC;
      return {
        code,
        name: pressure ? t('live.vital.pressure') : translated(`live.vital.${code}`, code),
        value: pressure ? `${shown(high)}/${shown(low)}` : shown(vital),
        unit: vital.unit === '%' ? '%' : ` ${unitWord(vital.unit)}`, // 96%, but 128/76 mmHg
        at: vital.at,
      };
    });
}

export function Vitals({ vitals }: { vitals: ReadonlyMap<string, VitalBrief> }) {
  const rows = vitalRows(vitals);
  if (rows.length === 0) return <p class="soft">{t('live.vitals.none')}</p>;
  return (
    <dl class="vitals">
      {rows.map(({ code, name, value, unit, at }) => (
        <div key={code} data-vital={code}>
          <dt>{name}</dt>
          <dd><strong class="figures vital-value">{value}</strong><span>{unit}</span> <span class="soft small"><Age at={at} /></span></dd>
        </div>
      ))}
    </dl>
  );
}
