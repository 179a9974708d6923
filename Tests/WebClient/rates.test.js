// The console's rates per second, with gaps where the server's totals restarted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rates, samplesOf } from '../../Sources/WebClient/pages/rates.js';
import { duration, formats } from '../../Sources/WebClient/pages/units.js';

const latency = { count: 0, p50: 0, p99: 0, max: 0 };

const snapshot = (time, ...delivered) => ({
  time,
  shards: delivered.map((total) => ({
    connections: 1,
    delivered: total,
    bytes_sent: 0,
    published: 0,
    slow_consumers: 0,
    received: 0,
    latency,
  })),
});

test('rates have gaps where the totals began again', () => {
  const rates = new Rates();
  /** Returns the deliveries per second of a snapshot: the total, then each shard. */
  const of = (...values) => {
    const { total, shards } = rates.sample(snapshot(...values));
    return [total.delivered, ...shards.map((shard) => shard.delivered)];
  };
  assert.deepEqual(of(1_000, 10, 0), [null, null, null], 'the first snapshot has no rate');
  assert.deepEqual(of(2_000, 15, 1), [6, 5, 1]);
  assert.deepEqual(of(2_500, 20, 1), [10, 10, 0], 'half a second later');
  assert.deepEqual(of(3_500, 3, 0), [null, null, null], 'a total fell: the server restarted');
  assert.deepEqual(of(4_500, 4, 2), [3, 1, 2]);
  assert.deepEqual(of(4_400, 5, 3), [null, null, null], 'the clock went back');
  assert.deepEqual(of(5_400, 6, 3), [1, 1, 0]);
  assert.deepEqual(of(6_400, 6), [null, null], 'another number of shards');
  assert.deepEqual(of(7_400, 9), [3, 3]);
  assert.deepEqual(of(60_000, 90), [null, null], 'the gap is too long');
  rates.restart();
  assert.deepEqual(of(61_000, 91), [null, null], 'another connection');
});

test('percentiles do not add up: the total shows those of the slowest shard', () => {
  const { total, shards } = new Rates().sample({
    time: 1,
    shards: [
      { latency: { count: 2, p50: 100, p99: 300, max: 400 } },
      { latency: { count: 9, p50: 90, p99: 800, max: 900 } },
      { latency },
      {},
    ],
  });
  const figures = [total.p50, total.p99, total.max, shards[2].p99, total.connections];
  assert.deepEqual(figures, [100, 800, 900, null, 0]);
});

test('a history in columns becomes samples without shards', () => {
  const samples = samplesOf({ time: [1_000, 2_000], connections: [3, 4], p99: [null, 250] });
  assert.deepEqual(samples.map(({ time, shards }) => [time, shards]), [[1_000, []], [2_000, []]]);
  assert.deepEqual(samples.map(({ total }) => total.connections), [3, 4]);
  assert.deepEqual(samples.map(({ total }) => total.p99), [null, 250]);
  // A column that a server does not send is a gap.
  assert.equal(samples[0].total.delivered, null);
  assert.deepEqual([samplesOf({}), samplesOf(null), samplesOf({ time: 7 })], [[], [], []]);
});

test('a time is written in its two largest units', () => {
  const texts = [0, 59, 60, 3_725, 90_000, 864_000].map(duration);
  assert.deepEqual(texts, ['0 s', '59 s', '1 min 0 s', '1 h 2 min', '1 d 1 h', '10 d 0 h']);
});

test('a size is written with a unit', () => {
  assert.deepEqual([0, 999, 52_428_800].map(formats.size), ['0 B', '999 B', '52.4 MB']);
});
