// Properties of what lies between the wire and the pen: ring, playout, frames, stored windows, calipers, the line of boots.
// `node --test web/check/ecg.mjs`; the modules are bundled in memory, since Node 20 reads no TypeScript.
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

const { Ring, MISSING } = await load('ecg/ring.ts');
const { Playout } = await load('ecg/playout.ts');
const { Samples, parseSamples } = await load('ecg/samples.ts');
const { measure, moved } = await load('ecg/caliper.ts');
const { parseFrame } = await load('live/frame.ts');
const { Line } = await load('reading/line.ts');

const FS_HZ = 250;

/** Seeded, so that a failure comes back. @param {number} seed */
function random(seed) {
  return () => ((seed = (seed * 1664525 + 1013904223) >>> 0) / 2 ** 32);
}

/** @param {number} sample @param {number} lead */
const wave = (sample, lead) => ((sample * 7 + lead * 13) % 2000) - 1000;

/** @param {number} first @param {number} count @param {number} leads */
function leadMajor(first, count, leads) {
  return Int16Array.from({ length: leads * count }, (_, i) => wave(first + (i % count), Math.floor(i / count)));
}

test('any packet lengths, with late ones and losses, leave each sample in its place or missing', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const next = random(seed);
    const ring = new Ring(2, 4000);
    const packets = [];
    let at = Math.floor(next() * 100_000);
    const start = at;
    for (let n = 0; n < 60; n++) {
      const count = 1 + Math.floor(next() * 60);
      packets.push({ first: at, count, lost: n > 0 && next() < 0.15 });
      at += count;
    }
    for (let n = 2; n < packets.length; n++) if (next() < 0.2) [packets[n - 1], packets[n]] = [packets[n], packets[n - 1]];
    for (const { first, count, lost } of packets) if (!lost) ring.write(first, count, leadMajor(first, count, 2));
    for (const { first, count, lost } of packets)
      for (let sample = Math.max(first, start); sample < first + count; sample++)
        for (const lead of [0, 1]) assert.equal(ring.at(lead, sample), lost ? MISSING : wave(sample, lead), `seed ${seed}, sample ${sample}`);
    assert.equal(ring.at(0, start - 1), MISSING);
  }
});

test('a jump longer than the ring forgets all that was before', () => {
  const ring = new Ring(1, 100);
  ring.write(0, 50, leadMajor(0, 50, 1));
  ring.write(1000, 10, leadMajor(1000, 10, 1));
  assert.deepEqual([ring.at(0, 40), ring.at(0, 999), ring.at(0, 1005)], [MISSING, MISSING, wave(1005, 0)]);
});

/** Plays `seconds` of packets that come up to `jitter_ms` late; gives the head at each of 60 frames a second. */
function played(packet_s, jitter_ms, seconds, seed) {
  const next = random(seed);
  const count = Math.round(packet_s * FS_HZ);
  const playout = new Playout(FS_HZ);
  const due = [];
  for (let n = 0; n * packet_s < seconds; n++) due.push({ first: n * count, at_ms: (n + 1) * packet_s * 1000 + next() * jitter_ms });
  const frames = [];
  let [arrived, newest] = [0, 0];
  for (let now_ms = 0; now_ms < seconds * 1000; now_ms += 1000 / 60) {
    while (due[arrived] && due[arrived].at_ms <= now_ms) {
      playout.arrived(now_ms, due[arrived].first, count);
      newest = Math.max(newest, due[arrived].first + count);
      arrived += 1;
    }
    if (newest > 0) frames.push({ now_ms, head: playout.head(now_ms, newest), newest });
  }
  return frames;
}

test('the trace moves evenly and never runs dry while packets are up to 300 ms late', () => {
  for (const [packet_s, jitter_ms] of [[0.2, 50], [0.2, 300], [0.5, 200]])
    for (let seed = 1; seed <= 5; seed++) {
      const settled = played(packet_s, jitter_ms, 40, seed).filter(({ now_ms }) => now_ms > 12_000);
      const nominal = FS_HZ / 60;
      settled.forEach(({ head, newest, now_ms }, n) => {
        assert.ok(head < newest, `dry at ${now_ms} (packets ${packet_s} s, ${jitter_ms} ms late)`);
        assert.ok(now_ms - (head / FS_HZ) * 1000 <= 1000 * packet_s + jitter_ms + 200, `late at ${now_ms}`);
        const step = n === 0 ? nominal : head - settled[n - 1].head;
        assert.ok(step >= nominal * 0.89 && step <= nominal * 1.11, `uneven step ${step} at ${now_ms}`);
      });
    }
});

test('after a long stall the head is back near the newest sample within a second', () => {
  const playout = new Playout(FS_HZ);
  for (let n = 0; n < 50; n++) playout.arrived((n + 1) * 200, n * 50, 50);
  playout.head(10_000, 2500);
  // Nothing for 20 s, then everything that is new at once, as a resumed page gets it.
  for (let n = 0; n < 5; n++) playout.arrived(30_000 + n * 200, (150 + n) * 50, 50);
  const head = playout.head(30_900, 155 * 50);
  assert.ok(head > 151 * 50 && head <= 155 * 50 + FS_HZ, `head ${head}`);
});

/** A TLH1 body. */
function stored(first, count, missing = () => false) {
  const leads = ['MDC_ECG_LEAD_I', 'MDC_ECG_LEAD_II'];
  const header = { boot: 4, first_sample: first, count, fs_hz: FS_HZ, leads, uv_per_lsb: 2.5, start_at: new Date(1_700_000_000_000 + first * 4).toISOString(), gaps: [] };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + 4 * count);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x31484c54, true);
  view.setUint32(4, text.length, true);
  bytes.set(text, 8);
  leadMajor(first, count, 2).forEach((value, i) => view.setInt16(8 + text.length + 2 * i, missing(first + (i % count)) ? MISSING : value, true));
  return bytes.buffer;
}

function fetcher(missing) {
  const asked = [];
  return {
    asked,
    fetch: async (path) => {
      asked.push(path);
      const query = new URLSearchParams(path.split('?')[1]);
      return stored(Number(query.get('first')), Number(query.get('count')), missing);
    },
  };
}

test('a window read across blocks holds each lead sample by sample, and blocks are asked for once', async () => {
  const hub = fetcher();
  const samples = new Samples(hub.fetch, 'r', FS_HZ, true);
  for (const [first, count] of [[0, 10], [7400, 300], [7499, 2], [20_000, 9_000]]) {
    const window = await samples.read(4, first, count);
    assert.equal(Date.parse(window.start_at), 1_700_000_000_000 + first * 4);
    for (const lead of [0, 1]) assert.deepEqual([...window.rows[lead]], Array.from({ length: count }, (_, i) => wave(first + i, lead)));
  }
  assert.equal(new Set(hub.asked).size, hub.asked.length);
});

test('a block with a hole is asked for again while the recording goes on, and kept once it has ended', async () => {
  for (const [settled, times] of [[false, 2], [true, 1]]) {
    const hub = fetcher((sample) => sample === 5);
    const samples = new Samples(hub.fetch, 'r', FS_HZ, settled);
    await samples.read(4, 0, 10);
    await samples.read(4, 0, 10);
    assert.equal(hub.asked.length, times);
  }
});

test('bytes that are no TLH1 body and frames that are cut are not drawn', () => {
  assert.throws(() => parseSamples(new ArrayBuffer(64)));
  const whole = new Uint8Array(16 + 2 * 3 * 50);
  whole.set([1, 3, 50, 0]);
  assert.equal(parseFrame(whole.buffer)?.count, 50);
  for (let cut = 0; cut < whole.length; cut += 7) assert.equal(parseFrame(whole.slice(0, cut).buffer), null);
});

test('calipers measure time, rate and voltage, say nothing over a gap, and stay on the strip', () => {
  const window = { ...parseSamples(stored(1000, 500, (sample) => sample === 1010)) };
  assert.deepEqual(measure(window, 1, 1100, 1350), { interval_ms: 1000, rate_bpm: 60, voltage_mv: ((wave(1350, 1) - wave(1100, 1)) * 2.5) / 1000 });
  assert.equal(measure(window, 0, 1010, 1100).voltage_mv, null);
  assert.equal(measure(window, 0, 1100, 1100).rate_bpm, null);
  assert.deepEqual([moved('ArrowLeft', false, 1000, window), moved('End', false, 1100, window), moved('x', false, 1100, window)], [1000, 1499, null]);
});

test('places on the line of boots and instants lead back to each other; a window never starts past a boot', () => {
  const start = Date.parse('2026-11-21T06:00:00Z');
  const line = new Line(FS_HZ, [
    { boot: 3, offset: 0, count: 250_000, anchor_at: new Date(start).toISOString() },
    { boot: 5, offset: 300_000, count: 90_000, anchor_at: new Date(start + 1_200_000).toISOString() },
  ]);
  const next = random(9);
  for (let n = 0; n < 500; n++) {
    const index = Math.floor(next() * line.length);
    const settled = line.settle(index, 2000, next() < 0.5);
    const stretch = line.stretchOf(settled);
    assert.ok(settled + 2000 <= stretch.offset + stretch.count && settled >= stretch.offset, `settled ${settled}`);
    assert.equal(line.indexAt(line.instant_ms(settled)), settled);
    assert.equal(line.index(stretch.boot, settled - stretch.offset), settled);
  }
  assert.equal(line.settle(249_500, 2000, true), 300_000);
  assert.equal(line.settle(299_000, 2000, false), 248_000);
});

const { parseOverview, instantAt, plotWidth } = await load('ecg/overview.ts');
const { ticks } = await load('ecg/axis.ts');

test('an overview is read as the hub writes it, and a pointer names the instant of its column', () => {
  const header = new TextEncoder().encode(JSON.stringify({
    from: '2026-03-02T08:00:00.000Z', to: '2026-03-02T09:00:00.000Z', newest_at: '2026-03-02T08:59:00.000Z', columns: 3,
    leads: ['a', 'b'], uv_per_lsb: 2.5,
  }));
  const values = Int16Array.of(-1, 1, -2, 2, 32767, -32768, -10, 10, -20, 20, 32767, -32768);
  const bytes = new Uint8Array(8 + header.length + values.byteLength + 3);
  bytes.set(new TextEncoder().encode('TLO1'));
  new DataView(bytes.buffer).setUint32(4, header.length, true);
  bytes.set(header, 8);
  bytes.set(new Uint8Array(values.buffer), 8 + header.length);
  bytes.set([0, 7, 255], 8 + header.length + values.byteLength);
  const read = parseOverview(bytes.buffer);
  assert.deepEqual(read.rows.map((row) => [...row]), [[-1, 1, -2, 2, 32767, -32768], [-10, 10, -20, 20, 32767, -32768]]);
  assert.deepEqual([...read.missing], [0, 7, 255]);
  assert.throws(() => parseOverview(bytes.buffer.slice(1)));
  const width = 1000;
  const left = width - plotWidth(width) - 8;
  assert.equal(instantAt(left + plotWidth(width) / 2, width, read.from_ms, read.to_ms), (read.from_ms + read.to_ms) / 2);
  assert.equal(instantAt(-50, width, read.from_ms, read.to_ms), read.from_ms);
});

test('clock times under a drawing are even and never too many', () => {
  for (const span_s of [20, 90, 600, 3600, 86_400, 14 * 86_400])
    for (const width of [200, 360, 1440]) {
      const { step_ms, at_ms } = ticks(1_000_123, 1_000_123 + span_s * 1000, width);
      assert.ok(at_ms.every((at) => at % step_ms === 0 && at >= 1_000_123 && at <= 1_000_123 + span_s * 1000));
      assert.ok(at_ms.length <= Math.max(2, width / 64 + 1) || step_ms === 43_200_000);
    }
});
