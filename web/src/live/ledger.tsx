// Every sample accounted for: produced, stored, declared lost, still waiting; and each gap with its time.
import { count, duration, t } from '../core/i18n';
import { formatClock, formatShort } from '../core/time';
import { BacklogWords, DeviceClockWords } from '../core/recorder';
import type { DeviceState, LedgerCounts, Recording } from '../core/types';
import { Facts } from '../core/ui';

export function LedgerFacts({ recording, ledger, device }: { recording: Recording; ledger: LedgerCounts; device: DeviceState }) {
  const backlog = device.backlog ?? recording.backlog;
  const clock = device.clock ?? recording.clock;
  const amount = (samples: number) => `${count(samples)} ${t('live.ledger.samples')} (${duration(samples / recording.fs_hz)})`;
  const unknown = recording.ledger.not_known.map(({ from, to }) => (to ? `${formatShort(from)} – ${formatShort(to)}` : t('live.ledger.since', { at: formatShort(from) })));
  return (
    <div class="stack-tight" data-testid="ledger" data-produced={ledger.produced} data-stored={ledger.stored}
      data-declared-lost={ledger.declared_lost} data-waiting={ledger.waiting}>
      <Facts rows={[
        [t('live.ledger.produced'), amount(ledger.produced)],
        [t('live.ledger.stored'), amount(ledger.stored)],
        [t('live.ledger.lost'), amount(ledger.declared_lost)],
        [t('live.ledger.waiting'), amount(ledger.waiting)],
        [t('live.ledger.backlog'), <BacklogWords backlog={backlog} />],
        unknown.length === 0 ? null : [t('live.ledger.unknown'), unknown.join('; ')],
        clock && [t('live.ledger.clock'), <DeviceClockWords clock={clock} />],
      ]} />
      <Gaps recording={recording} />
    </div>
  );
}

function Gaps({ recording }: { recording: Recording }) {
  const gaps = recording.ledger.boots.flatMap((boot) => boot.gaps.map(([from, to, kind]) => ({
    at_ms: Date.parse(boot.began_at) + (from / recording.fs_hz) * 1000,
    length_s: (to - from) / recording.fs_hz,
    kind,
  })));
  if (gaps.length === 0) return <p class="soft">{t('live.gaps.none')}</p>;
  return (
    <ul class="gaps">
      {gaps.slice(-8).reverse().map(({ at_ms, length_s, kind }) => (
        <li key={at_ms}><span class="figures">{formatClock(at_ms, true)}</span> · {duration(length_s)} · {t(`live.gap.${kind}`)}</li>
      ))}
      {gaps.length > 8 && <li class="soft">{t('live.gaps.more', { count: gaps.length - 8 })}</li>}
    </ul>
  );
}
