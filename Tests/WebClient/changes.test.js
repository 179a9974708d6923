// Changes of the store that show before the server answers, and are rolled back if it refuses.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NotificationStore } from '../../Sources/WebClient/client/carillon.js';
import { start } from './fakes.js';

const item = (id, number) => ({
  id,
  title: id,
  is_read: false,
  created_at: `2026-01-01T00:00:0${number}.000Z`,
});

/**
 * A client of a user with three notifications, oldest a, newest c.
 *
 * `shown` lists the visible states in order: the titles, each unread one followed by a star, and
 * the unread count. `change` answers the requests that are not GET.
 */
const startWithThree = async (change = () => ({ data: {} })) => {
  const list = {
    notifications: [item('c', 3), item('b', 2), item('a', 1)],
    total: 3,
    unread: 3,
  };
  const read = (path) => ({ data: path.includes('?limit=') ? list : { total: 3, unread: 3 } });
  const answer = (path, method) => (method === 'GET' ? read(path) : change(path, method));
  const world = await start({}, { answer });
  assert.equal(world.store.value.unreadCount, 3);
  const shown = [];
  world.store.subscribe(({ notifications, unreadCount }) => {
    const text = notifications.map((n) => n.title + (n.is_read ? '' : '*')).join('');
    const line = `${text} ${unreadCount}`;
    if (shown.at(-1) !== line) shown.push(line);
  });
  return { ...world, shown };
};

const CHANGES = {
  markAsRead: [(store) => store.markAsRead('b'), 'c*ba* 2'],
  markAllAsRead: [(store) => store.markAllAsRead(), 'cba 0'],
  remove: [(store) => store.remove('b'), 'c*a* 2'],
  clear: [(store) => store.clear(), ' 0'],
};
const FAULTS = {
  refused: [{ status: 503, error: { code: 'busy', message: 'not now' } }, [503, 'busy']],
  'not reached': [{ status: 0 }, [0, 'network']],
};

for (const [change, [run, after]] of Object.entries(CHANGES)) {
  for (const [fault, [answer, error]] of Object.entries(FAULTS)) {
    test(`${change} that is ${fault} shows at once and is taken back`, async () => {
      const { detailsOf, shown, store } = await startWithThree(() => answer);
      const granted = run(store);
      assert.equal(shown.at(-1), after);
      assert.equal(await granted, false);
      assert.deepEqual(shown, ['c*b*a* 3', after, 'c*b*a* 3']);
      const errors = detailsOf('error').map(({ status, code }) => [status, code]);
      assert.deepEqual(errors, [error]);
    });
  }
}

describe('changes and messages', () => {
  test('a granted change stays until the server confirms it', async () => {
    // Events sent before the change may arrive after its response, on the other connection.
    const list = { notifications: [{ id: 'a' }, { id: 'b' }], total: 2, unread: 2 };
    const answer = (path) => ({ data: path.includes('?limit=') ? list : {} });
    const { requests, settle, sockets, store } = await start({}, { answer });
    const shown = [];
    store.subscribe(({ unreadCount }) => {
      if (shown.at(-1) !== unreadCount) shown.push(unreadCount);
    });
    assert.equal(await store.markAsRead('a'), true);
    sockets[0].say('stats:updated', { total: 2, unread: 2 });
    await settle();
    sockets[0].say('notification:read', { id: 'a' });
    sockets[0].say('stats:updated', { total: 2, unread: 1 });
    await settle();
    assert.deepEqual(shown, [2, 1]);
    assert.equal(requests.filter(({ path }) => path.includes('?limit=')).length, 1);
  });

  test('a change in flight is kept over the messages that arrive meanwhile', async () => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    const { detailsOf, listed, requests, say, shown, store } = await startWithThree(() => held);
    const granted = store.markAllAsRead();
    // A notification arrives that the change did not cover, and an old one is deleted.
    await say('notification:new', { ...item('d', 4), cursor: 'e.4' });
    await say('stats:updated', { total: 4, unread: 4 });
    assert.equal(listed()[0], 'd');
    await say('notification:deleted', { id: 'a' });
    await say('stats:updated', { total: 3, unread: 3 });
    assert.equal(listed().join(''), 'dcb');
    assert.equal(detailsOf('stats').at(-1).total, 3);
    assert.deepEqual(shown, ['c*b*a* 3', 'cba 0', 'd*cba 1', 'd*cb 1']);
    assert.ok(requests.some(({ path }) => path.endsWith('/read-all')));
    // The server marks the new one as read, too: it existed when the request arrived.
    await say('stats:updated', { total: 3, unread: 0 });
    release({ data: {} });
    assert.equal(await granted, true);
    assert.equal(store.value.unreadCount, 0);
    assert.deepEqual(shown, ['c*b*a* 3', 'cba 0', 'd*cba 1', 'd*cb 1', 'dcb 0']);
  });

  test('removing a notification that is gone succeeds and reading it fails', async () => {
    const gone = { status: 404, error: { code: 'not_found', message: 'gone' } };
    const { shown, store } = await startWithThree(() => gone);
    assert.equal(await store.remove('b'), true);
    assert.equal(shown.at(-1), 'c*a* 2');
    assert.equal(await store.markAsRead('b'), false);
  });
});

test('the list is loaded once the server has answered, and until the store is reset', async () => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const { settle, store } = await start({}, { answer: () => held });
  assert.equal(store.value.loaded, false);
  release({ data: { notifications: [], total: 0, unread: 0 } });
  await settle();
  assert.equal(store.value.loaded, true);
  // Another tab that takes over the state knows it, too.
  const other = new NotificationStore();
  other.restore(store.snapshot());
  assert.equal(other.value.loaded, true);
  store.reset();
  assert.equal(store.value.loaded, false);
});

describe('a clear that can be undone', () => {
  /** Starts one; `settle` ends its time, and `made` are the requests of the change. */
  const startClear = async () => {
    let undone;
    const time = new Promise((resolve) => (undone = resolve));
    const made = [];
    const world = await startWithThree((path, method) => {
      made.push(`${method} ${path.split('/').pop()}`);
      return { data: {} };
    });
    return { ...world, made, undone, granted: world.store.clear(time) };
  };

  test('it hides all at once and sends nothing before its time ends', async () => {
    const { granted, made, pass, shown, store, undone } = await startClear();
    assert.equal(shown.at(-1), ' 0');
    // Its time may be longer than that of a change that waits for an answer.
    await pass(30_000);
    assert.equal(shown.at(-1), ' 0');
    assert.equal(store.value.clearing, true);
    assert.deepEqual(made, []);
    undone(false);
    assert.equal(await granted, true);
    assert.deepEqual(made, ['DELETE notifications']);
  });

  test('when it is undone, all come back and nothing is sent', async () => {
    const { granted, made, shown, store, undone } = await startClear();
    undone(true);
    assert.equal(await granted, true);
    assert.deepEqual([made, store.value.clearing], [[], false]);
    assert.deepEqual(shown, ['c*b*a* 3', ' 0', 'c*b*a* 3']);
  });

  test('one that came meanwhile is kept', async () => {
    const { granted, made, say, shown, undone } = await startClear();
    await say('notification:new', { ...item('d', 4), cursor: 'e.4' });
    assert.equal(shown.at(-1), 'd* 1');
    undone(false);
    await granted;
    assert.deepEqual(made, ['DELETE c', 'DELETE b', 'DELETE a']);
  });

  test('after the store was reset, nothing is sent for the next user', async () => {
    const { granted, made, store, undone } = await startClear();
    store.reset();
    undone(false);
    assert.equal(await granted, true);
    assert.deepEqual(made, []);
  });
});
