// How the modules load: on a server that renders pages, and more than once in a page.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { stubElements } from './page.js';

const address = (name) => new URL(`../../Sources/WebClient/client/${name}`, import.meta.url).href;

for (const name of ['carillon.js', 'elements.js', 'react.js']) {
  test(`a server without a page imports ${name} and ends`, () => {
    const program = `
      const exported = await import('${address(name)}');
      console.log(Object.keys(exported).length > 0);`;
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      // An import that starts a timer keeps the process alive.
      timeout: 30_000,
    });
    assert.deepEqual([run.stderr, run.stdout, run.status], ['', 'true\n', 0]);
  });
}

test('a server renders with a client that is created but not connected', () => {
  const program = `
    const { Carillon, wsClient, notificationStore } = await import('${address('carillon.js')}');
    new Carillon({ token: 'a.b.c' });
    new Carillon({ url: '/prefix', token: () => 'a.b.c' });
    let value;
    notificationStore.subscribe((each) => (value = each))();
    console.log(value.notifications.length, wsClient.isConnected());`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.deepEqual([run.stderr, run.stdout, run.status], ['', '0 false\n', 0]);
});

test('a module that a page loads under two addresses registers its elements once', async () => {
  const registered = stubElements();
  const first = await import(address('elements.js'));
  const names = [...registered.keys()].sort();
  assert.ok(names.includes('carillon-bell') && names.includes('carillon-item'), `${names}`);
  const second = await import(`${address('elements.js')}?v=2`);
  assert.notEqual(second, first);
  assert.deepEqual([...registered.keys()].sort(), names);
  assert.equal(second.CarillonItem, first.CarillonItem);
});
