// On the desk's first page: how many DICOM studies wait for somebody to say whose they are.
import { t } from '../core/i18n';
import { useResource } from '../core/resource';
import { Banner, ButtonLink } from '../core/ui';
import type { SentStudy } from './sent-study';

const EVERY_S = 60;

export function UnresolvedHint() {
  const open = useResource<{ studies: SentStudy[] }>('/api/dicom/studies?unresolved=true', ['uploads', 'requests'], EVERY_S);
  const waiting = open.data?.studies ?? [];
  if (waiting.length === 0) return <p class="images-link"><a class="row-link" href="/desk?images=1">{t('desk.dicom.title')}</a></p>;
  return (
    <Banner kind="notice">
      <span class="card-head">
        <span>{t('desk.dicom.hint', { count: waiting.length })}{waiting.some((study) => study.identity_differs) && <> {t('desk.dicom.hint.differs')}</>}</span>
        <ButtonLink href="/desk?images=1">{t('desk.dicom.hint.look')}</ButtonLink>
      </span>
    </Banner>
  );
}
