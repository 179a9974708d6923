// @ts-check
import { CarillonError, transports } from './transports.js';

/** Time to stay on a fallback transport before the first one is tried again. */
const DETOUR = 300_000;
/** A connection that ends sooner counts as a failed attempt. */
const STABLE = 5_000;
const LONGEST_PAUSE = 60_000;
/** A follower asks a leader that was silent for so long whether it is still there. */
const ASK_AFTER = 2_000;
const ASK_AFTER_HIDDEN = 30_000;
/** A leader that does not answer for so long is blocked, as by a dialog or a long script. */
const ANSWER_WITHIN = 3_000;

/** Returns how to mend the cause of an error. */
const remedyOf = (code, status) =>
  code === 'token' || code === 'refused' || status === 401
    ? 'Check the token with "carillon token --check".'
    : 'Check url="…" or configure({ url }), and WEBSOCKET_CORS_ORIGINS for ' +
      `${globalThis.location?.origin}.`;

/**
 * Keeps one connection open for a client, its host.
 *
 * A loop opens the connection, decides by its end when to try again, waits, and repeats.
 *
 * Invariant: only the loop of the run in `#run` acts; an older loop returns.
 */
export class Connection {
  #run;
  #link;
  #wake;
  /** Index of the transport that worked last. */
  #index = 0;
  #leftFirst = 0;
  #openedAt = 0;
  #attempts = 0;
  #refusals = 0;
  #reopens = false;
  #wasOpened = false;
  #isExplained = false;

  constructor(host) {
    this.host = host;
    this.options = host.options;
  }

  get isRunning() {
    return !!this.#run;
  }

  start() {
    if (this.#run) return this.wake();
    this.#attempts = this.#refusals = 0;
    this.restart();
  }

  /** Begins again at once, without forgetting how many attempts have failed. */
  restart() {
    this.stop();
    this.#keep(this.#run = {});
  }

  stop() {
    this.#run = undefined;
    this.#link?.close?.();
    this.#wake?.();
  }

  /** Retries at once or checks the open connection, which may have ended without a close. */
  wake(isElsewhere = false) {
    if (isElsewhere) this.#attempts = 0;
    this.#wake?.();
    if (!isElsewhere || !this.#index) return this.check();
    this.#index = 0;
    this.#reopen();
  }

  check() {
    this.#link?.check?.();
  }

  /** Reopens the connection if the set of rooms has changed. */
  follow() {
    if (this.#link && this.#link.rooms !== this.host.rooms()) this.#reopen();
  }

  #reopen() {
    this.#reopens = !!this.#link?.close;
    this.#link?.close?.();
  }

  /** Sends a fresh token on the open connection. Each poll reads the token itself. */
  sendToken(token) {
    const link = this.#openedAt && this.#link;
    const message = (text) => JSON.stringify({ type: 'auth', token: text });
    if (link?.send) link.send(message(token), message('…'));
    else if (link?.name === 'sse') this.#reopen();
  }

  async #keep(run) {
    for (let quiet = false; run === this.#run;) {
      const end = await this.#attempt(run, quiet).catch((error) => ({ error }));
      if (run !== this.#run) return;
      const lasted = this.#openedAt && this.options.clock.now() - this.#openedAt;
      this.#openedAt = 0;
      quiet = this.#reopens;
      this.#reopens = false;
      const pause = quiet ? 0 : this.#judge(end ?? {}, lasted);
      if (pause === undefined) {
        this.#run = undefined;
        return this.host.ended();
      }
      if (!quiet) await this.#pause(run, pause);
    }
  }

  async #attempt(run, quiet) {
    const { host, options } = this;
    await host.token();
    const user = run === this.#run && (await host.identify());
    if (run === this.#run) await host.lead(user);
    if (run !== this.#run) return;
    if (!quiet) host.change('connecting');
    if (options.clock.now() - this.#leftFirst > DETOUR) this.#index = 0;
    let end;
    for (let index = this.#index, isReached = false; index < options.transports.length;) {
      end = await this.#open(options.transports[index], index);
      if (run !== this.#run || this.#reopens || end.opened) return end;
      // The server may be down or the token invalid: the probe throws then. If the probe succeeds
      // and a second attempt fails, this transport is blocked, so try the next one.
      if (isReached) index++;
      else await host.probe();
      if (run !== this.#run) return;
      isReached = true;
    }
    this.#index = 0;
    return end;
  }

  async #open(name, index) {
    const { host, options } = this;
    const opened = () => {
      this.#openedAt = options.clock.now();
      this.#wasOpened = true;
      this.#isExplained = false;
      if (index && !this.#index) this.#leftFirst = this.#openedAt;
      this.#index = index;
      host.opened();
    };
    this.#link = { ...host, name, rooms: host.rooms(), opened };
    try {
      return await transports[name](this.#link);
    } catch (error) {
      return { error };
    } finally {
      this.#link = undefined;
    }
  }

  /** Returns the time until the next attempt, or undefined if there is none. */
  #judge({ code = 0, reason, opened, error }, lasted) {
    const { host, options } = this;
    const { reconnectInterval, maxReconnectAttempts, autoReconnect, random } = options;
    if (lasted >= Math.min(STABLE, reconnectInterval)) this.#attempts = this.#refusals = 0;
    const isTokenless = error?.code === 'token';
    const refused = isTokenless || [4001, 4002, 4003, 1008].includes(code) ||
      [401, 403].includes(error?.status);
    error ??= new CarillonError(code, refused ? 'refused' : 'lost', reason || 'connection lost');
    if (refused || !opened) host.failed(error);
    // The token may have expired, so try once more with a fresh one.
    const isRenewed = refused && host.renew();
    if (isRenewed && !isTokenless && !this.#refusals++) return 0;
    // guard: failure-is-explained
    if (refused || !this.#wasOpened) this.#explain(error);
    const isOver = autoReconnect && this.#attempts >= maxReconnectAttempts;
    host.change(refused || isOver ? 'error' : 'disconnected');
    if (isOver || !autoReconnect || (refused && !isRenewed)) return undefined;
    const full = Math.min(reconnectInterval * 2 ** this.#attempts, LONGEST_PAUSE);
    const isFirst = !this.#attempts++;
    if (isFirst && code === 1013) return 0;
    if (isFirst && (code === 1012 || code === 1001)) return 100 + random() * 900;
    // Half of the pause is random, so clients that lost the same server do not return at once.
    return Math.max(full * (0.5 + random() / 2), error.retryAfter ?? 0);
  }

  /**
   * Says once in the console why there is no connection: a page without listeners fails silently.
   *
   * Not so where a connection was lost: it comes back without a change by the page's author.
   */
  #explain({ address = this.host.url, code, status, message }) {
    // guard: failure-is-explained-once
    if (this.#isExplained) return;
    this.#isExplained = true;
    const outcome = status || 'no answer';
    // deno-lint-ignore no-console -- See above.
    console.warn(`Carillon: ${address}: ${outcome}: ${message}. ${remedyOf(code, status)}`);
  }

  async #pause(run, time) {
    const { clock } = this.options;
    await new Promise((resolve) => {
      const timer = clock.setTimeout(resolve, time);
      this.#wake = () => resolve(clock.clearTimeout(timer));
    });
    while (run === this.#run && this.host.isSuspended()) {
      await new Promise((resolve) => (this.#wake = resolve));
    }
    this.#wake = undefined;
  }
}

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
    // guard: former-leader-ignored
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
      // guard: blocked-follower-asks-again
      if (clock.now() > end + 1_500) return this.ask();
      // guard: blocked-leader-replaced
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
