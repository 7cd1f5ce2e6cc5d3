// Properties of measuring and marking on images: places in the patient, lengths and values under a region, drawing, and marks on
// their way to the hub. `node --test web/check/tools.mjs`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, random } from './rows.mjs';

const geometry = await load('viewer/tools/geometry.ts');
const measure = await load('viewer/tools/measure.ts');
const marks = await load('viewer/tools/marks.ts');
/** What the modules of a page ask of a browser when they are loaded. */
Object.assign(globalThis, { navigator: { onLine: true }, location: { pathname: '/viewer' }, addEventListener: () => undefined });
const { mostAlike } = await load('viewer/tools/alike.ts');
const { apartOf } = await load('viewer/tools/apart.ts');
const { follow } = await load('viewer/tools/link.ts');
const { openOutbox } = await load('viewer/tools/outbox.ts');
const { paced } = await load('reading/paced.ts');
const { toImage, toScreen } = await load('viewer/viewport.ts');

const SIZE = { width: 640, height: 480 };
const near = (a, b, within = 1e-6) => a.length === b.length && a.every((each, n) => Math.abs(each - b[n]) <= within);

/** Two directions at right angles, any way round. */
function directions(next) {
  const [a, b, c] = [next(), next(), next()].map((each) => each * 2 * Math.PI);
  const [ca, sa, cb, sb, cc, sc] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b), Math.cos(c), Math.sin(c)];
  return [ca * cb, sa * cb, -sb, ca * sb * sc - sa * cc, sa * sb * sc + ca * cc, cb * sc];
}

function layout(next, changes = {}) {
  return {
    rows: 40 + Math.floor(next() * 60), columns: 40 + Math.floor(next() * 60), samples: 1, frames: [{}], spacing_mm: [0.3 + next(), 0.3 + next()],
    spacing_source: 'PixelSpacing', aspect: [1, 1], position_mm: [next() * 300 - 150, next() * 300 - 150, next() * 300 - 150], orientation: directions(next),
    frame_of_reference_uid: '1.2', patient_orientation: null, padding: null, modality: { slope: 1, intercept: 0, unit: 'HU' }, ...changes,
  };
}

const views = (next) => [0, 90, 180, 270].flatMap((rotation) => [false, true].map((flip) => ({
  scale: 0.3 + next() * 6, x: next() * 60, y: next() * 60, rotation, flip, invert: false, window: { center: 0, width: 1 }, stretch: 0.5 + next(),
})));
const point = (next, { rows, columns }) => [next() * columns, next() * rows];
const apart = (a, b) => Math.hypot(...a.map((each, n) => each - b[n]));

test('a pixel lies where the matrix of the standard puts it, and comes back', () => {
  const next = random(1);
  for (let n = 0; n < 200; n++) {
    const placed = layout(next);
    const plane = geometry.planeOf(placed);
    const [row, column] = [Math.floor(next() * placed.rows), Math.floor(next() * placed.columns)];
    const [X, S, [dr, dc]] = [placed.orientation, placed.position_mm, placed.spacing_mm];
    const expected = [0, 1, 2].map((k) => X[k] * dc * column + X[k + 3] * dr * row + S[k]); // PS3.3 equation C.7.6.2.1-1
    assert.ok(near(geometry.toPatient(plane, [column + 0.5, row + 0.5]), expected));
    assert.ok(near(geometry.toPixel(plane, expected), [column + 0.5, row + 0.5]));
    assert.ok(Math.abs(geometry.distanceFrom(plane, expected)) < 1e-6);
  }
});

test('what is no place is none', () => {
  const whole = layout(random(2));
  for (const changes of [{ position_mm: null }, { orientation: null }, { spacing_mm: null }, { orientation: [1, 0, 0, 1, 0, 0] }, { orientation: [0, 0, 0, 0, 0, 0] }, { position_mm: [0, NaN, 0] }]) {
    assert.equal(geometry.planeOf({ ...whole, ...changes }), null, JSON.stringify(changes));
  }
  assert.equal(geometry.edgesOf({ ...whole, orientation: null }, 0, { right: [1, 0], down: [0, 1] }), null);
});

test('letters at the edges name where the screen goes, however the picture is turned and mirrored', () => {
  const next = random(3);
  for (let n = 0; n < 100; n++) {
    const placed = layout(next);
    const plane = geometry.planeOf(placed);
    for (const view of views(next)) {
      const at = (x, y) => geometry.toPatient(plane, toImage(view, SIZE, [x, y]));
      const way = (to) => { const from = at(320, 240); const step = to.map((each, k) => each - from[k]); return geometry.lettersOf(step.map((each) => each / Math.hypot(...step))); };
      const { right, down } = geometry.screenWays(view);
      assert.ok(near([Math.hypot(...right), Math.hypot(...down)], [1, 1]));
      const edges = geometry.edgesOf(placed, 0, { right, down });
      assert.deepEqual(edges, { top: way(at(320, 239)), right: way(at(321, 240)), bottom: way(at(320, 241)), left: way(at(319, 240)) });
    }
  }
  const lying = { ...layout(next), orientation: [1, 0, 0, 0, 1, 0] };
  assert.deepEqual(geometry.edgesOf(lying, 0, { right: [1, 0], down: [0, 1] }), { top: 'A', right: 'L', bottom: 'P', left: 'R' });
  const standing = { ...lying, orientation: null, patient_orientation: ['L', 'F'] };
  assert.deepEqual(geometry.edgesOf(standing, 0, { right: [0, 1], down: [1, 0] }), { top: 'R', right: 'F', bottom: 'L', left: 'H' });
});

test('a length is that between the places in the patient, and what is drawn on any view of them measures the same', () => {
  const next = random(4);
  for (let n = 0; n < 60; n++) {
    const placed = layout(next);
    const plane = geometry.planeOf(placed);
    const points = [0, 1, 2, 3].map(() => point(next, placed));
    const [p, q, r, s] = points.map((each) => geometry.toPatient(plane, each));
    const length = measure.lengthOf(placed, points.slice(0, 2));
    assert.ok(Math.abs(length.value - apart(p, q)) < 1e-6 && length.unit === 'mm' && !length.at_detector);
    const cosine = geometry.dot(p.map((each, k) => each - q[k]), r.map((each, k) => each - q[k])) / apart(p, q) / apart(r, q);
    assert.ok(Math.abs(measure.angleOf(placed, points.slice(0, 3)) - (Math.acos(cosine) * 180) / Math.PI) < 1e-5);
    const lines = Math.abs(geometry.dot(q.map((each, k) => each - p[k]), s.map((each, k) => each - r[k]))) / apart(p, q) / apart(r, s);
    assert.ok(Math.abs(measure.cobbOf(placed, points) - (Math.acos(lines) * 180) / Math.PI) < 1e-5);
    for (const view of views(next)) {
      const drawn = points.map((each) => toImage(view, SIZE, toScreen(view, SIZE, each)));
      assert.ok(Math.abs(measure.lengthOf(placed, drawn.slice(0, 2)).value - length.value) < 1e-6);
      assert.ok(Math.abs(measure.areaOf(placed, { kind: 'ellipse', corners: drawn.slice(0, 2) }).value - measure.areaOf(placed, { kind: 'ellipse', corners: points.slice(0, 2) }).value) < 1e-5);
    }
  }
});

test('millimetres hold where the object says so, and nowhere else', () => {
  const next = random(5);
  const bare = layout(next, { spacing_mm: null, spacing_source: null });
  assert.deepEqual(measure.lengthOf(bare, [[0, 0], [3, 4]]), { value: 5, unit: 'px', at_detector: false });
  const film = layout(next, { spacing_mm: [0.2, 0.1], spacing_source: 'ImagerPixelSpacing' });
  assert.deepEqual(measure.lengthOf(film, [[0, 0], [30, 20]]), { value: 5, unit: 'mm', at_detector: true });
  assert.ok(measure.lengthOf({ ...film, spacing_source: 'NominalScannedPixelSpacing' }, [[0, 0], [30, 20]]).at_detector);
  assert.ok(!measure.lengthOf({ ...film, spacing_source: 'PixelSpacing' }, [[0, 0], [30, 20]]).at_detector);
  const scan = layout(next, { spacing_mm: [9, 9], regions: [{ x0: 0, y0: 0, x1: 50, y1: 50, spacing_mm: [1, 1] }, { x0: 20, y0: 20, x1: 30, y1: 30, spacing_mm: [0.5, 0.5] }] });
  assert.equal(measure.lengthOf(scan, [[1, 1], [4, 5]]).value, 5);
  assert.equal(measure.lengthOf(scan, [[21, 21], [24, 25]]).value, 2.5);
  assert.equal(measure.lengthOf(scan, [[45, 45], [55, 45]]).unit, 'px');
});

/** By definition, pixel by pixel. */
function centresInside({ rows, columns }, { kind, corners: [p, q] }) {
  const [x, y, a, b] = [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2, Math.abs(q[0] - p[0]) / 2, Math.abs(q[1] - p[1]) / 2];
  const found = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [dx, dy] = [(column + 0.5 - x) / a, (row + 0.5 - y) / b];
      if (kind === 'ellipse' ? dx * dx + dy * dy <= 1 + 1e-9 : Math.abs(dx) <= 1 + 1e-9 && Math.abs(dy) <= 1 + 1e-9) found.push(row * columns + column);
    }
  }
  return found;
}

test('values under a region are those of the pixels whose centres lie in it, without padding', () => {
  const next = random(6);
  for (let n = 0; n < 80; n++) {
    const of = layout(next, { padding: n % 2 ? [-2000, -1990] : null, modality: { slope: 0.5 + next(), intercept: -1024, unit: 'HU' } });
    const values = Int16Array.from({ length: of.rows * of.columns }, () => (next() < 0.2 ? -1995 : Math.floor(next() * 3000)));
    const corners = [point(next, of), point(next, of)].map(([x, y]) => (n % 3 ? [x * 1.3 - 10, y * 1.3 - 10] : [Math.round(x), Math.round(y)]));
    const region = { kind: n % 5 ? 'ellipse' : 'rectangle', corners };
    const inside = centresInside(of, region);
    const stored = inside.map((place) => values[place]).filter((value) => !(of.padding && value >= -2000 && value <= -1990));
    const found = measure.statisticsOf(of, values, region);
    if (stored.length === 0) { assert.equal(found, null); continue; }
    const own = stored.map((value) => value * of.modality.slope - 1024);
    const mean = own.reduce((sum, each) => sum + each, 0) / own.length;
    const sd = Math.sqrt(own.reduce((sum, each) => sum + (each - mean) ** 2, 0) / own.length);
    assert.deepEqual([found.count, found.padded], [own.length, inside.length - own.length]);
    assert.ok(near([found.mean, found.sd, found.min, found.max], [mean, sd, Math.min(...own), Math.max(...own)]));
  }
});

test('an even image has its value everywhere; colour has none; a table of values is followed', () => {
  const next = random(7);
  const even = layout(next, { modality: { lut: { first: 100, bits: 16, data: [7, 8, 9] }, unit: 'US' } });
  const values = new Int16Array(even.rows * even.columns).fill(101);
  const region = { kind: 'ellipse', corners: [[3, 4], [30, 20]] };
  const { mean, sd, min, max } = measure.statisticsOf(even, values, region);
  assert.deepEqual([mean, sd, min, max], [8, 0, 8, 8]);
  assert.equal(measure.statisticsOf({ ...even, samples: 3 }, values, region), null);
  assert.equal(measure.valueAt(even, values, [0, 0]), 8);
  for (const outside of [[-0.1, 5], [5, -0.1], [even.columns, 5], [5, even.rows]]) assert.equal(measure.valueAt(even, values, outside), null);
});

test('the line of a cut lies in both planes and in the cutting picture', () => {
  const next = random(8);
  let lines = 0;
  for (let n = 0; n < 300; n++) {
    const [cutting, picture] = [layout(next), layout(next)].map((each) => geometry.planeOf(each));
    const line = geometry.referenceLine(cutting, picture);
    for (const end of line ?? []) {
      const place = geometry.toPatient(picture, end);
      const [x, y] = geometry.toPixel(cutting, place);
      assert.ok(Math.abs(geometry.distanceFrom(cutting, place)) < 1e-6);
      assert.ok(x > -1e-6 && y > -1e-6 && x < cutting.columns + 1e-6 && y < cutting.rows + 1e-6);
      lines++;
    }
    assert.equal(geometry.referenceLine({ ...cutting, frame_of_reference_uid: null }, picture), null);
  }
  assert.ok(lines > 40, `${lines}`);
});

/** Slices along one way, `gap_mm` apart, the first `from_mm` along it. */
function stack(of, count, gap_mm, from_mm, changes = {}) {
  const { normal } = geometry.planeOf(of);
  return Array.from({ length: count }, (_, n) => geometry.planeOf({ ...of, position_mm: of.position_mm.map((each, k) => each + normal[k] * (from_mm + n * gap_mm)), ...changes }));
}

test('linked by place, the other stack shows the slice nearest to the same place, whichever way it is sorted', () => {
  const next = random(10);
  for (let n = 0; n < 100; n++) {
    const of = layout(next);
    const led = { planes: stack(of, 40, 2, 0), index: Math.floor(next() * 40) };
    const other = { planes: stack(of, 30, 3, -5), index: 0 };
    const turned = { planes: [...other.planes].reverse(), index: 0 };
    const { index, way } = follow(led, { ...other, index: 7 }, { led: 0, other: 0 }, true);
    const off = (place) => Math.abs(-5 + place * 3 - led.index * 2);
    const least = Math.min(...other.planes.map((_, place) => off(place)));
    assert.equal(off(29 - follow(led, { ...turned, index: 22 }, { led: 0, other: 0 }, true).index), off(index));
    assert.deepEqual([way, off(index)], least <= 3 + 1e-3 ? ['place', least] : ['beyond', off(7)]);
    const bare = { planes: other.planes.slice(4, 5), index: 0 };
    assert.equal(follow(led, bare, { led: 0, other: 0 }, true).way, Math.abs(7 - led.index * 2) <= 2 ? 'place' : 'beyond', 'a single slice reaches as far as the other stack is fine');
  }
});

test('linked here, two examinations go on by the same millimetres towards the same side of the patient', () => {
  const next = random(11);
  for (let n = 0; n < 100; n++) {
    const of = layout(next);
    const led = { planes: stack(of, 60, 1.5, 0), index: Math.floor(next() * 60) };
    const flipped = n % 2 === 0;
    const there = { ...of, orientation: flipped ? of.orientation.map((each, k) => (k < 3 ? each : -each)) : of.orientation };
    const other = { planes: stack(there, 60, 1.5, 400, { frame_of_reference_uid: '9.9' }), index: 0 };
    const anchors = { led: 30, other: 20 };
    const wanted = 20 + (flipped ? -1 : 1) * (led.index - 30);
    const followed = follow(led, { ...other, index: 33 }, anchors, true);
    if (wanted >= 0 && wanted <= 59) assert.deepEqual(followed, { index: wanted, way: 'distance' });
    else if (wanted < -1 || wanted > 60) assert.deepEqual(followed, { index: 33, way: 'beyond' }, 'no slice is shown as one that is elsewhere');
    assert.deepEqual(follow({ ...led, index: 30 }, other, anchors, true).index, 20);
    assert.equal(follow({ ...led, planes: led.planes.map(() => null) }, other, anchors, true).index, Math.min(Math.max(20 + led.index - 30, 0), 59));
    const across = stack({ ...of, orientation: [...of.orientation.slice(3), ...led.planes[0].normal] }, 9, 1, 0);
    assert.deepEqual(follow(led, { planes: across, index: 4 }, { led: 0, other: 0 }, true), { index: 4, way: 'apart' });
  }
});

test('the prior series of the same kind of machine and direction is opened, whatever their order', () => {
  const next = random(13);
  const of = layout(next);
  const across = { ...of, orientation: [...of.orientation.slice(3), ...geometry.planeOf(of).normal] };
  const series = (id, modality, description, pixels, count) => ({
    id, modality, description, body_part: 'CHEST', instances: Array.from({ length: count }, (_, n) => ({ id: `${id}${n}`, kind: 'image', pixels })),
  });
  const today = series('today', 'CT', 'Chest axial 1.0 B70', of, 200);
  const candidates = [
    ['same', 'CT', 'axial CHEST 1.0 b70', of, 180], ['soft', 'CT', 'Chest axial 5.0 B30', of, 40], ['across', 'CT', 'Chest axial 1.0 B70', across, 200],
    ['scout', 'CT', 'Topogram', across, 1], ['mr', 'MR', 'Chest axial 1.0 B70', of, 200], ['none', 'CT', 'Chest axial 1.0 B70', of, 0],
  ].map((each) => series(...each));
  const shuffled = (list) => list.map((each) => [next(), each]).sort(([a], [b]) => a - b).map(([, each]) => each);
  for (let n = 0; n < 20; n++) {
    assert.equal(mostAlike(today, { series: shuffled(candidates) }).id, 'same');
    assert.equal(mostAlike(today, { series: shuffled(candidates.slice(1)) }).id, 'soft');
    assert.equal(mostAlike(today, { series: shuffled(candidates.slice(3, 5)) }).id, 'scout');
    assert.equal(mostAlike(today, { series: shuffled(candidates.slice(4)) }).id, 'mr');
    assert.equal(mostAlike(null, { series: shuffled(candidates.slice(1, 4)) }).id, 'across');
  }
  assert.equal(mostAlike(today, { series: [candidates[5]] }), null);
});

test('how far dates are apart is the same both ways, in the unit one would say', () => {
  const next = random(14);
  for (let n = 0; n < 300; n++) {
    const [a, b] = [0, 0].map(() => new Date(Date.UTC(2020, 0, 1) + Math.floor(next() * 3000) * 86_400_000).toISOString().slice(0, 10));
    const [there, back] = [apartOf(a, b), apartOf(b.replaceAll('-', ''), a)];
    assert.deepEqual({ ...there, later: null }, { ...back, later: null });
    assert.equal(there.unit === 'same' ? a : there.later, there.unit === 'same' ? b : b > a);
    const days = Math.abs(Date.parse(a) - Date.parse(b)) / 86_400_000;
    const least = { same: 0, days: 1, months: 28, years: 365 }[there.unit] * Math.max(1, there.count);
    assert.ok(days >= least - 4 && days <= { same: 0, days: there.count, months: (there.count + 1) * 31, years: (there.count + 1) * 366 }[there.unit], JSON.stringify([a, b, there]));
  }
  assert.equal(apartOf(null, '2020-01-01'), null);
  assert.deepEqual(apartOf('2026-11-22', '2025-11-23'), { later: false, count: 12, unit: 'months' });
  assert.deepEqual(apartOf('20260302', '2025-01-14'), { later: false, count: 13, unit: 'months' });
});

test('a mark drawn by dragging, by clicks, or by both is the same', () => {
  const next = random(12);
  const ends = [[10, 10], [60, 20], [30, 70], [90, 90]];
  const trembled = ([x, y]) => [x + 2 * next() - 1, y + 2 * next() - 1];
  for (const tool of ['length', 'angle', 'cobb', 'ellipse', 'rectangle', 'arrow', 'text']) {
    for (let n = 0; n < 50; n++) {
      let [draft, place] = [null, 0];
      while (draft === null || !marks.isWhole(draft)) {
        const starts = draft === null || (tool === 'cobb' && draft.fixed === 2);
        draft = marks.pressed(draft, tool, ends[place], ends[place]);
        if (starts && tool !== 'text' && next() < 0.5) { // on to the next point without letting go
          place += 1;
          draft = marks.followed(marks.followed(draft, [5, 5]), ends[place]);
          draft = marks.released(draft, ends[place]);
        } else draft = marks.released(draft, trembled(ends[place]));
        place += 1;
        if (!marks.isWhole(draft)) draft = marks.followed(draft, [77, 7]);
        assert.ok(place <= ends.length, tool);
      }
      assert.deepEqual(draft.points, ends.slice(0, draft.points.length), tool);
    }
    assert.equal(marks.placedAt(tool, [50, 50], 10).length, { text: 1, angle: 3, cobb: 4 }[tool] ?? 2);
  }
});

test('words lie in the pane and off the thing wherever there is room', () => {
  const next = random(9);
  for (let n = 0; n < 500; n++) {
    const thing = { x: next() * 500, y: next() * 400, width: next() * 200, height: next() * 150 };
    const words = { width: 60 + next() * 80, height: 20 + next() * 40 };
    const box = marks.labelPlace(thing, words, SIZE, []);
    assert.ok(box.x >= 0 && box.y >= 0 && box.x + box.width <= SIZE.width && box.y + box.height <= SIZE.height);
    const apart = box.x + box.width <= thing.x || box.x >= thing.x + thing.width || box.y + box.height <= thing.y || box.y >= thing.y + thing.height;
    assert.ok(apart, JSON.stringify([thing, box]));
  }
});

/** A hub behind a bad line, and what it has; it refuses what is named bad. Time passes only when nothing else can happen. */
function simulated(next) {
  const hub = new Map();
  const timers = [];
  const faults = { cut: 0.3 };
  const outbox = openOutbox({
    send: async ({ path, body }) => {
      await null;
      if (next() < faults.cut) throw new Error('cut before');
      if (path.startsWith('bad')) throw Object.assign(new Error('refused'), { refused: true });
      if (body === null) hub.delete(path);
      else hub.set(path, body);
      if (next() < faults.cut) throw new Error('cut after');
    },
    refusal: (cause) => (cause.refused ? cause.message : null),
    after: (wait_ms, run) => { const timer = { run, wait_ms }; timers.push(timer); return () => { const place = timers.indexOf(timer); if (place >= 0) timers.splice(place, 1); }; },
  });
  const settle = async () => { for (let n = 0; n < 20; n++) await null; };
  return { hub, outbox, faults, timers, settle, tick: async () => { timers.shift()?.run(); await settle(); } };
}

test('after any cuts the hub has what the page shows, and nothing was called stored before', async () => {
  for (let seed = 1; seed <= 150; seed++) {
    const next = random(seed);
    const { hub, outbox, faults, timers, tick } = simulated(next);
    const page = new Map();
    for (let deed = 0; deed < 40; deed++) {
      const path = `m${Math.floor(next() * 5)}`;
      const body = next() < 0.3 ? null : { deed };
      page.set(path, body);
      outbox.put(path, { path, body }, () => assert.deepEqual(hub.get(path) ?? null, body));
      if (next() < 0.5) await tick();
      for (const [name, shown] of page) {
        if (!outbox.pending.value.has(name)) assert.deepEqual(hub.get(name) ?? null, shown, `${seed}: ${name} was called stored`);
      }
    }
    faults.cut = 0;
    for (let n = 0; n < 20 && outbox.pending.value.size > 0; n++) await tick();
    assert.equal(outbox.pending.value.size, 0);
    assert.equal(timers.length, 0);
    for (const [path, body] of page) assert.deepEqual(hub.get(path) ?? null, body);
  }
});

test('before signing the hub has all, or the reader is told that it has not', async () => {
  for (let seed = 1; seed <= 150; seed++) {
    const next = random(seed);
    const { hub, outbox, faults, settle, tick } = simulated(next);
    faults.cut = seed % 3 === 0 ? 0 : 0.2;
    const page = new Map();
    for (let deed = 0; deed < 12; deed++) {
      const path = `${next() < 0.05 ? 'bad' : 'm'}${Math.floor(next() * 4)}`;
      const body = { deed };
      page.set(path, body);
      outbox.put(path, { path, body }, () => undefined);
      if (next() < 0.2) void tick(); // a change is on its way already
    }
    let answer = null;
    void outbox.flush().then((all) => { answer = all; });
    for (let n = 0; n < 20; n++) await settle();
    assert.notEqual(answer, null, 'it does not wait for a line that is cut');
    const has = [...page].every(([path, body]) => hub.get(path) === body);
    if (answer) assert.ok(has && outbox.pending.value.size === 0);
    else assert.ok(faults.cut > 0 || [...page.keys()].some((path) => path.startsWith('bad')));
  }
});

test('what the hub refuses stays and is named until the reader decides; the rest goes on', async () => {
  const { hub, outbox, faults, tick } = simulated(random(1));
  faults.cut = 0;
  outbox.put('bad', { path: 'bad', body: {} }, () => assert.fail());
  outbox.put('good', { path: 'good', body: {} }, () => undefined);
  await tick();
  assert.deepEqual([...outbox.pending.value].map(([key, { state, fault }]) => [key, state, fault]), [['bad', 'refused', 'refused']]);
  assert.deepEqual([...hub.keys()], ['good']);
  outbox.retry();
  await tick();
  assert.equal(outbox.pending.value.get('bad').state, 'refused');
  outbox.drop('bad');
  assert.equal(outbox.pending.value.size, 0);
});

test('however much changes elsewhere, a page asks every three seconds, one at a time, and knows the last change', async () => {
  for (let seed = 1; seed <= 100; seed++) {
    const next = random(seed);
    let [now_ms, looking, ended_ms, begun_ms] = [0, false, -Infinity, -Infinity];
    const timers = [];
    const after = (run, wait_ms) => timers.push({ at_ms: now_ms + wait_ms, run });
    const soon = paced(() => new Promise((done) => {
      assert.ok(!looking && now_ms - ended_ms >= 3000);
      [looking, begun_ms] = [true, now_ms];
      after(() => { [looking, ended_ms] = [false, now_ms]; done(); }, next() * 5000);
    }), after);
    const changes_ms = Array.from({ length: 50 }, () => next() * (seed % 2 ? 500 : 60_000)).sort((a, b) => a - b);
    for (const at_ms of changes_ms) timers.push({ at_ms, run: soon });
    while (timers.length > 0) {
      timers.sort((a, b) => a.at_ms - b.at_ms);
      const { at_ms, run } = timers.shift();
      now_ms = at_ms;
      run();
      for (let n = 0; n < 5; n++) await null;
    }
    assert.ok(begun_ms >= changes_ms.at(-1), 'the last change was asked for after it came');
  }
});
