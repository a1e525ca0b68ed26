// Writes the modules for `require` (Node 18 has no other way) and their declarations, from those for `import`. Run by npm pack.
import { readFileSync, writeFileSync } from 'node:fs';

const EXPORT = /^export (?=(?:class|function|const) (\w+))/gm;
const EXPORT_ALL = /^export \* from '\.\/(\w+)\.js';\n/gm;
const IMPORT = /^import (\{ .* \}) from '\.\/(\w+)\.js';$/gm;
const at = (name) => new URL(name, import.meta.url);
const read = (name) => readFileSync(at(name), 'utf8');

for (const module of ['client', 'http', 'index', 'presence']) {
  const source = read(`${module}.js`);
  const names = [...source.matchAll(EXPORT)].map(([, name]) => name);
  const others = [...source.matchAll(EXPORT_ALL)].map(([, name]) => `...require('./${name}.cjs')`);
  const body = source.replace(EXPORT, '').replace(EXPORT_ALL, '').replace(IMPORT, "const $1 = require('./$2.cjs');");
  const commonjs = `'use strict';\n${body}\nmodule.exports = { ${[...others, ...names].join(', ')} };\n`;
  if (/^(?:export|import) /m.test(commonjs)) throw new Error(`${module}.js has an export or an import of another kind`);
  writeFileSync(at(`${module}.cjs`), commonjs);
  writeFileSync(at(`${module}.d.cts`), read(`${module}.d.ts`).replaceAll("'./client.js'", "'./client.cjs'"));
}
