// Light or dark: the person's choice on this browser, else the page's own default (the reading room is dark), else the system's.
import { effect, signal } from '@preact/signals';

export type Theme = 'light' | 'dark';
const STORED = 'telehub.theme';
const page = location.pathname.split('/')[1] || 'index';
const key = page === 'reading' ? `${STORED}.reading` : STORED; // a dark room stays dark whatever the desk prefers

function initial(): Theme {
  const stored = localStorage.getItem(key) ?? document.documentElement.dataset.defaultTheme;
  if (stored === 'light' || stored === 'dark') return stored;
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

export const theme = signal<Theme>(initial());
effect(() => { document.documentElement.dataset.theme = theme.value; });

export function switchTheme(): void {
  theme.value = theme.value === 'dark' ? 'light' : 'dark';
  localStorage.setItem(key, theme.value);
}

/** A token's colour for a canvas; read it inside an effect that depends on `theme`. */
export function tokenColour(name: `--${string}`): string {
  void theme.value;
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
