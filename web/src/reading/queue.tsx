// The queue: how urgent and why, from where, how long there is, who has it.
import { useState } from 'preact/hooks';
import { duration, named, say, t } from '../core/i18n';
import { Loaded, useResource, type Resource } from '../core/resource';
import { me } from '../core/session';
import { now } from '../core/time';
import type { Priority } from '../core/types';
import { EmptyState, Time } from '../core/ui';
import type { Task } from './types';

export type View = 'open' | 'mine' | 'done';
const VIEWS: readonly View[] = ['open', 'mine', 'done'];
const SHAPES: Record<Priority, string> = { stat: '▲', urgent: '◆', asap: '◇', routine: '○' };

export type Queue = Resource<{ tasks: Task[] }>;

export function useQueue(view: View): Queue {
  return useResource<{ tasks: Task[] }>(`/api/tasks?status=${view}`, ['tasks'], 30);
}

/** The first task nobody has. */
export function nextTask(queue: Queue, except: string | null): Task | null {
  return queue.data?.tasks.find((task) => task.status === 'requested' && task.id !== except) ?? null;
}

export function QueuePane({ open, chosen, choose }: { open: Queue; chosen: string | null; choose: (task: Task) => void }) {
  const [view, setView] = useState<View>('open');
  return (
    <div class="queue">
      <div class="queue-views" role="group" aria-label={t('reading.queue')}>
        {VIEWS.map((name) => (
          <button key={name} type="button" class="button button-quiet" aria-pressed={view === name} onClick={() => setView(name)}>
            {t(`reading.queue.${name}`)}{name === 'open' && open.data ? ` ${open.data.tasks.length}` : ''}
          </button>
        ))}
      </div>
      {view === 'open' ? <Tasks queue={open} view="open" chosen={chosen} choose={choose} /> : <OtherTasks key={view} view={view} chosen={chosen} choose={choose} />}
    </div>
  );
}

type ListProps = { view: View; chosen: string | null; choose: (task: Task) => void };

function OtherTasks(props: ListProps) {
  return <Tasks queue={useQueue(props.view)} {...props} />;
}

function Tasks({ queue, view, chosen, choose }: ListProps & { queue: Queue }) {
  return (
    <Loaded from={queue}>
      {({ tasks }) => tasks.length === 0
        ? <EmptyState title={t(`reading.queue.empty.${view}`)} />
        : <ul class="queue-list">{tasks.map((task) => <TaskRow key={task.id} task={task} here={task.id === chosen} choose={choose} />)}</ul>}
    </Loaded>
  );
}

function TaskRow({ task, here, choose }: { task: Task; here: boolean; choose: (task: Task) => void }) {
  const other = task.claimed_by !== null && task.claimed_by.id !== me.value?.account.id && task.status === 'in-progress';
  return (
    <li>
      <button type="button" class="task" data-task={task.id} data-priority={task.priority} data-status={task.status} aria-current={here ? 'true' : undefined}
        disabled={other || task.status === 'completed'} onClick={() => choose(task)}>
        <span class="task-head">
          <span class={`task-priority task-${task.priority}`}><span aria-hidden="true">{SHAPES[task.priority]}</span> {t(`core.priority.${task.priority}`)}</span>
          <Due task={task} />
        </span>
        {task.priority !== 'routine' && <span class="task-reasons">{task.reasons.map((reason) => say(reason)).join(t('reading.semicolon'))}</span>}
        <span class="task-from"><span>{t(`reading.kind.${task.kind}`)}</span> <span>{named(task.from_organisation)}</span> <span>{t(`core.sex.${task.sex}`)} · {t('core.age_years', { count: task.age_years })}</span></span>
        {task.question && <span class="task-question soft">{task.question}</span>}
        {task.claimed_by && task.status === 'in-progress' && <strong class="small">{other ? t('reading.claimed.by', { name: task.claimed_by.name }) : t('reading.claimed.mine')}</strong>}
      </button>
    </li>
  );
}

function Due({ task }: { task: Task }) {
  if (task.completed_at) return <span class="small">{t('reading.done')} <Time at={task.completed_at} /></span>;
  const left_s = (Date.parse(task.due_at) - now.value) / 1000;
  return left_s >= 0
    ? <span class="small figures">{t('reading.due', { duration: duration(left_s) })}</span>
    : <strong class="small figures task-late">! {t('reading.late', { duration: duration(-left_s) })}</strong>;
}
