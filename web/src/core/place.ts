// Where in a page we are: the query string as a signal, so that back, forward, reload and a sent link all work.
import { signal } from '@preact/signals';

export const place = signal(new URLSearchParams(location.search));

export function go(query: Record<string, string>, replace = false): void {
  const search = new URLSearchParams(query).toString();
  history[replace ? 'replaceState' : 'pushState'](null, '', search ? `?${search}` : location.pathname);
  place.value = new URLSearchParams(location.search);
  if (!replace) scrollTo(0, 0);
}

addEventListener('popstate', () => { place.value = new URLSearchParams(location.search); });

/** Links to this same page change the place without loading it anew. */
document.addEventListener('click', (event) => {
  const link = (event.target as Element | null)?.closest?.('a');
  if (!link || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || link.target) return;
  if (link.origin !== location.origin || link.pathname !== location.pathname || link.hasAttribute('download') || link.hash) return;
  event.preventDefault();
  go(Object.fromEntries(new URLSearchParams(link.search)));
});
