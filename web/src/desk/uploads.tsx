// Files of a request: picking them, how far each is, and what the hub made of it. Nothing is called received before the hub said so.
import { useRef, useState } from 'preact/hooks';
import { api } from '../core/api';
import { bytes, duration, say, t } from '../core/i18n';
import { Loaded, useResource } from '../core/resource';
import { me } from '../core/session';
import { now } from '../core/time';
import { Banner, Button, Confirm, State, type Shape } from '../core/ui';
import { bySending, isStored, lookOf, percentOf, tally, type Look, type Outgoing, type Upload } from '../sending/plan';
import { busy, keeps, lineUntil, outgoing, places, sender } from '../sending/state';
import { ImagesOf } from './images';
import { ofDrop, ofInput } from './picked';
import type { ServiceRequest } from './types';
import type { Picked } from '../sending/sender';

const SHOWN = 8; // lines; a folder of a CT has hundreds, of which those that are done need no line
const DONE = 4;

/** One file: as it is here, as the hub lists it, or both. */
type Line = { key: string; name: string; size_bytes: number; own: Outgoing | null; upload: Upload | null };

type Page = { uploads: Upload[]; next: string | null };
const pathOf = (request: ServiceRequest) => `/api/uploads?request_id=${request.id}`;

/** A folder of a thousand images takes several pages. */
async function allOf(request: ServiceRequest, first: Page, abort: AbortSignal): Promise<Page> {
  let { uploads, next } = first;
  while (next !== null) {
    const page = await api.get<Page>(`${pathOf(request)}&after=${next}`, abort);
    uploads = [...uploads, ...page.uploads];
    next = page.next;
  }
  return { uploads, next };
}

export function FilesCard({ request, open }: { request: ServiceRequest; open: boolean }) {
  const uploads = useResource<Page>(pathOf(request), ['uploads'], 0, (first, abort) => allOf(request, first, abort));
  const own = outgoing.value.filter((file) => file.request_id === request.id);
  return (
    <section class="card sending" aria-labelledby="sending-title">
      <h2 id="sending-title">{t('desk.send.title')}</h2>
      {open && <Picker request={request} first={!uploads.data?.uploads.some(isStored)} />}
      {request.kind === 'imaging' && <ImagesOf request={request} />}
      {/* What is here is shown whether or not the hub can be asked. */}
      {uploads.data === null && own.length > 0
        ? <Lines lines={linesOf(own, [])} changed={uploads.reload} />
        : <Loaded from={uploads}>{(data) => <Lines lines={linesOf(own, data.uploads)} changed={uploads.reload} />}</Loaded>}
    </section>
  );
}

/** The hub's word on a file outweighs ours once it has all of it. */
function linesOf(own: readonly Outgoing[], uploads: readonly Upload[]): Line[] {
  const sameAs = (file: Outgoing, upload: Upload) => file.upload_id === upload.id || (file.sha256 !== null && file.sha256 === upload.sha256);
  const listed = uploads.filter((upload) => upload.state !== 'expired').map((upload): Line => {
    const here = isStored(upload) ? null : own.find((file) => sameAs(file, upload)) ?? null;
    return { key: upload.id, name: upload.file_name, size_bytes: upload.size_bytes, own: here, upload };
  });
  const rest = own.filter((file) => !uploads.some((upload) => sameAs(file, upload)));
  const lines = [...listed, ...rest.map((file): Line => ({ key: file.id, name: file.name, size_bytes: file.size_bytes, own: file, upload: null }))];
  return lines.sort((a, b) => rankOf(a) - rankOf(b) || (a.own && b.own ? bySending(a.own, b.own) : 0) || a.name.localeCompare(b.name, 'zh-CN', { numeric: true }));
}

function rankOf({ own, upload }: Line): number {
  if (own?.phase === 'failed') return 0;
  if (upload?.state === 'set-aside') return 1;
  if (own === null && upload?.state === 'receiving') return 3;
  return own && own.phase !== 'received' ? 2 : DONE;
}

const FOLDERS = typeof document !== 'undefined' && 'webkitdirectory' in document.createElement('input') && !matchMedia('(pointer: coarse)').matches;

/** `first`: nothing has been received yet, so sending is what there is to do. */
function Picker({ request, first }: { request: ServiceRequest; first: boolean }) {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  async function take(picked: Picked[]): Promise<void> {
    const { add, begin } = await sender();
    await begin(me.value?.account.id ?? '');
    await add({ id: request.id, kind: request.kind }, picked);
  }
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer) void ofDrop(event.dataTransfer).then(take);
  };
  const chosen = (event: Event & { currentTarget: HTMLInputElement }) => {
    const picked = ofInput(event.currentTarget.files);
    event.currentTarget.value = ''; // so that the same file may be picked again
    void take(picked);
  };
  return (
    <div class={over ? 'drop drop-over' : 'drop'} onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={drop}>
      <p class="soft">{t(`desk.send.hint.${request.kind}`)}</p>
      <div class="actions">
        <Button kind={first ? 'primary' : 'plain'} onClick={() => files.current?.click()}>{t('desk.send.files')}</Button>
        {FOLDERS && <Button onClick={() => folder.current?.click()}>{t('desk.send.folder')}</Button>}
        {FOLDERS && <span class="soft small">{t('desk.send.drop')}</span>}
      </div>
      <input ref={files} class="unseen" type="file" multiple tabIndex={-1} aria-label={t('desk.send.files')} data-test="files" onChange={chosen} />
      {FOLDERS && <input ref={(input) => { folder.current = input; input?.setAttribute('webkitdirectory', ''); }} class="unseen" type="file" multiple tabIndex={-1} aria-label={t('desk.send.folder')} onChange={chosen} />}
      {keeps.value === true && <p class="soft small">{t('desk.send.kept')}</p>}
      {keeps.value === false && <Banner kind="notice">{t('desk.send.memory')}</Banner>}
    </div>
  );
}

function Lines({ lines, changed }: { lines: Line[]; changed: () => void }) {
  const [all, setAll] = useState(false);
  if (lines.length === 0) return <p class="soft">{t('desk.send.none')}</p>;
  const few = lines.length <= SHOWN;
  const shown = all || few ? lines : lines.filter((line) => rankOf(line) < DONE).slice(0, SHOWN);
  return (
    <>
      {lines.length > 1 && <Total lines={lines} />}
      {shown.length > 0 && <ul class="plain-list files">{shown.map((line) => <FileLine key={line.key} line={line} changed={changed} />)}</ul>}
      {!few && <div class="actions"><Button kind="quiet" aria-expanded={all} onClick={() => setAll(!all)}>{all ? t('desk.send.fewer') : t('desk.send.all', { count: lines.length })}</Button></div>}
    </>
  );
}

function isReceived({ own, upload }: Pick<Line, 'own' | 'upload'>): boolean {
  return own?.phase === 'received' || (upload !== null && isStored(upload));
}

/** Spoken when a count changes, not with each per cent. */
function Total({ lines }: { lines: Line[] }) {
  const stored = lines.filter(isReceived).length;
  const failed = lines.filter(({ own }) => own?.phase === 'failed').length;
  const have = lines.reduce((sum, { own, upload, size_bytes }) => sum + (isReceived({ own, upload }) ? size_bytes : own?.offset_bytes ?? upload?.offset_bytes ?? 0), 0);
  const size = lines.reduce((sum, line) => sum + line.size_bytes, 0);
  return (
    <div class="stack-tight">
      <p role="status"><strong>{t('desk.send.total', { stored, count: lines.length })}</strong>{failed > 0 && <> {t('desk.send.total.failed', { count: failed })}</>}</p>
      {stored < lines.length && <Progress percent={percentOf(have, size)} label={t('desk.send.progress.all')} />}
    </div>
  );
}

export function Progress({ percent, label }: { percent: number; label: string }) {
  return (
    <div class="progress" role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent}>
      <div class="progress-done" style={{ width: `${percent}%` }} />
    </div>
  );
}

function FileLine({ line, changed }: { line: Line; changed: () => void }) {
  const { name, size_bytes, own, upload } = line;
  const look = own && lookOf(own, places.value, busy.value, lineUntil.value);
  const state = own ? own.phase : upload?.state;
  const percent = look && look.word !== 'failed' && look.word !== 'checking' && look.word !== 'received' ? look.percent : null;
  return (
    <li class="file" data-file={name} data-state={state}>
      <div class="file-body">
        <div class="file-head"><span class="file-name">{name}</span> <span class="soft small figures">{bytes(size_bytes)}</span></div>
        {look && own ? <OwnState look={look} file={own} /> : upload && <HubState upload={upload} />}
        {percent !== null && <Progress percent={percent} label={t('desk.send.progress', { name })} />}
      </div>
      <Deeds line={line} changed={changed} />
    </li>
  );
}

const SHAPES: Record<Look['word'], Shape> = {
  reading: 'moving', sending: 'moving', waiting: 'waiting', 'no-line': 'waiting', 'hub-waits': 'waiting', checking: 'moving', received: 'done', failed: 'stopped',
};

function OwnState({ look, file }: { look: Look; file: Outgoing }) {
  return <State shape={SHAPES[look.word]}>{wordsOf(look, file)}</State>;
}

function wordsOf(look: Look, file: Outgoing): string {
  const { percent } = look;
  switch (look.word) {
    case 'reading': return t(keeps.value ? 'desk.send.state.reading' : 'desk.send.state.reading.memory', { percent });
    case 'sending': return t('desk.send.state.sending', { percent });
    case 'waiting': return t(percent ? 'desk.send.state.waiting.part' : 'desk.send.state.waiting', { percent, place: look.place, of: look.of });
    case 'no-line': return t('desk.send.state.no-line', { percent, again: again(look.again_ms) });
    case 'hub-waits': return t('desk.send.state.hub-waits', { percent, why: troubleOf(file), again: again(look.again_ms) });
    case 'checking': return t('desk.send.state.checking');
    case 'received': return t('desk.send.state.received');
    case 'failed': return t('desk.send.state.failed', { why: troubleOf(file) });
  }
}

function again(at_ms: number): string {
  const left_s = Math.ceil((at_ms - now.value) / 1000);
  return left_s > 0 ? t('desk.send.again', { duration: duration(left_s) }) : t('desk.send.again.now');
}

function troubleOf({ trouble }: Outgoing): string {
  return trouble ? say(trouble.words) || t(`desk.send.trouble.${trouble.code}`) : '';
}

function HubState({ upload }: { upload: Upload }) {
  if (upload.state === 'receiving') return <State shape="waiting">{t('desk.send.state.elsewhere', { percent: percentOf(upload.offset_bytes, upload.size_bytes) })}</State>;
  return (
    <>
      <State shape="done" at={upload.received_at}>{t('desk.send.state.received')}</State>
      {upload.state === 'received' && <State shape="moving">{t('desk.send.state.looking')}</State>}
      {upload.state === 'set-aside' && <State shape="stopped">{t('desk.send.state.set-aside', { why: say(upload.reason) })}</State>}
      {upload.state === 'taken-in' && <Contents upload={upload} />}
    </>
  );
}

/** What was found in a file; of an archive, what could not be used stands by name. */
function Contents({ upload: { contents } }: { upload: Upload }) {
  const [only] = contents;
  const aside = contents.filter((content) => content.reason);
  if (contents.length === 1 && only?.kind === 'ecg') {
    return <span class="small soft">{t('desk.send.found.ecg', { leads: only.leads ?? 0, duration: duration(only.seconds ?? 0), fs_hz: only.fs_hz ?? 0 })}</span>;
  }
  if (contents.length === 1 && only?.kind === 'image') return <span class="small soft">{t('desk.send.found.image')}</span>;
  if (contents.length < 2) return null;
  return (
    <>
      <span class="small soft">{t('desk.send.found.many', { count: contents.length - aside.length })}</span>
      {aside.length > 0 && (
        <details>
          <summary class="summary">{t('desk.send.found.aside', { count: aside.length })}</summary>
          <ul class="plain-list stack-tight small">{aside.map((content) => <li key={content.name}><strong class="mono">{content.name}</strong> {say(content.reason)}</li>)}</ul>
        </details>
      )}
    </>
  );
}

function Deeds({ line: { name, own, upload }, changed }: { line: Line; changed: () => void }) {
  const [asked, setAsked] = useState(false);
  const elsewhere = own === null && upload?.state === 'receiving';
  if (!elsewhere && (own === null || own.phase === 'checking' || own.phase === 'received')) return null;
  async function remove(): Promise<void> {
    if (own) await (await sender()).remove(own.id);
    else if (upload) await api.delete(`/api/uploads/${upload.id}`);
    changed();
  }
  const gone = own?.phase === 'failed' && own.sha256 === null; // nothing is kept of it
  return (
    <>
      <div class="actions file-deeds">
        {own?.phase === 'failed' && !gone && <Button onClick={() => { void sender().then(({ retry }) => retry(own.id)); }} aria-label={t('desk.send.retry.of', { name })}>{t('core.retry')}</Button>}
        <Button kind="quiet" onClick={() => { if (gone) void remove(); else setAsked(true); }} aria-label={t('desk.send.remove.of', { name })}>{t('desk.send.remove')}</Button>
      </div>
      {asked && (
        <Confirm title={t('desk.send.remove.title')} confirm={t('desk.send.remove.confirm')} grave close={() => setAsked(false)} run={remove}>
          {t('desk.send.remove.text', { name })}
        </Confirm>
      )}
    </>
  );
}

/** A request's files on their way, as one line of the desk's list. */
export function SendingLine({ request_id, bar }: { request_id: string; bar: boolean }) {
  const { files, received, failed, percent } = tally(outgoing.value.filter((file) => file.request_id === request_id));
  const open = files - received - failed;
  const word = open === 0 ? 'failed' : lineUntil.value > 0 ? 'no-line' : 'sending';
  return (
    <span class="sending-line">
      <State shape={SHAPES[word]}>{word === 'failed' ? t('desk.send.line.failed', { count: failed }) : t(`desk.send.line.${word}`, { count: open, percent })}</State>
      {bar && word !== 'failed' && <Progress percent={percent} label={t('desk.send.progress.all')} />}
    </span>
  );
}
