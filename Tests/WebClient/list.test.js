// The list of the whole inbox: messages and answers in each order lead to the same rows.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { drawFrame, openList } from './elements.js';
import { start } from './fakes.js';
import { NotificationStore } from '../../Sources/WebClient/client/carillon.js';

const item = (id, more = {}) => ({ id, title: id, is_read: false, ...more });
const pageOf = (...notifications) => ({
  notifications,
  total: notifications.length,
  unread: notifications.filter((it) => !it.is_read).length,
});

/**
 * A connected client and its list.
 *
 * `server.inbox` is the page that the server answers with at once; `answer` may answer a request in
 * its place.
 */
const startList = async ({ inbox = pageOf(), answer, ...options } = {}) => {
  const server = { inbox, answer };
  const respond = (path) => server.answer?.(path) ?? { data: server.inbox };
  const world = await start(options, { answer: respond });
  const list = openList(world.client);
  await world.settle();
  /** The rows as a text: the titles, each unread one followed by a star. */
  const rows = () => list.rows.map((it) => it.title + (it.is_read ? '' : '*')).join(' ');
  return { ...world, server, list, rows };
};

/** An answer that waits until it is released. */
const hold = () => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  return { held, release };
};

test('a notification stays that comes before older counts of an empty inbox', async () => {
  const { held, release } = hold();
  const answer = (path) => path.endsWith('/stats') ? held : undefined;
  const { rows, say, server, settle, store } = await startList({ answer });
  server.inbox = pageOf(item('a'));
  // The message with the notification comes, then the answer, then the message with the counts.
  await say('notification:new', item('a'));
  release({ data: { total: 0, unread: 0 } });
  await settle();
  await say('stats:updated', { total: 1, unread: 1 });
  assert.deepEqual([rows(), store.value.notifications.length], ['a*', 1]);
});

test('counts that equal the last ones still say that all are gone', async () => {
  const { rows, say } = await startList();
  await say('stats:updated', { total: 0, unread: 0 });
  // A poll that brings a notification is followed by counts, and it may be deleted by then.
  await say('notification:new', item('a'));
  assert.equal(rows(), 'a*');
  await say('stats:updated', { total: 0, unread: 0 });
  assert.equal(rows(), '');
});

test('a change that the server refuses is undone in the list', async () => {
  const { list, rows, server, store } = await startList({ inbox: pageOf(item('b'), item('a')) });
  server.answer = (path) => path.endsWith('/read') ? { status: 503 } : undefined;
  const granted = store.markAsRead('a');
  drawFrame();
  assert.equal(rows(), 'b* a');
  assert.equal(await granted, false);
  drawFrame();
  assert.equal(rows(), 'b* a*');
  assert.deepEqual(list.list.children.map((it) => it.notification.is_read), [false, false]);
});

test('a notification is unread that came after all were read, also if a page has it', async () => {
  const { held, release } = hold();
  const { client, list, rows, say, server, settle } = await startList({ capacity: 1 });
  server.answer = (path) => path.includes('limit=20') ? held : undefined;
  list.reload();
  await settle();
  // All are read, and another one is published; the page is read after that.
  await say('stats:updated', { total: 1, unread: 0 });
  release({ data: pageOf(item('b'), item('a', { is_read: true })) });
  await settle();
  await say('notification:new', item('b'));
  // The store lists only the newest.
  server.inbox = pageOf(item('c'));
  await say('notification:new', item('c'));
  assert.deepEqual([rows(), client.store.value.notifications.length], ['c* b* a', 1]);
});

test('a notification is kept at each moment of a load', async () => {
  // It may come while the answer passes through the promises that wait for it.
  for (let moment = 0; moment < 10; moment++) {
    const { held, release } = hold();
    const { client, list, rows, settle } = await startList({ inbox: pageOf(item('a')) });
    client.list = () => held;
    list.reload();
    release(pageOf(item('a')));
    for (let i = 0; i < moment; i++) await undefined;
    client.dispatchEvent(new CustomEvent('notification', { detail: item('b') }));
    await settle();
    assert.equal(rows(), 'b* a*', `${moment} steps after the answer`);
  }
});

describe('changes that no event names', () => {
  test('are loaded into the list as well as into the store', async () => {
    const read = item('a', { is_read: true });
    const { list, requests, rows, say, server, store } = await startList({ inbox: pageOf(read) });
    const loads = () => requests.filter(({ path }) => /limit=20(&|$)/.test(path)).length;
    assert.deepEqual([rows(), loads()], ['a', 1]);
    // It is marked unread by another device, and one arrives that the user has muted.
    server.inbox = pageOf(item('muted'), item('a'));
    await say('stats:updated', { total: 2, unread: 2 });
    assert.deepEqual([rows(), loads(), store.value.notifications.length], ['muted* a*', 2, 2]);
    // A change that an event names needs no load.
    await say('notification:deleted', { id: 'a' });
    await say('stats:updated', { total: 1, unread: 1 });
    await say('notification:read', { id: 'older than the list' });
    await say('stats:updated', { total: 1, unread: 0 });
    assert.deepEqual([rows(), loads(), list.rows.length], ['muted', 2, 1]);
  });

  test('leave as many rows as there were, and the members of an open group', async () => {
    const member = (id) => item(id, { group_key: 'g' });
    const inbox = pageOf(...'cde'.split('').map((id) => item(id)), {
      ...member('b'),
      group_count: 2,
    });
    const { list, requests, rows, say, server } = await startList({ inbox });
    const group = pageOf(member('b'), member('a'));
    server.answer = (path) => path.includes('group_key=g') ? { data: group } : undefined;
    list.setAttribute('page-size', '2');
    await list.expand({ group_key: 'g' });
    await say('stats:updated', { total: 5, unread: 5 });
    assert.equal(rows(), 'c* d* e* b* a*');
    assert.ok(requests.some(({ path }) => /limit=5(&|$)/.test(path)));
  });

  test('lead to one more load when they come during a load', async () => {
    const { held, release } = hold();
    const { list, requests, rows, say, server, settle } = await startList({
      inbox: pageOf(item('a')),
    });
    const loads = () => requests.filter(({ path }) => /limit=20(&|$)/.test(path)).length;
    server.answer = (path) => path.includes('limit=20') ? held : undefined;
    list.reload();
    for (let total = 2; total < 6; total++) await say('stats:updated', { total, unread: total });
    server.answer = undefined;
    server.inbox = pageOf(item('b'), item('a'));
    release({ data: pageOf(item('a')) });
    await settle();
    assert.deepEqual([rows(), loads()], ['b* a*', 3]);
  });
});

test('a leader that was replaced during a load sees again that its list is stale', () => {
  const store = new NotificationStore();
  store.load(pageOf(item('a')));
  store.beginLoad();
  assert.equal(store.receive('stats:updated', { total: 7, unread: 7 }), false);
  store.restore(store.snapshot());
  assert.equal(store.receive('stats:updated', { total: 8, unread: 8 }), true);
});
