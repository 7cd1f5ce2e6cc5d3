// The signal check: waits for the first data, shows the trace, each lead's electrodes and quality, then "fits" or "stop and retry".
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api } from '../core/api';
import { duration, t } from '../core/i18n';
import { go } from '../core/place';
import { now } from '../core/time';
import { Banner, Button, Confirm, State, toast, type Shape } from '../core/ui';
import { leadName, pxPerMm } from '../ecg/paper';
import { SweepView } from '../ecg/sweep-view';
import { openFeed, type Feed } from '../live/feed';

const QUALITIES = { good: 'done', noisy: 'moving', unreadable: 'stopped', off: 'stopped' } as const satisfies Record<string, Shape>;
type Quality = keyof typeof QUALITIES;
const FRESH_S = 10; // an older judgement is no judgement
const SETTLE_S = 3; // before that the analysis has not seen enough to judge electrodes

type Props = { recordingId: string; requestId: string; stopped: () => void };

export function SignalCheck({ recordingId, requestId, stopped }: Props) {
  const feed = useMemo(() => openFeed(recordingId), [recordingId]);
  useEffect(() => feed.close, [feed]);
  const opened = useMemo(() => Date.now(), [recordingId]);
  const firstAt = useRef<string | null>(null);
  firstAt.current ??= feed.second.value?.at ?? null;
  const flowing = feed.second.value !== null;
  const found = qualities(feed, firstAt.current);
  return (
    <div class="stack">
      {!flowing && <Waiting feed={feed} since={opened} />}
      <Trace feed={feed} />
      {flowing && <Leads feed={feed} found={found} />}
      <Decide feed={feed} found={found} recordingId={recordingId} requestId={requestId} stopped={stopped} />
    </div>
  );
}

function Waiting({ feed, since }: { feed: Feed; since: number }) {
  const connected = feed.device.value?.connected ?? false;
  return (
    <Banner kind="info">
      <strong>{t('desk.check.waiting')}</strong> <span class="figures">{duration((now.value - since) / 1000)}</span><br />
      {t(connected ? 'desk.check.waiting.connected' : 'desk.check.waiting.away')}
    </Banner>
  );
}

function Trace({ feed }: { feed: Feed }) {
  const ecg = feed.ecg.value;
  return (
    <section class="card" aria-label={t('desk.check.trace')}>
      <div class="card-head">
        <h2>{t('desk.check.trace')}</h2>
        <span class="rate-now figures">{feed.second.value?.rate_bpm ? t('desk.check.rate', { rate: Math.round(feed.second.value.rate_bpm) }) : t('desk.check.rate.none')}</span>
      </div>
      <div class="check-sweep">
        {ecg
          ? <SweepView signal={ecg} scale={{ mm_per_s: 25, mm_per_mv: 10, px_per_mm: pxPerMm() }} label={t('desk.check.trace')} attach={feed.attach} words={{ no_data: t('desk.check.no-data'), skipped: t('desk.check.skipped') }} />
          : <p class="soft check-empty">{t('desk.check.trace.empty')}</p>}
      </div>
    </section>
  );
}

/** Quality per lead in the recording's order, none if the analysis has seen too little or its last judgement is old. */
function qualities(feed: Feed, firstAt: string | null): readonly string[] {
  const second = feed.second.value;
  const newest = feed.newest.value;
  if (!second || !newest || Date.parse(second.at) - Date.parse(firstAt ?? second.at) < SETTLE_S * 1000) return [];
  if ((now.value - newest.heard_ms) / 1000 + newest.age_s > FRESH_S) return [];
  return second.quality;
}

function isQuality(word: string | undefined): word is Quality {
  return word !== undefined && word in QUALITIES;
}

function Leads({ feed, found }: { feed: Feed; found: readonly string[] }) {
  const leads = feed.ecg.value?.leads ?? [];
  return (
    <section class="card" aria-label={t('desk.check.leads')}>
      <h2>{t('desk.check.leads')}</h2>
      <ul class="plain-list leads">
        {leads.map((lead, index) => {
          const quality = found[index];
          return (
            <li key={lead} data-quality={quality ?? ''}>
              <strong>{leadName(lead)}</strong>
              {isQuality(quality)
                ? <span><State shape={QUALITIES[quality]}>{t(`desk.quality.${quality}`)}</State><br /><span class="small soft">{t(`desk.quality.${quality}.do`)}</span></span>
                : <State shape="waiting">{t('desk.quality.unknown')}</State>}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Decide({ feed, found, recordingId, requestId, stopped }: { feed: Feed; found: readonly string[] } & Props) {
  const [asked, setAsked] = useState<'fits' | 'stop' | null>(null);
  const leads = feed.ecg.value?.leads ?? [];
  const poor = leads.filter((_, index) => found[index] !== 'good').map(leadName);
  const flowing = feed.second.value !== null;
  function fits(): void {
    toast(t('desk.check.fits.done'));
    go({ request: requestId });
  }
  async function stop(): Promise<void> {
    await api.post(`/api/recordings/${recordingId}/cancel`);
    stopped();
  }
  return (
    <>
      <div class="actions sticky-actions">
        <Button kind="primary" disabled={!flowing} onClick={() => (poor.length ? setAsked('fits') : fits())}>{t('desk.check.fits')}</Button>
        <Button onClick={() => setAsked('stop')}>{t('desk.check.stop')}</Button>
      </div>
      {asked === 'fits' && (
        <Confirm title={t(found.length ? 'desk.check.poor.title' : 'desk.check.unjudged.title')} confirm={t('desk.check.poor.confirm')} close={() => setAsked(null)} run={async () => fits()}>
          {found.length ? t('desk.check.poor.text', { leads: poor.join(', ') }) : t('desk.check.unjudged')}
        </Confirm>
      )}
      {asked === 'stop' && (
        <Confirm title={t('desk.check.stop')} confirm={t('desk.check.stop.confirm')} grave close={() => setAsked(null)} run={stop}>
          {t('desk.check.stop.text')}{flowing && <> {t('desk.check.stop.kept')}</>}
        </Confirm>
      )}
    </>
  );
}
