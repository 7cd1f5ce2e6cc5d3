// /reading: queue left, case in the middle, report right; /reading?task=ID opens that task.
import { useEffect, useState } from 'preact/hooks';
import { ApiError } from '../core/api';
import { t } from '../core/i18n';
import { later } from '../core/later';
import { go, place } from '../core/place';
import { Shell, startPage } from '../core/shell';
import { Button, EmptyState, ErrorState, NoRight, Skeleton } from '../core/ui';
import { CasePane, LostClaim } from './case-pane';
import { KeysDialog, useKeys } from './keys';
import { openCase, type Opened } from './open-case';
import { Panes } from './panes';
import { nextTask, QueuePane, useQueue, type Queue } from './queue';
import './reading.css';
import { ReportPane } from './report';

const ImagePane = later(() => import('./image-pane').then(({ ImagePane: part }) => part)); // who reads ECGs needn't fetch it

type State = { open: Opened | null; error: ApiError | null };

/** Claims and opens the task of the address; leaving it stores the draft and gives the task back. */
function useCase(task_id: string | null): State & { again: () => Promise<void> } {
  const [state, setState] = useState<State>({ open: null, error: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (task_id === null) return;
    let wanted = true;
    let opened: Opened | null = null;
    openCase(task_id).then(
      (open) => {
        opened = open;
        if (wanted) setState({ open, error: null });
        else void leaveCase(open);
      },
      (error: unknown) => { if (wanted && error instanceof ApiError) setState({ open: null, error }); },
    );
    return () => {
      wanted = false;
      setState({ open: null, error: null });
      if (opened) void leaveCase(opened);
    };
  }, [task_id, round]);
  /** A lost claim taken again: the same text goes on; where somebody wrote meanwhile, the reader chooses. */
  const again = async (): Promise<void> => {
    const before = state.open;
    const open = await openCase(task_id!);
    if (before) {
      const same = open.draft.revision.value === before.draft.revision.value;
      if (same) open.draft.change(before.draft.text.value);
      else open.draft.contest(before.draft.text.value);
      before.close();
    }
    setState({ open, error: null });
  };
  return { ...state, again: state.open ? again : async () => setRound(round + 1) };
}

async function leaveCase(open: Opened): Promise<void> {
  const held = open.claim.state.value;
  if (held === 'held' || held === 'unsure') {
    await open.store();
    await open.claim.release().catch(() => undefined); // not reached: the lease ends by itself
  }
  open.close();
}

function ReadingPage() {
  const task_id = place.value.get('task');
  const queue = useQueue('open');
  const { open, error, again } = useCase(task_id);
  const [help, setHelp] = useState(false);
  const showKeys = (): void => {
    if (open?.kind === 'images' && !open.signed.value) void import('../viewer/tools').then(({ sheetOpen }) => { sheetOpen.value = true; });
    else setHelp(true);
  };
  useKeys(open, showKeys);
  const next = nextTask(queue, task_id);
  const leave = (): void => go({});
  const goNext = next ? () => go({ task: next.id }) : null;
  return (
    <Shell page="reading" wide title={t('reading.title')}>
      <Panes
        left={<QueuePane open={queue} chosen={task_id} choose={(task) => go({ task: task.id })} />}
        middle={open?.kind === 'images' ? <ImagePane key={open.task_id} open={open} help={showKeys} leave={leave} /> : open ? <CasePane key={open.task_id} open={open} help={showKeys} leave={leave} /> : <NoCase task_id={task_id} error={error} queue={queue} start={goNext} retry={again} />}
        right={open && <ReportPane key={open.task_id} open={open} next={goNext} />}
      />
      {open && open.claim.state.value === 'lost' && <LostClaim open={open} again={again} leave={leave} />}
      {help && <KeysDialog record={open?.kind !== 'images'} close={() => setHelp(false)} />}
    </Shell>
  );
}

type NoCaseProps = { task_id: string | null; error: ApiError | null; queue: Queue; start: (() => void) | null; retry: () => Promise<void> };

function NoCase({ task_id, error, queue, start, retry }: NoCaseProps) {
  if (error?.status === 403) return <NoRight />;
  if (error) return <ErrorState error={error} retry={() => { void retry(); }} />;
  if (task_id !== null) return <Skeleton rows={12} />;
  if (queue.data === null) return null;
  return (
    <EmptyState title={t(start ? 'reading.start.title' : 'reading.start.none')}>
      {start ? <Button kind="primary" data-testid="start" onClick={start}>{t('reading.start')}</Button> : <p>{t('reading.start.text')}</p>}
    </EmptyState>
  );
}

void startPage(ReadingPage);
