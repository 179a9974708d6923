// The notification store: Svelte's contract, and a page's own use of it without a server.

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { fakes } from './fakes.js';
import { NotificationStore, notificationStore } from '../../Sources/WebClient/client/carillon.js';

let world;
beforeEach(() => (world = fakes()));

// https://svelte.dev/docs/svelte/stores#store-contract
describe("Svelte's store contract", () => {
  test('it holds, point by point', () => {
    const store = new NotificationStore();
    const got = [];

    // 1. It has `subscribe`, which takes a function and calls it at once with the value.
    assert.equal(typeof store.subscribe, 'function');
    const stop = store.subscribe((value) => got.push(value));
    assert.equal(got.length, 1, 'called before `subscribe` returns');
    assert.equal(got[0], store.value);
    assert.equal(got[0].unreadCount, 0);

    // 2. All of its subscribers are called with each change, synchronously.
    const others = [[], []];
    const stops = others.map((each) => store.subscribe((value) => each.push(value)));
    store.add({ id: 'a', title: 'A' });
    assert.equal(got.length, 2);
    assert.equal(got[1].unreadCount, 1);
    for (const each of others) assert.equal(each.at(-1), got[1], 'all get the same value');

    // 3. `subscribe` returns a function that ends this subscription and no other.
    assert.equal(typeof stop, 'function');
    assert.equal(stop(), undefined);
    store.add({ id: 'b' });
    assert.equal(got.length, 2, 'not called after its subscription ended');
    assert.equal(others[0].length, 3, 'the other subscribers are called');
    stop();
    stops[0]();

    // The same function twice is two subscriptions.
    let calls = 0;
    const run = () => void calls++;
    const [first, second] = [store.subscribe(run), store.subscribe(run)];
    first();
    store.add({ id: 'c' });
    assert.equal(calls, 3, 'each subscription is called separately');
    second();

    // During a call a subscriber may unsubscribe, and another may subscribe.
    const log = [];
    const leave = store.subscribe((value) => {
      log.push(value.notifications.length);
      if (log.length === 2) {
        leave();
        store.subscribe(() => log.push('new'));
      }
    });
    store.add({ id: 'd' });
    store.add({ id: 'e' });
    assert.deepEqual(log, [3, 4, 'new', 'new']);

    // The way `get` of `svelte/store` reads a store.
    let value;
    store.subscribe((each) => (value = each))();
    assert.equal(value, store.value);
    // Without `set`, Svelte does not let a component assign to the store.
    assert.ok(!('set' in store) && !('update' in store));
  });

  test('values are snapshots that no change reaches', () => {
    const store = new NotificationStore();
    store.add({ id: 'a' });
    const { notifications } = store.value;
    store.markAsRead('a');
    assert.ok([store.value, notifications, notifications[0]].every(Object.isFrozen));
    assert.equal(notifications[0].is_read, false);
    assert.equal(store.value.notifications[0].is_read, true);
  });

  test('a subscriber that throws keeps no value from the others', () => {
    const store = new NotificationStore();
    let isReady = false;
    let count = 0;
    store.subscribe(() => {
      if (isReady) throw new Error('mine');
    });
    store.subscribe(() => count++);
    isReady = true;
    store.add({});
    assert.deepEqual([count, store.value.unreadCount], [2, 1]);
    // The error is reported to the page like any uncaught error.
    assert.deepEqual(world.page.errors.map(({ message }) => message), ['mine']);
  });
});

describe('without a server', () => {
  test("tradepulse's store has its methods", () => {
    const store = notificationStore;
    const seen = [];
    store.subscribe(({ notifications, unreadCount, connected }) =>
      seen.push([notifications.map((n) => n.title).join(), unreadCount, connected])
    );
    const flat = (id, second) => ({
      id,
      type: 'trade.created',
      user_id: 'u',
      title: id.toUpperCase(),
      message: 'm',
      data: { pnl: 125.5 },
      timestamp: `2024-01-20T15:30:0${second}Z`,
    });
    store.add(flat('a', 1));
    store.add(flat('b', 2));
    store.add(flat('b', 2));
    store.markAsRead('a');
    store.markAsRead('unknown');
    store.setConnected(true);
    store.markAllAsRead();
    store.remove('a');
    store.setConnected(false);
    store.clear();
    assert.deepEqual(seen, [
      ['', 0, false],
      ['A', 1, false],
      ['B,A', 2, false],
      // Adding the same twice adds one; an unknown id changes nothing.
      ['B,A', 1, false],
      ['B,A', 1, false],
      ['B,A', 1, true],
      ['B,A', 0, true],
      ['B', 0, true],
      ['B', 0, false],
      ['', 0, false],
    ]);
  });

  for (
    const [capacity, ...expected] of [
      [undefined, 50, '249', '200', 250],
      [3, 3, '249', '247', 250],
      [100_000, 200, '249', '50', 250],
    ]
  ) {
    test(`with a capacity of ${capacity} it holds the last ${expected[0]}`, () => {
      const store = new NotificationStore({ capacity });
      for (let i = 0; i < 250; i++) {
        const time = new Date(Date.UTC(2026, 0, 1) + i * 1_000).toISOString();
        store.add({ id: `${i}`, created_at: time });
      }
      const { notifications: all, unreadCount } = store.value;
      assert.deepEqual([all.length, all[0].id, all.at(-1).id, unreadCount], expected);
    });
  }
});
