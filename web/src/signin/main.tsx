// The sign-in page: in Chinese or English before anybody is known; leads on to where the person was going.
import '../core/tokens.css';
import '../core/base.css';
import { render } from 'preact';
import { CredentialsForm } from '../core/credentials';
import { isLocale, switchLanguage, t, type Locale } from '../core/i18n';
import { begin, chooseLanguage, me, PAGE_PATHS, signIn, signOut } from '../core/session';
import { Connection, LanguageAndTheme, Mark, SafetyLine } from '../core/shell';
import { Banner, Button } from '../core/ui';

/** Only a path of this hub: a link must not lead a freshly signed-in person elsewhere. */
function wanted(): string | null {
  const next = new URLSearchParams(location.search).get('next');
  return next && /^\/[a-z]/.test(next) ? next : null;
}

function leadOn(): boolean {
  const first = me.value?.pages[0];
  if (!first) return false;
  location.replace(wanted() ?? PAGE_PATHS[first]);
  return true;
}

/** What somebody pressed on this page outweighs what their account had; the browser's old choice does not. */
let chosen: Locale | null = null;

async function submit(login: string, password: string): Promise<void> {
  const asked = chosen;
  await signIn(login, password);
  const own = me.value?.account.locale;
  if (asked) await chooseLanguage(asked);
  else if (isLocale(own)) await switchLanguage(own);
  leadOn();
}

function SignIn() {
  document.title = `${t('signin.title')} · Telehub`;
  const pageless = me.value !== null && me.value.pages.length === 0;
  return (
    <div class="signin">
      <div class="signin-tools"><Connection /><LanguageAndTheme chose={(language) => { chosen = language; }} /></div>
      <main class="signin-card">
        <p class="brand brand-large"><Mark />Telehub</p>
        <p class="soft">{t('signin.product')}</p>
        <h1 class="title">{t('signin.title')}</h1>
        {pageless ? <Pageless /> : <CredentialsForm login="" submit={submit} />}
      </main>
      <SafetyLine />
    </div>
  );
}

/** Signed in, with roles that open no page yet. */
function Pageless() {
  return (
    <>
      <Banner kind="notice">{t('signin.pageless', { name: me.value?.account.name ?? '' })}</Banner>
      <Button onClick={() => { void signOut(); }}>{t('core.signOut')}</Button>
    </>
  );
}

async function start(): Promise<void> {
  await begin().catch(() => null);
  const root = document.getElementById('app');
  if (!root || leadOn()) return;
  root.replaceChildren();
  render(<SignIn />, root);
}

void start();
