// The reader of server-sent events: HTML Standard, section 9.2.6.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { start, streamBody } from './fakes.js';
import { eventReader } from '../../Sources/WebClient/client/transports.js';

/** Reads a stream in chunks, and returns its events as `data` and `id`. */
const eventsOf = (chunks) => {
  const found = [];
  const read = eventReader(({ data, id }) => found.push([data, id]));
  for (const chunk of chunks) read(chunk);
  return found;
};

const STREAMS = [
  ['an event with a time to wait', 'retry: 5000\nid: e.1\ndata: {"a":1}\n\n', [['{"a":1}', 'e.1']]],
  ['a time to wait alone', 'retry: 5000\n\ndata: a\n\n', [['a', '']]],
  ['a time to wait last', 'data: a\nretry: 5000\n\n', [['a', '']]],
  ['comments', ': hello\n\n:\n\ndata: a\n: between\ndata: b\n\n', [['a\nb', '']]],
  ['an id that stays', 'id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n', [
    ['a', '1'],
    ['b', '1'],
    ['c', ''],
  ]],
  ['an id without an event', 'id: 1\n\ndata: a\n\n', [['a', '1']]],
  ['an id with a null', 'id: 1\0\ndata: a\n\n', [['a', '']]],
  ['values with and without a space', 'data:a\ndata: b\ndata:  c\ndata\n\n', [['a\nb\n c\n', '']]],
  ['empty data', 'data\n\ndata:\n\n', [['', ''], ['', '']]],
  ['colons in a value', 'data: {"url":"https://a"}\n\n', [['{"url":"https://a"}', '']]],
  ['other fields', 'datax: a\nData: b\nfoo\n\ndata: c\n\n', [['c', '']]],
  ['named events', 'event: ping\ndata: a\n\nevent: message\ndata: b\n\ndata: c\n\n', [
    ['b', ''],
    ['c', ''],
  ]],
  ['an event that does not end', 'data: a\n\ndata: b\n', [['a', '']]],
  ['a byte order mark', '\uFEFFdata: a\n\n', [['a', '']]],
  ['characters of several bytes', 'data: čaj 🫖\nid: ü\n\n', [['čaj 🫖', 'ü']]],
];

for (const [name, text, expected] of STREAMS) {
  describe(name, () => {
    for (const [ending, end] of [['LF', '\n'], ['CR', '\r'], ['CRLF', '\r\n']]) {
      const bytes = new TextEncoder().encode(text.replaceAll('\n', end));

      test(`is read alike however it is cut, with lines that end with ${ending}`, () => {
        assert.deepEqual(eventsOf([bytes]), expected);
        assert.deepEqual(eventsOf([...bytes].map((byte) => Uint8Array.of(byte))), expected);
        for (let at = 0; at <= bytes.length; at++) {
          const parts = [bytes.subarray(0, at), new Uint8Array(), bytes.subarray(at)];
          assert.deepEqual(eventsOf(parts), expected, `cut at ${at}`);
        }
      });
    }
  });
}

test('an event is passed on with its last line, whatever follows', () => {
  for (const end of ['\n', '\r', '\r\n']) {
    const bytes = new TextEncoder().encode(`data: a${end}${end}`);
    assert.deepEqual(eventsOf([bytes]), [['a', '']]);
  }
});

describe('the transport', () => {
  const startStream = async (options = {}) => {
    const bodies = [];
    const answer = (path) => {
      if (!path.includes('/events')) return { data: { notifications: [], cursor: 'e.1' } };
      bodies.push(streamBody());
      return { body: bodies.at(-1) };
    };
    const world = await start({ transports: ['sse'], ...options }, { answer });
    return { ...world, bodies };
  };

  test('is open with the first event and delivers each one', async () => {
    const { bodies, client, detailsOf, requests, settle } = await startStream();
    assert.equal(client.state, 'connecting');
    bodies[0].push('retry: 5000\nid: e.7\ndata: {"type":"unread_count","data":{"cou');
    await settle();
    assert.equal(client.state, 'connecting');
    bodies[0].push('nt":0}}\n\ndata: {"type":"live_update","data":{"a":1}}\n\n');
    await settle();
    assert.deepEqual([client.state, client.cursor], ['connected', 'e.1']);
    // The first event says where the client is.
    assert.ok(requests.some(({ path }) => path.includes('/poll?since=e.7&')));
    assert.deepEqual(detailsOf('message'), [{ event: 'live:update', data: { a: 1 } }]);
  });

  test('reconnects from its cursor when the stream ends', async () => {
    const { bodies, client, pass, requests } = await startStream();
    const event = 'id: e.7\ndata: {"type":"unread_count","data":{"count":0}}\n\n';
    bodies[0].push(event);
    await pass(10_000);
    bodies[0].end();
    await pass(5_000);
    bodies[1].push(event);
    await pass(0);
    assert.equal(client.state, 'connected');
    const streams = requests.filter(({ path }) => path.includes('/events'));
    assert.deepEqual(
      streams.map(({ path }) => new URL(path, 'http://a').searchParams.get('since')),
      [
        '',
        'e.1',
      ],
    );
  });

  test('gives way to the next where a proxy holds back its events', async () => {
    const { client, pass, requests } = await startStream({ transports: ['sse', 'poll'] });
    await pass(25_000);
    assert.equal(client.state, 'connected');
    assert.ok(requests.some(({ path }) => path.includes('/poll')));
  });

  test('ends with the client', async () => {
    const { bodies, client, requests, pass } = await startStream();
    bodies[0].push('data: {"type":"unread_count","data":{"count":0}}\n\n');
    await pass(0);
    client.pause();
    await pass(600_000);
    assert.equal(client.state, 'disconnected');
    assert.equal(requests.filter(({ path }) => path.includes('/events')).length, 1);
  });
});
