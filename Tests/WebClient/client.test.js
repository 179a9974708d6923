// How the client handles events and responses from the server.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { away, EPOCH, refuse, start, streamBody, tokenOf } from './fakes.js';
import { serverOf } from '../../Sources/WebClient/client/transports.js';
import { ORIGIN } from './page.js';

const isLoad = ({ path }) => path.includes('?limit=');

describe('messages', () => {
  test('a notification that arrives twice is dispatched once', async () => {
    const { client, pass, sockets, titles } = await start();
    const say = (title) =>
      sockets.at(-1).say('notification:new', { id: title, title, cursor: `e.${title}` });
    say('a');
    say('a');
    sockets[0].end(1013);
    await pass(0);
    say('a');
    say('b');
    assert.deepEqual([titles(), client.cursor], [['a', 'b'], 'e.b']);
  });

  test('a resync loads the list again and moves the cursor', async () => {
    const { client, requests, settle, sockets } = await start();
    const loads = () => requests.filter(isLoad).length;
    assert.equal(loads(), 1);
    sockets[0].say('resync', { cursor: 'f.9' });
    await settle();
    assert.equal(loads(), 2);
    // A cursor that is not a string and counts that are not numbers are ignored.
    sockets[0].say('resync', { cursor: { a: 1 } });
    sockets[0].say('stats:updated', { total: 'x', unread: {} });
    await settle();
    assert.deepEqual([client.cursor, client.store.value.unreadCount], ['f.9', 0]);
  });

  test('a notification older than the list is not counted again', async () => {
    // The client missed the notification, and the list loaded since then already counts it.
    const item = (id) => ({ id, title: id, created_at: `2026-01-0${id}T00:00:00.000Z` });
    const list = { notifications: [item('3'), item('2')], total: 3, unread: 3 };
    const answer = (path) => ({ data: path.includes('?limit=') ? list : {} });
    const { client, settle, sockets } = await start({ capacity: 2 }, { answer });
    const shown = [];
    client.store.subscribe(({ unreadCount, notifications }) =>
      shown.push([unreadCount, ...notifications.map(({ id }) => id)].join())
    );
    sockets[0].say('notification:new', item('1'));
    sockets[0].say('stats:updated', { total: 3, unread: 3 });
    await settle();
    assert.deepEqual([...new Set(shown)], ['3,3,2']);
  });

  /** Holds back the server's first counts, of an empty inbox, until `release` is called. */
  const holdCounts = () => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    const counts = { data: { total: 0, unread: 0 } };
    return { counts: held.then(() => counts), release };
  };
  const NEWS = { id: 'a', title: 'a', is_read: false, cursor: 'e.2' };

  test('a notification stays that comes before older counts of an empty inbox', async () => {
    const { counts, release } = holdCounts();
    const empty = { data: { notifications: [], total: 0, unread: 0 } };
    const answer = (path) => path.endsWith('/stats') ? counts : empty;
    const { client, listed, settle, sockets } = await start({}, { answer });
    sockets[0].say('notification:new', NEWS);
    release();
    await settle();
    assert.deepEqual([listed(), client.store.value.unreadCount], [['a'], 1]);
    sockets[0].say('stats:updated', { total: 1, unread: 1 });
    await settle();
    assert.deepEqual([listed(), client.stats], [['a'], { total: 1, unread: 1 }]);
  });

  test('counts that are pulled are ignored if a notification came by a socket since', async () => {
    const { counts, release } = holdCounts();
    const body = streamBody();
    let page = { notifications: [], total: 0, unread: 0, cursor: 'e.1' };
    const answer = (path) => {
      if (path.includes('/events')) return { body };
      return path.endsWith('/stats') ? counts : { data: page };
    };
    const net = { answer, socket: refuse };
    const world = await start({ transports: ['websocket', 'sse'] }, net);
    body.push('id: e.1\ndata: {"type":"unread_count","data":{"count":0}}\n\n');
    await world.settle();
    world.net.socket = (socket) => socket.say('connection:established', { cursor: 'e.1' });
    dispatchEvent(new Event('online'));
    await world.settle();
    page = { notifications: [NEWS], total: 1, unread: 1 };
    await world.say('notification:new', NEWS);
    assert.deepEqual([world.openSockets().length, world.listed()], [1, ['a']]);
    release();
    await world.settle();
    assert.deepEqual([world.listed(), world.store.value.unreadCount], [['a'], 1]);
    assert.deepEqual(world.detailsOf('event').map(({ event }) => event).slice(-1), [
      'notification:new',
    ]);
  });

  const HOSTILE = [
    '',
    'nonsense',
    'null',
    '0',
    '[]',
    '{}',
    '"text"',
    '[[[[[',
    '{"event":5,"data":{}}',
    '{"event":"notification:new"}',
    '{"event":"notification:new","data":null}',
    '{"event":"notification:new","data":[]}',
    '{"event":"notification:new","data":{}}',
    '{"event":"notification:new","data":{"id":{"toString":1},"title":{"toString":"x"}}}',
    '{"event":"notification:new","data":{"id":"x1","title":{"toString":"x"},"actions":5}}',
    '{"event":"notification:new","data":{"id":"x2","title":["<b>"],"created_at":7,"cursor":{}}}',
    '{"event":"notification:read","data":{"id":{"a":1}}}',
    '{"event":"notification:read","data":"x"}',
    '{"event":"notification:deleted","data":{}}',
    '{"event":"notification:other","data":{"id":"x"}}',
    '{"event":"stats:updated","data":{}}',
    '{"event":"stats:updated","data":{"total":"x"}}',
    '{"event":"stats:updated","data":{"total":-1,"unread":-5}}',
    '{"event":"resync","data":{}}',
    '{"event":"resync","data":{"cursor":{}}}',
    '{"event":"typing","data":{"room":{}}}',
    '{"event":"__proto__","data":{"__proto__":{"x":1}}}',
    '{"event":"constructor","data":{}}',
    '{"event":"unheard:of","data":{"a":1}}',
    '{"event":"pong","data":null}',
  ];

  test('hostile messages throw nothing and do not stop the client', async () => {
    const { client, detailsOf, listed, page, settle, sockets, store, titles } = await start();
    for (const text of HOSTILE) sockets[0].sayRaw(text);
    sockets[0].sayRaw(new Blob([Uint8Array.of(0, 255)]));
    await settle();
    sockets[0].say('notification:new', { id: 'n', title: 'and then this', cursor: 'e.2' });
    await settle();
    assert.ok(titles().includes('and then this'));
    assert.equal(client.state, 'connected');
    assert.ok(detailsOf('message').some(({ event }) => event === 'unheard:of'));
    assert.deepEqual(detailsOf('error'), []);
    assert.deepEqual(page.errors, []);
    assert.ok(listed().includes('and then this'));
    assert.equal(typeof store.value.unreadCount, 'number');
    assert.equal({}.x, undefined);
  });
});

describe('addresses and loads', () => {
  test('https becomes wss and the path of the server stays', async () => {
    const other = 'https://a.example';
    const found = [];
    for (const url of [other, 'http://a.example/', '/', `${other}/notify/`]) {
      const { requests, sockets } = await start({ url, rooms: ['x', 'a b'] });
      found.push([sockets[0].url, requests[0].path]);
    }
    const path = '/api/v1/ws/notifications?since=&rooms=a+b%2Cx';
    assert.deepEqual(found.map(([url]) => url), [
      `wss://a.example${path}`,
      `ws://a.example${path}`,
      `${ORIGIN.replace('http', 'ws')}${path}`,
      `wss://a.example/notify${path}`,
    ]);
    assert.ok(found[3][1].startsWith('/notify/api/v1/notifications'));
  });

  for (
    const [module, server] of [
      ['https://a.example/client/0123456789abcdef/client.js', 'https://a.example'],
      ['https://a.example/x/client/0123456789abcdef/client.js', 'https://a.example/x'],
      ['http://a.example:8080/client/client.js?v=2', 'http://a.example:8080'],
      // A page that bundles the module, and a server that renders pages.
      ['https://cdn.example/assets/index-1a2b.js', '/'],
      ['file:///srv/node_modules/client/client.js', '/'],
    ]
  ) {
    test(`the server of ${module} is ${server}`, () => assert.equal(serverOf(module), server));
  }

  test('a list that cannot be loaded is loaded later', async () => {
    const busy = { status: 503, error: { code: 'busy', message: 'm' }, retryAfter: 7 };
    const { client, errorCodes, net, pass, requests } = await start({}, { answer: () => busy });
    assert.deepEqual([client.state, errorCodes().length > 0], ['connected', true]);
    await pass(6_000);
    const before = requests.length;
    const page = { notifications: [{ id: 'a', title: 'A' }], total: 1, unread: 1 };
    net.answer = () => ({ data: page });
    await pass(2_000);
    assert.ok(requests.length > before);
    assert.equal(client.store.value.unreadCount, 1);
  });

  test('connect() loads a list that could not be loaded at once, and no other', async () => {
    const busy = { status: 503, error: { code: 'busy', message: 'm' }, retryAfter: 60 };
    const { client, net, requests, settle } = await start({}, { answer: () => busy });
    const loads = () => requests.filter(isLoad).length;
    assert.equal(loads(), 1);
    net.answer = () => ({ data: { notifications: [], total: 0, unread: 0 } });
    client.connect();
    await settle();
    assert.deepEqual([loads(), client.store.value.loaded], [2, true]);
    client.connect();
    await settle();
    assert.equal(loads(), 2);
  });
});

describe('the token', () => {
  test('is in no address: it is a subprotocol or a header', async () => {
    const world = await start({ token: ' a.b.c\n' });
    const [{ scheme, token, url }] = world.sockets;
    assert.deepEqual([scheme, token], ['bearer', 'a.b.c']);
    assert.ok(!url.includes('a.b.c'), url);
    for (const transport of ['sse', 'poll']) {
      const { requests } = await start({ token: 'a.b.c', transports: [transport] });
      assert.ok(requests.length > 0);
      for (const each of requests) {
        assert.deepEqual([each.token, each.path.includes('a.b.c')], ['a.b.c', false]);
      }
    }
  });
});

describe('a client that cannot connect', () => {
  const down = (answer) => ({ ...away, answer: () => answer });
  const refused = { status: 401, error: { code: 'expired', message: 'the token has expired' } };
  const foreign = { status: 403, error: { code: 'origin', message: 'not a listed origin' } };
  for (
    const [name, answer, options, outcome, remedy] of [
      ['no such path', { status: 404 }, {}, '404', 'configure({ url })'],
      ['another page', { status: 200, data: undefined, text: 1 }, {}, '200', 'configure({ url })'],
      ['no answer', { status: 0 }, {}, 'no answer', `WEBSOCKET_CORS_ORIGINS for ${ORIGIN}`],
      ['a refused origin', foreign, {}, '403', `WEBSOCKET_CORS_ORIGINS for ${ORIGIN}`],
      ['a refused token', refused, {}, '401', 'carillon token --check'],
      ['no token', {}, { token: undefined }, 'no answer: cannot get a token', 'Check the token'],
    ]
  ) {
    test(`says so once in the console: ${name}`, async () => {
      const { page, pass } = await start({ url: 'http://other.example', ...options }, down(answer));
      await pass(300_000);
      const [warning] = page.warnings;
      assert.equal(page.warnings.length, 1, page.warnings.join('\n'));
      assert.ok(warning.startsWith('Carillon: http://other.example'), warning);
      assert.ok(warning.includes(`: ${outcome}`) && warning.includes(remedy), warning);
    });
  }

  test('says so after it was connected only if the token is refused', async () => {
    const { net, page, pass, sockets } = await start();
    Object.assign(net, away);
    sockets[0].end(1006);
    await pass(60_000);
    assert.deepEqual(page.warnings, []);
    net.answer = () => refused;
    await pass(60_000);
    assert.equal(page.warnings.length, 1);
    assert.ok(page.warnings[0].includes('the token has expired'), page.warnings[0]);
  });
});

describe('tokens', () => {
  test('a token function that is set later is called at once', async () => {
    const exp = 60 + 1_000;
    const { client, detailsOf, settle, states } = await start({ token: tokenOf('ann', { exp }) });
    let calls = 0;
    const source = () => (calls++, tokenOf('ann', { exp: exp + 60 }));
    client.setToken(source);
    await settle();
    assert.ok(detailsOf('frame').some(({ text }) => text.includes('auth')));
    // Setting the same function again has no effect.
    client.setToken(source);
    await client.list();
    assert.equal(calls, 1);
    assert.deepEqual(states(), ['connecting', 'connected']);
  });

  for (
    const [life, time] of [[4, 3_600], [600, 540_000], [6_000, 5_940_000]]
  ) {
    test(`a fetched token of ${life} s is renewed after ${time} ms, before its end`, async () => {
      const exp = EPOCH / 1_000 + life;
      const tokens = [tokenOf('ann', { exp }), tokenOf('ann', { exp: exp + life })];
      let calls = 0;
      const { pass, sockets, states } = await start({ token: async () => tokens[calls++] });
      sockets[0].sent.length = 0;
      // The network is idle in between, but for heartbeats, so the connection stays.
      for (let left = time - 1; left > 0; left -= 20_000) {
        await pass(Math.min(left, 20_000));
        sockets[0].say('heartbeat');
      }
      assert.deepEqual([calls, sockets[0].sent], [1, []]);
      await pass(1);
      assert.equal(calls, 2);
      assert.deepEqual(sockets[0].sent.map(JSON.parse), [{ type: 'auth', token: tokens[1] }]);
      assert.deepEqual(states(), ['connecting', 'connected']);
    });
  }

  test('without a token it does not go on trying', async () => {
    const { client, detailsOf, pass, settle, sockets, states } = await start({ token: undefined });
    assert.equal(client.state, 'error');
    await pass(600_000);
    assert.deepEqual(states(), ['connecting', 'error']);
    assert.deepEqual([detailsOf('error').length, sockets.length], [1, 0]);
    client.disconnect();
    // While the client is disconnected on request, a token is only stored.
    client.setToken(tokenOf('someone'));
    await settle();
    assert.equal(client.state, 'disconnected');
    client.connect();
    await settle();
    assert.equal(client.state, 'connected');
  });

  test('a token that cannot be fetched is requested again later', async () => {
    const answers = ['!', '!', tokenOf('ann')];
    let calls = 0;
    const token = async () => {
      const next = answers[calls++];
      if (next === '!') throw new Error('no');
      return next;
    };
    const { client, errorCodes, pass, states } = await start({ token });
    await pass(60_000);
    assert.equal(client.state, 'connected');
    assert.equal(calls, 3);
    assert.deepEqual(states(), ['connecting', 'error', 'connecting', 'connected']);
    assert.deepEqual(errorCodes(), ['token', 'token']);
  });
});
