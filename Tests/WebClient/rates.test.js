// The console's rates per second, with gaps where the server's totals restarted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rates } from '../../Sources/WebClient/pages/rates.js';

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
