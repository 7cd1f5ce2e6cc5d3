// What a mark says of itself: its figures with unit, or its text.
import { t } from '../../core/i18n';
import type { Shown } from '../viewport';
import type { Point } from '../types';
import type { Mark } from './marks';
import { angleOf, areaOf, cobbOf, lengthOf, statisticsOf, type Area, type Length, type Region, type Statistics } from './measure';

type Measurable = Pick<Mark, 'kind' | 'points' | 'text'>;
/** Statistics of a region: null while the pixels aren't all there, or none lies in it. */
export type Figures = { statistics: Statistics | null };

const one = (value: number): string => value.toFixed(1);

/** The values under a region, once the pixels are those that were sent. */
export function figuresOf({ kind, points }: Measurable, { pixels, values }: Pick<Shown, 'pixels' | 'values'>): Figures {
  if ((kind !== 'ellipse' && kind !== 'rectangle') || values === null) return { statistics: null };
  return { statistics: statisticsOf(pixels, values, { kind, corners: points as unknown as Region['corners'] }) };
}

export function linesOf(mark: Measurable, shown: Shown, { statistics }: Figures): string[] {
  const { points, kind, text } = mark;
  if (kind === 'length') return withText([sizeText(lengthOf(shown.pixels, points as unknown as [Point, Point]))], text);
  if (kind === 'angle') return withText([angleText(shown, points)], text);
  if (kind === 'arrow' || kind === 'text') return text ? [text] : [];
  const area = areaOf(shown.pixels, { kind, corners: points as unknown as Region['corners'] });
  return withText([...valueLines(shown, statistics), t('tools.area', { area: sizeText(area) })], text);
}

function withText(lines: string[], text: string): string[] {
  return text ? [...lines, text] : lines;
}

function sizeText({ value, unit, at_detector }: Length | Area): string {
  if (unit === 'px') return t('tools.pixels', { value: one(value) });
  return t(at_detector ? 'tools.at_detector' : 'tools.size', { value: one(value), unit });
}

function angleText({ pixels }: Shown, points: readonly Point[]): string {
  const [a, b, c, d] = points as [Point, Point, Point, Point?];
  const degrees = d ? cobbOf(pixels, [a, b, c, d]) : angleOf(pixels, [a, b, c]);
  return t(d ? 'tools.cobb_angle' : 'tools.degrees', { value: degrees === null ? '–' : one(degrees) });
}

function valueLines({ pixels, values }: Shown, statistics: Statistics | null): string[] {
  if (pixels.samples !== 1) return [t('tools.colour')];
  if (values === null) return [t('tools.after_loading')];
  if (!statistics) return [t('tools.no_pixels')];
  const { mean, sd, min, max, padded } = statistics;
  const { unit } = pixels.modality;
  const lines = [t('tools.mean', { mean: one(mean), sd: one(sd), unit }).trim(), t('tools.range', { min: tidy(min), max: tidy(max) })];
  return padded > 0 ? [...lines, t('tools.padded', { count: padded })] : lines;
}

/** A single value: whole numbers as such. */
export function tidy(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}
