// One open case of images: what was sent, what came before, and the draft. The images themselves are the viewer's.
import { signal, type Signal } from '@preact/signals';
import { api } from '../core/api';
import { onChange } from '../core/changes';
import type { Claim } from './claim';
import { openDraft, type DraftDesk } from './draft';
import type { Lacks } from './open-case';
import { paced } from './paced';
import type { ImageCase, Prior, ReportBrief } from './types';

export type OpenImages = {
  kind: 'images';
  task_id: string;
  data: Signal<ImageCase>;
  claim: Claim;
  draft: DraftDesk;
  signed: Signal<boolean>;
  /** The earlier study that lies beside it. */
  beside: Signal<Prior | null>;
  /** Images have come or gone since the page was opened: they are shown, and must be looked at before signing. */
  changed: Signal<boolean>;
  seen: () => Record<string, unknown>;
  addReport: (report: ReportBrief) => void;
  startOver: () => Promise<void>;
  store: () => Promise<Lacks>;
  close: () => void;
};

export function openImages(claim: Claim, found: ImageCase): OpenImages {
  const task_id = found.task.id;
  const data = signal(found);
  const changed = signal(false);
  const draft = openDraft(task_id, found.draft, [], () => new Map());
  const signed = signal(false);
  let closed = false;
  const look = async (): Promise<void> => {
    if (closed || signed.value) return;
    const now = await api.get<{ sha256: string }>(`/api/tasks/${task_id}/images`).catch(() => null); // signing asks again
    if (now) changed.value = now.sha256 !== data.value.images.sha256;
  };
  const forget = onChange(['uploads', 'images'], paced(look));
  const store = async (): Promise<Lacks> => {
    const studies = [data.value.images.id, ...data.value.priors.flatMap(({ dicom_study_id }) => dicom_study_id ?? [])];
    const marks = await import('../viewer/tools').then(({ flushMarks }) => flushMarks(studies), () => true); // it was never here: nothing was drawn
    return (await draft.flush()) ? (marks ? null : 'marks') : 'draft';
  };
  return {
    kind: 'images', task_id, data, claim, draft, changed, signed, store, beside: signal(null),
    seen: () => ({ images_sha256: data.value.images.sha256 }),
    addReport: (report) => { data.value = { ...data.value, reports: [...data.value.reports, report] }; },
    startOver: async () => { if ((await store()) !== 'draft') location.reload(); },
    close: () => { closed = true; forget(); draft.close(); claim.done(); },
  };
}
