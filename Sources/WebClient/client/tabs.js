// @ts-check

/**
 * The tabs of one browser that share a connection: who there is, who leads, and what they tell each
 * other.
 *
 * Locks are the proof: each tab holds one of its own as long as it is there, and whoever holds the
 * common one leads. The browser hands it on when that tab is gone, however it went.
 */
export class Tabs {
  id = Math.random().toString(36).slice(2);
  isLeader = false;
  /** What each other tab says of itself. */
  peers = new Map();
  #channel;
  #release;
  #ending = new AbortController();

  /** The host says what this tab `is`, hears the others, and is told when they `moved`. */
  constructor(name, { locks, BroadcastChannel }, host) {
    this.name = name;
    this.host = host;
    // A page that may have neither is alone.
    if (!locks || !BroadcastChannel) return;
    try {
      this.#channel = new BroadcastChannel(name);
    } catch {
      return;
    }
    this.locks = locks;
    this.#channel.onmessage = ({ data }) => {
      if (!data?.from || (data.to ?? this.id) !== this.id) return;
      if (data.kind === 'hello') this.#meet(data);
      else host.hear(data);
    };
    // Nobody hears of a tab before its lock is held: others take its absence for its end.
    this.#hold(this.id, () => this.introduce({ isNew: true }));
  }

  /** Holds a lock until this tab is gone, or lets go of it. */
  #hold(part, run) {
    const { signal } = this.#ending;
    return this.locks.request(`${this.name} ${part}`, { signal }, () => {
      const held = new Promise((resolve) => {
        if (part === 'lead') this.#release = resolve;
        signal.addEventListener('abort', resolve);
      });
      run();
      return held;
    });
  }

  #meet({ from, is, isNew }) {
    if (!this.peers.has(from)) {
      const gone = () => this.peers.delete(from) && this.host.moved();
      this.locks.request(`${this.name} ${from}`, { signal: this.#ending.signal }, gone).catch(() => {});
    }
    this.peers.set(from, is);
    if (isNew) {
      this.introduce();
      if (this.isLeader) this.host.welcome(from);
    }
    this.host.moved();
  }

  introduce(more = {}) {
    this.post({ kind: 'hello', is: this.host.is(), ...more });
  }

  /** Resolves when this tab leads. */
  lead() {
    return new Promise((resolve) => {
      const begin = () => {
        this.isLeader = true;
        resolve(undefined);
      };
      if (this.isLeader || !this.locks) begin();
      else this.#hold('lead', begin).catch(() => this.#ending.signal.aborted || begin());
    });
  }

  /** Lets another tab lead. */
  yield() {
    this.isLeader = false;
    this.#release?.();
  }

  post(message) {
    this.#channel?.postMessage({ ...message, from: this.id });
  }

  close() {
    this.yield();
    this.#ending.abort();
    this.#channel?.close();
    this.#channel = undefined;
  }
}
