// Who is signed in, what pages they may open, and how they leave.
import { computed, signal } from '@preact/signals';
import { accountId, api, ApiError, csrf } from './api';
import { isLocale, locale, storedLocale, switchLanguage, type Locale } from './i18n';
import { timeZone } from './time';
import type { Me, PageName } from './types';

export const me = signal<Me | null>(null);
export const roles = computed(() => new Set(me.value?.roles.map((held) => held.role)));

export function hasRole(...wanted: string[]): boolean {
  return wanted.some((role) => roles.value.has(role));
}

/** Reads GET /api/me; null when nobody is signed in. */
export async function loadMe(): Promise<Me | null> {
  const response = await fetch('/api/me', { headers: { Accept: 'application/json' } });
  if (response.status === 401) return null;
  if (!response.ok) throw new ApiError(response.status, `http-${response.status}`, null);
  const found = (await response.json()) as Me;
  csrf.value = found.csrf;
  accountId.value = found.account.id;
  timeZone.value = found.account.time_zone;
  me.value = found;
  return found;
}

export async function signIn(login: string, password: string): Promise<void> {
  await api.post('/api/session', { login, password }, { promptOn401: false });
  await loadMe();
}

export async function signOut(): Promise<void> {
  await api.delete('/api/session');
  location.assign('/');
}

/** Switches the page at once and keeps the choice with the account. */
export async function chooseLanguage(chosen: Locale): Promise<void> {
  await switchLanguage(chosen);
  if (me.value) await api.put('/api/me', { locale: chosen });
}

/** Who is signed in, with their language; the catalogue this browser used last comes meanwhile. */
export async function begin(): Promise<Me | null> {
  const early = switchLanguage(storedLocale() ?? locale.value);
  try {
    return await loadMe();
  } finally {
    await early;
    const own = me.value?.account.locale;
    if (isLocale(own) && own !== locale.value) await switchLanguage(own);
  }
}

export const PAGE_PATHS: Record<PageName, string> = { desk: '/desk', live: '/live', reading: '/reading', admin: '/admin' };
