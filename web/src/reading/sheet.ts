// How the reader wants the paper: kept for the whole sitting, from case to case.
import { signal } from '@preact/signals';
import { pxPerMm } from '../ecg/paper';

export const calipersOn = signal(false);
export const mm_per_s = signal(25);
export const mm_per_mv = signal(10);
export const screen_px_per_mm = signal(pxPerMm());
