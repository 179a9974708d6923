// @ts-check
// The server's metrics stream: one snapshot a second while the page is open.
//
// Invariant: at most one connection is open, and at most one reconnect attempt is scheduled.

import { eventReader } from '../transports.js';
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
  /** Ends the open connection. @type {AbortController | null} */
  #connection = null;
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
    this.#connection?.abort();
    this.#connection = null;
  }

  /** Reconnects at once, for example when the network is back. */
  hurry() {
    if (this.#connection) return;
    clearTimeout(this.#retry);
    this.#open();
  }

  async #open() {
    const connection = (this.#connection = new AbortController());
    this.#rates.restart();
    try {
      await this.#read(connection.signal);
    } catch {
      // A lost connection and a refusal are treated alike, and so is the end of the stream.
    }
    if (this.#connection !== connection) return;
    connection.abort();
    this.#connection = null;
    const wait = RETRY_MILLISECONDS[Math.min(this.#attempts, RETRY_MILLISECONDS.length - 1)];
    this.#attempts += 1;
    this.#retry = setTimeout(() => this.#open(), wait);
    this.#look();
    this.dispatchEvent(new Event('refused'));
  }

  /**
   * Reads the stream to its end. The token is in a header: proxies log URLs.
   *
   * @param {AbortSignal} signal
   */
  async #read(signal) {
    const headers = { Authorization: `Bearer ${this.#token}` };
    const { body, ok } = await fetch(at(PATH), { headers, signal, cache: 'no-store' });
    if (!body || !ok) return;
    const read = eventReader((/** @type {{data: string}} */ { data }) => this.#take(data));
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      read(value);
    }
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
    else if (!this.#connection || !isFresh) this.#setState('stale');
  }

  /** @param {string} state */
  #setState(state) {
    if (state === this.#state && state !== 'stale') return;
    this.#state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
  }
}
