// Two languages, Chinese first. Keys are typed by the Chinese catalogue: a wrong key does not compile,
// a missing translation fails `npm run check`. "{count}" is a parameter; "{count?beat:beats}" is its English plural.
import { computed, signal } from '@preact/signals';
import type zhAdmin from '../locales/zh-CN/admin.json';
import type zhCore from '../locales/zh-CN/core.json';
import type zhDesk from '../locales/zh-CN/desk.json';
import type zhImages from '../locales/zh-CN/images.json';
import type zhLive from '../locales/zh-CN/live.json';
import type zhReading from '../locales/zh-CN/reading.json';
import type zhRouting from '../locales/zh-CN/routing.json';
import type zhViewer from '../locales/zh-CN/viewer.json';
import type zhViewerTools from '../locales/zh-CN/viewertools.json';
import sections from '../locales/sections.json';
import { splitDuration } from './time';

export type MessageKey =
  | keyof typeof zhCore | keyof typeof zhDesk | keyof typeof zhAdmin | keyof typeof zhLive | keyof typeof zhReading | keyof typeof zhImages
  | keyof typeof zhRouting | keyof typeof zhViewer | keyof typeof zhViewerTools;
export type Locale = 'zh-CN' | 'en';
export type Params = Record<string, string | number>;
/** Words the hub sends in both languages. */
export type Bilingual = Record<Locale, string>;

type Catalogue = Readonly<Record<string, string>>;
export type Section = 'core' | 'desk' | 'reading' | 'admin' | LateSection;
/** Of parts of a page that come later (core/later). */
export type LateSection = 'images' | 'live' | 'routing' | 'viewer' | 'viewertools';
const CATALOGUES: Record<Locale, Record<Section, () => Promise<{ default: Catalogue }>>> = {
  'zh-CN': {
    core: () => import('../locales/zh-CN/core.json'), desk: () => import('../locales/zh-CN/desk.json'), live: () => import('../locales/zh-CN/live.json'),
    reading: () => import('../locales/zh-CN/reading.json'), admin: () => import('../locales/zh-CN/admin.json'),
    images: () => import('../locales/zh-CN/images.json'), routing: () => import('../locales/zh-CN/routing.json'),
    viewer: () => import('../locales/zh-CN/viewer.json'), viewertools: () => import('../locales/zh-CN/viewertools.json'),
  },
  en: {
    core: () => import('../locales/en/core.json'), desk: () => import('../locales/en/desk.json'), live: () => import('../locales/en/live.json'),
    reading: () => import('../locales/en/reading.json'), admin: () => import('../locales/en/admin.json'),
    images: () => import('../locales/en/images.json'), routing: () => import('../locales/en/routing.json'),
    viewer: () => import('../locales/en/viewer.json'), viewertools: () => import('../locales/en/viewertools.json'),
  },
};
const PAGE = location.pathname.split('/')[1] || 'index';
const STORED = 'telehub.locale';

const state = signal<{ locale: Locale; catalogue: Catalogue }>({ locale: 'zh-CN', catalogue: {} });
export const locale = computed(() => state.value.locale);

export function isLocale(value: unknown): value is Locale {
  return value === 'zh-CN' || value === 'en';
}

/** What this browser chose last, before anybody is signed in. */
export function storedLocale(): Locale | null {
  const value = localStorage.getItem(STORED);
  return isLocale(value) ? value : null;
}

const PAGES_SAY = sections as unknown as Readonly<Record<string, string[]>>;
const wanted = new Set<Section>((PAGES_SAY[PAGE] ?? sections.index) as Section[]);
let newest: Locale = 'zh-CN'; // the language chosen last, whichever is there first

/** Loads the catalogues of this page's sections, then switches the whole page at once. */
export async function switchLanguage(chosen: Locale): Promise<void> {
  newest = chosen;
  const parts = await Promise.all([...wanted].map((section) => CATALOGUES[chosen][section]()))
    .catch((cause: unknown) => { newest = state.value.locale; throw cause; });
  if (newest !== chosen) return;
  const catalogue: Catalogue = Object.assign({}, ...parts.map((part) => part.default));
  state.value = { locale: chosen, catalogue };
  localStorage.setItem(STORED, chosen);
  document.documentElement.lang = chosen;
}

const late = new Map<LateSection, Promise<void>>();

/** What a part of the page says that comes later; from then on the page has it in either language. */
export function addSection(section: LateSection): Promise<void> {
  const known = late.get(section);
  if (known) return known;
  wanted.add(section);
  const coming = switchLanguage(newest).catch((cause: unknown) => { wanted.delete(section); late.delete(section); throw cause; });
  late.set(section, coming);
  return coming;
}

export function t(key: MessageKey, params: Params = {}): string {
  const text = state.value.catalogue[key] ?? key;
  return text.replace(/\{(\w+)(?:\?([^:}]*):([^}]*))?\}/g, (_, name: string, one?: string, many?: string) => {
    const value = params[name] ?? '';
    if (one === undefined) return String(value);
    return Number(value) === 1 ? one : many ?? '';
  });
}

export function say(words: Bilingual | null | undefined): string {
  return words ? words[state.value.locale] || words['zh-CN'] : '';
}

/** An organisation's or rule's name in the page's language, where it has one. */
export function named(thing: { name: string; name_en?: string | null }): string {
  return state.value.locale === 'en' && thing.name_en ? thing.name_en : thing.name;
}

/** "3 小时 20 分", "3 h 20 min" */
export function duration(seconds: number): string {
  return splitDuration(seconds).map(([count, unit]) => t(`core.duration.${unit}`, { count })).join(' ');
}

/** 12,345 in both languages. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** 840 kB, 1.2 MB in both languages. */
export function bytes(value: number): string {
  if (value < 1e6) return `${Math.ceil(value / 1e3)} kB`;
  return value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(2)} GB`;
}
