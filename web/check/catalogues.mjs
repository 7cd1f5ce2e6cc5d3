// Part of `npm run check`: both languages have the same messages with the same parameters, Chinese is Chinese,
// and no message is without a use.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SRC = join(import.meta.dirname, '..', 'src');
const HAN = /\p{Script=Han}/u;
// Values that are the same in every language: names, units, symbols.
const WITHOUT_HAN = new Set(JSON.parse(readFileSync(join(import.meta.dirname, 'without-han.json'), 'utf8')));
const PARAMETER = /\{(\w+)/g;

const problems = [];

/** @param {string} language */
function catalogue(language) {
  const folder = join(SRC, 'locales', language);
  /** @type {Map<string, {file: string, text: string}>} */
  const all = new Map();
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
    for (const [key, text] of Object.entries(JSON.parse(readFileSync(join(folder, file), 'utf8')))) {
      if (all.has(key)) problems.push(`${language}: ${key} is both in ${all.get(key)?.file} and ${file}`);
      all.set(key, { file, text: String(text) });
    }
  }
  return all;
}

/** @param {string} folder @returns {string} */
function sourceText(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .map((entry) => (entry.isDirectory() ? sourceText(join(folder, entry.name)) : /\.tsx?$/.test(entry.name) ? readFileSync(join(folder, entry.name), 'utf8') : ''))
    .join('\n');
}

/** @param {string} text */
const parameters = (text) => [...new Set([...text.matchAll(PARAMETER)].map((match) => match[1]))].sort().join();

const zh = catalogue('zh-CN');
const en = catalogue('en');
for (const [key, { file, text }] of zh) {
  const other = en.get(key);
  if (!other || other.file !== file) problems.push(`en/${file}: ${key} is missing`);
  else if (parameters(text) !== parameters(other.text)) problems.push(`${key}: parameters differ: ${parameters(text)} / ${parameters(other.text)}`);
  if (!text.trim() || !other?.text.trim()) problems.push(`${key}: empty`);
  if (!HAN.test(text) && !WITHOUT_HAN.has(key)) problems.push(`zh-CN/${file}: ${key} has no Chinese: ${text}`);
}
for (const [key, { file, text }] of en) {
  if (!zh.has(key)) problems.push(`zh-CN/${file}: ${key} is missing`);
  if (HAN.test(text)) problems.push(`en/${file}: ${key} has Chinese: ${text}`);
}

const source = sourceText(SRC);
const literal = new Set([...source.matchAll(/['"`]((?:[a-z]+\.)[\w.-]+)['"`]/g)].map((match) => match[1]));
const patterns = [...source.matchAll(/`([a-z]+\.[\w.-]*\$\{[^`]*)`/g)].map((match) =>
  new RegExp(`^${(match[1] ?? '').split(/\$\{[^}]*\}/).map((part) => part.replace(/[.]/g, '\\.')).join('[\\w.-]+')}$`));
for (const key of zh.keys()) {
  if (!literal.has(key) && !patterns.some((pattern) => pattern.test(key))) problems.push(`${key}: no page uses it`);
}

// A page has only the catalogues of its own sections (locales/sections.json), at once or with parts that come later, which must hold all
// that its folders say.
const sections = JSON.parse(readFileSync(join(SRC, 'locales', 'sections.json'), 'utf8'));
const FOLDERS = { core: ['core'], signin: ['core'], sending: ['core'], ecg: ['core', 'live'], desk: [...sections.desk, ...sections.later.desk], live: sections.live, reading: sections.reading, viewer: [...sections.viewer, ...sections.later.viewer], admin: [...sections.admin, ...sections.later.admin] };
for (const [folder, allowed] of Object.entries(FOLDERS)) {
  for (const [, key] of sourceText(join(SRC, folder)).matchAll(/['"`]([a-z]+\.[\w.-]+)/g)) {
    const file = zh.get(key ?? '')?.file.replace('.json', '');
    if (file && !allowed.includes(file)) problems.push(`${folder}: ${key} is in ${file}.json, which its page does not load`);
  }
}
const known = readdirSync(SRC, { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== 'locales').map((entry) => entry.name);
for (const folder of known) if (!(folder in FOLDERS)) problems.push(`${folder}: which catalogues its pages load is not said`);

for (const problem of problems) console.error(problem);
console.log(`catalogues: ${zh.size} messages, ${problems.length} problems`);
process.exitCode = problems.length ? 1 : 0;
