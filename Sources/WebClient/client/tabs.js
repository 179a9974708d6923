// @ts-check

/**
 * The tabs of one browser that share a connection.
 *
 * Each tab holds a lock of its own while it is open. The tab that holds the shared `lead` lock is
 * the leader. When a tab closes or crashes, the browser releases its locks, and the next tab in
 * the queue becomes the leader.
 */
export class Tabs {
  id = Math.random().toString(36).slice(2);
  isLeader = false;
  peers = new Map();
  #channel;
  #release;
  #ending = new AbortController();

  constructor(name, locks, BroadcastChannel, host) {
    this.name = name;
    this.host = host;
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
      else host.receive(data);
    };
    // Take the lock before the introduction: the other tabs treat a tab without a lock as closed.
    this.#hold(this.id, () => this.introduce({ isNew: true }));
  }

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
      const { signal } = this.#ending;
      const gone = () => this.peers.delete(from) && this.host.moved();
      this.locks.request(`${this.name} ${from}`, { signal }, gone).catch(() => {});
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
