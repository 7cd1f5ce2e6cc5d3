// The frame of every page after sign-in: product, organisation, person, language, theme, connection always in the same corner,
// the safety line, and the overlay that asks to sign in again without losing the page.
import './tokens.css';
import './base.css';
import { render, type ComponentChildren, type ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { Boundary } from './boundary';
import { reach } from './connection';
import { locale, named, t, type Locale } from './i18n';
import { SignOut } from './leaving';
import { Overlay } from './overlay';
import { begin, chooseLanguage, me, PAGE_PATHS } from './session';
import { switchTheme, theme } from './theme';
import type { PageName } from './types';
import { Button, ButtonLink, NoRight, Toasts } from './ui';

type ShellProps = {
  page: PageName;
  title: string;
  above?: ComponentChildren; // the way back, over the title
  corner?: ComponentChildren;
  wide?: boolean;
  children: ComponentChildren;
};

/** `corner` stands beside the connection: live pages put the age of the newest sample there. */
export function Shell({ page, title, above, corner, wide, children }: ShellProps) {
  useEffect(() => { document.title = `${title} · Telehub`; }, [title]);
  return (
    <div class={wide ? 'shell shell-wide' : 'shell'}>
      <a class="skip" href="#main">{t('core.skip')}</a>
      <header class="header">
        <a class="brand" href="/" aria-label={t('core.home')}><Mark />Telehub</a>
        <div class="corner">{corner}<Connection /></div>
        <nav class="pages" aria-label={t('core.pages')}>
          {me.value?.pages.map((name) => (
            <a key={name} href={PAGE_PATHS[name]} aria-current={name === page ? 'page' : undefined}>{t(`core.page.${name}`)}</a>
          ))}
        </nav>
        <div class="own"><Person /><Preferences /></div>
      </header>
      <main class="main" id="main" tabIndex={-1}>
        {above}
        <h1 class="title">{title}</h1>
        {me.value?.pages.includes(page) ? <Boundary>{children}</Boundary> : <NoRight />}
      </main>
      <SafetyLine />
      <Toasts />
      <Overlay />
    </div>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
      <path d="M3 18h7l2-4 3 10 4-18 3 12h7" fill="none" stroke="currentColor" stroke-width="2.6" stroke-linejoin="round" stroke-linecap="round" />
    </svg>
  );
}

const REACH_GLYPHS = { connected: '●', connecting: '◌', away: '✕' } as const;

export function Connection() {
  return (
    <span class={`connection connection-${reach.value}`} role="status">
      <span aria-hidden="true">{REACH_GLYPHS[reach.value]}</span> {t(`core.reach.${reach.value}`)}
    </span>
  );
}

function Person() {
  const held = me.value?.roles[0];
  return (
    <span class="person">
      {held && <span class="soft">{named(held.organisation)}</span>}
      <strong>{me.value?.account.name}</strong>
    </span>
  );
}

function Preferences() {
  return (
    <span class="preferences">
      <LanguageAndTheme />
      <SignOut />
    </span>
  );
}

export function Language({ chose }: { chose?: ((language: Locale) => void) | undefined }) {
  const other = locale.value === 'en' ? 'zh-CN' : 'en';
  return (
    <button type="button" class="button button-quiet" lang={other} onClick={() => { chose?.(other); void chooseLanguage(other); }}>
      {other === 'en' ? 'English' : '中文'}
    </button>
  );
}

export function LanguageAndTheme({ chose }: { chose?: (language: Locale) => void }) {
  return (
    <>
      <Language chose={chose} />
      <Button kind="quiet" onClick={switchTheme}>{t(theme.value === 'dark' ? 'core.theme.light' : 'core.theme.dark')}</Button>
    </>
  );
}

export function SafetyLine() {
  return <footer class="footer">{t('core.safety')}</footer>;
}

const SENDING_AFTER_MS = 300;

/** Starts a page: who is signed in, their language, then the page; nobody signed in goes to the sign-in page and comes back. */
export async function startPage(Page: ComponentType): Promise<void> {
  const root = document.getElementById('app');
  if (!root) throw new Error('the page has no #app');
  let reached = true;
  const found = await begin().catch(() => { reached = false; return null; });
  if (reached && !found) {
    location.replace(`/?next=${encodeURIComponent(location.pathname + location.search + location.hash)}`);
    return;
  }
  root.replaceChildren();
  render(reached ? <Page /> : <HubAway />, root);
  if (found?.pages.includes('desk')) setTimeout(() => { void goOnSending(found.account.id); }, SENDING_AFTER_MS);
}

/** What a desk left unsent in this browser goes on from whatever page it has open; the page itself comes first. */
async function goOnSending(account_id: string): Promise<void> {
  const { begin: beginSending } = await import('../sending/sender');
  await beginSending(account_id);
}

function HubAway() {
  return (
    <main class="main">
      <div class="state" role="alert">
        <h1 class="state-title">{t('core.away.title')}</h1>
        <p>{t('core.error.away')}</p>
        <ButtonLink href={location.pathname + location.search} target="_self">{t('core.retry')}</ButtonLink>
      </div>
    </main>
  );
}
