// @ts-check
import { transports } from './transports.js';

/** Time to stay on a fallback transport before the first one is tried again. */
const DETOUR = 300_000;
/** A connection that ends sooner counts as a failed attempt. */
const STABLE = 5_000;
const LONGEST_PAUSE = 60_000;

/** A refusal by the server, or a request that did not reach it: then `status` is 0. */
export class CarillonError extends Error {
  name = 'CarillonError';

  constructor(status, code, message, retryAfter = undefined, address = undefined) {
    super(message);
    Object.assign(this, { status, code, retryAfter, address });
  }
}

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
