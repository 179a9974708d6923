// @ts-check
// The console's tiles, plots and table of shards, all fed by one metrics stream.
//
// Invariant: `samples` holds at most the last five minutes, oldest first.

import { find, make } from './dom.js';
import { Plot, SPAN_MILLISECONDS } from './plot.js';
import { showServer } from './server-facts.js';
import { theme } from './theme.js';
import { formats } from './units.js';

/**
 * @typedef {import('./rates.js').Sample} Sample
 * @typedef {import('./rates.js').Figures} Figures
 */

const STATES = { connecting: 'Connecting…', live: 'Live', stale: 'Stale' };
const SLOWEST = 'of the slowest shard';

/**
 * The tiles. A value of at least `limits[0]` needs attention, one of at least `limits[1]` help; the
 * note then says so, because some people cannot see the colour.
 *
 * @type {{label: string, member: string, format: string, note?: string, limits?: number[]}[]}
 */
const TILES = [
  { label: 'Connections', member: 'connections', format: 'count' },
  { label: 'Users', member: 'users', format: 'count' },
  { label: 'Deliveries', member: 'delivered', format: 'rate' },
  {
    label: 'Publish to socket, p50',
    member: 'p50',
    format: 'latency',
    note: SLOWEST,
    limits: [20_000, 200_000],
  },
  {
    label: 'Publish to socket, p99',
    member: 'p99',
    format: 'latency',
    note: SLOWEST,
    limits: [100_000, 1_000_000],
  },
  {
    label: 'Slow consumers',
    member: 'slow_consumers',
    format: 'rate',
    note: 'cut off for lagging',
    limits: [0.001, 10],
  },
];
const LEVELS = ['', 'warn', 'bad'];
const WORDS = ['', 'elevated', 'critical'];

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
  #tiles = [];
  /** Whether the next sample has no rates, as the first one after a connection. */
  #isFirst = true;

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
    feed.addEventListener(
      'history',
      (event) => this.#replace(/** @type {CustomEvent} */ (event).detail),
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
    this.#tiles = TILES.map(({ label, note }) =>
      make(
        'div',
        { class: 'tile' },
        make('dt', {}, label),
        make('dd', { class: 'figure' }, '–'),
        make('dd', { class: 'note' }, note),
      )
    );
    find('#tiles').replaceChildren(...this.#tiles);
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

  /** Starts with the server's own record, which has no gap. @param {Sample[]} samples */
  #replace(samples) {
    this.#samples = samples;
    this.#isFirst = true;
    if (samples.length) this.#showTiles(samples[samples.length - 1]);
    this.#redraw();
  }

  /** @param {Sample} sample */
  #take(sample) {
    const last = this.#samples[this.#samples.length - 1];
    showServer(sample.server);
    if (this.#isFirst && last && last.time < sample.time) {
      // Without a sample before it there are no rates: the record's last ones are as recent.
      const { total } = sample;
      for (const name of Object.keys(total)) total[name] ??= last.total[name] ?? null;
    }
    this.#isFirst = false;
    // The server's clock went back: the old samples lie in the future, so discard them.
    if (last && sample.time <= last.time) this.#samples = [];
    this.#samples.push(sample);
    const oldest = sample.time - SPAN_MILLISECONDS - 2_000;
    while (this.#samples[0].time < oldest) this.#samples.shift();
    if (sample.shards.length !== this.#shardCount) {
      this.#shardCount = sample.shards.length;
      this.#split();
    }
    this.#showTiles(sample);
    find('#shards tbody').replaceChildren(
      ...sample.shards.map((shard, index) => row(String(index), shard)),
    );
    find('#shards tfoot').replaceChildren(row('Total', sample.total));
    this.#redraw();
  }

  /** @param {Sample} sample */
  #showTiles({ total }) {
    TILES.forEach(({ member, format, note = '', limits = [] }, index) => {
      const tile = this.#tiles[index];
      const value = total[member];
      const level = limits.filter((limit) => value !== null && value >= limit).length;
      tile.className = `tile ${LEVELS[level]}`;
      find('.figure', tile).textContent = text(total, member, format);
      find('.note', tile).textContent = [WORDS[level], note].filter(Boolean).join(', ');
    });
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
