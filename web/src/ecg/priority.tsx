// Alarm priority as IEC 60601-1-8 has it: always a word, a shape and a colour together.
import { t } from '../core/i18n';
import './priority.css';

const SHAPES: Record<string, string> = { high: '▲', medium: '◆', low: '●' };

export function PriorityMark({ priority }: { priority: string | null }) {
  const level = priority === 'high' || priority === 'medium' || priority === 'low' ? priority : null;
  if (level === null) return <span class="priority priority-none">{t('live.priority.none')}</span>;
  return (
    <span class={`priority priority-${level}`}>
      <span aria-hidden="true">{SHAPES[level]}</span> {t(`live.priority.${level}`)}
    </span>
  );
}

export const URGENCY: Record<string, number> = { high: 0, medium: 1, low: 2 };
