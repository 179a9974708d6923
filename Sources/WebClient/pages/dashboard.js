// @ts-check
// The console's tiles, plots and table of shards, all fed by one metrics stream.
//
// Invariant: `samples` holds at most the last five minutes, oldest first.

import { find, make } from './dom.js';
import { Plot, SPAN_MILLISECONDS } from './plot.js';
import { theme } from './theme.js';
import { formats } from './units.js';

/**
 * @typedef {import('./rates.js').Sample} Sample
 * @typedef {import('./rates.js').Figures} Figures
 */

const STATES = { connecting: 'Connecting…', live: 'Live', stale: 'Stale' };
const SLOWEST = 'of the slowest shard';

/** The tiles: [label, member, format, note]. */
const TILES = [
  ['Connections', 'connections', 'count', ''],
  ['Users', 'users', 'count', ''],
  ['Deliveries', 'delivered', 'rate', ''],
  ['Publish to socket, p50', 'p50', 'latency', SLOWEST],
  ['Publish to socket, p99', 'p99', 'latency', SLOWEST],
  ['Slow consumers', 'slow_consumers', 'rate', 'cut off for lagging'],
];

/** The plots: title, format, least step, and members; the split by shard shows the first member. */
const PLOTS = [
  {
    title: 'Connections and users',
    format: 'count',
    least: 1,
    members: [['connections', 'connections'], ['users', 'users']],
  },
  {
    title: 'Deliveries',
    format: 'rate',
    least: 1,
    members: [['delivered', 'delivered'], ['published', 'published']],
  },
  {
    title: 'Publish to socket',
    format: 'latency',
    least: 50,
    note: SLOWEST,
    members: [['p99', 'p99'], ['p50', 'p50']],
  },
  {
    title: 'Slow consumers',
    format: 'rate',
    least: 1,
    note: 'cut off for lagging',
    members: [['slow_consumers', 'cut off']],
  },
  { title: 'Bytes sent', format: 'bytes', least: 100, members: [['bytes_sent', 'sent']] },
  { title: 'Messages from clients', format: 'rate', least: 1, members: [['received', 'received']] },
];

/** The table's columns: [head, member, format]. */
const COLUMNS = [
  ['Connections', 'connections', 'count'],
  ['Sessions', 'sessions', 'count'],
  ['Users', 'users', 'count'],
  ['Rooms', 'rooms', 'count'],
  ['Blocked', 'blocked', 'count'],
  ['Deliveries', 'delivered', 'rate'],
  ['Sent', 'bytes_sent', 'bytes'],
  ['Published', 'published', 'rate'],
  ['Received', 'received', 'rate'],
  ['Slow consumers', 'slow_consumers', 'rate'],
  ['p50', 'p50', 'latency'],
  ['p99', 'p99', 'latency'],
  ['Slowest', 'max', 'latency'],
];

export class Dashboard {
  /** @type {Sample[]} */
  #samples = [];
  #shardCount = 0;
  #feed;
  #board = find('#board');
  #chip = find('#feed-state');
  /** @type {Plot[]} */
  #plots = [];
  /** @type {HTMLElement[]} */
  #values = [];

  /**
   * @param {import('./metrics-feed.js').MetricsFeed} feed
   * @param {AbortSignal} signal removes the listeners
   */
  constructor(feed, signal) {
    this.#feed = feed;
    this.#buildTiles();
    this.#buildPlots();
    this.#buildTable();
    feed.addEventListener(
      'sample',
      (event) => this.#take(/** @type {CustomEvent} */ (event).detail),
    );
    feed.addEventListener('state', () => this.#showState());
    for (const input of document.querySelectorAll('input[name=split]')) {
      input.addEventListener('change', () => this.#split(), { signal });
    }
    theme.addEventListener('change', () => this.#redraw(), { signal });
    document.addEventListener('visibilitychange', () => this.#redraw(), { signal });
    this.#showState();
  }

  #buildTiles() {
    const tiles = TILES.map(([label, , , note]) => {
      const value = make('dd', { class: 'figure' }, '–');
      this.#values.push(value);
      return make(
        'div',
        { class: 'tile' },
        make('dt', {}, label),
        value,
        make('dd', { class: 'note' }, note),
      );
    });
    find('#tiles').replaceChildren(...tiles);
  }

  #buildPlots() {
    this.#plots = PLOTS.map((options) => new Plot(options));
    for (const plot of this.#plots) {
      plot.addEventListener('read', (event) => {
        const time = /** @type {CustomEvent} */ (event).detail;
        for (const other of this.#plots) if (other !== plot) other.point(time);
      });
    }
    find('#plots').replaceChildren(...this.#plots.map(({ element }) => element));
    this.#split();
  }

  #buildTable() {
    const heads = ['Shard', ...COLUMNS.map(([head]) => head)];
    find('#shards thead tr').replaceChildren(
      ...heads.map((head) => make('th', { scope: 'col' }, head)),
    );
    find('#shards tbody').replaceChildren();
    find('#shards tfoot').replaceChildren();
  }

  /** @param {Sample} sample */
  #take(sample) {
    const last = this.#samples[this.#samples.length - 1];
    // The server's clock went back: the old samples lie in the future, so discard them.
    if (last && sample.time <= last.time) this.#samples = [];
    this.#samples.push(sample);
    const oldest = sample.time - SPAN_MILLISECONDS - 2_000;
    while (this.#samples[0].time < oldest) this.#samples.shift();
    if (sample.shards.length !== this.#shardCount) {
      this.#shardCount = sample.shards.length;
      this.#split();
    }
    this.#values.forEach((value, index) => {
      value.textContent = text(sample.total, TILES[index][1], TILES[index][2]);
    });
    find('#shards tbody').replaceChildren(
      ...sample.shards.map((shard, index) => row(String(index), shard)),
    );
    find('#shards tfoot').replaceChildren(row('Total', sample.total));
    this.#redraw();
  }

  /** Shows in each plot either the total or one line for each shard. */
  #split() {
    const isSplit = find('input[name=split]:checked').value === 'shards' && this.#shardCount > 0;
    PLOTS.forEach(({ members }, index) => {
      const series = isSplit
        ? Array.from({ length: this.#shardCount }, (_, shard) => ({
          label: members.length > 1 ? `shard ${shard}, ${members[0][1]}` : `shard ${shard}`,
          of: (/** @type {Sample} */ sample) => sample.shards[shard]?.[members[0][0]] ?? null,
        }))
        : members.map(([member, label]) => ({
          label,
          of: (/** @type {Sample} */ sample) => sample.total[member],
        }));
      this.#plots[index].show(series);
    });
  }

  #redraw() {
    const last = this.#samples[this.#samples.length - 1];
    if (!last || document.hidden) return;
    // The right edge is the present by the server's clock, and moves on when the feed is stale.
    const now = last.time + Math.max(0, Date.now() - this.#feed.lastArrival);
    for (const plot of this.#plots) plot.update(this.#samples, now);
  }

  #showState() {
    const { state, lastArrival } = this.#feed;
    this.#board.classList.toggle('stale', state === 'stale');
    this.#chip.className = `chip ${state}`;
    // The age is outside of the live region: a screen reader should not speak it every second.
    const seconds = Math.round((Date.now() - lastArrival) / 1_000);
    find('#feed-age').textContent = state === 'stale' ? `last figures ${seconds} s ago` : '';
    const words = /** @type {Record<string, string>} */ (STATES)[state];
    if (this.#chip.textContent !== words) this.#chip.textContent = words;
    this.#redraw();
  }
}

/**
 * @param {Figures} figures
 * @param {string} member
 * @param {string} format
 */
function text(figures, member, format) {
  const value = figures[member];
  return value === null ? '–' : formats[format](value);
}

/**
 * @param {string} name
 * @param {Figures} figures
 */
function row(name, figures) {
  const cells = COLUMNS.map(([, member, format]) => make('td', {}, text(figures, member, format)));
  return make('tr', {}, make('th', { scope: 'row' }, name), ...cells);
}
