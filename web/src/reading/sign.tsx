// What is signed, once more as a whole, and the signing. Comes when it is asked for.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { t } from '../core/i18n';
import { later } from '../core/later';
import { useAction } from '../core/resource';
import { Banner, Button, Dialog, ErrorBanner } from '../core/ui';
import type { Lacks, Opened } from './open-case';
import { FIELDS } from './phrases';
import type { CaseFinding, ReportBrief } from './types';

export { Signed } from './signed';

const ToPrint = later(() => import('../viewer/tools').then(({ ToPrint: part }) => part), 'viewertools');

const STALE = new Set(['analysis_stale', 'images_stale']);

/** What the signature holds together, in words. */
function binds(open: Opened, strips: number): string {
  if (open.kind === 'images') return t('reading.sign.binds.images', { count: open.data.value.images.instances });
  return t('reading.sign.binds', { strips, version: open.data.value.analysis.version, edits: open.sequence.value });
}

export function SignDialog({ open, included, close }: { open: Opened; included: readonly CaseFinding[]; close: () => void }) {
  const text = open.draft.text.value;
  const [lacks, setLacks] = useState<Lacks>(null);
  const work = useAction(async () => {
    const missing = await open.store();
    setLacks(missing);
    if (missing !== null) return;
    const named = { revision: open.draft.revision.value, ...open.seen() };
    const { report } = await api.post<{ report: ReportBrief }>(`/api/tasks/${open.task_id}/sign`, named);
    open.addReport(report);
    open.signed.value = true;
    open.claim.done();
    open.draft.close();
    close();
  });
  return (
    <Dialog title={t('reading.sign.title')} close={close} wide>
      <p>{t('reading.sign.text', { patient: open.data.value.patient.name })}</p>
      <div class="sign-preview" tabIndex={0} role="region" aria-label={t('reading.report')}>
        {FIELDS.map((name) => <div key={name}><h3>{t(`reading.field.${name}`)}</h3><p>{text[name].trim() || t('core.none')}</p></div>)}
        <p class="soft">{binds(open, included.length)}</p>
      </div>
      {open.kind === 'images' && <ToPrint study={open.data.value.images.id} lacks={lacks === 'marks'} />}
      {lacks === 'draft' && <Banner kind="error">{t('reading.sign.unsaved')}</Banner>}
      {work.error && <ErrorBanner error={work.error} />}
      {work.error && STALE.has(work.error.code) && <Button onClick={() => { void open.startOver(); }}>{t(open.kind === 'images' ? 'reading.images.reload' : 'reading.sign.reload')}</Button>}
      <div class="actions">
        <Button kind="primary" busy={work.busy} data-testid="sign-confirm" onClick={work.run}>{t('reading.sign.confirm')}</Button>
        <Button onClick={close}>{t('core.cancel')}</Button>
      </div>
    </Dialog>
  );
}
