// Properties of what the pages compute by themselves: resident numbers, wall clocks, durations.
// `node --test web/check/words.mjs`; bundled in memory, since Node 20 reads no TypeScript.
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

const { readResidentId, ageYears } = await load('desk/resident-id.ts');
const { formatClock, formatDate, formatShort, instantOf, splitDuration } = await load('core/time.ts');
const GOOD = '11010519491231002X'; // the example of GB 11643-1999

test('the example of the standard is read', () => {
  assert.deepEqual(readResidentId(GOOD), { fault: null, birth_date: '1949-12-31', sex: 'female' });
});

test('any one digit changed is noticed', () => {
  for (let place = 0; place < 17; place++) {
    for (let digit = 0; digit <= 9; digit++) {
      if (String(digit) === GOOD[place]) continue;
      const changed = GOOD.slice(0, place) + digit + GOOD.slice(place + 1);
      assert.notEqual(readResidentId(changed).fault, null, changed);
    }
  }
});

test('any two neighbours swapped are noticed', () => {
  for (let place = 0; place < 16; place++) {
    if (GOOD[place] === GOOD[place + 1]) continue;
    const swapped = GOOD.slice(0, place) + GOOD[place + 1] + GOOD[place] + GOOD.slice(place + 2);
    assert.notEqual(readResidentId(swapped).fault, null, swapped);
  }
});

test('a birthday counts from its own day', () => {
  assert.equal(ageYears('2012-11-21', '2026-11-20'), 13);
  assert.equal(ageYears('2012-11-21', '2026-11-21'), 14);
});

test('a wall clock becomes the instant that shows it, in zones with and without summer time', () => {
  for (const zone of ['Asia/Shanghai', 'UTC', 'Europe/Berlin', 'America/St_Johns']) {
    for (const [date, clock] of [['2026-11-21', '14:05'], ['2026-07-01', '00:00'], ['2026-01-01', '23:59']]) {
      const instant = instantOf(date, clock, zone);
      assert.equal(`${formatDate(instant, zone)} ${formatClock(instant, false, zone)}`, `${date} ${clock}`, zone);
    }
  }
});

test('today is a clock, any other day has its date', () => {
  assert.match(formatShort(Date.now()), /^\d\d:\d\d$/);
  assert.match(formatShort(Date.now() - 3 * 86_400_000), /^\d{4}-\d\d-\d\d \d\d:\d\d$/);
});

test('durations name the units that matter', () => {
  assert.deepEqual(splitDuration(0.4), [[0, 's']]);
  assert.deepEqual(splitDuration(159), [[2, 'min'], [39, 's']]);
  assert.deepEqual(splitDuration(1800), [[30, 'min']]);
  assert.deepEqual(splitDuration(14_220), [[3, 'h'], [57, 'min']]);
  assert.deepEqual(splitDuration(200_000), [[2, 'd'], [7, 'h']]);
});
