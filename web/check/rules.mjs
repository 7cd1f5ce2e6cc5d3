// Properties of the editor of routing rules and of comparing whom images name: any order of deeds leaves a list the hub takes, and
// no difference between two identities is told as agreement. `node --test web/check/rules.mjs`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, random, randomRow } from './rows.mjs';

const drafts = await load('admin/rules-draft.ts');
const identity = await load('desk/identity.ts');
const STORED = [
  ['a', [{ keyword: 'hour', operator: 'at-least', value: 18 }], true], ['b', [], false], ['c', [{ keyword: 'pacemaker', operator: 'equals', value: false }], true],
  ['last', [], true], ['d', [{ keyword: 'sex', operator: 'in', value: ['male'] }], false],
].map(([id, conditions, enabled], position) => ({ id, position, name: `name ${id}`, conditions, enabled, to_organisation: { id: 'o1', name: '', name_en: '' } }));

/** What the hub asks of a list (hub/reading/routing.py): the last enabled rule, and only that, has no condition. */
function hubTakes({ rules }) {
  const bare = rules.filter((rule) => rule.enabled).map((rule) => rule.conditions.length === 0);
  return bare.length > 0 && bare.indexOf(true) === bare.length - 1;
}

test('any order of deeds leaves one fallback at the end, and loses nothing but what was deleted', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const next = random(seed);
    const begun = drafts.draftsOf(next() < 0.2 ? [] : STORED);
    let list = begun;
    const alive = new Set([...list.rules, list.fallback].map(({ key }) => key));
    for (let deed = 0; deed < 30; deed++) {
      const all = [...list.rules, list.fallback];
      const one = all[Math.floor(next() * all.length)];
      const kind = next();
      if (kind < 0.3) list = drafts.move(list, one.key, next() < 0.5 ? -1 : 1);
      else if (kind < 0.4) { list = drafts.remove(list, one.key); if (one !== all.at(-1)) alive.delete(one.key); }
      else if (kind < 0.6) list = drafts.put(list, { ...one, enabled: !one.enabled });
      else if (kind < 0.8) list = drafts.put(list, { ...one, conditions: next() < 0.5 ? [] : [{ keyword: 'hour', operator: 'equals', value: deed }] });
      else { const key = `n${deed}`; alive.add(key); list = drafts.put(list, { key, name: key, to: 'o2', enabled: true, conditions: next() < 0.3 ? [] : STORED[0].conditions }); }
      const body = drafts.bodyOf(list);
      assert.ok(hubTakes(body), JSON.stringify(body));
      assert.deepEqual(new Set([...list.rules, list.fallback].map(({ key }) => key)), alive);
      assert.equal(drafts.changesOf(begun, list) === null, JSON.stringify([begun.rules, begun.fallback]) === JSON.stringify([list.rules, list.fallback]));
      [...list.rules, list.fallback].forEach(({ key }, place) => assert.deepEqual(drafts.placeOf(list, `rules[${place}].conditions.value`), { key, part: 'value' }));
      assert.equal(drafts.placeOf(list, `rules[${list.rules.length + 1}].name`), null);
    }
  }
});

test('forwarding has no fallback: a rule without conditions stays on, and any may be the last', () => {
  const stored = STORED.map(({ id, name, conditions, enabled }) => ({ id, name, conditions, enabled, to_node_id: `node ${id}`, to_node_name: '' }));
  for (let seed = 1; seed <= 100; seed++) {
    const next = random(seed);
    const begun = drafts.forwardsOf(stored);
    let list = begun;
    const alive = new Map(begun.rules.map((rule) => [rule.key, rule]));
    for (let deed = 0; deed < 20; deed++) {
      const one = list.rules[Math.floor(next() * list.rules.length)];
      const kind = next();
      if (one && kind < 0.3) list = drafts.move(list, one.key, next() < 0.5 ? -1 : 1);
      else if (one && kind < 0.5) { list = drafts.remove(list, one.key); alive.delete(one.key); }
      else {
        const rule = { key: one && kind < 0.8 ? one.key : `n${deed}`, name: 'x', to: 'node a', enabled: next() < 0.5, conditions: next() < 0.5 ? [] : STORED[0].conditions };
        list = drafts.put(list, rule);
        alive.set(rule.key, rule);
      }
      assert.equal(list.fallback, null);
      assert.deepEqual(new Map(list.rules.map((rule) => [rule.key, rule])), new Map(list.rules.map(({ key }) => [key, alive.get(key)])));
      assert.equal(list.rules.length, alive.size);
      const { rules } = drafts.bodyOf(list, 'to_node_id');
      assert.deepEqual(rules.map((rule) => [rule.to_node_id, rule.enabled]), list.rules.map((rule) => [rule.to, rule.enabled]));
    }
  }
});

test('moving up and down again changes nothing, and passes each other rule once', () => {
  const list = drafts.draftsOf(STORED);
  const { key } = list.rules[0];
  let moved = list;
  const places = list.rules.map(() => { const at = moved.rules.findIndex((rule) => rule.key === key); moved = drafts.move(moved, key, 1); return at; });
  assert.deepEqual(places, list.rules.map((_, place) => place));
  for (const _ of list.rules) moved = drafts.move(moved, key, -1);
  assert.deepEqual(moved, list);
});

test('what a row says is what it shows when it is opened again', () => {
  const next = random(7);
  let said = 0;
  for (let n = 0; n < 3000; n++) {
    const condition = drafts.conditionOf(randomRow(drafts, next));
    if (condition === null) continue;
    said++;
    assert.deepEqual(drafts.conditionOf(drafts.rowOf(condition)), condition);
  }
  assert.ok(said > 1000, `${said}`);
});

const OURS = { name: '王建国', birth_date: '1950-05-01', sex: 'male' };

test('a name is the same in every way a machine writes it, and never another one', () => {
  for (const sent_name of ['王建国', '王^建国', 'WANG^JIANGUO=王^建国', 'Wang^Jianguo=王建国=wang^jianguo', ' 王 ^ 建国 ^^']) {
    assert.equal(identity.compare({ sent_name, sent_birth_date: '', sent_sex: '' }, OURS).name, 'same', sent_name);
  }
  for (const [sent_name, verdict] of [['王^建', 'differs'], ['WANG^JIANGUO=王^建军', 'differs'], ['WANG^JIANGUO', 'unsure'], ['', 'unsaid'], ['^^=', 'unsaid']]) {
    assert.equal(identity.compare({ sent_name, sent_birth_date: '', sent_sex: '' }, OURS).name, verdict, sent_name);
  }
});

test('any one digit of a date, and the other sex, differ', () => {
  const of = (sent_birth_date, sent_sex) => identity.compare({ sent_name: '', sent_birth_date, sent_sex }, OURS);
  assert.deepEqual(of('19500501', 'M'), { name: 'unsaid', birth_date: 'same', sex: 'same' });
  for (let place = 0; place < 8; place++) {
    const digits = [...'19500501'];
    digits[place] = String((Number(digits[place]) + 1) % 10);
    assert.equal(of(digits.join(''), 'F').birth_date, 'differs');
  }
  assert.deepEqual([of('1950', 'F'), of('', 'X')].map(({ birth_date, sex }) => [birth_date, sex]), [['differs', 'differs'], ['unsaid', 'unsaid']]);
});

test('a request is proposed only when it is meant, or nothing else fits', () => {
  const request = (id, kind, modality, accession = id) => ({ id, kind, modality, accession });
  const [ct, ct2, ecg] = [request('1', 'imaging', 'CT'), request('2', 'imaging', 'CT'), request('3', 'ecg-12-lead', null)];
  const likeliest = (accession, modalities, requests) => identity.likeliest({ accession, modalities }, requests)?.id ?? null;
  assert.equal(likeliest('2', ['MR'], [ct, ct2, ecg]), '2');
  assert.equal(likeliest('', ['CT'], [ct, ct2, ecg]), null);
  assert.equal(likeliest('9', ['CT'], [ct, ecg]), '1');
  assert.equal(likeliest('', ['ECG'], [ct, ecg]), '3');
  assert.equal(likeliest('', ['US'], [ct, ecg]), null);
});
