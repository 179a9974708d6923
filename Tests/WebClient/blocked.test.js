// A leader that is blocked, by a dialog or a long script: another tab takes over within seconds.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startBrowser } from './browser.js';
import { hide } from './page.js';

/** The longest silence that a follower accepts, with its random part. */
const NOTICED_WITHIN = 5_500;
const item = (number) => ({
  id: `n${number}`,
  title: `n${number}`,
  is_read: false,
  created_at: `2026-01-01T00:00:${String(number).padStart(2, '0')}.000Z`,
});
const upTo = (count) => Array.from({ length: count }, (_, index) => `n${index + 1}`);

/**
 * A server that stores notifications: it replays those after a client's cursor, and `publish` sends
 * one on every open connection.
 */
const startServer = () => {
  const stored = [];
  const told = (fields, index) => ({ ...fields, cursor: `e.${index + 1}` });
  const socket = (each) => {
    const since = new URL(each.url).searchParams.get('since');
    each.say('connection:established', { cursor: `e.${stored.length}` });
    if (!since) return;
    stored.map(told).slice(+since.slice(2)).forEach((data) => each.say('notification:new', data));
  };
  const answer = (path) => ({
    data: path.includes('?limit=')
      ? { notifications: stored.toReversed(), total: stored.length, unread: stored.length }
      : { total: stored.length, unread: stored.length },
  });
  const world = startBrowser({ socket, answer });
  const publish = async () => {
    stored.push(item(stored.length + 1));
    await world.say('notification:new', told(stored.at(-1), stored.length - 1));
  };
  return { ...world, publish };
};

/** Three tabs with one notification; the first one leads. */
const startTabs = async () => {
  const world = startServer();
  const tabs = [await world.open(), await world.open(), await world.open()];
  await world.publish();
  return { ...world, tabs };
};

const leaders = (tabs) => tabs.filter(({ client }) => client.isLeader);

describe('a blocked leader', () => {
  test('is replaced within seconds, and nothing is missing or doubled', async () => {
    const { openSockets, pass, publish, sockets, tabs } = await startTabs();
    tabs[0].block();
    await publish();
    const others = tabs.slice(1);
    for (const { titles } of others) assert.deepEqual(titles(), upTo(1));
    await pass(NOTICED_WITHIN);
    assert.equal(leaders(others).length, 1);
    assert.equal(sockets.length, 2);
    await publish();
    for (const { client, listed, store, titles } of others) {
      assert.deepEqual([titles(), listed()], [upTo(3), upTo(3).toReversed()]);
      assert.deepEqual([client.state, store.value.unreadCount], ['connected', 3]);
    }
    await tabs[0].unblock();
    await pass(0);
    assert.equal(leaders(tabs).length, 1);
    assert.equal(openSockets().length, 1);
    await publish();
    for (const { client, listed, titles } of tabs) {
      assert.deepEqual([titles(), listed()], [upTo(4), upTo(4).toReversed()]);
      assert.equal(client.state, 'connected');
    }
  });

  for (
    const order of [
      ['socket', 'channel', 'lock', 'timer'],
      ['channel', 'socket', 'lock', 'timer'],
      ['lock', 'socket', 'channel', 'timer'],
      ['timer', 'lock', 'channel', 'socket'],
    ]
  ) {
    test(`gets each notification once, when it runs again with: ${order}`, async () => {
      const { openSockets, pass, publish, tabs } = await startTabs();
      tabs[0].block();
      for (let count = 0; count < 4; count++) {
        await publish();
        await pass(3_000);
      }
      await tabs[0].unblock(order);
      await pass(10_000);
      await publish();
      for (const { listed, titles } of tabs) {
        assert.deepEqual([titles(), listed()], [upTo(6), upTo(6).toReversed()]);
      }
      assert.deepEqual([leaders(tabs).length, openSockets().length], [1, 1]);
    });
  }

  for (
    const [order, isKnown] of [
      [['socket', 'channel', 'lock'], false],
      [['channel', 'socket', 'lock'], true],
      [['lock', 'socket', 'channel'], true],
    ]
  ) {
    test(`passes on nothing that its successor passes on as well: ${order}`, async () => {
      const { pass, publish, say, tabs } = await startTabs();
      tabs[0].block();
      await pass(NOTICED_WITHIN);
      // Not stored: only the order of messages tells the two copies apart.
      await say('live:update', { count: 1 });
      await tabs[0].unblock(order);
      await pass(0);
      await say('live:update', { count: 2 });
      await publish();
      // The former leader itself gets one copy, too, if it knows of its successor in time.
      for (const { detailsOf } of isKnown ? tabs : tabs.slice(1)) {
        const counts = detailsOf('message').map(({ data }) => data.count);
        assert.deepEqual(counts, [1, 2]);
      }
    });
  }

  test('is replaced by a tab that opens meanwhile, and the others miss nothing', async () => {
    const { open, pass, publish, tabs } = await startTabs();
    const [, second, third] = tabs;
    tabs[0].block();
    await publish();
    const fresh = await open({ isSoon: false });
    assert.equal(fresh.client.state, 'connecting');
    // Those two do not notice it.
    second.block();
    third.block();
    await pass(NOTICED_WITHIN);
    assert.ok(fresh.client.isLeader);
    await second.unblock();
    await third.unblock();
    await pass(0);
    await publish();
    assert.deepEqual(leaders([second, third, fresh]), [fresh]);
    assert.deepEqual(fresh.listed(), upTo(3).toReversed());
    for (const { titles } of [second, third]) assert.deepEqual(titles(), upTo(3));
  });

  test('is replaced, and a tab that opened meanwhile shows the state without a list', async () => {
    const { net, open, pass, tabs } = await startTabs();
    tabs[0].block();
    const fresh = await open({ isSoon: false });
    net.answer = () => ({ status: 503 });
    await pass(NOTICED_WITHIN);
    assert.equal(leaders(tabs.slice(1)).length, 1);
    assert.deepEqual([fresh.client.state, fresh.listed()], ['connected', upTo(1)]);
  });

  test('is replaced again when the next leader is blocked as well', async () => {
    const { openSockets, pass, publish, tabs } = await startTabs();
    tabs[0].block();
    await pass(NOTICED_WITHIN);
    const [second] = leaders(tabs.slice(1));
    second.block();
    await pass(NOTICED_WITHIN);
    await publish();
    const [third] = tabs.slice(1).filter((tab) => tab !== second);
    assert.deepEqual([third.client.isLeader, third.titles()], [true, upTo(2)]);
    await second.unblock();
    await tabs[0].unblock();
    await pass(0);
    await publish();
    for (const { titles } of tabs) assert.deepEqual(titles(), upTo(3));
    assert.deepEqual([leaders(tabs), openSockets().length], [[third], 1]);
  });
});

describe('a leader that answers', () => {
  test('is kept, however long nothing happens', async () => {
    const { pass, sockets, tabs } = await startTabs();
    await pass(600_000);
    assert.deepEqual(leaders(tabs), [tabs[0]]);
    assert.equal(sockets.length, 1);
    for (const { states } of tabs) assert.deepEqual(states(), ['connecting', 'connected']);
  });

  test('is kept by a follower that was blocked itself', async () => {
    const { pass, sockets, tabs } = await startTabs();
    // The tab asks, and the answer waits in its queue.
    document.dispatchEvent(new Event('visibilitychange'));
    tabs[1].block();
    await pass(20_000);
    await tabs[1].unblock(['timer', 'channel']);
    await pass(20_000);
    assert.deepEqual([leaders(tabs), sockets.length], [[tabs[0]], 1]);
  });

  test('is kept when a follower leaves before the answer comes', async () => {
    const { pass, sockets, tabs } = await startTabs();
    document.dispatchEvent(new Event('visibilitychange'));
    tabs[1].client.pause();
    await pass(20_000);
    assert.deepEqual([leaders(tabs), sockets.length], [[tabs[0]], 1]);
  });
});

test('hidden tabs ask seldom, and ask at once when they are shown', async () => {
  const { open, pass } = startServer();
  const first = await open();
  // The document of the other tabs: the blocked one gets no event.
  globalThis.document = Object.assign(new EventTarget(), { hidden: false });
  const others = [await open(), await open()];
  hide(true);
  await pass(10_000);
  first.block();
  await pass(20_000);
  assert.deepEqual(leaders(others), []);
  hide(false);
  await pass(3_500);
  assert.equal(leaders(others).length, 1);
});

test('a leader that stops because of its token does not leave the others without one', async () => {
  const { open, pass, sockets } = startServer();
  const tabs = [await open(), await open()];
  sockets[0].end(4002, 'token expired');
  await pass(0);
  assert.deepEqual(leaders(tabs), [tabs[1]]);
  await pass(600_000);
  assert.deepEqual([leaders(tabs), sockets.length], [[tabs[1]], 2]);
});
