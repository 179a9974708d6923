// A network and a clock that a test moves by hand, and a client that uses them.

import { Carillon } from '../../Sources/WebClient/client/carillon.js';
import { resetPage } from './page.js';

export const EPOCH = 1_000_000;

const soon = () => new Promise((resolve) => setImmediate(resolve));

/** A clock that stands still until `pass` is called. */
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
  /** Lets `time` pass and runs the timers that are due, in order. */
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

/** A network whose `net` decides what becomes of sockets and requests. */
const fakeNetwork = (clock) => {
  const sockets = [];
  class WebSocket {
    readyState = 0;
    sent = [];
    constructor(url) {
      this.url = url;
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
      this.readyState = 1;
      this.onmessage?.({ data });
    }
    end(code, reason = '') {
      this.readyState = 3;
      this.onclose?.({ code, reason });
    }
  }
  const net = {
    /** Decides the fate of each new socket; may use the clock. */
    socket: (socket) => socket.say('connection:established', { cursor: 'e.1' }),
    /** Answers a request: `{ status, data, error, retryAfter }`; status 0 is no answer at all. */
    answer: (path) => ({
      data: path.includes('?limit=') ? { notifications: [], total: 0, unread: 0 } : {},
    }),
  };
  const requests = [];
  const fetch = async (url, { method } = {}) => {
    const path = url.replace(/^https?:\/\/[^/]+/, '');
    requests.push({ path, method, at: clock.now() });
    const { status = 200, data, error, retryAfter } = await net.answer(path, method);
    if (!status) throw new TypeError('Failed to fetch');
    const headers = new Headers(retryAfter ? { 'Retry-After': `${retryAfter}` } : {});
    return { ok: status < 400, status, headers, json: async () => ({ data, error }) };
  };
  return { net, sockets, requests, WebSocket, fetch };
};

/** The server and the clock of one test. Its store timers run on the same clock. */
export const fakes = () => {
  const page = resetPage();
  const time = fakeClock();
  const { clock, settle } = time;
  // The store takes its timers from the page.
  globalThis.setTimeout = clock.setTimeout;
  globalThis.clearTimeout = clock.clearTimeout;

  const { net, sockets, requests, WebSocket, fetch } = fakeNetwork(clock);
  const options = {
    clock,
    WebSocket,
    fetch,
    random: () => 0.5,
    shared: false,
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
  return { ...time, page, options, net, sockets, openSockets, requests, say };
};

/** A client and a record of the events that it dispatches. */
export const openClient = (options) => {
  const client = new Carillon(options);
  const log = [];
  const names = ['state', 'notification', 'stats', 'error', 'message', 'event', 'frame', 'resync'];
  for (const name of names) {
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

/** Starts a client on a fake network and lets it do all that takes no time. */
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

/** Fates for `net`: the server is not reached. */
export const refuse = (socket) => socket.end(1006);
export const away = { socket: refuse, answer: () => ({ status: 0 }) };
/** A poll that is answered at once, with nothing. */
export const emptyPoll = () => ({
  data: { notifications: [], cursor: 'e.1', total: 0, unread: 0 },
});
/** Accepts each socket; without a cursor, as an empty inbox has none. */
export const accept = (socket) => socket.say('connection:established');
