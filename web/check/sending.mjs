// Properties of how files are sent: any order of cuts, damage, refusals and restarts ends in one whole file at the hub, with
// little sent twice, and no page ever says more than the hub said.
// `node --test web/check/sending.mjs`; bundled in memory, since Node 20 reads no TypeScript.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { rolldown } from 'rolldown';

const SRC = join(import.meta.dirname, '..', 'src');

/** @param {string} path */
async function load(path) {
  const { output } = await (await rolldown({ input: join(SRC, path), logLevel: 'silent' })).generate({ format: 'esm' });
  return import(`data:text/javascript;base64,${Buffer.from(output[0].code).toString('base64')}`);
}

const plan = await load('sending/plan.ts');
const { PIECE } = plan;

/** Seeded, so that a failure comes back. @param {number} seed */
function random(seed) {
  return () => ((seed = (seed * 1664525 + 1013904223) >>> 0) / 2 ** 32);
}

let made = 0;
/** A file that has been read and waits. */
const waiting = (changes = {}) => ({
  id: `f${++made}`, request_id: 'r', kind: 'imaging', name: 'a.dcm', size_bytes: 1_000_000, added_ms: made, kept: true, sha256: 'ab', read_bytes: 0,
  phase: 'sending', upload_id: null, offset_bytes: 0, sure: false, failures: 0, renewals: 0, not_before_ms: 0, trouble: null, ...changes,
});

/** A hub as docs/protocol/http.md has it, behind a line that cuts before or after it heard, or in the middle of a piece. */
function hub(next, faults) {
  const state = { id: null, begun: 0, offset: 0, stored: false, got: 0, cuts: 0, forgot: 0 };
  const fault = (name) => next() < (faults[name] ?? 0);
  const answers = {
    create: (file) => {
      if (state.id === null) Object.assign(state, { id: `u${++state.begun}`, offset: 0, stored: false });
      return { status: 201, upload_id: state.id, offset_bytes: state.stored ? file.size_bytes : state.offset };
    },
    ask: (file) => (file.upload_id === state.id ? { status: 200, offset_bytes: state.stored ? file.size_bytes : state.offset } : { status: 404 }),
    send: (file, length) => {
      if (file.upload_id !== state.id) return { status: 410 };
      if (file.offset_bytes !== state.offset) return { status: 409, code: 'upload_offset' };
      if (fault('damage')) { state.got += length; state.cuts += 1; return { status: 460, code: 'upload_damaged' }; }
      const arrived = fault('middle') ? Math.floor(length * next()) : length;
      state.got += arrived;
      state.offset += arrived;
      if (arrived < length) { state.cuts += 1; return { status: 0 }; }
      if (state.offset === file.size_bytes) state.stored = !fault('unfinished');
      return { status: 204, offset_bytes: state.offset };
    },
  };
  return {
    state,
    answer(step, file, length) {
      if (fault('busy')) return { status: next() < 0.5 ? 503 : 507 };
      if (!state.stored && state.id !== null && state.forgot < 3 && fault('forget')) { state.id = null; state.forgot += 1; }
      if (fault('before')) { state.cuts += 1; return { status: 0 }; }
      const answer = answers[step](file, length);
      if (fault('after')) { state.cuts += 1; return { status: 0 }; }
      return answer;
    },
    list: () => (state.id === null ? [] : [{ id: state.id, request_id: 'r', size_bytes: 0, offset_bytes: state.offset, state: state.stored ? 'received' : 'receiving' }]),
  };
}

/** Sends one file through a hub; gives it at its end and how long that took. */
function sent(start, far, next) {
  let [file, now_ms, steps, piece] = [start, 0, 0, PIECE.usual];
  while (file.phase === 'sending' || file.phase === 'checking') {
    assert.ok(++steps < 5000, 'it never ends');
    if (file.phase === 'checking') {
      const before = file;
      file = plan.checked(file, far.list(), now_ms);
      assert.equal(file.phase === 'received', far.state.stored && before.upload_id === far.state.id);
    } else {
      now_ms = Math.max(now_ms, file.not_before_ms);
      assert.equal(plan.choose([file], new Set(), now_ms), file);
      const step = plan.nextStep(file);
      const length = Math.min(piece, file.size_bytes - file.offset_bytes);
      const before = file;
      file = plan.answered(file, step, far.answer(step, file, length), now_ms, next());
      assert.ok(file.phase !== 'received', 'a page must not call it received by itself');
      assert.ok(file.offset_bytes >= before.offset_bytes || far.state.forgot > 0, 'a cut never begins a file anew');
      assert.ok(file.not_before_ms - now_ms <= 75_000, 'it waits too long');
      piece = PIECE.least * 2 ** Math.floor(next() * 5);
      now_ms += 100;
    }
    assert.ok(plan.lookOf(file, plan.placesOf([file]), new Set()).percent < 100);
  }
  return { file, now_ms };
}

test('any cuts, damage, refusals and restarts end in one whole file, with little sent twice', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const next = random(seed);
    const far = hub(next, { before: 0.1, after: 0.1, middle: 0.1, damage: 0.02, busy: 0.05, unfinished: 0.3 });
    const start = waiting({ size_bytes: 1 + Math.floor(next() * 20e6) });
    const { file } = sent(start, far, next);
    assert.equal(file.phase, 'received', `seed ${seed}: ${JSON.stringify(file.trouble)}`);
    assert.equal(far.state.begun, 1);
    assert.ok(far.state.got - start.size_bytes <= far.state.cuts * PIECE.most, `seed ${seed}: ${far.state.got} bytes for ${start.size_bytes}`);
  }
});

test('a browser that is closed again and again goes on from where the hub is', () => {
  for (let seed = 1; seed <= 100; seed++) {
    const next = random(seed);
    const far = hub(next, { before: 0.05, after: 0.05, unfinished: 0.3 });
    const start = waiting({ size_bytes: 5_000_000 });
    let [file, lowest] = [start, 0];
    for (let life = 0; file.phase !== 'received'; life++) {
      assert.ok(life < 200);
      for (let step = 0; step < 6 && file.phase !== 'received'; step++) {
        if (file.phase === 'checking') { file = plan.checked(file, far.list(), 0); continue; }
        file = plan.answered(file, plan.nextStep(file), far.answer(plan.nextStep(file), file, Math.min(PIECE.usual, file.size_bytes - file.offset_bytes)), 0, 0);
      }
      assert.ok(far.state.offset >= lowest);
      lowest = far.state.offset;
      if (file.phase !== 'received') file = { ...file, phase: 'sending', sure: false, failures: 0, not_before_ms: 0, offset_bytes: 0 };
    }
    assert.equal(far.state.got, start.size_bytes); // a piece that was cut before the hub heard it was not received at all
  }
});

test('a hub that forgets an upload gets it anew, but not for ever', () => {
  for (let seed = 1; seed <= 100; seed++) {
    const next = random(seed);
    const far = hub(next, { forget: 0.05 });
    assert.equal(sent(waiting({ size_bytes: 3_000_000 }), far, next).file.phase, 'received');
  }
  let file = waiting({ upload_id: 'u', sure: true });
  for (let times = 0; file.phase === 'sending'; times++) {
    assert.ok(times < 20);
    const step = plan.nextStep(file);
    file = plan.answered(file, step, step === 'create' ? { status: 201, upload_id: 'u', offset_bytes: 0 } : { status: 410 }, 0, 0);
  }
  assert.deepEqual([file.phase, file.trouble.code], ['failed', 'gone']);
});

test('what the hub refuses for good stops with its words, and goes again when somebody asks', () => {
  const words = { 'zh-CN': '不行', en: 'no' };
  for (const [step, status, code] of [['create', 400, 'refused'], ['create', 403, 'refused'], ['create', 404, 'refused'], ['create', 409, 'refused'], ['create', 413, 'too-large'], ['send', 400, 'refused']]) {
    const start = waiting(step === 'create' ? {} : { upload_id: 'u', sure: true });
    const file = plan.answered(start, step, { status, words }, 0, 0);
    assert.deepEqual([file.phase, file.trouble], ['failed', { code, words }]);
    assert.equal(plan.choose([file], new Set(), 1e12), null);
    assert.notEqual(plan.nextStep(plan.retried(file)), null);
  }
  const unread = plan.failed(waiting({ sha256: null }), { code: 'incomplete', words: null });
  assert.equal(plan.retried(unread), unread);
});

test('a damaged line stops after a few tries; too many uploads wait their turn', () => {
  let file = waiting({ upload_id: 'u', sure: true });
  for (let times = 0; file.phase === 'sending'; times++) {
    assert.ok(times < 20);
    const step = plan.nextStep(file);
    file = plan.answered(file, step, step === 'ask' ? { status: 200, offset_bytes: 0 } : { status: 460 }, 0, 0);
  }
  assert.equal(file.trouble.code, 'damaged');
  assert.equal(plan.answered(waiting(), 'create', { status: 409, code: 'too_many_uploads' }, 0, 0).phase, 'sending');
});

test('pauses grow to a minute, and end at once when the line is back', () => {
  let [file, before] = [waiting(), 0];
  for (let times = 0; times < 15; times++) {
    file = plan.answered(file, 'create', { status: 0 }, 0, 0.5);
    assert.ok(file.not_before_ms >= before && file.not_before_ms <= 60_000);
    before = file.not_before_ms;
  }
  assert.equal(before, 60_000);
  assert.equal(plan.choose([file], new Set(), 30_000), null);
  assert.deepEqual(plan.nextAt([file], new Set()), 60_000);
  assert.equal(plan.choose([plan.lineBack(file)], new Set(), 0)?.id, file.id);
  const full = plan.answered(waiting(), 'create', { status: 507 }, 0, 0);
  assert.equal(plan.lineBack(full), full); // a full disk is not mended by a line
});

test('an ECG goes before a scan that is under way, small before big, and each place in the line is told once', () => {
  const next = random(3);
  const files = Array.from({ length: 60 }, () => waiting({ kind: ['imaging', 'holter', 'ecg-12-lead'][Math.floor(next() * 3)], size_bytes: 1 + Math.floor(next() * 1e6), offset_bytes: 0 }));
  const order = [];
  for (const left = new Set(files); left.size; ) {
    const file = plan.choose([...left], new Set(), 0);
    left.delete(file);
    order.push(file);
  }
  const ecgs = files.filter((file) => file.kind === 'ecg-12-lead').length;
  order.forEach((file, place) => {
    assert.equal(file.kind === 'ecg-12-lead', place < ecgs);
    if (place > 0 && place !== ecgs) assert.ok(order[place - 1].size_bytes <= file.size_bytes);
    assert.equal(plan.lookOf(file, plan.placesOf(files), new Set()).place, place + 1);
  });
});

test('a piece takes about two seconds on any line that can carry one', () => {
  for (const bytes_per_s of [60_000, 125_000, 500_000, 4_000_000]) {
    let piece = PIECE.usual;
    for (let n = 0; n < 10; n++) piece = plan.nextPiece(piece, (piece / bytes_per_s) * 1000);
    const wanted = Math.min(Math.max(bytes_per_s * 2, PIECE.least), PIECE.most);
    assert.ok(Math.abs(piece - wanted) <= PIECE.grain, `${piece} at ${bytes_per_s}`);
  }
});
