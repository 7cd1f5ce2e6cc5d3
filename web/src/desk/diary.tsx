// What the patient felt and did, and when the button was pressed: the reader sees it beside the ECG.
import { useState } from 'preact/hooks';
import { api } from '../core/api';
import { t } from '../core/i18n';
import { Loaded, useAction, useResource } from '../core/resource';
import { formatClock, formatDate, instantOf } from '../core/time';
import { Button, Check, EmptyState, ErrorBanner, Form, TextField, Time, toast } from '../core/ui';
import type { RecordingEvent } from './types';

const KINDS = ['diary', 'button', 'sos', 'lead-off', 'lead-on', 'end', 'boot', 'online', 'offline', 'battery', 'position', 'discard', 'command'] as const;
const OF_THE_PATIENT: readonly string[] = ['diary', 'button', 'sos', 'lead-off', 'lead-on'];

export function Diary({ recordingId }: { recordingId: string }) {
  const events = useResource<{ events: RecordingEvent[] }>(`/api/recordings/${recordingId}/events`, ['recordings'], 15);
  const [all, setAll] = useState(false);
  return (
    <section class="card">
      <h2>{t('desk.diary.title')}</h2>
      <Entry recordingId={recordingId} stored={events.reload} />
      <Check label={t('desk.diary.all')} checked={all} change={setAll} />
      <Loaded from={events}>{(data) => <Lines events={data.events.filter((event) => all || OF_THE_PATIENT.includes(event.kind))} />}</Loaded>
    </section>
  );
}

function Lines({ events }: { events: RecordingEvent[] }) {
  if (events.length === 0) return <EmptyState title={t('desk.diary.empty')} />;
  const newestFirst = [...events].sort((a, b) => b.at.localeCompare(a.at));
  return <ol class="plain-list events">{newestFirst.map((event) => <Line key={event.id} event={event} />)}</ol>;
}

function Line({ event }: { event: RecordingEvent }) {
  const kind = KINDS.find((each) => each === event.kind);
  const text = event.detail?.text;
  return (
    <li><Time at={event.at} /> <strong>{kind ? t(`desk.event.${kind}`) : event.kind}</strong>{typeof text === 'string' && <span> {text}</span>}</li>
  );
}

function Entry({ recordingId, stored }: { recordingId: string; stored: () => void }) {
  const [text, setText] = useState('');
  const [date, setDate] = useState(formatDate(Date.now()));
  const [clock, setClock] = useState(formatClock(Date.now()));
  const work = useAction(async () => {
    await api.post(`/api/recordings/${recordingId}/diary`, { at: instantOf(date, clock), text: text.trim() });
    setText('');
    toast(t('desk.diary.stored'));
    stored();
  });
  return (
    <Form submit={work.run}>
      <div class="form-grid form-grid-tight">
        <TextField label={t('desk.diary.date')} type="date" value={date} change={setDate} required />
        <TextField label={t('desk.diary.time')} type="time" value={clock} change={setClock} required />
      </div>
      <TextField label={t('desk.diary.text')} value={text} change={setText} required maxLength={500} placeholder={t('desk.diary.example')} />
      {work.error && <ErrorBanner error={work.error} />}
      <div class="actions"><Button type="submit" busy={work.busy}>{t('desk.diary.add')}</Button></div>
    </Form>
  );
}
