// When the client reconnects, on a fake clock and a fake network that the test controls.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { accept, away, emptyPoll, refuse, start, streamBody } from './fakes.js';
import { hide } from './page.js';

const isPoll = ({ path }) => path.includes('wait=');

describe('pauses between attempts', () => {
  for (
    const [name, chance, factor] of [
      ['least', 0, 0.5],
      ['middle', 0.5, 0.75],
      ['most', 0.999_999, 1],
    ]
  ) {
    test(`they double up to a minute and half of each is random: ${name}`, async () => {
      const { gaps, pass } = await start({ random: () => chance }, away);
      await pass(500_000);
      const expected = [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000];
      const measured = gaps().slice(0, expected.length);
      assert.equal(measured.length, expected.length);
      measured.forEach((gap, index) => {
        const wanted = expected[index] * factor;
        assert.ok(Math.abs(gap - wanted) <= wanted * 1e-4, `${gap} is not ${wanted}`);
      });
    });
  }

  test('after the allowed number of attempts the state is error', async () => {
    const { client, net, pass, settle, sockets, timers } = await start(
      { maxReconnectAttempts: 3 },
      away,
    );
    await pass(10_000_000);
    assert.deepEqual([sockets.length, client.state, timers.size], [4, 'error', 0]);
    net.socket = accept;
    client.connect();
    await settle();
    assert.equal(client.state, 'connected');
  });

  test('a connection counts as a success only when it lasts', async () => {
    // Otherwise a server that accepts and closes at once would get an attempt every five seconds
    // from each client.
    let count = 0;
    const socket = (each, clock) => {
      each.say('connection:established');
      const time = ++count < 4 ? 1_000 : 6_000;
      clock.setTimeout(() => each.end(1006), time);
    };
    const { gaps, pass } = await start({}, { socket });
    await pass(60_000);
    const expected = [1_000 + 3_750, 1_000 + 7_500, 1_000 + 15_000, 6_000 + 3_750];
    assert.deepEqual(gaps().slice(0, 4), expected);
  });

  for (
    const [code, first, second] of [
      // Only the first pause depends on the code.
      [1006, 3_750, 7_500],
      [1011, 3_750, 7_500],
      [1013, 0, 7_500],
      [1012, 550, 7_500],
      [1001, 550, 7_500],
    ]
  ) {
    test(`close code ${code} decides the first pause`, async () => {
      const { options, net, pass, sockets } = await start();
      await pass(100_000);
      // The second connection ends as soon as it is open.
      net.socket = (socket) => {
        socket.say('connection:established', { cursor: 'e.1' });
        if (sockets.length === 2) socket.end(code);
      };
      const end = options.clock.now();
      sockets[0].end(code);
      await pass(40_000);
      const pauses = [sockets[1].at - end, sockets[2].at - sockets[1].at];
      assert.deepEqual(pauses, [first, second]);
      assert.ok(sockets.at(-1).url.includes('since=e.1'));
    });
  }
});

describe('when to try at all', () => {
  for (const code of [4001, 4002, 4003, 1008]) {
    test(`a token refused with ${code} is fetched again at once and then with pauses`, async () => {
      let count = 0;
      const token = async () => `token.${count++}.x`;
      const { client, net, pass, sockets } = await start({ token }, {
        socket: (socket) => socket.end(code),
      });
      assert.deepEqual([sockets.length, client.state], [2, 'error']);
      await pass(3_740);
      assert.equal(sockets.length, 2);
      await pass(20);
      net.socket = accept;
      await pass(7_500);
      const tokens = new Set(sockets.map((socket) => socket.token));
      assert.deepEqual([sockets.length, client.state, count, tokens.size], [4, 'connected', 4, 4]);
    });
  }

  test('a poll that is refused with Retry-After waits that long', async () => {
    const busy = { status: 429, error: { code: 'busy', message: 'm' }, retryAfter: 30 };
    const { errorCodes, pass, requests } = await start({ transports: ['poll'] }, {
      answer: () => busy,
    });
    const atOnce = requests.length;
    await pass(29_000);
    const before = requests.length;
    await pass(2_000);
    assert.deepEqual([before, requests.length > before, errorCodes()[0]], [2, true, 'busy']);
    assert.equal(atOnce, before);
  });

  test('nothing is tried while the page is hidden and offline', async () => {
    const page = { isHidden: true, isOnline: false };
    const { client, net, pass, settle, sockets } = await start({}, away, page);
    await pass(1_000_000);
    assert.equal(sockets.length, 1);
    net.socket = accept;
    net.answer = () => ({ data: {} });
    navigator.onLine = true;
    dispatchEvent(new Event('online'));
    await settle();
    assert.deepEqual([client.state, sockets.length], ['connected', 2]);
  });

  test('a page that becomes visible connects at once', async () => {
    const { client, net, pass, settle, sockets } = await start({ reconnectInterval: 120_000 });
    assert.equal(client.state, 'connected');
    Object.assign(net, away);
    sockets[0].end(1006);
    await pass(1_000);
    assert.notEqual(client.state, 'connected');
    const tried = sockets.length;
    net.socket = accept;
    net.answer = () => ({ data: {} });
    hide(false);
    await settle();
    assert.deepEqual([client.state, sockets.length], ['connected', tried + 1]);
  });
});

describe('a connection that does not answer', () => {
  test('it is closed after one and a half heartbeats of silence', async () => {
    const { client, detailsOf, pass, sockets } = await start({}, { isMute: true });
    for (let beat = 0; beat < 4; beat++) {
      await pass(25_000);
      sockets[0].say('heartbeat');
    }
    assert.deepEqual([client.state, sockets[0].sent], ['connected', []]);
    await pass(37_400);
    assert.deepEqual([client.state, sockets.length], ['connected', 1]);
    await pass(200);
    assert.deepEqual([client.state, sockets.length], ['disconnected', 1]);
    await pass(5_000);
    assert.deepEqual([client.state, sockets.length], ['connected', 2]);
    // A heartbeat is for the client, not for the page.
    const names = detailsOf('event').map(({ event }) => event);
    assert.ok(names.length > 0 && !names.includes('heartbeat'), `${names}`);
  });

  test('it stays open when the server answers although its heartbeats are missing', async () => {
    const { client, pass, sockets } = await start();
    await pass(300_000);
    assert.deepEqual([client.state, sockets.length], ['connected', 1]);
    assert.deepEqual([...new Set(sockets[0].sent)], ['{"type":"ping"}']);
  });

  test('an event stream is closed after one and a half heartbeats of silence', async () => {
    const bodies = [];
    const streams = (path) => path.includes('/events') && bodies.push(streamBody());
    const answer = (path) => streams(path) ? { body: bodies.at(-1) } : emptyPoll();
    const { client, detailsOf, pass } = await start({ transports: ['sse'] }, { answer });
    const say = (text) => bodies.at(-1).push(`${text}\n\n`);
    say('data: {"type":"unread_count","data":{"count":0}}');
    for (const text of ['data: {"type":"heartbeat","data":{}}', ': comment']) {
      await pass(30_000);
      say(text);
    }
    await pass(37_400);
    assert.deepEqual([client.state, bodies.length], ['connected', 1]);
    await pass(200);
    assert.equal(client.state, 'disconnected');
    await pass(5_000);
    assert.equal(bodies.length, 2);
    const names = detailsOf('event').map(({ event }) => event);
    assert.ok(!names.includes('heartbeat'), `${names}`);
  });

  test('a poll without an answer ends', async () => {
    let isMute = false;
    const answer = () => isMute ? new Promise(() => {}) : emptyPoll();
    const { client, net, pass } = await start({ transports: ['poll'] }, { answer });
    await pass(1_000);
    isMute = true;
    await pass(45_000);
    assert.notEqual(client.state, 'connected');
    Object.assign(net, { answer: emptyPoll });
    await pass(30_000);
    assert.equal(client.state, 'connected');
  });

  test('a request without an answer fails', async () => {
    const answer = (path) => path.includes('?limit=') ? new Promise(() => {}) : { data: {} };
    const { client, errorCodes, net, pass, store } = await start({}, { answer });
    await pass(19_000);
    assert.deepEqual(errorCodes(), []);
    net.answer = () => ({ data: { notifications: [{ id: 'a' }], total: 1, unread: 1 } });
    await pass(7_000);
    assert.deepEqual([client.state, errorCodes()], ['connected', ['network']]);
    assert.equal(store.value.unreadCount, 1);
  });

  test('a page that becomes visible checks it sooner', async () => {
    // After the computer slept, the regular pings would take half a minute to detect a lost
    // connection.
    const { client, pass, sockets } = await start({}, { isMute: true });
    await pass(10_000);
    hide(false);
    assert.equal(sockets[0].sent.length, 1);
    await pass(4_100);
    assert.equal(client.state, 'disconnected');
    await pass(4_000);
    assert.deepEqual([client.state, sockets.length], ['connected', 2]);
  });

  test('a socket that never opens is closed and the next transport is used', async () => {
    const { client, pass, sockets } = await start(
      { transports: ['websocket', 'poll'] },
      { socket: () => {}, answer: emptyPoll },
    );
    await pass(9_000);
    assert.deepEqual([client.state, sockets.length], ['connecting', 1]);
    await pass(12_000);
    assert.deepEqual([client.state, sockets.length], ['connected', 2]);
  });

  test('polls that are answered too soon are at least a second apart', async () => {
    const { pass, requests } = await start({ transports: ['poll'] }, { answer: emptyPoll });
    await pass(10_000);
    const count = requests.filter(({ path }) => path.includes('wait=25')).length;
    assert.ok(count > 0 && count <= 11, `${count} polls in ten seconds`);
  });

  test('a server that has just come back is not taken for a block', async () => {
    // The first attempt fails, then the server is up: the client tries the same transport again.
    let count = 0;
    const socket = (each) => (count++ ? accept(each) : refuse(each));
    const { client, requests, sockets } = await start({ transports: ['websocket', 'poll'] }, {
      socket,
    });
    const polls = requests.filter(isPoll);
    assert.deepEqual([client.state, sockets.length, polls.length], ['connected', 2, 0]);
  });
});
