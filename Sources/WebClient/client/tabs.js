// @ts-check

/** A follower asks a leader that was silent for so long whether it is still there. */
const ASK_AFTER = 2_000;
const ASK_AFTER_HIDDEN = 30_000;
/** A leader that does not answer for so long is blocked, as by a dialog or a long script. */
const ANSWER_WITHIN = 3_000;

/** Returns a channel to the other tabs, or undefined if the page has no right to one. */
export const channelOf = (name, BroadcastChannel) => {
  try {
    return new BroadcastChannel(name);
  } catch {
    return undefined;
  }
};

/**
 * The tabs of one browser that share a connection.
 *
 * Each tab holds a lock of its own while it is open. The tab that holds the shared `lead` lock is
 * the leader. When a tab closes or crashes, the browser releases its locks, and the next tab in
 * the queue becomes the leader. A blocked leader does not answer, so a follower takes its lock.
 *
 * Invariant: each leader has a greater term than the one before. Messages of a former leader, which
 * may not know yet that it was replaced, are ignored.
 */
export class Tabs {
  id = Math.random().toString(36).slice(2);
  isLeader = false;
  peers = new Map();
  #term = 0;
  #channel;
  #release;
  /** Withdraws the pending request for the `lead` lock. */
  #queued;
  #begin;
  #timer;
  #ending = new AbortController();

  constructor(name, locks, BroadcastChannel, host) {
    this.name = name;
    this.host = host;
    if (locks) this.#channel = channelOf(name, BroadcastChannel);
    if (!this.#channel) return;
    this.locks = locks;
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    const { signal } = this.#ending;
    // Take the lock before the introduction: the other tabs treat a tab without a lock as closed.
    locks.request(`${name} ${this.id}`, { signal }, () => {
      this.introduce({ isNew: true });
      return new Promise((resolve) => signal.addEventListener('abort', resolve));
    }).catch(() => {});
  }

  #receive(message) {
    const { from, to = this.id, kind, term } = message ?? {};
    if (!from || to !== this.id || term < this.#term) return;
    if (term) {
      if (term > this.#term) this.#step();
      this.#term = term;
      this.#watch();
    }
    if (kind === 'hello') this.#meet(message);
    else if (kind !== 'ask') this.host.receive(message);
    else if (this.isLeader) this.post({ kind: 'here' });
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

  /** Waits until this tab is the leader. */
  async lead() {
    if (!this.locks) this.isLeader = true;
    if (this.isLeader) return;
    await new Promise((resolve) => {
      this.#begin = resolve;
      this.#request();
      this.#watch();
    });
  }

  #request(isSteal = false) {
    const { clock } = this.host;
    const queued = (this.#queued = new AbortController());
    const options = isSteal ? { steal: true } : { signal: queued.signal };
    const begin = () => {
      this.#queued = undefined;
      this.isLeader = true;
      this.#term = Math.max(clock.now(), this.#term + 1);
      this.#watch();
      this.#begin(undefined);
    };
    this.locks.request(`${this.name} lead`, options, () => {
      if (queued !== this.#queued) return undefined;
      begin();
      return new Promise((resolve) => (this.#release = resolve));
    }).catch(() => {
      // The lock was stolen from this tab, or the page has no right to locks.
      if (this.isLeader) this.#step();
      else if (queued === this.#queued) begin();
    });
  }

  /** Steps down after another tab has taken the lead. */
  #step() {
    if (!this.isLeader) return;
    this.yield();
    this.host.deposed();
    // The new leader answers with its state.
    this.introduce({ isNew: true });
  }

  /** Waits for the next message of the leader, while this tab is a follower. */
  #watch() {
    const { clock, isHidden } = this.host;
    clock.clearTimeout(this.#timer);
    if (!this.#queued) return;
    this.#timer = clock.setTimeout(() => this.ask(), isHidden() ? ASK_AFTER_HIDDEN : ASK_AFTER);
  }

  /** Asks whether the leader is still there, and takes its lock if there is no answer. */
  ask() {
    const { clock, random } = this.host;
    clock.clearTimeout(this.#timer);
    if (!this.#queued) return;
    this.post({ kind: 'ask' });
    const time = ANSWER_WITHIN + random() * 500;
    const end = clock.now() + time;
    this.#timer = clock.setTimeout(() => {
      // If this tab itself was blocked, the answer may wait in its queue.
      if (clock.now() > end + 1_500) return this.ask();
      this.#queued.abort();
      this.#request(true);
    }, time);
  }

  yield() {
    this.isLeader = false;
    this.#queued?.abort();
    this.#queued = undefined;
    this.#release?.();
    this.#watch();
  }

  post(message) {
    const term = this.isLeader ? this.#term : undefined;
    this.#channel?.postMessage({ ...message, from: this.id, term });
  }

  close() {
    this.yield();
    this.#ending.abort();
    this.#channel?.close();
    this.#channel = undefined;
  }
}
