// @ts-check
// Converts totals, which only grow, into rates per second.
//
// A lower total, an earlier clock or another number of shards means that the server restarted. The
// events between the two snapshots are unknown, so the rates have a gap and are never negative.

/**
 * @typedef {{count: number, p50: number, p99: number, max: number}} Latency microseconds
 * @typedef {Record<string, number> & {latency: Latency}} ShardTotals
 * @typedef {{time: number, shards: ShardTotals[]}} Snapshot
 *
 * @typedef {Record<string, number | null>} Figures rates per second, and current counts
 * @typedef {{time: number, total: Figures, shards: Figures[], server?: any}} Sample
 */

export const GAUGES = ['connections', 'sessions', 'users', 'rooms', 'blocked'];
export const TOTALS = ['delivered', 'bytes_sent', 'published', 'slow_consumers', 'received'];

/** A longer time between two snapshots is a gap: the feed sends one a second. */
export const GAP_MILLISECONDS = 3_500;

/** The members of a history, beside its times. */
const RECORDED = [...GAUGES, ...TOTALS, 'p50', 'p99', 'max'];

/**
 * Converts the history that the server kept, which is in columns, to samples without shards.
 *
 * @param {any} columns
 * @returns {Sample[]}
 */
export function samplesOf(columns) {
  const times = Array.isArray(columns?.time) ? columns.time : [];
  return times.map((time, index) => ({
    time,
    total: Object.fromEntries(
      RECORDED.map((name) => [name, columns[name]?.[index] ?? null]),
    ),
    shards: [],
  }));
}

/** @param {any} value */
const number = (value) => (Number.isFinite(value) ? Number(value) : 0);

export class Rates {
  /** @type {Snapshot | null} */
  #last = null;

  /** Discards the previous snapshot. Called for a new connection. */
  restart() {
    this.#last = null;
  }

  /**
   * Computes the rates between the previous snapshot and this one.
   *
   * @param {Snapshot} snapshot
   * @returns {Sample}
   */
  sample(snapshot) {
    const last = this.#last;
    this.#last = snapshot;
    const seconds = last ? (snapshot.time - last.time) / 1_000 : 0;
    const goesOn = last !== null &&
      seconds > 0 &&
      seconds * 1_000 <= GAP_MILLISECONDS &&
      last.shards.length === snapshot.shards.length &&
      snapshot.shards.every((shard, index) =>
        TOTALS.every((name) => number(shard[name]) >= number(last.shards[index][name]))
      );
    const shards = snapshot.shards.map((shard, index) => {
      /** @type {Figures} */
      const figures = {};
      for (const name of GAUGES) figures[name] = number(shard[name]);
      for (const name of TOTALS) {
        const before = goesOn && last ? number(last.shards[index][name]) : null;
        figures[name] = before === null ? null : (number(shard[name]) - before) / seconds;
      }
      const { count, p50, p99, max } = shard.latency ?? {};
      const isMeasured = number(count) > 0;
      figures.p50 = isMeasured ? number(p50) : null;
      figures.p99 = isMeasured ? number(p99) : null;
      figures.max = isMeasured ? number(max) : null;
      return figures;
    });
    return { time: snapshot.time, total: total(shards), shards };
  }
}

/**
 * Sums up counts and rates. Percentiles do not add up: the total has the slowest shard's.
 *
 * @param {Figures[]} shards
 * @returns {Figures}
 */
function total(shards) {
  /** @type {Figures} */
  const figures = {};
  for (const name of [...GAUGES, ...TOTALS]) {
    const values = shards.map((shard) => shard[name]);
    figures[name] = values.includes(null)
      ? null
      : values.reduce((sum, value) => Number(sum) + Number(value), 0);
  }
  for (const name of ['p50', 'p99', 'max']) {
    const values = shards.map((shard) => shard[name]).filter((value) => value !== null);
    figures[name] = values.length ? Math.max(...values.map(Number)) : null;
  }
  return figures;
}
