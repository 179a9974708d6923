// @ts-check
// The server's metrics stream: one snapshot a second while the page is open.
//
// Invariant: at most one EventSource is open, and at most one reconnect attempt is scheduled.

import { at } from './backend.js';
import { Rates, samplesOf } from './rates.js';

const PATH = '/api/v1/metrics/stream';
/** After this time without a snapshot the shown figures are marked as stale. */
export const STALE_MILLISECONDS = 3_500;
const RETRY_MILLISECONDS = [1_000, 2_000, 4_000, 8_000, 15_000];

/**
 * Reads the metrics stream and reconnects when it fails.
 *
 * Dispatches `history` (the server's samples of the last five minutes, at the start of each
 * connection), `sample` (a `Sample`), `state` ('connecting', 'live', 'stale'), and `refused` after
 * each failed connection, because the server may have rejected the token.
 */
export class MetricsFeed extends EventTarget {
  /** @type {EventSource | null} */
  #source = null;
  #rates = new Rates();
  #token;
  #attempts = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  #watch;
  #state = 'connecting';
  /** Arrival time of the last snapshot by this page's clock; 0 before the first. */
  lastArrival = 0;

  /** @param {string} token */
  constructor(token) {
    super();
    this.#token = token;
    this.#watch = setInterval(() => this.#look(), 1_000);
    this.#open();
  }

  get state() {
    return this.#state;
  }

  close() {
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  /** Reconnects at once, for example when the network is back. */
  hurry() {
    if (this.#source) return;
    clearTimeout(this.#retry);
    this.#open();
  }

  #open() {
    const source = new EventSource(`${at(PATH)}?token=${encodeURIComponent(this.#token)}`);
    this.#source = source;
    this.#rates.restart();
    source.addEventListener('message', (event) => this.#take(event.data));
    source.addEventListener('error', () => {
      // EventSource reconnects by itself after a lost connection but not after a refusal, and
      // chooses its own delay. Reconnecting here treats both cases alike.
      source.close();
      if (this.#source !== source) return;
      this.#source = null;
      const wait = RETRY_MILLISECONDS[Math.min(this.#attempts, RETRY_MILLISECONDS.length - 1)];
      this.#attempts += 1;
      this.#retry = setTimeout(() => this.#open(), wait);
      this.#look();
      this.dispatchEvent(new Event('refused'));
    });
  }

  /** @param {string} text */
  #take(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    const snapshot = message?.data;
    if (message?.type === 'history') {
      this.dispatchEvent(new CustomEvent('history', { detail: samplesOf(snapshot) }));
      return;
    }
    if (message?.type !== 'metrics' || !Number.isFinite(snapshot?.time)) return;
    if (!Array.isArray(snapshot.shards)) return;
    this.#attempts = 0;
    this.lastArrival = Date.now();
    this.#setState('live');
    const sample = { ...this.#rates.sample(snapshot), server: snapshot.server };
    this.dispatchEvent(new CustomEvent('sample', { detail: sample }));
  }

  #look() {
    const isFresh = Date.now() - this.lastArrival < STALE_MILLISECONDS;
    if (this.lastArrival === 0) this.#setState('connecting');
    else if (!this.#source || !isFresh) this.#setState('stale');
  }

  /** @param {string} state */
  #setState(state) {
    if (state === this.#state && state !== 'stale') return;
    this.#state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
  }
}
