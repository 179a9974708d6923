// A logout: the next user of the browser sees nothing of the previous one.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startBrowser } from './browser.js';
import { refuse, start, streamBody, tokenOf } from './fakes.js';
import { wsClient } from '../../Sources/WebClient/client/carillon.js';

const ANN = tokenOf('ann');
const BOB = tokenOf('bob');
const listOf = (...titles) => {
  const item = (title) => ({ id: title, title, is_read: false });
  return { notifications: titles.map(item), total: titles.length, unread: titles.length };
};
const COUNTS = { total: 7, unread: 7 };
const isList = (path) => path.includes('?limit=');

/** A server on which each user has one notification, titled with the user's name. */
const answer = (path, _method, token) => ({
  data: isList(path) ? listOf(token === ANN ? 'for ann' : 'for bob') : {},
});

/** Asserts that a tab is disconnected and shows nothing. */
const assertEmpty = ({ client, listed, store }) => {
  assert.deepEqual([client.state, listed(), store.value.unreadCount], ['disconnected', [], 0]);
  assert.deepEqual([client.cursor, client.stats], [undefined, undefined]);
};

describe('all tabs of the user', () => {
  for (
    const [name, options] of [
      ['which share a connection', {}],
      ['without locks', { locks: null }],
      ['which share nothing', { shared: false }],
    ]
  ) {
    test(`log out together: tabs ${name}`, async () => {
      const { open, openSockets, pass, settle, sockets } = startBrowser({ answer });
      const tabs = [await open(options), await open(options), await open(options)];
      for (const { listed } of tabs) assert.deepEqual(listed(), ['for ann']);
      tabs[1].client.disconnect();
      await settle();
      for (const tab of tabs) {
        assertEmpty(tab);
        assert.equal(tab.detailsOf('reset').length, 1);
      }
      assert.deepEqual(openSockets(), []);
      const count = sockets.length;
      dispatchEvent(new Event('online'));
      document.dispatchEvent(new Event('visibilitychange'));
      await pass(600_000);
      assert.equal(sockets.length, count);
    });
  }

  test('log out with a fresher token of the user', async () => {
    const { open, settle } = startBrowser({ answer });
    const first = await open({ shared: false, token: tokenOf('ann', { exp: 9e9, jti: 'a' }) });
    const second = await open({ shared: false, token: tokenOf('ann', { exp: 9e9 + 9, jti: 'b' }) });
    first.client.disconnect();
    await settle();
    assertEmpty(second);
  });

  test('stay connected when one only pauses or closes, and a paused one logs out too', async () => {
    const { open, settle } = startBrowser({ answer });
    const [first, second, third] = [await open(), await open(), await open()];
    first.client.pause();
    second.client.close();
    await settle();
    assert.deepEqual([first.client.state, first.listed()], ['disconnected', ['for ann']]);
    assert.deepEqual([third.client.state, third.client.isLeader], ['connected', true]);
    third.client.disconnect();
    await settle();
    assertEmpty(first);
  });

  test('do not include those of another user or server', async () => {
    const { open, settle } = startBrowser({ answer });
    const first = await open();
    const others = [await open({ token: BOB }), await open({ url: 'http://other.example' })];
    first.client.disconnect();
    await settle();
    assert.deepEqual(others.map(({ client }) => client.state), ['connected', 'connected']);
  });
});

describe('the next user', () => {
  test('sees only the own notifications however late the list of the last one is', async () => {
    let release;
    const slow = new Promise((resolve) => (release = resolve));
    const late = (path, method, token) =>
      isList(path) && token === ANN ? slow : answer(path, method, token);
    const { client, listed, settle } = await start({ token: ANN }, { answer: late });
    client.disconnect();
    client.setToken(BOB);
    client.connect();
    await settle();
    assert.deepEqual(listed(), ['for bob']);
    release({ data: listOf('for ann') });
    await settle();
    assert.deepEqual([listed(), client.store.value.unreadCount], [['for bob'], 1]);
  });

  for (const late of ['poll', 'stats']) {
    test(`gets nothing from the late answer of the last one: ${late}`, async () => {
      let release;
      const slow = new Promise((resolve) => (release = resolve));
      const news = { id: 'late', title: 'late for ann', is_read: false };
      const pulled = { data: { notifications: [news], cursor: 'e.9' } };
      const none = { data: { notifications: [], cursor: 'e.1' } };
      const bodies = [];
      const net = (path, method, token) => {
        if (path.includes('/events')) {
          bodies.push(streamBody());
          return { body: bodies.at(-1) };
        }
        const isLate = bodies.length && token === ANN && path.includes(`/${late}`);
        if (isLate) return slow.then(() => late === 'poll' ? pulled : { data: COUNTS });
        return path.includes('/poll') ? none : answer(path, method, token);
      };
      const options = { token: ANN, transports: ['sse'] };
      const { client, settle, store, titles } = await start(options, { answer: net });
      const event = 'id: e.1\ndata: {"type":"unread_count","data":{"count":0}}\n\n';
      bodies[0].push(event);
      await settle();
      client.disconnect();
      client.setToken(BOB);
      client.connect();
      await settle();
      bodies[1].push(event);
      await settle();
      release();
      await settle();
      assert.deepEqual([client.user, client.cursor, titles()], ['bob', 'e.1', []]);
      assert.deepEqual([client.stats?.total, store.value.unreadCount], [undefined, 1]);
    });
  }

  for (const [name, status] of [['failing', 500], ['slow', undefined]]) {
    test(`sees nothing of the last one while the list is ${name}`, async () => {
      const never = new Promise(() => {});
      const failing = (path, method, token) =>
        isList(path) && token === BOB ? status ? { status } : never : answer(path, method, token);
      const { client, listed, settle } = await start({ token: ANN }, { answer: failing });
      assert.deepEqual(listed(), ['for ann']);
      client.setToken(BOB);
      await settle();
      assert.deepEqual([client.state, listed()], ['connected', []]);
      assert.equal(client.store.value.unreadCount, 0);
    });
  }

  test('does not repeat a change of the last one that was refused', async () => {
    let refuseClear;
    const clear = new Promise((resolve) => (refuseClear = resolve));
    const net = {
      answer: (path, method, token) => method === 'DELETE' ? clear : answer(path, method, token),
    };
    let token = ANN;
    const source = async () => token;
    const { client, listed, requests, settle, store } = await start({ token: source }, net);
    store.clear();
    await settle();
    token = BOB;
    client.disconnect();
    client.connect();
    refuseClear({ status: 401 });
    await settle();
    const clears = requests.filter(({ method }) => method === 'DELETE');
    assert.deepEqual(clears.map((each) => each.token), [ANN]);
    assert.equal(listed().length, 1);
  });

  for (const [name, next] of [['a text', BOB], ['a function', async () => BOB]]) {
    test(`keeps the own token, ${name}, when the fetch of an earlier one ends late`, async () => {
      let deliver;
      const slow = new Promise((resolve) => (deliver = resolve));
      const { client, listed, settle } = await start({ token: () => slow }, { answer });
      assert.equal(client.state, 'connecting');
      client.setToken(next);
      await settle();
      assert.deepEqual([client.state, listed()], ['connected', ['for bob']]);
      deliver(ANN);
      await settle();
      assert.deepEqual([client.user, listed()], ['bob', ['for bob']]);
    });
  }
});

describe('a removed token', () => {
  for (const empty of ['', null, undefined]) {
    test(`logs out: ${empty === '' ? 'an empty text' : empty}`, async () => {
      const tab = await start({ token: ANN }, { answer });
      tab.client.setToken(empty);
      await tab.settle();
      assertEmpty(tab);
      assert.equal(tab.client.user, '');
      // The token is gone, too.
      tab.client.connect();
      await tab.settle();
      assert.equal(tab.client.state, 'error');
      tab.client.setToken(BOB);
      await tab.settle();
      assert.deepEqual([tab.client.state, tab.listed()], ['connected', ['for bob']]);
    });
  }

  test('logs out of a client that has not connected yet', async () => {
    const { client, pass, sockets } = await start({ token: ANN }, { answer, socket: refuse });
    client.setToken('');
    const count = sockets.length;
    await pass(600_000);
    assert.deepEqual([client.state, sockets.length], ['disconnected', count]);
  });
});

test('the client of the page connects again with the token of the next login', async () => {
  const { options, pass, settle } = await start({}, { answer });
  const { configure, defaultClient, notificationStore } = await import(
    '../../Sources/WebClient/client/carillon.js'
  );
  configure({ ...options, token: undefined });
  const titles = () => notificationStore.value.notifications.map(({ title }) => title);
  wsClient.connect(ANN);
  await settle();
  assert.deepEqual([wsClient.isConnected(), titles()], [true, ['for ann']]);
  // As after a logout in another tab.
  defaultClient().disconnect();
  assert.deepEqual([wsClient.isConnected(), titles()], [false, []]);
  wsClient.connect(ANN);
  await settle();
  assert.deepEqual([wsClient.isConnected(), titles()], [true, ['for ann']]);
  wsClient.connect('');
  await pass(1);
  assert.deepEqual([defaultClient(), titles()], [undefined, []]);
  wsClient.connect(BOB);
  await settle();
  assert.deepEqual([wsClient.isConnected(), titles()], [true, ['for bob']]);
  wsClient.connect(ANN);
  await settle();
  assert.deepEqual([wsClient.isConnected(), titles()], [true, ['for ann']]);
  wsClient.disconnect();
});
