// One HTML entry per audience (design section 10); the bundle goes into the Python package, hashed for ever-caching.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

const HUB = 'http://127.0.0.1:8080';
const CATALOGUE = /locales\/([\w-]+)\/(\w+)\.json$/;
const ENTRIES = ['index', 'desk', 'live', 'reading', 'viewer', 'admin'];

/** The hub serves NAME.gz in place of NAME to whoever takes it: a third of the bytes on a village's line. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    writeBundle(options, bundle) {
      for (const [name, part] of Object.entries(bundle)) {
        if (!/\.(js|css|wasm)$/.test(name) || options.dir === undefined) continue;
        writeFileSync(join(options.dir, `${name}.gz`), gzipSync(part.type === 'chunk' ? part.code : part.source, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [compressed()],
  root: import.meta.dirname,
  build: {
    outDir: '../hub/web',
    emptyOutDir: true,
    // A township's PC is years behind: nothing newer than these browsers know.
    target: ['chrome100', 'safari15.4', 'firefox100'],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: Object.fromEntries(ENTRIES.map((name) => [name, `${import.meta.dirname}/${name}.html`])),
      output: { chunkFileNames: (chunk) => `assets/${CATALOGUE.exec(chunk.facadeModuleId ?? '')?.slice(1).join('-') ?? '[name]'}-[hash].js` },
    },
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  server: { proxy: { '/api': { target: HUB, ws: true }, '/healthz': HUB } },
});
