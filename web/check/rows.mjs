// Rows of the editor of rules as people may leave them, half-filled and wrong ones, too; started by itself it prints the conditions
// they say, for the hub to judge (tests/web/test_rules.py).
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const SRC = join(import.meta.dirname, '..', 'src');
const PRINTED = 2000;

/** Bundled in memory, since Node 20 reads no TypeScript. @param {string} path */
export async function load(path) {
  const { output } = await (await rolldown({ input: join(SRC, path), logLevel: 'silent' })).generate({ format: 'esm' });
  return import(`data:text/javascript;base64,${Buffer.from(output[0].code).toString('base64')}`);
}

/** Seeded, so that a failure comes back. @param {number} seed */
export function random(seed) {
  return () => ((seed = (seed * 1664525 + 1013904223) >>> 0) / 2 ** 32);
}

const TEXTS = ['', ' ', '0', '7', '23', '60', '1e3', '-1', '12.5', '99999999', 'yes', 'no', 'CT', 'male', 'holter', '胸部', 'chest', '胸痛、心悸', 'a, b;', '，'];

/** A row of any keyword, mostly with an operator it offers. */
export function randomRow({ KEYWORDS, KEYWORD_NAMES, OPERATORS }, next) {
  const pick = (list) => list[Math.floor(next() * list.length)];
  const keyword = pick(KEYWORD_NAMES);
  const { operators, choices = [] } = KEYWORDS[keyword];
  const text = next() < 0.5 && choices.length ? pick(choices) : pick(TEXTS);
  return { keyword, operator: pick(next() < 0.9 ? operators : OPERATORS), text, ticked: [...choices, 'x'].filter(() => next() < 0.4) };
}

if (process.argv[1] === import.meta.filename) {
  const drafts = await load('admin/rules-draft.ts');
  const next = random(1);
  const conditions = Array.from({ length: PRINTED }, () => drafts.conditionOf(randomRow(drafts, next))).filter((each) => each !== null);
  console.log(JSON.stringify({ keywords: drafts.KEYWORD_NAMES, operators: drafts.OPERATORS, conditions }));
}
