// A WebSocket that comes back by itself: back-off 0.5 to 15 s with jitter, at once when the network returns.
// Close codes: 4403 = the right was taken back (stays closed), 4408 = this page was too slow (again at once).
import { loadMe } from './session';
import { ask } from './api';
import { tellSocket } from './connection';

export type SocketState = 'connecting' | 'open' | 'waiting' | 'refused';
export type SocketHandlers = {
  text: (message: Record<string, unknown> & { type?: string }) => void;
  binary?: (frame: ArrayBuffer) => void;
  state?: (state: SocketState) => void;
};
export type Socket = { send: (message: unknown) => void; close: () => void };

const RIGHT_WITHDRAWN = 4403;
const TOO_SLOW = 4408;
let nextId = 0;

export function openSocket(path: string, handlers: SocketHandlers): Socket {
  const id = nextId++;
  let socket: WebSocket | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let failures = 0;
  let closed = false;

  function tell(state: SocketState): void {
    tellSocket(id, state === 'refused' ? null : state);
    handlers.state?.(state);
  }

  function connect(): void {
    if (closed) return;
    timer = null;
    let opened = false;
    tell(failures === 0 ? 'connecting' : 'waiting');
    socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => { opened = true; failures = 0; tell('open'); };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (typeof event.data === 'string') handlers.text(JSON.parse(event.data) as Record<string, unknown>);
      else handlers.binary?.(event.data);
    };
    socket.onclose = (event) => { void ended(event.code, opened); };
  }

  async function ended(code: number, opened: boolean): Promise<void> {
    if (closed) return;
    if (code === RIGHT_WITHDRAWN) { tell('refused'); return; }
    failures = code === TOO_SLOW ? 0 : failures + 1;
    tell('waiting');
    if (!opened) await checkSession();
    again(code === TOO_SLOW ? 0 : Math.min(15_000, 500 * 2 ** (failures - 1)) * (0.75 + Math.random() / 2));
  }

  function again(delayMs: number): void {
    if (timer) clearTimeout(timer);
    if (!closed) timer = setTimeout(connect, delayMs);
  }

  const online = () => { if (timer) { failures = 0; again(0); } };
  addEventListener('online', online);
  connect();
  return {
    send: (message) => { if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message)); },
    close: () => {
      closed = true;
      removeEventListener('online', online);
      if (timer) clearTimeout(timer);
      tellSocket(id, null);
      socket?.close(1000);
    },
  };
}

/** A refused handshake hides its status: ask who we are, and sign in again over the page if nobody. */
async function checkSession(): Promise<void> {
  const gone = await loadMe().then((found) => found === null, () => false);
  if (gone) await ask('sign-in');
}
