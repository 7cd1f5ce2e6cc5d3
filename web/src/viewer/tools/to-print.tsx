// The key images that go on the paper of a report, before it is signed.
import { t } from '../../core/i18n';
import { Banner } from '../../core/ui';
import { marksOf } from './annotations';

const EDGE_PX = 96;
const ON_PAPER = 12; // hub/reading/paper_images.py

/** `lacks`: signing was refused, since not all that was marked is at the hub. */
export function ToPrint({ study, lacks }: { study: string; lacks: boolean }) {
  return (
    <>
      <Chosen study={study} />
      {lacks && <Banner kind="error">{t('tools.to-print.lacks')}</Banner>}
    </>
  );
}

function Chosen({ study }: { study: string }) {
  const { keys, mine, known, fault, reload } = marksOf(study);
  if (!known.value && fault.value) return <Banner kind="error" action={{ label: t('core.retry'), run: reload }}>{t('tools.not_loaded', { reason: fault.value.text })}</Banner>;
  if (!known.value) return <p class="soft" role="status">{t('tools.to-print.coming')}</p>;
  const chosen = keys.value.filter(mine); // the paper shows what its signer chose
  const count = chosen.length;
  return (
    <section data-test="to-print" data-count={count}>
      <h3>{t('tools.to-print', { count: Math.min(count, ON_PAPER) })}</h3>
      {count > ON_PAPER && <p>{t('tools.to-print.more', { count: count - ON_PAPER })}</p>}
      <ul class="to-print">
        {chosen.slice(0, ON_PAPER).map(({ instance_id, frame, note }, n) => (
          <li key={`${instance_id}/${frame}`}>
            <img alt={t('tools.to-print.image', { number: n + 1 })} width={EDGE_PX} height={EDGE_PX} src={`/api/images/instances/${instance_id}/frames/${frame}/thumbnail?edge=${EDGE_PX}`} />
            <span class="small">{n + 1}. {note}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
