// The icons of the pages and of the elements are drawn: letters of a font look different, or are
// missing, on another system.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../Sources/WebClient/', import.meta.url);
/** Arrows, signs and emoji. Punctuation such as `…` and `·` is text. */
const SIGN = /[\p{So}\u{2190}-\u{21FF}×]/u;

test('no page and no element has a sign of a font as an icon', () => {
  const found = [];
  for (const folder of ['client/', 'pages/']) {
    for (const name of readdirSync(new URL(folder, ROOT))) {
      const lines = readFileSync(new URL(folder + name, ROOT), 'utf8').split('\n');
      lines.forEach((line, index) =>
        SIGN.test(line) && found.push(`${name}:${index + 1}: ${line}`)
      );
    }
  }
  assert.deepEqual(found, []);
});
