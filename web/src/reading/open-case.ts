// One open case: the data, where the record stands, the chosen finding and beat, the edits and the draft, as signals.
import { signal, type Signal } from '@preact/signals';
import { api, ApiError } from '../core/api';
import { t } from '../core/i18n';
import { toast } from '../core/ui';
import { ruleName } from '../ecg/rules';
import { Samples } from '../ecg/samples';
import { claimTask, type Claim } from './claim';
import { openDraft, type DraftDesk } from './draft';
import { Line } from './line';
import type { OpenImages } from './open-images';
import type { Case, CaseFinding, ImageCase, RecordingEvent, ReportBrief, Summary } from './types';

/** An edit of all beats of a template, which is named by one of its beats. */
export type GroupOperation = { operation: 'relabel-template' | 'merge-templates'; sample: number; beat_class?: string; into?: number };
export type Operation = GroupOperation | { operation: 'undo'; sequence: number } | { operation: string; sample: number; beat_class?: string; rule?: string; finding?: Record<string, unknown> };

export type OpenCase = {
  kind: 'record';
  task_id: string;
  data: Signal<Case>;
  line: Line;
  samples: Samples;
  claim: Claim;
  draft: DraftDesk;
  /** Left edge of the strip, on the line. */
  place: Signal<number>;
  /** Samples the strip shows. */
  across: Signal<number>;
  finding: Signal<string | null>;
  beat: Signal<number | null>;
  /** Beats changed on this page: class by sample of the line, null = deleted. */
  changed: Signal<ReadonlyMap<number, string | null>>;
  sequence: Signal<number>;
  editError: Signal<ApiError | null>;
  signed: Signal<boolean>;
  goTo: (index: number, forward?: boolean) => void;
  choose: (finding: CaseFinding) => void;
  relabel: (sample: number, label: string | null, before: string | null) => void;
  dismiss: (finding: CaseFinding) => void;
  /** Edits a whole template; `done` is what is said once it is stored. */
  regroup: (operation: GroupOperation, done: string) => void;
  /** Goes up when beats beyond those of this page may have changed. */
  epoch: Signal<number>;
  reload: () => Promise<void>;
  /** The page anew with the newest analysis: places on the line may have moved. The claim and the draft stay. */
  startOver: () => Promise<void>;
  /** What the signature binds besides the draft. */
  seen: () => Record<string, unknown>;
  addReport: (report: ReportBrief) => void;
  /** Stores all that was done here, before signing or leaving. */
  store: () => Promise<Lacks>;
  close: () => void;
};

export function keyOf(finding: Pick<CaseFinding, 'rule' | 'boot' | 'onset_sample'>): string {
  return `${finding.rule}/${finding.boot}/${finding.onset_sample}`;
}

export function eventPlace(line: Line, event: RecordingEvent): number {
  return event.boot !== null && event.sample !== null ? line.index(event.boot, event.sample) : line.indexAt(Date.parse(event.at));
}

/** What of the page the hub has not got. */
export type Lacks = 'draft' | 'marks' | null;

/** Whatever is read, open: what the report and the head of the page need is the same in both. */
export type Opened = OpenCase | OpenImages;

export async function openCase(task_id: string): Promise<Opened> {
  const claim = await claimTask(task_id);
  try {
    const found = await api.get<Case | ImageCase>(`/api/tasks/${task_id}/case`);
    if (!('images' in found)) return setUp(claim, found);
    const part = await import('./image-pane').catch(() => { throw new ApiError(0, 'away', null); }); // it comes with its pane
    return part.openImages(claim, found);
  } catch (error) {
    claim.done();
    throw error;
  }
}

function setUp(claim: Claim, found: Case): OpenCase {
  const task_id = found.task.id;
  const data = signal(found);
  const line = new Line(found.recording.fs_hz, found.timeline);
  const places = () => new Map(data.value.findings.map((finding) => [keyOf(finding), finding.finding_index]));
  const included = found.findings.filter((finding) => found.draft?.content.included_findings.includes(finding.finding_index)).map(keyOf);
  const draft = openDraft(task_id, found.draft, included, places);
  const state = {
    place: signal(0), across: signal(found.recording.fs_hz * 8), finding: signal<string | null>(null), beat: signal<number | null>(null),
    changed: signal<ReadonlyMap<number, string | null>>(new Map()), sequence: signal(found.edits.length), editError: signal<ApiError | null>(null), signed: signal(false), epoch: signal(0),
  };
  const goTo = (index: number, forward = true): void => { state.place.value = line.settle(Math.round(index), state.across.value, forward); };

  async function reload(): Promise<void> {
    data.value = await api.get<Case>(`/api/tasks/${task_id}/case`);
    state.sequence.value = data.value.edits.length;
  }

  // One edit at a time: each names its place in the list.
  let last: Promise<unknown> = Promise.resolve();
  function edit(operation: Operation): Promise<number> {
    const next = last.then(async () => {
      const analysis = data.value.analysis;
      const done = await api.post<{ sequence: number; summary: Summary }>(`/api/analyses/${analysis.id}/edits`, { operation });
      state.sequence.value = done.sequence;
      state.editError.value = null;
      data.value = { ...data.value, analysis: { ...analysis, summary: done.summary } };
      return done.sequence;
    });
    last = next.catch(() => undefined);
    return next;
  }

  function failed(error: unknown): void {
    if (!(error instanceof ApiError)) throw error;
    state.editError.value = error;
  }

  function relabel(sample: number, label: string | null, before: string | null): void {
    const mark = (value: string | null): void => { state.changed.value = new Map(state.changed.value).set(sample, value); };
    mark(label);
    const operation = label === null ? { operation: 'delete', sample } : before === null ? { operation: 'add', sample, beat_class: label } : { operation: 'reclassify', sample, beat_class: label };
    edit(operation).then(
      () => toast(label === null ? t('reading.beat.deleted') : t('reading.beat.stored', { label }), () => relabel(sample, before, label)),
      (error: unknown) => { mark(before); failed(error); },
    );
  }

  function dismiss(finding: CaseFinding): void {
    const sample = line.index(finding.boot, finding.onset_sample);
    const before = data.value;
    if (draft.included.value.has(keyOf(finding))) draft.include(keyOf(finding), false);
    data.value = { ...before, findings: before.findings.filter((other) => other !== finding) };
    edit({ operation: 'dismiss', rule: finding.rule, sample }).then(renumber).then(
      () => toast(t('reading.dismissed', { what: ruleName(finding.rule) }), () => restore(finding, sample)),
      (error: unknown) => { data.value = before; failed(error); },
    );
  }

  function regroup(operation: Operation, done: string): void {
    edit(operation).then(async (sequence) => {
      await renumber();
      state.changed.value = new Map();
      state.epoch.value++;
      toast(done, operation.operation === 'undo' ? undefined : () => regroup({ operation: 'undo', sequence }, t('reading.templates.undone')));
    }).catch(failed);
  }

  function restore(finding: CaseFinding, onset_sample: number): void {
    const { rule, version, phase, priority, leads, numbers, quality, note } = finding;
    const offset_sample = finding.offset_sample === null ? null : onset_sample + finding.offset_sample - finding.onset_sample;
    const stored = { rule, version, onset_sample, offset_sample, phase, priority, leads, numbers, quality, note };
    edit({ operation: 'insert', sample: onset_sample, finding: stored }).then(renumber).then(
      () => { state.finding.value = keyOf(finding); }, failed,
    );
  }

  /** An edit of the list moves the findings' places: read them anew, and store the draft with the new ones. */
  async function renumber(): Promise<void> {
    await reload();
    if (draft.included.value.size > 0) draft.change({});
  }

  return {
    kind: 'record', store: async () => ((await draft.flush()) ? null : 'draft'), task_id, data, line, claim, draft, ...state, goTo, relabel, dismiss, regroup, reload,
    samples: new Samples(api.bytes, found.recording.id, found.recording.fs_hz, true),
    choose: (finding) => {
      state.finding.value = keyOf(finding);
      state.beat.value = null;
      goTo(line.index(finding.strip.boot, finding.strip.first_sample));
    },
    seen: () => ({ analysis_id: data.value.analysis.id, edit_sequence: state.sequence.value }),
    addReport: (report) => { data.value = { ...data.value, reports: [...data.value.reports, report] }; },
    startOver: async () => { if (await draft.flush()) location.reload(); },
    close: () => { draft.close(); claim.done(); },
  };
}
