// /viewer#STUDY: the images of one study, on a page of their own; /viewer#STUDY,PRIOR: another study beside it.
import { useEffect, useState } from 'preact/hooks';
import { t } from '../core/i18n';
import { Boundary } from '../core/boundary';
import { Overlay } from '../core/overlay';
import { Connection, Language, Mark, SafetyLine, startPage } from '../core/shell';
import { EmptyState, Toasts } from '../core/ui';
import { OpenStudy } from './open-study';
import Viewer from './viewer';

const studiesOfAddress = (): string[] => decodeURIComponent(location.hash.slice(1)).split(',').filter(Boolean);
// Images come while it is still asked who is signed in and the words of the page are on their way.
const [first] = studiesOfAddress();
const early = first ? new OpenStudy(first) : undefined;

function ViewerPage() {
  const [[study, prior], setStudies] = useState(studiesOfAddress);
  useEffect(() => {
    const moved = (): void => setStudies(studiesOfAddress());
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  const title = t('viewer.title');
  useEffect(() => { document.title = `${title} · Telehub`; }, [title]);
  return (
    <div class="viewer-page" data-theme="dark">
      <header class="viewer-head">
        <a class="brand" href="/" aria-label={t('core.home')}><Mark />Telehub</a>
        <span class="viewer-own"><Language /><Connection /></span>
      </header>
      <main class="viewer-main" id="main">
        <h1 class="unseen">{t('viewer.title')}</h1>
        <Boundary>
          {study ? <Viewer key={study} study={study} prior={prior} write opened={early} /> : <EmptyState title={t('viewer.none')}><p>{t('viewer.none.text')}</p></EmptyState>}
        </Boundary>
      </main>
      <SafetyLine />
      <Toasts />
      <Overlay />
    </div>
  );
}

void startPage(ViewerPage);
