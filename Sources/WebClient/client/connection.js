// @ts-check
import { Backoff } from './backoff.js';
import { CarillonError } from './error.js';
import { transports } from './transports.js';

/** A way that is not the first choice is kept for so long, then the first one is tried again. */
const DETOUR = 300_000;
/** What ended sooner did not really work. */
const STABLE = 5_000;

/** @param {number | undefined} code @param {any} error */
const isRefusal = (code, error) =>
  [4001, 4002, 4003, 1008].includes(code ?? 0) || [401, 403].includes(error?.status);

/**
 * Keeps one connection for a client: opens it, judges how it ended, waits, and opens it again.
 *
 * Invariant: at most one loop runs, and only the one that `#run` names does anything.
 */
export class Connection {
  /** @type {object | undefined} */
  #run;
  /** @type {any} */
  #link;
  /** @type {(() => void) | undefined} */
  #wake;
  #index = 0;
  #leftFirst = 0;
  #openedAt = 0;
  #refusals = 0;
  #reopens = false;

  /** @param {any} host the client */
  constructor(host) {
    this.host = host;
    this.options = host.options;
    this.backoff = new Backoff(this.options.reconnectInterval, this.options.random);
  }

  get isRunning() {
    return !!this.#run;
  }

  start() {
    if (this.#run) return this.wake();
    this.backoff.reset();
    this.#refusals = 0;
    void this.#keep((this.#run = {}));
  }

  stop() {
    this.#run = undefined;
    this.#link?.close?.();
    this.#wake?.();
  }

  /**
   * There is a reason to believe that it works now, or that it has ended unnoticed.
   *
   * @param {boolean} [isElsewhere] whether this may be another network
   */
  wake(isElsewhere = false) {
    if (isElsewhere) {
      this.backoff.reset();
      this.#index = 0;
    }
    this.#wake?.();
    this.check();
  }

  check() {
    this.#link?.check?.();
  }

  /** Opens it anew with a token that cannot be handed over. */
  reopen() {
    if (!this.#link?.close) return;
    this.#reopens = true;
    this.#link.close();
  }

  /** Opens it anew if it would hear other rooms then. */
  reopenIfMoved() {
    if (this.#link && this.#link.rooms !== this.host.rooms()) this.reopen();
  }

  /** @param {string} token */
  handOver(token) {
    if (!this.#openedAt) return;
    if (this.#link?.send) {
      this.#link.send(JSON.stringify({ type: 'auth', token }), '{"type":"auth","token":"…"}');
    } else if (this.#link?.isBoundToToken) {
      this.reopen();
    }
  }

  /** @param {object} run */
  async #keep(run) {
    for (let quiet = false; run === this.#run; ) {
      /** @type {any} */
      let end;
      try {
        end = await this.#attempt(run, quiet);
      } catch (error) {
        end = { error };
      }
      if (run !== this.#run) return;
      const lasted = this.#openedAt && this.options.clock.now() - this.#openedAt;
      this.#openedAt = 0;
      quiet = this.#reopens;
      this.#reopens = false;
      if (quiet) continue;
      const delay = this.#judge(end, lasted);
      if (delay === undefined) {
        this.#run = undefined;
        return this.host.ended();
      }
      await this.#pause(run, delay);
    }
  }

  /** @param {object} run @param {boolean} quiet @returns {Promise<any>} */
  async #attempt(run, quiet) {
    const { host, options } = this;
    await host.token();
    if (run !== this.#run) return;
    await host.lead();
    if (run !== this.#run) return;
    if (!quiet) host.changeState('connecting');
    const { now } = options.clock;
    if (now() - this.#leftFirst > DETOUR) this.#index = 0;
    let end;
    for (let index = this.#index, isReached = false; index < options.transports.length; ) {
      end = await this.#open(options.transports[index]);
      if (run !== this.#run || this.#reopens) return;
      if (end.opened) {
        if (index && !this.#index) this.#leftFirst = now();
        this.#index = index;
        return end;
      }
      // It may be the server that is away, or the token. If it is neither, this way is blocked.
      if (isReached) index++;
      else await host.probe();
      if (run !== this.#run) return;
      isReached = true;
    }
    this.#index = 0;
    return end;
  }

  /** @param {string} name @returns {Promise<any>} */
  async #open(name) {
    const { host, options } = this;
    const link = (this.#link = {
      options,
      rooms: host.rooms(),
      isBoundToToken: name === 'sse',
      address: host.address,
      frame: host.frame,
      told: host.told,
      begin: host.begin,
      pull: host.pull,
      changed: host.pullSoon,
      opened: () => {
        this.#openedAt = options.clock.now();
        host.opened();
      },
    });
    try {
      return await transports[name](link);
    } catch (error) {
      return { opened: false, error };
    } finally {
      if (this.#link === link) this.#link = undefined;
    }
  }

  /**
   * The time until the next attempt; none if there is none.
   *
   * @param {any} end
   * @param {number} lasted
   * @returns {number | undefined}
   */
  #judge({ code, reason, error } = {}, lasted) {
    const { host, backoff, options } = this;
    if (lasted >= STABLE || lasted > options.reconnectInterval) {
      backoff.reset();
      this.#refusals = 0;
    }
    const isTokenless = error?.code === 'token';
    const refused = isTokenless || isRefusal(code, error);
    error ??= new CarillonError(code ?? 0, refused ? 'refused' : 'lost', reason || 'connection lost');
    host.failed(error);
    if (refused) {
      if (!host.renewToken()) return void host.changeState('error');
      // The token may simply have been old.
      if (!isTokenless && !this.#refusals++) return 0;
    }
    host.changeState(refused ? 'error' : 'disconnected');
    if (!options.autoReconnect) return undefined;
    if (backoff.attempts >= options.maxReconnectAttempts) return void host.changeState('error');
    const isFirst = !backoff.attempts;
    const delay = backoff.next();
    if (isFirst && code === 1013) return 0;
    if (isFirst && (code === 1012 || code === 1001)) return 100 + options.random() * 900;
    return Math.max(delay, error.retryAfter ?? 0);
  }

  /** @param {object} run @param {number} time */
  async #pause(run, time) {
    const { clock } = this.options;
    await new Promise((resolve) => {
      const timer = clock.setTimeout(resolve, time);
      this.#wake = () => (clock.clearTimeout(timer), resolve(0));
    });
    while (run === this.#run && this.host.isAsleep()) {
      await new Promise((resolve) => (this.#wake = () => resolve(0)));
    }
    this.#wake = undefined;
  }
}
