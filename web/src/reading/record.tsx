// The record itself: paper through which a reader pages, jumps and measures, with the beats and their classes.
import { signal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { t } from '../core/i18n';
import { formatClock, formatInstant } from '../core/time';
import { Button, ErrorBanner } from '../core/ui';
import { PriorityMark } from '../ecg/priority';
import { evidenceText, ruleName } from '../ecg/rules';
import { StripView } from '../ecg/strip-view';
import { useBeats } from './beats';
import { keyOf, type OpenCase } from './open-case';
import { Scales } from './scales';
import { calipersOn, mm_per_mv, mm_per_s, screen_px_per_mm } from './sheet';

const NEAR_S = 0.2; // a click this near to a beat means the beat
const LEAD_PX = 104;
export const BEAT_CLASSES = ['N', 'S', 'V', 'F', 'Q'] as const;

/** What the keys need of the strip in view: its beats, on the line. */
export const beatsInView = signal<readonly (readonly [number, string])[]>([]);

export function page(open: OpenCase, share: number): void {
  open.goTo(open.place.value + share * open.across.value, share > 0);
}

export function stepBeat(open: OpenCase, step: 1 | -1): void {
  const beats = beatsInView.value;
  const place = beats.findIndex(([sample]) => sample === open.beat.value);
  const next = beats[place < 0 ? (step > 0 ? 0 : beats.length - 1) : place + step];
  if (next) open.beat.value = next[0];
}

/** Gives the chosen beat another class, or takes it away. */
export function classify(open: OpenCase, label: string | null): void {
  const beat = beatsInView.value.find(([sample]) => sample === open.beat.value);
  if (!beat || beat[1] === label) return;
  open.relabel(beat[0], label, beat[1]);
  if (label === null) open.beat.value = null;
}

export function Record({ open }: { open: OpenCase }) {
  const stretch = open.line.stretchOf(open.place.value);
  const first = open.place.value - stretch.offset;
  const beats = useBeats(open, open.place.value, open.place.value + open.across.value);
  useEffect(() => { beatsInView.value = beats; }, [beats]);
  const own = useMemo(() => beats.map(([sample, label]) => [sample - stretch.offset, label] as const), [beats, stretch.offset]);
  const finding = open.data.value.findings.find((other) => keyOf(other) === open.finding.value);
  const onset = finding && finding.boot === stretch.boot ? finding.onset_sample : null;
  const extent = useMemo(() => (onset === null ? null : [onset, finding?.offset_sample ?? onset] as const), [onset, finding?.offset_sample]);
  const leads = open.data.value.recording.leads.length;
  const label = t('reading.record.label', { at: formatInstant(open.line.instant_ms(open.place.value), true) });
  return (
    <section class="record" aria-label={t('reading.record')}>
      <Toolbar open={open} />
      <div class="record-tools">
        <ChosenFinding open={open} />
        <span class="record-scales"><Scales /></span>
      </div>
      <div id="record-strip" tabIndex={-1}>
        <StripView samples={open.samples} boot={stretch.boot} first={first} height_px={leads * LEAD_PX + 40} label={label} beats={own}
          scale={{ px_per_mm: screen_px_per_mm.value, mm_per_s: mm_per_s.value, mm_per_mv: mm_per_mv.value }}
          chosen_beat={open.beat.value === null ? null : open.beat.value - stretch.offset} extent={extent} calipers={calipersOn.value}
          onWindow={(window) => { open.across.value = window.count; }}
          onPick={(sample) => { open.beat.value = nearestBeat(beats, sample + stretch.offset, NEAR_S * open.line.fs_hz); }} />
      </div>
      <BeatLine open={open} beats={beats} />
      {open.editError.value && <ErrorBanner error={open.editError.value} />}
    </section>
  );
}

/** Which finding the strip shows, so that a reader need not look down to the list. */
function ChosenFinding({ open }: { open: OpenCase }) {
  const { findings } = open.data.value;
  const place = findings.findIndex((other) => keyOf(other) === open.finding.value);
  const finding = findings[place];
  if (!finding) return <span class="chosen-finding soft small">{findings.length > 0 && t('reading.chosen.none', { count: findings.length })}</span>;
  const included = open.draft.included.value.has(keyOf(finding));
  return (
    <span class="chosen-finding" data-testid="chosen-finding">
      <span class="figures soft">{place + 1}/{findings.length}</span> <PriorityMark priority={finding.priority} /> <strong>{ruleName(finding.rule)}</strong> <span class="small figures">{evidenceText(finding.numbers)}</span>
      {included && <strong class="small">✓ {t('reading.included')}</strong>}
    </span>
  );
}

function nearestBeat(beats: readonly (readonly [number, string])[], sample: number, within: number): number | null {
  let best: number | null = null;
  for (const [beat] of beats) if (Math.abs(beat - sample) <= within && (best === null || Math.abs(beat - sample) < Math.abs(best - sample))) best = beat;
  return best;
}

function Toolbar({ open }: { open: OpenCase }) {
  const from_ms = open.line.instant_ms(open.place.value);
  const to_ms = from_ms + (open.across.value / open.line.fs_hz) * 1000;
  return (
    <div class="record-tools">
      <Button aria-label={t('reading.page.back')} onClick={() => page(open, -0.9)}>◀</Button>
      <Button aria-label={t('reading.page.on')} onClick={() => page(open, 0.9)}>▶</Button>
      <strong class="figures" data-testid="record-time">{formatInstant(from_ms, true)} – {formatClock(to_ms, true)}</strong>
      <Jump open={open} />
      <Button aria-pressed={calipersOn.value} onClick={() => { calipersOn.value = !calipersOn.value; }}>{t('live.calipers')}</Button>
    </div>
  );
}

/** "14:05" or "14:05:30": the next time the record's clock shows it after the place now, else its first. */
export function indexOfClock(open: OpenCase, clock: string): number | null {
  const found = /^(\d{1,2})[:：](\d{2})(?:[:：](\d{2}))?$/.exec(clock.trim());
  if (!found) return null;
  const wanted_s = Number(found[1]) * 3600 + Number(found[2]) * 60 + Number(found[3] ?? 0);
  const start_ms = open.line.instant_ms(0);
  const [h, m, s] = formatClock(start_ms, true).split(':').map(Number) as [number, number, number];
  const after_s = (wanted_s - (h * 3600 + m * 60 + s) + 86_400) % 86_400;
  const here_s = (open.line.instant_ms(open.place.value) - start_ms) / 1000;
  const end_s = (open.line.instant_ms(open.line.length - 1) - start_ms) / 1000;
  if (after_s > end_s) return null;
  const later_s = after_s + Math.max(0, Math.ceil((here_s - after_s) / 86_400)) * 86_400;
  return open.line.indexAt(start_ms + (later_s <= end_s ? later_s : after_s) * 1000);
}

function Jump({ open }: { open: OpenCase }) {
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  return (
    <form class="jump" onSubmit={(event) => {
      event.preventDefault();
      const index = indexOfClock(open, text);
      setWrong(index === null);
      if (index === null) return;
      open.goTo(index);
      input.current?.blur();
    }}>
      <label class="unseen" for="jump-to">{t('reading.jump')}</label>
      <input ref={input} id="jump-to" class="input figures" placeholder="14:05:30" value={text} aria-invalid={wrong} inputMode="numeric"
        aria-describedby={wrong ? 'jump-wrong' : undefined} onInput={(event) => setText(event.currentTarget.value)} />
      {wrong && <span id="jump-wrong" role="alert" class="small">{t('reading.jump.wrong')}</span>}
    </form>
  );
}

function BeatLine({ open, beats }: { open: OpenCase; beats: readonly (readonly [number, string])[] }) {
  const place = beats.findIndex(([sample]) => sample === open.beat.value);
  const beat = beats[place];
  if (!beat) return <p class="soft small beat-line">{t('reading.beat.hint')}</p>;
  const before = beats[place - 1];
  const rr_ms = before ? Math.round(((beat[0] - before[0]) / open.line.fs_hz) * 1000) : null;
  return (
    <div class="beat-line" data-testid="beat" data-beat-sample={beat[0]} data-beat-class={beat[1]}>
      <span class="figures">{t('reading.beat.at', { at: formatClock(open.line.instant_ms(beat[0]), true), label: t(`reading.class.${beat[1] as (typeof BEAT_CLASSES)[number]}`) })}</span>
      {rr_ms !== null && <span class="figures soft">RR {rr_ms} {t('live.unit.ms')}</span>}
      <span class="actions">
        {BEAT_CLASSES.map((label) => <Button key={label} aria-pressed={label === beat[1]} onClick={() => classify(open, label)}>{label} {t(`reading.class.${label}`)}</Button>)}
        <Button onClick={() => classify(open, null)}>{t('reading.beat.delete')}</Button>
      </span>
    </div>
  );
}
