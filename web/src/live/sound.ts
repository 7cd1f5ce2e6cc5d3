// Alarm sound, off unless switched on: pulse bursts after IEC 60601-1-8 (high 10 pulses, medium 3, low 2), pausable for 2 min.
import { signal } from '@preact/signals';
import type { Alarm, AlarmPriority } from '../core/types';
import { URGENCY } from '../ecg/priority';

const PAUSE_MS = 120_000;
const PULSE_S = 0.16;
const BURSTS: Record<AlarmPriority, { starts_s: readonly number[]; hz: number; every_ms: number }> = {
  high: { starts_s: [0, 0.3, 0.6, 1.1, 1.4, 2.2, 2.5, 2.8, 3.3, 3.6], hz: 880, every_ms: 7_000 },
  medium: { starts_s: [0, 0.4, 0.8], hz: 660, every_ms: 15_000 },
  low: { starts_s: [0, 0.4], hz: 520, every_ms: 30_000 },
};

export const soundOn = signal(false);
export const pausedUntil_ms = signal(0);
let context: AudioContext | null = null;
let played_ms = 0;

/** Browsers allow sound only after a hand has touched the page, so this is called from the button. */
export function switchSound(): void {
  soundOn.value = !soundOn.value;
  if (soundOn.value) {
    context ??= new AudioContext();
    void context.resume();
    burst('low');
  }
}

export function pauseSound(now_ms: number): void {
  pausedUntil_ms.value = pausedUntil_ms.value > now_ms ? 0 : now_ms + PAUSE_MS;
}

/** Called each second: sounds for the most urgent active alarm nobody owns. */
export function soundFor(alarms: readonly Pick<Alarm, 'priority' | 'handling'>[], now_ms: number): void {
  if (!soundOn.value || pausedUntil_ms.value > now_ms) return;
  const [loudest] = alarms.filter((alarm) => alarm.handling === 'raised' || alarm.handling === 'escalated')
    .sort((a, b) => URGENCY[a.priority]! - URGENCY[b.priority]!);
  if (!loudest || now_ms - played_ms < BURSTS[loudest.priority].every_ms) return;
  played_ms = now_ms;
  burst(loudest.priority);
}

function burst(priority: AlarmPriority): void {
  if (context === null) return;
  const { starts_s, hz } = BURSTS[priority];
  for (const start_s of starts_s) {
    const at = context.currentTime + 0.05 + start_s;
    const [tone, gain] = [context.createOscillator(), context.createGain()];
    tone.frequency.value = hz;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(0.25, at + 0.02);
    gain.gain.setValueAtTime(0.25, at + PULSE_S - 0.03);
    gain.gain.linearRampToValueAtTime(0, at + PULSE_S);
    tone.connect(gain).connect(context.destination);
    tone.start(at);
    tone.stop(at + PULSE_S);
  }
}
