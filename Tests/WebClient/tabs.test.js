// Tabs that share one connection, over fake locks and channels. Tests/EndToEnd/test_client_tabs.py
// tests real ones in Chromium.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startBrowser } from './browser.js';
import { EPOCH, tokenOf } from './fakes.js';

const leaders = (tabs) => tabs.filter(({ client }) => client.isLeader);

const item = (id, number) => ({
  id,
  title: id,
  is_read: false,
  created_at: `2026-01-01T00:00:0${number}.000Z`,
});

describe('one connection', () => {
  test('five tabs hold one connection and all get its messages', async () => {
    const { open, openSockets, say } = startBrowser();
    const tabs = [];
    for (let i = 0; i < 5; i++) tabs.push(await open());
    assert.equal(openSockets().length, 1);
    assert.deepEqual(leaders(tabs), [tabs[0]]);
    await say('notification:new', item('for all', 1));
    for (const { states, store, titles } of tabs) {
      assert.deepEqual(titles(), ['for all']);
      assert.equal(store.value.unreadCount, 1);
      assert.deepEqual(states(), ['connecting', 'connected']);
    }
  });

  test('when the leader crashes another tab connects where it stopped', async () => {
    const { open, pass, say, sockets } = startBrowser();
    const tabs = [];
    for (let i = 0; i < 3; i++) tabs.push(await open());
    await say('notification:new', { ...item('first', 1), cursor: 'e.7' });
    tabs[0].crash();
    // The socket of a crashed tab is gone at once; only the server notices it later.
    sockets[0].readyState = 3;
    await pass(0);
    const rest = tabs.slice(1);
    assert.equal(leaders(rest).length, 1);
    assert.equal(sockets.length, 2);
    assert.ok(sockets[1].url.includes('since=e.7'), sockets[1].url);
    await say('notification:new', item('second', 2));
    for (const { titles } of rest) assert.deepEqual(titles(), ['first', 'second']);
  });

  test('a tab shares no connection with those that differ', async () => {
    const { open, openSockets } = startBrowser();
    const tabs = [
      await open(),
      await open({ token: tokenOf('bob') }),
      await open({ shared: false }),
      // Without locks or channels each tab is alone.
      await open({ locks: null }),
      await open({ BroadcastChannel: null }),
      // A client of another server connects by itself.
      await open({ url: 'http://other.example' }),
    ];
    assert.deepEqual(leaders(tabs), tabs);
    assert.equal(openSockets().length, tabs.length);
  });
});

describe('changes', () => {
  test('a change in one tab shows in all before the server answers', async () => {
    const list = { notifications: [item('c', 3), item('b', 2), item('a', 1)], total: 3, unread: 3 };
    let release;
    const held = new Promise((resolve) => (release = resolve));
    const read = (path) => ({ data: path.includes('?limit=') ? list : { total: 3, unread: 3 } });
    const answer = (path, method) =>
      method === 'GET' ? read(path) : path.endsWith('/read') ? held : { data: {} };
    const { open, requests, settle } = startBrowser({ answer });
    const tabs = [await open(), await open(), await open()];
    for (const { store } of tabs) assert.equal(store.value.unreadCount, 3);
    tabs[1].store.markAsRead('c');
    await settle();
    for (const { store } of tabs) {
      assert.equal(store.value.unreadCount, 2);
      assert.ok(store.value.notifications[0].is_read);
    }
    // A tab that opens while the change is pending shows it, too.
    tabs.push(await open());
    assert.equal(tabs[3].store.value.unreadCount, 2);
    assert.ok(requests.some(({ path }) => path.endsWith('/c/read')));
    release({ status: 503, error: { code: 'no', message: 'no' } });
    await settle();
    for (const { store } of tabs) {
      assert.equal(store.value.unreadCount, 3);
      assert.ok(!store.value.notifications[0].is_read);
    }
    assert.deepEqual(tabs[1].errorCodes(), ['no']);
    assert.deepEqual(tabs[0].errorCodes(), []);
    // A notification that a page adds appears in all tabs, too.
    tabs[3].store.add({ title: 'own' });
    await settle();
    for (const { listed, store } of tabs) {
      assert.equal(store.value.unreadCount, 4);
      assert.equal(listed()[0], 'own');
    }
    tabs[0].store.clear();
    await settle();
    for (const { listed, store } of tabs) {
      assert.deepEqual([store.value.unreadCount, listed()], [0, []]);
    }
    assert.ok(requests.some(({ path, method }) => method === 'DELETE' && !path.includes('?')));
  });
});

describe('the channel', () => {
  test('messages of other programs and versions do no harm', async () => {
    const { browser, open, say, settle } = startBrowser();
    const [first, second] = [await open(), await open()];
    const { client } = first;
    const { BroadcastChannel } = browser.tab();
    // Messages of the next version, and malformed ones on this version's channel.
    const next = new BroadcastChannel(`carillon/3 ${client.url} ${client.user}`);
    next.postMessage({ kind: 'state', state: 'error', from: 'x' });
    const same = new BroadcastChannel(`carillon/2 ${client.url} ${client.user}`);
    const junk = [null, 1, 'text', [], {}, { kind: 'state', state: 'error' }];
    for (const each of [...junk, { kind: 'nothing', from: 'x' }]) same.postMessage(each);
    await settle();
    await say('notification:new', item('after', 1));
    for (const { states, titles } of [first, second]) {
      assert.deepEqual(titles(), ['after']);
      assert.deepEqual(states(), ['connecting', 'connected']);
    }
  });
});

describe('tokens', () => {
  const exp = EPOCH / 1_000 + 3_600;

  test('a fresh token of one tab is sent on the connection of all', async () => {
    const { open, say, settle, sockets } = startBrowser();
    const old = tokenOf('ann', { exp });
    const [leader, follower] = [await open({ token: old }), await open({ token: old })];
    const fresh = tokenOf('ann', { exp: exp + 3_600 });
    follower.client.setToken(fresh);
    await settle();
    assert.ok(leader.detailsOf('frame').some(({ text }) => text.includes('auth')));
    assert.ok(sockets[0].sent.includes(JSON.stringify({ type: 'auth', token: fresh })));
    await say('notification:new', item('after that', 1));
    for (const { states, titles } of [leader, follower]) {
      assert.deepEqual(titles(), ['after that']);
      assert.deepEqual(states(), ['connecting', 'connected']);
    }
    assert.equal(sockets.length, 1);
  });

  test('when the token of the leader expires another tab leads', async () => {
    const { open, openSockets, pass, say, sockets } = startBrowser();
    const first = await open({ token: tokenOf('ann', { exp }) });
    const second = await open();
    assert.deepEqual(leaders([first, second]), [first]);
    sockets[0].end(4002, 'token expired');
    await pass(0);
    assert.ok(second.client.isLeader);
    assert.equal(second.client.state, 'connected');
    await say('notification:new', item('for both', 1));
    for (const { client, titles } of [first, second]) {
      assert.deepEqual([titles(), client.state], [['for both'], 'connected']);
    }
    const states = ['connecting', 'connected', 'error', 'connecting', 'connected'];
    assert.deepEqual(first.states(), states);
    assert.equal(openSockets().length, 1);
  });
});
