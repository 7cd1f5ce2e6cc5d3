// Properties of opening and looking: windows of frames, a study beside, answers out of turn, what is refused, lost or never comes.
// `node --test web/check/opening.mjs`
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LAYOUT, load, random } from './page.mjs';

const { Memory } = await load('viewer/memory.ts');
const {
  ApiError, Codec, NoDecoder, Loader, Panes, OpenStudy, defaultTone, fetchManifest, fileTone, mirror, prompt, setWindow, turn, zoom,
} = await load('core/api.ts', 'viewer/codec.ts', 'viewer/loader.ts', 'viewer/manifest.ts', 'viewer/open-study.ts', 'viewer/panes.ts', 'viewer/windows.ts');

/** Slices whose serving copies are one cut of ten bytes. @param {number} count @param {string} [name] */
function plainSlices(count, name = 'i') {
  const pixels = { ...LAYOUT, frames: [{ offset: 0, length: 10, cuts: [10] }] };
  return Array.from({ length: count }, (_, n) => ({ instance: { id: `${name}${n}`, pixels }, frame: 0 }));
}

/** One frame at a time. @param {() => boolean} works */
function someCodec(works) {
  const codec = { free: true, asked: 0, close: () => undefined, decode: async () => {
    codec.asked++;
    codec.free = false;
    await new Promise((done) => setTimeout(done));
    codec.free = true;
    if (!works()) throw new NoDecoder();
    return { values: new Uint8Array(16), rows: 4, columns: 4 };
  } };
  return codec;
}

/** @param {() => boolean} is */
async function soon(is) {
  for (const until = Date.now() + 5000; !is(); await new Promise((done) => setTimeout(done, 2))) assert.ok(Date.now() < until, 'it does not come');
}
const rest = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));

test('without the decoder it is asked for once, and again when all is tried again; with it all comes', async () => {
  let works = false;
  const codec = someCodec(() => works);
  globalThis.fetch = /** @type {any} */ (async () => new Response(new Uint8Array(10), { status: 206 }));
  const slices = plainSlices(12);
  const loader = new Loader(() => undefined, new Memory(1e6), codec);
  loader.look([{ slices, index: 0 }]);
  for (let round = 1; round <= 3; round++) {
    await soon(() => loader.trouble.value !== null);
    await rest(60);
    assert.equal(loader.trouble.value.of, 'decoder');
    assert.equal(codec.asked, round);
    loader.retry();
  }
  await soon(() => loader.trouble.value !== null);
  works = true;
  loader.retry();
  await soon(() => loader.progressOf(slices).full === 12 && slices.every((slice) => loader.frame(slice).complete));
  loader.close();
});

test('a worker lost while the decoder is on its way leaves no frame waiting for ever', async () => {
  /** @type {any[]} */
  const workers = [];
  Object.assign(globalThis, { Worker: class { constructor() { workers.push(this); } postMessage() {} terminate() {} } });
  /** @type {(program: any) => void} */
  let arrive = () => undefined;
  WebAssembly.compileStreaming = () => new Promise((resolve) => { arrive = resolve; });
  const codec = new Codec(1);
  const asked = codec.decode(new Uint8Array(1), 0);
  workers[0].onerror();
  arrive({});
  await assert.rejects(asked, NoDecoder);
  assert.ok(codec.free);
});

test('who may not see one image is not asked about the others; with the right again all come', async () => {
  let [requests, allowed] = [0, false];
  globalThis.fetch = /** @type {any} */ (async () => {
    requests++;
    return allowed ? new Response(new Uint8Array(10), { status: 206 }) : new Response('{}', { status: 403 });
  });
  const slices = plainSlices(60);
  const loader = new Loader(() => undefined, new Memory(1e6), someCodec(() => true));
  loader.look([{ slices, index: 30 }]);
  await soon(() => slices.every((slice) => loader.frame(slice).refusal?.status === 403));
  await rest(20);
  assert.ok(requests <= 5, `${requests} requests`);
  allowed = true;
  loader.retry();
  await soon(() => loader.progressOf(slices).full === 60);
  loader.close();
});

/** Answers nothing until it is given up, but that it is there. */
function silence(/** @type {string} */ path, /** @type {any} */ { signal }) {
  if (path === '/healthz') return Promise.resolve(new Response());
  return new Promise((_, reject) => { signal.addEventListener('abort', () => reject(signal.reason)); });
}

test('a pane that follows the file shows every frame in its own window, and a tile shows its series as a fresh pane does', async () => {
  globalThis.fetch = /** @type {any} */ (silence);
  const next = random(5);
  const frame = () => ({ offset: 0, length: 10, cuts: [10], windows: [{ center: Math.round(100 * next()), width: 1 + Math.round(400 * next()), label: '', function: 'LINEAR' }] });
  const series = ['a', 'b'].map((id) => ({ id, modality: 'MR', instances: [1, 2].map((n) => ({
    id: `${id}${n}`, state: 'ready', kind: 'image', pixels: { ...LAYOUT, spacing_mm: null, aspect: [1, 1], frames: [frame(), frame(), frame()] },
  })) }));
  const newPanes = () => {
    const panes = new Panes(someCodec(() => true));
    panes.all[0].size.value = { width: 700, height: 500 };
    return panes;
  };
  const panes = newPanes();
  const [pane] = panes.all;
  for (let round = 0; round < 400; round++) {
    const one = series[Math.floor(2 * next())];
    const deed = Math.floor(8 * next());
    if (deed === 0) panes.show(pane, null, one);
    else if (deed === 1) fileTone(pane);
    else if (deed === 2) setWindow(pane, { center: 100 * next(), width: 500 * next() });
    else if (deed === 3) turn(pane);
    else if (deed === 4) mirror(pane);
    else if (deed === 5) zoom(pane, 0.5 + next(), [30, 40]);
    else panes.scroll(pane, Math.floor(7 * next()) - 3);
    if (pane.series.value === null) continue;
    const { voi, window: { center, width } } = defaultTone(pane.shown.value.pixels);
    if (pane.windowOfFile.value) assert.deepEqual([pane.voi.value, pane.view.value.window], [voi, { center, width }]);
    if (deed !== 0) continue;
    const fresh = newPanes();
    fresh.show(fresh.all[0], null, one);
    assert.deepEqual(pane.view.value, fresh.all[0].view.value);
    assert.ok(pane.windowOfFile.value && pane.index.value === 0);
    fresh.close();
  }
  panes.close();
});

/** @param {string} id @param {string} [description] */
const someManifest = (id, description = '') => JSON.stringify({ study: { id, description, is_open: false }, series: [
  { id: `${id}-s`, modality: 'CT', instances: plainSlices(3, id).map(({ instance }) => ({ ...instance, state: 'ready', kind: 'image', pixels: { ...instance.pixels, spacing_mm: null, aspect: [1, 1] } })) },
] });

test('whatever comes first, today stays in its pane, and the other study lies beside it exactly while it is asked for', async () => {
  const next = random(6);
  globalThis.fetch = /** @type {any} */ (async (/** @type {string} */ path, /** @type {any} */ init) => {
    const id = /^\/api\/images\/(today|prior)$/.exec(path)?.[1];
    if (!id) return silence(path, init);
    await rest(6 * next());
    return new Response(someManifest(id));
  });
  for (let round = 0; round < 25; round++) {
    const study = new OpenStudy('today', someCodec(() => true));
    let wanted = false;
    for (let presses = Math.floor(4 * next()); presses > 0; presses--) {
      wanted = !wanted;
      if (wanted) void study.openBeside('prior');
      else study.closeBeside('prior');
      await rest(8 * next());
    }
    await soon(() => study.manifest.value !== null && study.beside.value.length === (wanted ? 1 : 0));
    await rest(wanted ? 0 : 8);
    assert.deepEqual(study.panes.all.map((/** @type {any} */ { study: of }) => of.value?.id ?? null), ['today', wanted ? 'prior' : null, null, null]);
    assert.deepEqual([study.panes.layout.value, study.beside.value.length], wanted ? ['1x2', 1] : ['1x1', 0]);
    study.close();
  }
});

test('of several answers the one last asked for holds, and a study beside that is refused is told', async () => {
  let asked = 0;
  globalThis.fetch = /** @type {any} */ (async (/** @type {string} */ path, /** @type {any} */ init) => {
    if (path === '/api/images/prior') return new Response('{}', { status: 403 });
    if (path !== '/api/images/today') return silence(path, init);
    const own = ++asked;
    await rest(40 - 10 * own);
    return new Response(someManifest('today', String(own)));
  });
  const study = new OpenStudy('today', someCodec(() => true));
  await Promise.all([study.reload(), study.reload()]);
  await rest(40);
  assert.deepEqual([asked, study.manifest.value.study.description], [3, '3']);
  await assert.rejects(study.openBeside('prior'), (/** @type {any} */ cause) => cause instanceof ApiError && cause.status === 403);
  study.close();
});

test('a hub that never answers counts as not reached, but not while somebody signs in again', async () => {
  globalThis.fetch = /** @type {any} */ (silence);
  await assert.rejects(fetchManifest('s', new AbortController().signal, 10), (/** @type {any} */ cause) => cause instanceof ApiError && cause.status === 0);
  prompt.value = { kind: 'sign-in', resolve: () => undefined };
  let ended = false;
  const asked = fetchManifest('s', new AbortController().signal, 10).catch(() => { ended = true; });
  await rest(50);
  assert.ok(!ended);
  prompt.value = null;
  await asked;
  assert.ok(ended);
});
