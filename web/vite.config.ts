// One HTML entry per audience (design section 10); the bundle goes into the Python package, hashed for ever-caching.
import { defineConfig } from 'vite';

const HUB = 'http://127.0.0.1:8080';
const ENTRIES = ['index', 'desk', 'live', 'reading', 'admin'];

export default defineConfig({
  root: import.meta.dirname,
  build: {
    outDir: '../hub/web',
    emptyOutDir: true,
    // A township's PC is years behind: nothing newer than these browsers know.
    target: ['chrome100', 'safari15.4', 'firefox100'],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { input: Object.fromEntries(ENTRIES.map((name) => [name, `${import.meta.dirname}/${name}.html`])) },
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  server: { proxy: { '/api': { target: HUB, ws: true }, '/healthz': HUB } },
});
