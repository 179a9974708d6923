// The client's types: every export is declared, and the declarations match the code.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stubElements } from './page.js';

const CLIENT = fileURLToPath(new URL('../../Sources/WebClient/client', import.meta.url));
const OPTIONS = {
  noEmit: true,
  target: 'esnext',
  module: 'esnext',
  moduleResolution: 'node',
  lib: ['esnext', 'dom', 'dom.iterable'],
  types: [],
  skipDefaultLibCheck: true,
};
const sources = readdirSync(CLIENT).filter((name) => name.endsWith('.js')).sort();
const entries = readdirSync(CLIENT).filter((name) => name.endsWith('.d.ts')).sort();

let directory;
before(() => (directory = mkdtempSync(join(tmpdir(), 'carillon-types-'))));
after(() => rmSync(directory, { recursive: true }));

/** Type-checks files and returns the compiler's status and output. */
const compile = (files, options) => {
  const configuration = { compilerOptions: { ...OPTIONS, ...options }, files };
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(configuration));
  const { error, status, stdout } = spawnSync('tsc', ['-p', directory], { encoding: 'utf8' });
  assert.equal(error, undefined, 'tsc is not on the PATH');
  return { status, stdout };
};
const NO_ERRORS = { status: 0, stdout: '' };

test('the compiler finds no error in the sources', () => {
  assert.ok(sources.length > 10);
  const files = sources.map((name) => join(CLIENT, name));
  assert.deepEqual(compile(files, { allowJs: true, checkJs: true }), NO_ERRORS);
});

test('the declarations match the exports and their use', async () => {
  assert.ok(entries.includes('carillon.d.ts') && entries.includes('react.d.ts'));
  stubElements();
  // All entries are checked in one program, because each start of the compiler is slow.
  const text = readFileSync(new URL('use.ts', import.meta.url), 'utf8');
  const lines = [text];
  for (const [number, entry] of entries.entries()) {
    const path = `${CLIENT}/${entry.replace('.d.ts', '.js')}`;
    const exported = Object.keys(await import(path)).sort();
    assert.ok(exported.length > 0, path);
    // An undeclared export is an excess key in this record; a declared one that does not exist is
    // a missing key.
    const names = exported.map((name) => `${name}: 1`).join(', ');
    lines.push(`import * as entry${number} from '${path}';`);
    lines.push(`const names${number}: Record<keyof typeof entry${number}, 1> = { ${names} };`);
  }
  const program = join(directory, 'use.ts');
  writeFileSync(program, lines.join('\n').replaceAll('CLIENT', CLIENT));
  assert.deepEqual(compile([program], { strict: true }), NO_ERRORS);
});
