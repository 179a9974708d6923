// The user is the one that the server names, whatever claims a token has.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startBrowser } from './browser.js';
import { start, tokenOf } from './fakes.js';

/** Tokens of one tenant, as for a server with another user claim than `sub`. */
const tokenIn = (uid, claims = {}) => tokenOf('tenant', { uid, ...claims });
const uidOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).uid;
const me = (token) => ({ data: { user_id: uidOf(token), publisher: false } });
const item = (title) => ({ id: title, title, is_read: false });
const answer = (path, _method, token) => ({
  data: path.includes('?limit=')
    ? { notifications: [item(`for ${uidOf(token)}`)], total: 1, unread: 1 }
    : {},
});

describe('tabs', () => {
  test('of two users share nothing although their tokens name the same subject', async () => {
    const { open, requests, settle, sockets } = startBrowser({ me, answer });
    const [ann, bob] = [
      await open({ token: tokenIn('ann') }),
      await open({ token: tokenIn('bob') }),
    ];
    assert.deepEqual([ann.client.user, bob.client.user], ['ann', 'bob']);
    assert.deepEqual(sockets.map(({ token }) => uidOf(token)), ['ann', 'bob']);
    sockets[0].say('notification:new', item('secret'));
    await settle();
    assert.deepEqual([ann.titles(), bob.titles()], [['secret'], []]);
    assert.deepEqual([ann.listed(), bob.listed()], [['secret', 'for ann'], ['for bob']]);
    await bob.store.markAllAsRead();
    assert.equal(uidOf(requests.at(-1).token), 'bob');
  });

  test('of one user share a connection although their tokens differ', async () => {
    const { open, openSockets } = startBrowser({ me, answer });
    const token = (session) => tokenOf(`device ${session}`, { uid: 'ann', session });
    const tabs = [await open({ token: token(1) }), await open({ token: token(2) })];
    assert.deepEqual(tabs.map(({ client }) => client.isLeader), [true, false]);
    assert.equal(openSockets().length, 1);
  });

  test('share nothing before the user is known', async () => {
    let identify;
    const known = new Promise((
      resolve,
    ) => (identify = () => resolve({ data: { user_id: 'ann' } })));
    const { client, settle, sockets } = await start({}, { me: () => known });
    assert.deepEqual([client.state, client.user, sockets.length], ['connecting', '', 0]);
    identify();
    await settle();
    assert.deepEqual([client.state, client.user, sockets.length], ['connected', 'ann', 1]);
  });
});

describe('the request for the user of a token', () => {
  test('is sent once for each token and server', async () => {
    const { identified, open, pass, sockets } = startBrowser({ me, answer });
    const { client } = await open({ token: tokenIn('ann') });
    for (let count = 0; count < 3; count++) {
      sockets.at(-1).end(1006);
      await pass(60_000);
    }
    assert.deepEqual([client.state, sockets.length], ['connected', 4]);
    await open({ token: tokenIn('ann') });
    assert.equal(identified.length, 1);
    await open({ token: tokenIn('ann'), url: 'http://other.example' });
    await open({ token: tokenIn('bob') });
    assert.deepEqual(identified.map(({ token }) => uidOf(token)), ['ann', 'ann', 'bob']);
  });

  for (
    const [name, refusal, state] of [
      ['a server that cannot be reached', { status: 0 }, 'disconnected'],
      ['another server', { status: 404 }, 'disconnected'],
      ['an answer without a user', { data: {} }, 'disconnected'],
      ['a refused token', { status: 401, error: { code: 'expired', message: 'm' } }, 'error'],
    ]
  ) {
    test(`is sent again after ${name}, and nothing connects before`, async () => {
      const { client, identified, net, page, pass, sockets } = await start(
        { token: async () => tokenIn('ann') },
        { me: () => refusal, answer },
      );
      assert.deepEqual([client.state, sockets.length], [state, 0]);
      assert.ok(page.warnings[0].includes('/api/v1/me'), page.warnings[0]);
      const count = identified.length;
      net.me = me;
      await pass(60_000);
      assert.deepEqual([client.state, client.user], ['connected', 'ann']);
      assert.equal(identified.length, count + 1);
    });
  }
});

describe('a token that may be of another user', () => {
  /** A client of ann. The user of its next token is unknown until `identify` is called. */
  const startNext = async () => {
    let identify;
    const world = await start({ token: tokenIn('ann') }, { me, answer });
    world.sockets[0].say('notification:new', { ...item('live'), cursor: 'e.7' });
    await world.settle();
    world.net.me = () =>
      new Promise((resolve) => (identify = (user_id) => resolve({ data: { user_id } })));
    return { ...world, identify: (user) => identify(user) };
  };

  test('hides everything until the server names its user', async () => {
    const { client, identify, listed, settle, sockets, store } = await startNext();
    client.setToken(tokenIn('bob'));
    assert.deepEqual([listed(), store.value.unreadCount, client.stats], [[], 0, undefined]);
    await settle();
    assert.deepEqual([sockets.length, listed()], [1, []]);
    identify('bob');
    await settle();
    assert.deepEqual([client.user, listed()], ['bob', ['for bob']]);
    assert.ok(sockets[1].url.endsWith('since='), sockets[1].url);
  });

  test('continues where it stopped if the user is the same', async () => {
    const { client, identify, settle, sockets, titles } = await startNext();
    client.setToken(tokenIn('ann', { role: 'new' }));
    await settle();
    identify('ann');
    await settle();
    assert.ok(sockets[1].url.endsWith('since=e.7'), sockets[1].url);
    sockets[1].say('notification:new', item('live'));
    sockets[1].say('notification:new', item('missed'));
    await settle();
    assert.deepEqual(titles(), ['live', 'missed']);
  });

  test('of another user forgets the position for good', async () => {
    const { client, identify, settle, sockets } = await startNext();
    client.disconnect();
    client.setToken(tokenIn('bob'));
    client.connect();
    await settle();
    identify('bob');
    await settle();
    assert.ok(sockets[1].url.endsWith('since='), sockets[1].url);
    assert.equal(client.user, 'bob');
  });
});

describe('a fetched token with other claims', () => {
  test('of the same user keeps the connection', async () => {
    const exp = 1_000 + 3_600;
    let count = 0;
    const token = async () => tokenIn('ann', { exp: exp + 3_600 * count, session: count++ });
    const { detailsOf, pass, sockets, states } = await start({ token }, { me, answer });
    await pass(3_600_000);
    assert.deepEqual([count, sockets.length, states()], [2, 1, ['connecting', 'connected']]);
    assert.ok(sockets[0].sent.some((text) => text.includes('auth')));
    assert.deepEqual(detailsOf('reset'), []);
  });

  test('of another user changes the user without a moment in between', async () => {
    const exp = 1_000 + 3_600;
    let user = 'ann';
    const token = async () => tokenIn(user, { exp: user === 'ann' ? exp : exp + 99_999 });
    const { client, detailsOf, listed, pass, sockets } = await start({ token }, { me, answer });
    user = 'bob';
    await pass(3_600_000);
    assert.deepEqual([client.user, listed()], ['bob', ['for bob']]);
    assert.equal(detailsOf('reset').length, 1);
    assert.ok(!sockets[0].sent.some((text) => text.includes('auth')));
  });
});
