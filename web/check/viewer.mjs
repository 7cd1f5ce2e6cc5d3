// Properties of what lies between a serving copy and the screen: places, order, greys, memory, frames, and the loader on a bad line.
// `node --test web/check/viewer.mjs`; the modules are bundled in memory, since Node 20 reads no TypeScript.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { rolldown } from 'rolldown';

const SRC = join(import.meta.dirname, '..', 'src');

/** What the modules ask of a browser when they are loaded. */
Object.assign(globalThis, {
  location: { pathname: '/viewer', search: '', hash: '' },
  localStorage: { getItem: () => null, setItem: () => undefined },
  addEventListener: () => undefined, removeEventListener: () => undefined,
  requestAnimationFrame: (/** @type {() => void} */ call) => setTimeout(call, 1),
});

Object.defineProperty(globalThis, 'navigator', { value: { onLine: true, hardwareConcurrency: 2 } });

const ALL = 'all.js';

/** What several modules export, as one bundle: they know each other's classes. @param {string[]} paths */
async function load(...paths) {
  const all = paths.map((path) => `export * from ${JSON.stringify(join(SRC, path))};`).join('\n');
  const { output } = await (await rolldown({
    input: ALL, logLevel: 'silent', output: { codeSplitting: false },
    plugins: [{
      name: 'addresses', resolveId: (id) => (id === ALL || id.endsWith('?url') ? id : null),
      load: (id) => (id === ALL ? all : id.endsWith('?url') ? 'export default "";' : null),
    }],
  })).generate({ format: 'esm', codeSplitting: false });
  return import(`data:text/javascript;base64,${Buffer.from(output[0].code.replaceAll('import.meta.url', '"file:///"')).toString('base64')}`);
}

const { toImage, toScreen, canvasTransform } = await load('viewer/viewport.ts');
const { outward, onward, interleaved } = await load('viewer/order.ts');
const { greyTable, voiValue, fullWindow } = await load('viewer/windows.ts');
const { Memory } = await load('viewer/memory.ts');
const {
  ApiError, Codec, NoDecoder, Loader, Panes, OpenStudy, defaultTone, fetchManifest, fileTone, merged, mirror, prompt, setWindow, slicesOf, turn, zoom,
} = await load('core/api.ts', 'viewer/codec.ts', 'viewer/loader.ts', 'viewer/manifest.ts', 'viewer/open-study.ts', 'viewer/panes.ts', 'viewer/windows.ts');
const { ageAt } = await load('viewer/age.ts');

/** Seeded, so that a failure comes back. @param {number} seed */
function random(seed) {
  return () => ((seed = (seed * 1664525 + 1013904223) >>> 0) / 2 ** 32);
}

/** @param {() => number} next */
function someView(next) {
  return {
    scale: 0.1 + 5 * next(), x: 512 * next(), y: 512 * next(), rotation: [0, 90, 180, 270][Math.floor(4 * next())], flip: next() < 0.5, invert: false,
    window: { center: 0, width: 1 }, stretch: next() < 0.5 ? undefined : 0.5 + next(),
  };
}

test('screen and image find each other again, and the canvas draws where the screen says', () => {
  const next = random(1);
  for (let round = 0; round < 200; round++) {
    const [view, size] = [someView(next), { width: 1 + 2000 * next(), height: 1 + 2000 * next() }];
    const point = [600 * next(), 600 * next()];
    const on_screen = toScreen(view, size, point);
    toImage(view, size, on_screen).forEach((/** @type {number} */ each, /** @type {number} */ n) => assert.ok(Math.abs(each - point[n]) < 1e-6));
    const ratio = 1 + Math.floor(2 * next());
    const [a, b, c, d, e, f] = canvasTransform(view, size, ratio);
    assert.ok(Math.hypot(a * point[0] + c * point[1] + e - ratio * on_screen[0], b * point[0] + d * point[1] + f - ratio * on_screen[1]) < 1e-6);
    assert.deepEqual(toScreen(view, size, [view.x, view.y]).map(Math.round), [size.width / 2, size.height / 2].map(Math.round));
  }
});

test('a quarter turn goes clockwise, a mirror swaps left and right after it', () => {
  const size = { width: 100, height: 100 };
  const view = { scale: 1, x: 0, y: 0, rotation: 90, flip: false };
  assert.deepEqual(toScreen(view, size, [10, 0]).map(Math.round), [50, 60]); // what pointed right points down
  assert.deepEqual(toScreen({ ...view, flip: true }, size, [0, 10]).map(Math.round), [60, 50]); // what pointed down points left, mirrored right
});

test('every place of a stack is wanted exactly once, the near and the coarse first', () => {
  for (let count = 0; count <= 70; count++) {
    const all = Array.from({ length: count }, (_, n) => n);
    assert.deepEqual([...interleaved(count)].sort((a, b) => a - b), all);
    for (const index of [0, Math.floor(count / 3), count - 1]) {
      if (index < 0 || index >= count) continue;
      const places = [...outward(index, count, count % 2 ? 1 : -1)];
      assert.deepEqual([...places].sort((a, b) => a - b), all);
      const going = [...onward(index, count, 1, 5)];
      assert.deepEqual(going.slice(0, Math.min(6, count - index)), all.slice(index, index + 6));
      assert.deepEqual([...new Set(going)].sort((a, b) => a - b), all);
      places.forEach((place, n) => assert.ok(n === 0 || Math.abs(place - index) >= Math.abs(places[n - 1] - index)));
    }
  }
});

const LAYOUT = {
  rows: 4, columns: 4, samples: 1, bits_stored: 16, signed: true, photometric: 'MONOCHROME2', modality: { slope: 1, intercept: 0, unit: '' }, voi_lut: null,
  smallest: -1000, largest: 3000, windows: [], frames: [],
};

test('the functions of the standard give its own worked figures', () => {
  // PS3.3 C.11.2.1.2.1, note: centre 2048, width 4096 takes 0 to 4095; 2048 and 1 cut at 2048; 0 and 100 run from -50 to 49.
  const linear = (/** @type {number} */ center, /** @type {number} */ width, /** @type {number} */ value) => voiValue('LINEAR', { center, width }, value);
  assert.deepEqual([0, 4095, 4096].map((value) => linear(2048, 4096, value)), [0, 255, 255]);
  assert.deepEqual([2047, 2048].map((value) => linear(2048, 1, value)), [0, 255]);
  assert.deepEqual([-50, 49].map((value) => linear(0, 100, value)), [0, 255]);
  assert.deepEqual([-50, 0, 50].map((value) => voiValue('LINEAR_EXACT', { center: 0, width: 100 }, value)), [0, 127.5, 255]);
  assert.equal(voiValue('SIGMOID', { center: 7, width: 3 }, 7), 127.5);
});

test('greys grow with the values, turn about for MONOCHROME1 and for who wants it, and twice is as before', () => {
  const next = random(2);
  for (let round = 0; round < 12; round++) {
    const layout = { ...LAYOUT, signed: next() < 0.5, bits_stored: next() < 0.5 ? 8 : 12, modality: { slope: 0.1 + next(), intercept: 100 * next() - 50, unit: '' } };
    const tone = { voi: ['LINEAR', 'LINEAR_EXACT', 'SIGMOID'][round % 3], window: { center: 200 * next(), width: 1 + 300 * next() }, invert: false };
    const table = greyTable(layout, tone);
    const half = table.length / 2;
    const rising = layout.signed ? [...table.subarray(half), ...table.subarray(0, half)] : [...table];
    rising.forEach((grey, n) => assert.ok(n === 0 || grey >= rising[n - 1]));
    const turned = greyTable({ ...layout, photometric: 'MONOCHROME1' }, tone);
    assert.ok(turned.every((/** @type {number} */ grey, /** @type {number} */ n) => grey === 255 - table[n]));
    assert.deepEqual(greyTable({ ...layout, photometric: 'MONOCHROME1' }, { ...tone, invert: true }), table);
  }
  const { center, width } = fullWindow(LAYOUT);
  assert.deepEqual([-1000, 3000].map((value) => Math.round(voiValue('LINEAR', { center, width }, value))), [0, 255]);
});

test('tables of the file hold beyond their ends', () => {
  const lut = { first: 10, bits: 8, data: [5, 50, 250] };
  const table = greyTable({ ...LAYOUT, signed: false, bits_stored: 8, modality: { lut: { first: 0, bits: 8, data: [9, 10, 11, 12, 99] }, unit: '' }, voi_lut: lut }, { voi: 'LUT', window: { center: 0, width: 1 }, invert: false });
  assert.deepEqual([...table.subarray(0, 6)], [5, 5, 50, 250, 250, 250]);
});

test('memory never holds more than its budget, lets go what was used longest ago, and never what must stay', () => {
  const next = random(3);
  const memory = new Memory(1000);
  /** @type {Map<string, number>} */
  const held = new Map();
  for (let round = 0; round < 2000; round++) {
    const [frame, kind, bytes] = [`f${Math.floor(12 * next())}`, next() < 0.5 ? 'encoded' : 'decoded', 1 + Math.floor(200 * next())];
    const key = `${kind} ${frame}`;
    memory.release(kind, frame);
    held.delete(key);
    const stays = (/** @type {string} */ each) => each === 'f0' || each === frame;
    const kept = [...held].filter(([each]) => stays(each.split(' ')[1])).reduce((sum, [, own]) => sum + own, 0);
    const there = memory.room(bytes, stays);
    assert.equal(there, kept + bytes <= 1000 || memory.used + bytes <= 1000);
    if (!there) continue;
    memory.hold(kind, frame, bytes, () => held.delete(key));
    held.set(key, bytes);
    assert.ok(memory.used <= 1000);
    assert.equal(memory.used, [...held.values()].reduce((sum, own) => sum + own, 0));
  }
});

const study = { id: 's', patient: null };
test('what a series says of all its images is in each, and what an image says itself goes before it', () => {
  const frames = [{ offset: 0, length: 9, cuts: [9] }];
  const { series } = merged({ study, series: [{ id: 'a', common: { rows: 4, bits_stored: 12 }, instances: [
    { id: 'i', state: 'ready', kind: 'image', pixels: { frames, bits_stored: 8 } },
    { id: 'j', state: 'waiting', kind: 'image', pixels: null },
    { id: 'k', state: 'ready', kind: 'image', pixels: { frames: [...frames, ...frames, ...frames] } },
    { id: 'd', state: 'none', kind: 'document', pixels: null },
  ] }] });
  const [i, j] = series[0].instances;
  assert.deepEqual([i.pixels.rows, i.pixels.bits_stored, j.pixels], [4, 8, null]);
  assert.deepEqual(slicesOf(series[0]).map((/** @type {any} */ slice) => `${slice.instance.id}${slice.frame}`), ['i0', 'j0', 'k0', 'k1', 'k2']);
});

test('age is in whole years at the day of the study, of small children in months, of newborns in days', () => {
  assert.deepEqual(ageAt('1949-05-18', '2026-05-17'), { unit: 'years', count: 76 });
  assert.deepEqual(ageAt('1949-05-18', '2026-05-18'), { unit: 'years', count: 77 });
  assert.deepEqual(ageAt('2024-05-18', '2026-05-17'), { unit: 'months', count: 23 });
  assert.deepEqual(ageAt('2024-05-18', '2026-05-18'), { unit: 'years', count: 2 });
  assert.deepEqual(ageAt('2026-01-31', '2026-03-01'), { unit: 'months', count: 1 });
  assert.deepEqual(ageAt('2026-01-31', '2026-02-28'), { unit: 'days', count: 28 });
  assert.deepEqual(ageAt('2026-05-18', '2026-05-18'), { unit: 'days', count: 0 });
  assert.equal(ageAt('2026-05-18', '2026-05-17'), null);
  assert.equal(ageAt(null, '2026-05-18'), null);
});

/** A hub with a line that is cut at random, and what it was asked for. @param {() => number} next @param {Map<string, Uint8Array>} files */
function badLine(next, files) {
  /** @type {Map<string, number>} */
  const sent = new Map();
  globalThis.fetch = /** @type {any} */ (async (/** @type {string} */ path, /** @type {any} */ { headers, signal }) => {
    if (path === '/healthz') return new Response();
    await new Promise((done) => setTimeout(done, 2 * next()));
    if (signal.aborted) throw signal.reason;
    if (next() < 0.1) throw new TypeError('cut');
    const id = path.split('/')[4];
    const [first, last] = headers.Range.slice(6).split('-').map(Number);
    const bytes = files.get(id).slice(first, last + 1);
    const until = next() < 0.3 ? Math.floor(bytes.length * next()) : bytes.length;
    let at = 0;
    const body = new ReadableStream({ async pull(to) {
      await new Promise((done) => setTimeout(done, next()));
      if (signal.aborted || (at >= until && until < bytes.length)) return to.error(new TypeError('cut'));
      const part = bytes.slice(at, Math.min(until, at + 1 + Math.floor(300 * next())));
      at += part.length;
      sent.set(id, (sent.get(id) ?? 0) + part.length);
      if (part.length) to.enqueue(part);
      if (at >= bytes.length) to.close();
    } });
    return new Response(body, { status: 206 });
  });
  return sent;
}

test('on a line that is cut again and again every image comes whole, in order of rank, and hardly a byte twice', async () => {
  const next = random(4);
  const SLICES = 24;
  const files = new Map(Array.from({ length: SLICES }, (_, n) => [`i${n}`, Uint8Array.from({ length: 2000 }, (_, at) => (n * 31 + at * 7) % 251)]));
  const sent = badLine(next, files);
  const cuts = [40, 100, 300, 800, 2000];
  const instances = [...files.keys()].map((id) => ({ id, state: 'ready', kind: 'image', pixels: { ...LAYOUT, rows: 512, columns: 512, frames: [{ offset: 0, length: 2000, cuts }] } }));
  const slices = instances.map((instance) => ({ instance, frame: 0 }));
  /** @type {string[]} */
  const decoded = [];
  const codec = { free: true, close: () => undefined, decode: async (/** @type {Uint8Array} */ bytes, /** @type {number} */ level) => {
    const id = instances.find((each) => Buffer.compare(Buffer.from(bytes), Buffer.from(files.get(each.id).slice(0, bytes.length))) === 0)?.id;
    assert.ok(id, 'bytes in a wrong place');
    assert.equal(bytes.length, cuts[cuts.length - 1 - level]);
    decoded.push(`${id} ${level}`);
    return { values: { length: 512 * 512, byteLength: 2 }, rows: 512, columns: 512 };
  } };
  const loader = new Loader(() => undefined, new Memory(1e9), codec);
  loader.look([{ slices, index: 5 }]);
  const until = Date.now() + 20_000;
  while (loader.progressOf(slices).full < SLICES) {
    assert.ok(Date.now() < until, JSON.stringify(loader.progressOf(slices)));
    if (loader.trouble.value) loader.retry();
    await new Promise((done) => setTimeout(done, 2));
  }
  assert.equal(decoded[0].split(' ')[0], 'i5');
  for (const slice of slices) assert.deepEqual(loader.frame(slice).bytes, files.get(slice.instance.id));
  const bytes = [...sent.values()].reduce((sum, each) => sum + each, 0);
  assert.ok(bytes < 1.1 * SLICES * 2000, `${bytes} bytes sent`);
  loader.close();
});

test('two stacks larger than the memory: all bytes come, pictures are those around what is shown, and scrolling makes the others', async () => {
  const [SLICES, BYTES, PICTURE] = [40, 1000, 10_000];
  const files = new Map(Array.from({ length: 2 * SLICES }, (_, n) => [`i${n}`, new Uint8Array(BYTES).fill(n)]));
  badLine(() => 0.99, files);
  const layout = { ...LAYOUT, rows: 50, columns: 100, frames: [{ offset: 0, length: BYTES, cuts: [BYTES] }] };
  const slices = [...files.keys()].map((id) => ({ instance: { id, pixels: layout }, frame: 0 }));
  let made = 0;
  const codec = { free: true, close: () => undefined, decode: async () => {
    codec.free = false;
    await new Promise((done) => setTimeout(done));
    codec.free = true;
    made++;
    return { values: { length: 5000, byteLength: PICTURE }, rows: 50, columns: 100 };
  } };
  const memory = new Memory(2 * SLICES * BYTES + 50 * PICTURE);
  const loader = new Loader(() => undefined, memory, codec);
  const stacks = [slices.slice(0, SLICES), slices.slice(SLICES)];
  const look = (/** @type {number} */ index) => loader.look(stacks.map((own) => ({ slices: own, index })));
  look(0);
  const settled = async () => {
    for (let before = -1; before !== made; await new Promise((done) => setTimeout(done, 50))) {
      assert.ok(memory.used <= memory.most + PICTURE); // one may be in the making
      assert.ok(made < 1000, 'pictures are made and thrown away in turns');
      before = made;
    }
  };
  const until = Date.now() + 10_000;
  while (stacks.some((own) => loader.progressOf(own).full < SLICES)) { assert.ok(Date.now() < until); await new Promise((done) => setTimeout(done, 5)); }
  await settled();
  for (const place of [20, SLICES - 1, 0]) {
    look(place);
    await settled();
    for (const own of stacks) for (const near of [place, Math.min(place + 5, SLICES - 1), Math.max(place - 5, 0)]) assert.ok(loader.frame(own[near]).complete);
    for (const own of stacks) assert.equal(loader.progressOf(own).full, SLICES);
  }
  loader.close();
});

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
