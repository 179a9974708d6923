// @ts-check
// The requests of a client, and the transports that bring its events.
//
// Each transport reports received events to its link in the form of the `event` dialect and
// resolves with the reason it ended. None reconnects by itself, because the token and the cursor
// may have changed.

/** A request without an answer after this time has failed: its connection may be dead. */
const ANSWERED_WITHIN = 20_000;
const USERS = Symbol.for('carillon/users');
const ME = '/api/v1/me';
const OPENS_WITHIN = 10_000;
/**
 * A client that resumes gets a heartbeat every 25 s. After 1.5 intervals of silence the connection
 * is dead; a WebSocket first asks, in case only the heartbeats are missing.
 */
const DEAD_AFTER = 37_500;
const ASK_AFTER = 30_000;
const PONG_SOON = 4_000;
const POLL_SECONDS = 25;
const LOST = 1006;

// guard: server-of-module
/** Returns the address of the server of a module; the page's own if the page bundles the module. */
export const serverOf = (module) =>
  /^https?:.*(?=\/client\/([0-9a-f]{16}\/)?[^/]+$)/.exec(module)?.[0] ?? '/';

/** A refusal by the server, or a request that did not reach it: then `status` is 0. */
export class CarillonError extends Error {
  name = 'CarillonError';

  constructor(status, code, message, retryAfter = undefined, address = undefined) {
    super(message);
    Object.assign(this, { status, code, retryAfter, address });
  }
}

const refusal = ({ status, headers }, address, { code = 'http', message = '' } = {}) => {
  const wait = Number(headers.get('Retry-After')) * 1_000;
  return new CarillonError(status, code, message || `status ${status}`, wait || undefined, address);
};

const claimsOf = (token = '') => {
  try {
    const text = atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'));
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) ?? {};
  } catch {
    return {};
  }
};

/**
 * Returns the claims of a token that its successors share, as text.
 *
 * Which claim names the user is the server's setting, so only tokens that agree in all of them are
 * certainly of one user.
 */
export const identityOf = (token) => {
  const { exp: _exp, iat: _iat, nbf: _nbf, jti: _jti, ...claims } = claimsOf(token);
  return Object.keys(claims).length ? JSON.stringify(claims) : token;
};

/**
 * The requests of one client, and the token that they carry.
 *
 * A token function is called again when its token expires or is refused.
 */
export class Requests {
  token;
  /** Replaced when the user logs out or changes: answers for an earlier owner are ignored. */
  owner = {};
  #source;
  #asking;
  /** Ends the wait for a token of a replaced source. */
  #supersede;
  #isOld = false;

  constructor(url, options, host) {
    this.url = url;
    this.options = options;
    this.host = host;
  }

  /** Milliseconds until a token that can be fetched again expires. */
  get left() {
    return this.#source && this.#expiry - this.options.clock.now();
  }

  get #expiry() {
    return claimsOf(this.token).exp * 1_000;
  }

  async request(method, path, body, signal, token) {
    // guard: request-keeps-path-prefix
    const address = this.url + path;
    const response = await this.send(method, address, body, signal, token);
    const answer = await response.json().catch(() => {});
    if (!answer) throw refusal(response, address);
    return answer.data;
  }

  /** Returns the user of a token, as the server names it. It is asked once for each token. */
  identify(token = this.token) {
    const users = (globalThis[USERS] ??= new Map());
    const key = `${this.url} ${token}`;
    const ask = async () => {
      const data = await this.request('GET', ME, undefined, undefined, token);
      if (typeof data?.user_id === 'string') return data.user_id;
      throw new CarillonError(0, 'http', `${ME} names no user`);
    };
    // guard: user-asked-once
    if (!users.has(key)) {
      const user = ask();
      users.set(key, user);
      // guard: failed-user-asked-again
      user.catch(() => users.delete(key));
    }
    return users.get(key);
  }

  /** Sends a request, and returns the response if the server granted it. */
  async send(method, address, body, signal, token) {
    const { fetch } = this.options;
    const owner = this.owner;
    for (let isAgain = false;; isAgain = true) {
      const headers = { Authorization: `Bearer ${token ?? (await this.fresh())}` };
      // The request of one user must not be sent with the token of the next.
      // guard: no-request-with-next-token
      if (owner !== this.owner) throw new CarillonError(0, 'ended', 'the user logged out');
      if (body !== undefined) headers['Content-Type'] = 'application/json';
      const sent = { method, headers, body: JSON.stringify(body), cache: 'no-store' };
      let response;
      try {
        const limit = signal ?? AbortSignal['timeout'](ANSWERED_WITHIN);
        response = await fetch(address, { ...sent, signal: limit });
      } catch (cause) {
        const text = `the server cannot be reached: ${cause}`;
        throw new CarillonError(0, 'network', text, undefined, address);
      }
      if (response.ok) return response;
      if (response.status === 401 && !token && !isAgain && this.renew()) continue;
      throw refusal(response, address, (await response.json().catch(() => {}))?.error);
    }
  }

  /** Takes a token or a function that fetches one; nothing removes both. */
  take(token) {
    const isText = typeof token === 'string';
    if (token && token === this.#source) return;
    this.#source = isText ? undefined : token;
    this.#asking = undefined;
    this.#supersede?.();
    this.#isOld = true;
    if (!token) this.token = undefined;
    else if (isText) this.use(token.trim());
  }

  #isAlike(token) {
    return identityOf(token) === identityOf(this.token);
  }

  use(token, isSameUser = false) {
    this.#isOld = false;
    if (token === this.token) return;
    const mayDiffer = this.host.user() && !isSameUser && !this.#isAlike(token);
    this.token = token;
    this.host.changed(mayDiffer);
  }

  async fresh() {
    if (this.#expiry < this.options.clock.now()) this.#isOld = true;
    if (this.token && !(this.#source && this.#isOld)) return this.token;
    const source = this.#source;
    this.#asking ??= Promise.race([
      this.#ask(source),
      new Promise((resolve) => (this.#supersede = resolve)),
    ]);
    await this.#asking;
    // Another token may have been set in the meantime.
    return source === this.#source ? this.token : this.fresh();
  }

  async #ask(source) {
    try {
      // deno-lint-ignore no-throw-literal -- The text becomes the end of the message below.
      if (!source) throw 'none is set';
      // A token that is read from a file or an answer often ends with a newline.
      const token = (await source()).trim();
      const user = this.host.user();
      const isSame = user && !this.#isAlike(token) && (await this.identify(token)) === user;
      // guard: late-token-ignored
      if (source === this.#source) this.use(token, isSame);
    } catch (cause) {
      throw new CarillonError(0, 'token', `cannot get a token: ${cause}`);
    } finally {
      if (source === this.#source) this.#asking = undefined;
    }
  }

  /** Merges calls that come while `run` is running into one more run; retries after a failure. */
  merge(run) {
    let isDue = false;
    // A slow answer for the previous user must not hold up the next one's.
    let runner;
    const start = async () => {
      const { host, options, owner } = this;
      isDue = true;
      // guard: late-load-does-not-hold-up
      if (runner === owner) return;
      runner = owner;
      try {
        while (isDue && host.isLeader() && owner === this.owner) {
          isDue = false;
          await run();
        }
      } catch (error) {
        if (owner !== this.owner) return;
        host.failed(error);
        const again = () => host.isConnected() && start();
        options.clock.setTimeout(again, Math.max(options.reconnectInterval, error.retryAfter ?? 0));
      } finally {
        if (runner === owner) runner = undefined;
      }
    };
    return start;
  }

  renew() {
    this.#isOld = true;
    return !!this.#source;
  }
}

/** The stream's event names that need a translation; in all others the first `_` becomes `:`. */
const NAMES = {
  room_notification: 'room:message',
  typing_indicator: 'typing',
  presence_update: 'presence',
};

const parse = (text) => {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
};

/**
 * Reads server-sent events from chunks of bytes: HTML Standard, section 9.2.6.
 *
 * Returns a function that takes the next chunk, which may end anywhere, and passes each completed
 * event to `dispatch` as `{ data, id }`. A block without data, such as a comment or a `retry`, is
 * no event. Events of a named type have another meaning, so they are not passed on.
 */
export const eventReader = (dispatch) => {
  // It keeps the bytes of an incomplete character, and drops a byte order mark.
  const decoder = new TextDecoder();
  let rest = '';
  let isAfterReturn = false;
  let id = '';
  let data, type;

  const take = (line) => {
    if (!line) {
      if (data && (type ?? 'message') === 'message') dispatch({ data: data.join('\n'), id });
      data = type = undefined;
      return;
    }
    const [, field, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
    if (field === 'data') (data ??= []).push(value);
    else if (field === 'event') type = value || undefined;
    else if (field === 'id' && !value.includes('\0')) id = value;
  };

  return (chunk) => {
    let text = decoder.decode(chunk, { stream: true });
    if (!text) return;
    // The line that ended with the last chunk's return may end with this chunk's line feed.
    if (isAfterReturn && text[0] === '\n') text = text.slice(1);
    isAfterReturn = text.endsWith('\r');
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop() ?? '';
    lines.forEach(take);
  };
};

export const transports = {
  websocket: (link) =>
    new Promise((resolve) => {
      const { clock, WebSocket } = link.options;
      const address = link.address('/api/v1/ws/notifications').replace(/^http/, 'ws');
      // The token is not part of the URL, which proxies log.
      // guard: token-not-in-address
      const socket = new WebSocket(address, ['bearer', link.bearer()]);
      let opened = false;
      let timer;
      const end = (code, reason = '') => {
        clock.clearTimeout(timer);
        socket.onmessage = socket.onclose = null;
        socket.close();
        // A close code other than 1006 comes from the server, so it was reached.
        resolve({ opened: opened || code !== LOST, code, reason });
      };
      const within = (time, then = () => end(LOST, 'no answer')) => {
        clock.clearTimeout(timer);
        timer = clock.setTimeout(then, time);
      };
      const ping = (time) => {
        link.send('{"type":"ping"}');
        within(time);
      };
      link.close = () => end(1000);
      link.check = () => opened && ping(PONG_SOON);
      link.send = (text, shown = text) => {
        if (socket.readyState !== 1) return;
        socket.send(text);
        link.frame('out', shown);
      };
      socket.onclose = ({ code, reason }) => end(code, reason);
      socket.onmessage = ({ data: text }) => {
        // guard: silent-socket-closed
        within(ASK_AFTER, () => ping(DEAD_AFTER - ASK_AFTER));
        link.frame('in', text);
        const { event, data, timestamp } = parse(text);
        if (event === 'connection:established' && !opened) {
          opened = true;
          link.opened();
        }
        if (event !== 'pong' && event !== 'heartbeat') link.receive(event, data, timestamp);
      };
      within(OPENS_WITHIN);
    }),

  // The stream carries fewer fields of a notification than the other transports, so notifications
  // are pulled by a request. `EventSource` cannot send the token in a header.
  async sse(link) {
    const { clock } = link.options;
    const ending = new AbortController();
    let opened = false;
    let timer;
    link.close = () => ending.abort();
    const within = (time) => {
      clock.clearTimeout(timer);
      timer = clock.setTimeout(link.close, time);
    };
    within(OPENS_WITHIN);
    const read = eventReader(({ data: text, id }) => {
      link.frame('in', text);
      link.begin(id);
      // The first event follows the head at once, except through a proxy that buffers the body.
      if (!opened) {
        opened = true;
        link.opened();
      }
      const { type, data, timestamp } = parse(text);
      if (type === 'heartbeat') return;
      if (type === 'notification' || type === 'unread_count') link.changed();
      else link.receive(NAMES[type] ?? String(type).replace('_', ':'), data, timestamp);
    });
    try {
      // guard: token-not-in-stream-address
      const { body } = await link.stream(link.address('/notifications/events'), ending.signal);
      const reader = body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || ending.signal.aborted) return { opened, code: LOST };
        read(value);
        // Comments count as well. Before the first event, they do not.
        // guard: silent-stream-closed
        if (opened) within(DEAD_AFTER);
      }
    } catch (error) {
      return opened ? { opened, code: LOST } : { error, code: LOST };
    } finally {
      clock.clearTimeout(timer);
      ending.abort();
    }
  },

  async poll(link) {
    const { clock } = link.options;
    const ending = new AbortController();
    let opened = false;
    link.close = () => ending.abort();
    try {
      for (let wait = 0;; wait = POLL_SECONDS) {
        const start = clock.now();
        const timer = clock.setTimeout(link.close, wait ? DEAD_AFTER : OPENS_WITHIN);
        const count = await link.pull(wait, ending.signal, () => {
          if (!opened) link.opened();
          opened = true;
        }).finally(() => clock.clearTimeout(timer));
        // A draining server answers polls at once, so a pause prevents a busy loop.
        if (wait && !count && clock.now() - start < 1_000) {
          await new Promise((resolve) => clock.setTimeout(resolve, 1_000));
        }
      }
    } catch (error) {
      return { opened, error };
    }
  },
};

/** The options of a client that its page does not set. */
export const defaults = {
  url: serverOf(import.meta.url),
  transports: ['websocket', 'sse', 'poll'],
  reconnectInterval: 5_000,
  maxReconnectAttempts: Infinity,
  autoReconnect: true,
  capacity: 50,
  shared: true,
  rooms: [],
  random: Math.random,
  clock: {
    now: () => Date.now(),
    setTimeout: (run, time) => setTimeout(run, time),
    clearTimeout: (timer) => clearTimeout(timer),
  },
};
