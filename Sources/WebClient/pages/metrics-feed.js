// @ts-check
// The server's figures as they come, one a second, for as long as the page is open.
//
// Invariant: at most one EventSource is open, and at most one attempt is due.

import { Rates } from './rates.js';

const PATH = '/api/v1/metrics/stream';
/** Without a figure for so long, what is shown is no longer what is. */
export const STALE_MILLISECONDS = 3_500;
const RETRY_MILLISECONDS = [1_000, 2_000, 4_000, 8_000, 15_000];

/**
 * Tells `sample` (a `Sample`), `state` ('connecting', 'live', 'stale') and `refused` when the
 * connection was ended rather than lost, which may be the token's fault.
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
  /** When the last figures came, by this page's clock; 0 before the first. */
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

  /** Tries at once, as when the network has come back. */
  hurry() {
    if (this.#source) return;
    clearTimeout(this.#retry);
    this.#open();
  }

  #open() {
    const source = new EventSource(`${PATH}?token=${encodeURIComponent(this.#token)}`);
    this.#source = source;
    this.#rates.restart();
    source.addEventListener('message', (event) => this.#take(event.data));
    source.addEventListener('error', () => {
      // It would come back by itself where the connection was lost, but not after a refusal, and
      // in its own time: so it is this page that comes back, always in the same way.
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
    if (message?.type !== 'metrics' || !Number.isFinite(snapshot?.time)) return;
    if (!Array.isArray(snapshot.shards)) return;
    this.#attempts = 0;
    this.lastArrival = Date.now();
    this.#tell('live');
    this.dispatchEvent(new CustomEvent('sample', { detail: this.#rates.sample(snapshot) }));
  }

  #look() {
    const isFresh = Date.now() - this.lastArrival < STALE_MILLISECONDS;
    if (this.lastArrival === 0) this.#tell('connecting');
    else if (!this.#source || !isFresh) this.#tell('stale');
  }

  /** @param {string} state */
  #tell(state) {
    if (state === this.#state && state !== 'stale') return;
    this.#state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
  }
}
