// What the checks of the page of images stand on: what its modules ask of a browser, and how they are loaded.
// They are bundled in memory, since Node 20 reads no TypeScript.
import { join } from 'node:path';
import { rolldown } from 'rolldown';

export { random } from './rows.mjs';

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

/** What several modules export, as one bundle: they know each other's classes. @param {...string} paths */
export async function load(...paths) {
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

export const LAYOUT = {
  rows: 4, columns: 4, samples: 1, bits_stored: 16, signed: true, photometric: 'MONOCHROME2', modality: { slope: 1, intercept: 0, unit: '' }, voi_lut: null,
  smallest: -1000, largest: 3000, windows: [], frames: [],
};
