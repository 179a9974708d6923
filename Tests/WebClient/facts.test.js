// The facts of the server on the console, and which of their values stand out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { showServer } from '../../Sources/WebClient/pages/server-facts.js';

/** An element with the members that the facts use. */
class Element {
  attributes = {};
  children = [];
  setAttribute(name, value) {
    this.attributes[name] = value;
  }
  append(child) {
    this.children.push(child);
  }
  replaceChildren(...children) {
    this.children = children;
  }
}

/** Shows the facts of a server, and returns the text and the level of each by its name. */
const shown = (server) => {
  const facts = new Element();
  const document = { createElement: () => new Element(), querySelector: () => facts };
  Object.assign(globalThis, { Node: Element, document });
  showServer(server);
  if (facts.hidden) return undefined;
  const parts = facts.children.map(({ children: [name, value] }) => [
    name.children[0],
    [value.children[0], value.attributes.class],
  ]);
  return Object.fromEntries(parts);
};

const store = { state: 'ok', persistent: true, write_queue: 0, write_queue_limit: 1_000 };
const server = { version: '0.1.0', uptime: 12_300, memory: 52_400_000, store };
const ofStore = (change) => shown({ ...server, store: { ...store, ...change } });

test('a server in order has no value that stands out', () => {
  const facts = shown(server);
  assert.deepEqual(Object.keys(facts), ['Version', 'Up', 'Memory', 'Store', 'Write queue']);
  assert.deepEqual([facts.Store, facts['Write queue']], [['on disk', ''], ['0 of 1,000', '']]);
  for (const [, level] of Object.values(facts)) assert.equal(level, '');
});

test('a server of an earlier version, which sends no facts, has none', () => {
  assert.equal(shown(undefined), undefined);
});

test('a store that loses or refuses notifications stands out', () => {
  const volatile = ['in memory only, lost at the end', 'warn'];
  assert.deepEqual(ofStore({ persistent: false }).Store, volatile);
  const reason = 'the store is read-only: disk I/O error';
  assert.deepEqual(ofStore({ state: 'read_only', reason }).Store, [reason, 'bad']);
  assert.deepEqual(ofStore({ state: 'read_only' }).Store, ['read-only', 'bad']);
});

for (
  const [count, text, level] of [
    [499, '499 of 1,000', ''],
    [500, '500 of 1,000', 'warn'],
    [899, '899 of 1,000', 'warn'],
    [900, '900 of 1,000: publishes are refused at the limit', 'bad'],
  ]
) {
  test(`the level of a write queue with ${count} of 1,000 is "${level}"`, () => {
    assert.deepEqual(ofStore({ write_queue: count })['Write queue'], [text, level]);
  });
}
