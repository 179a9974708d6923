// A fake network and a fake clock controlled by the test, and a client that uses them.

import { Carillon } from '../../Sources/WebClient/client/carillon.js';
import { resetPage } from './page.js';

export const EPOCH = 1_000_000;

const soon = () => new Promise((resolve) => setImmediate(resolve));

/** A clock that advances only when `pass` is called. */
const fakeClock = () => {
  let now = EPOCH;
  let last = 0;
  const timers = new Map();
  const clock = {
    now: () => now,
    setTimeout: (run, time = 0) => (timers.set(++last, { run, at: now + time }), last),
    clearTimeout: (id) => void timers.delete(id),
  };
  /** Waits until no task is pending except timers. */
  const settle = async () => {
    for (let i = 0; i < 20; i++) await soon();
  };
  /** Advances the clock by `time` and runs the timers that are due, in order. */
  const pass = async (time) => {
    const end = now + time;
    for (;;) {
      await settle();
      const due = [...timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
      if (!due.length) break;
      const [id, { run, at }] = due[0];
      timers.delete(id);
      now = Math.max(now, at);
      run();
    }
    now = end;
    await settle();
  };
  return { clock, timers, settle, pass };
};

/** A token of a user, with a payload that the client can read. */
export const tokenOf = (user, claims = {}) => {
  const payload = Buffer.from(JSON.stringify({ sub: user, ...claims })).toString('base64url');
  return `head.${payload}.signature`;
};

/** The body of a streamed response: `push` adds a text or bytes, `end` ends it. */
export const streamBody = () => {
  const waiting = [];
  const chunks = [];
  const body = {
    push: (chunk) => {
      const value = typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk;
      chunks.push(() => ({ done: false, value }));
      waiting.shift()?.();
    },
    end: (error) => {
      chunks.push(() => {
        if (error) throw error;
        return { done: true };
      });
      waiting.shift()?.();
    },
    getReader: () => ({
      read: async () => {
        if (!chunks.length) await new Promise((resolve) => waiting.push(resolve));
        return chunks.shift()();
      },
    }),
  };
  return body;
};

/** The claims of a token, for the server. */
const claimsOf = (token) => {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  } catch {
    return {};
  }
};

/** A network. The functions of `net` decide the outcome of sockets and requests. */
const fakeNetwork = (clock) => {
  const sockets = [];
  class WebSocket {
    readyState = 0;
    sent = [];
    constructor(url, [scheme, token]) {
      Object.assign(this, { url, scheme, token });
      this.at = clock.now();
      sockets.push(this);
      soon().then(() => net.socket(this, clock));
    }
    send(text) {
      this.sent.push(text);
      if (!net.isMute) soon().then(() => this.say('pong'));
    }
    close() {
      this.readyState = 3;
    }
    say(event, data = {}) {
      this.sayRaw(JSON.stringify({ event, data }));
    }
    sayRaw(data) {
      if (this.readyState === 3) return;
      this.readyState = 1;
      this.onmessage?.({ data });
    }
    end(code, reason = '') {
      this.readyState = 3;
      this.onclose?.({ code, reason });
    }
  }
  const net = {
    /** Called with each new socket and the clock; opens or ends the socket. */
    socket: (socket) => socket.say('connection:established', { cursor: 'e.1' }),
    /** Answers the request for the user of a token. */
    me: (token) => ({ data: { user_id: claimsOf(token).sub ?? `user of ${token}` } }),
    /**
     * Answers a request: `{ status, data, error, retryAfter }`, with `text` that is no JSON, or
     * with a `body` made by `streamBody`. Status 0: no response.
     */
    answer: (path) => ({
      data: path.includes('?limit=') ? { notifications: [], total: 0, unread: 0 } : {},
    }),
  };
  const requests = [];
  const identified = [];
  const fetch = async (url, { method, headers: { Authorization }, signal }) => {
    const path = url.replace(/^https?:\/\/[^/]+/, '');
    const token = Authorization.replace('Bearer ', '');
    const isMe = path.endsWith('/api/v1/me');
    (isMe ? identified : requests).push({ path, method, token, at: clock.now() });
    let abort;
    const aborted = new Promise((_, reject) => (abort = () => reject(signal.reason)));
    signal?.addEventListener('abort', abort);
    const answering = isMe ? net.me(token, url) : net.answer(path, method, token);
    const answer = await Promise.race([answering, aborted]);
    signal?.removeEventListener('abort', abort);
    const { status = 200, data, error, retryAfter, text, body } = answer;
    if (!status) throw new TypeError('Failed to fetch');
    const headers = new Headers(retryAfter ? { 'Retry-After': `${retryAfter}` } : {});
    const json = async () => {
      if (text) throw new SyntaxError('no JSON');
      return { data, error };
    };
    if (body) signal.addEventListener('abort', () => body.end(signal.reason));
    return { ok: status < 400, status, headers, json, body };
  };
  return { net, sockets, requests, identified, WebSocket, fetch };
};

/** The server and the clock of one test. The store's timers run on the same clock. */
export const fakes = () => {
  const page = resetPage();
  const time = fakeClock();
  const { clock, settle } = time;
  // The store uses the page's timers.
  globalThis.setTimeout = clock.setTimeout;
  globalThis.clearTimeout = clock.clearTimeout;
  AbortSignal.timeout = (limit) => {
    const ending = new AbortController();
    clock.setTimeout(() => ending.abort(), limit);
    return ending.signal;
  };

  const { net, sockets, requests, identified, WebSocket, fetch } = fakeNetwork(clock);
  const options = {
    clock,
    WebSocket,
    fetch,
    random: () => 0.5,
    shared: false,
    BroadcastChannel: null,
    token: 'a.b.c',
    transports: ['websocket'],
    reconnectInterval: 5_000,
  };
  const openSockets = () => sockets.filter(({ readyState }) => readyState === 1);
  /** Sends an event on every open connection. */
  const say = async (event, data) => {
    for (const socket of openSockets()) socket.say(event, data);
    await settle();
  };
  return { ...time, page, options, net, sockets, openSockets, requests, identified, say };
};

/** A client and a record of the events that it dispatches. */
export const openClient = (options) => {
  const client = new Carillon(options);
  const log = [];
  const names = ['state', 'notification', 'stats', 'error', 'message', 'event', 'frame', 'resync'];
  for (const name of [...names, 'reset']) {
    client.addEventListener(name, ({ detail }) => log.push([name, detail]));
  }
  const detailsOf = (name) => log.filter(([each]) => each === name).map(([, detail]) => detail);
  client.connect();
  return {
    client,
    store: client.store,
    detailsOf,
    states: () => detailsOf('state'),
    errorCodes: () => detailsOf('error').map(({ code }) => code),
    titles: () => detailsOf('notification').map(({ title }) => title),
    listed: () => client.store.value.notifications.map(({ title }) => title),
  };
};

/** Starts a client on a fake network and runs everything that is due at once. */
export const start = async (options = {}, net = {}, page = {}) => {
  const world = fakes();
  document.hidden = page.isHidden ?? false;
  navigator.onLine = page.isOnline ?? true;
  Object.assign(world.net, net);
  const tab = openClient({ ...world.options, ...options });
  await world.pass(0);
  const times = () => world.sockets.map(({ at }) => at - EPOCH);
  const gaps = () => times().slice(1).map((time, i) => time - times()[i]);
  return { ...world, ...tab, gaps };
};

/** Outcomes for `net`: the server cannot be reached. */
export const refuse = (socket) => socket.end(1006);
export const away = { socket: refuse, answer: () => ({ status: 0 }) };
/** An immediate response to a poll, without notifications. */
export const emptyPoll = () => ({
  data: { notifications: [], cursor: 'e.1', total: 0, unread: 0 },
});
/** Accepts each socket, without a cursor, as for an empty inbox. */
export const accept = (socket) => socket.say('connection:established');
