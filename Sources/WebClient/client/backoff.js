// @ts-check

const LONGEST = 60_000;

/**
 * How long to wait before the next attempt: twice as long each time, up to a minute, and half of it
 * by chance, so that those who lost a server together do not come back together.
 */
export class Backoff {
  attempts = 0;

  /** @param {number} interval @param {() => number} random */
  constructor(interval, random) {
    this.interval = interval;
    this.random = random;
  }

  /** Counts an attempt; the milliseconds before it. */
  next() {
    const full = Math.min(LONGEST, this.interval * 2 ** Math.min(this.attempts++, 30));
    return (full * (1 + this.random())) / 2;
  }

  reset() {
    this.attempts = 0;
  }
}
