// What the viewer measures on the pixels it is given: JSON on stdin, JSON out, for numpy to compare (tests/web/test_tools.py).
import { readFileSync } from 'node:fs';
import { load } from './rows.mjs';

const measure = await load('viewer/tools/measure.ts');
const { layout, values, regions, lines } = JSON.parse(readFileSync(0, 'utf8'));
const stored = Int32Array.from(values);
console.log(JSON.stringify({
  statistics: regions.map((region) => measure.statisticsOf(layout, stored, region)),
  areas: regions.map((region) => measure.areaOf(layout, region)),
  lengths: lines.map((line) => measure.lengthOf(layout, line)),
}));
