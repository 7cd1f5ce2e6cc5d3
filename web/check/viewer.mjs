// Properties of what lies between a serving copy and the screen: places, order, greys, memory, frames, and the loader on a bad line.
// `node --test web/check/viewer.mjs`
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LAYOUT, load, random } from './page.mjs';

const { toImage, toScreen, canvasTransform } = await load('viewer/viewport.ts');
const { outward, onward, interleaved } = await load('viewer/order.ts');
const { greyTable, voiValue, fullWindow } = await load('viewer/windows.ts');
const { Memory } = await load('viewer/memory.ts');
const { merged, slicesOf } = await load('viewer/manifest.ts');
const { Loader } = await load('viewer/loader.ts');
const { ageAt } = await load('viewer/age.ts');

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
