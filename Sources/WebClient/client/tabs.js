// @ts-check

/**
 * The tabs of one browser that share a connection: who leads, and what they tell each other.
 *
 * The lock is the proof: whoever holds it leads, and the browser hands it on when that tab is gone,
 * however it went.
 */
export class Tabs {
  id = Math.random().toString(36).slice(2);
  isLeader = false;
  /** @type {any} */
  #channel;
  /** @type {(() => void) | undefined} */
  #release;
  #ending = new AbortController();

  /**
   * @param {string} name
   * @param {any} options
   * @param {(message: any) => void} hear
   */
  constructor(name, options, hear) {
    this.name = name;
    this.locks = options.locks;
    try {
      this.#channel = new options.BroadcastChannel(name);
      this.#channel.onmessage = (/** @type {any} */ { data }) => {
        if (data && (data.to ?? this.id) === this.id) hear(data);
      };
    } catch {
      // A page that may not have one, in a sandbox for example, is alone.
      this.locks = undefined;
    }
  }

  /** Resolves when this tab leads. @returns {Promise<void>} */
  lead() {
    if (this.isLeader) return Promise.resolve();
    return new Promise((resolve) => {
      const begin = () => {
        this.isLeader = true;
        resolve();
      };
      if (!this.locks) return begin();
      const hold = () =>
        new Promise((release) => {
          this.#release = () => release(0);
          begin();
        });
      this.locks
        .request(this.name, { signal: this.#ending.signal }, hold)
        .catch(() => this.#ending.signal.aborted || begin());
    });
  }

  /** Lets another tab lead. */
  yield() {
    this.isLeader = false;
    this.#release?.();
  }

  /** @param {any} message */
  post(message) {
    this.#channel?.postMessage({ ...message, from: this.id });
  }

  close() {
    this.#ending.abort();
    this.yield();
    this.#channel?.close();
    this.#channel = undefined;
  }
}
