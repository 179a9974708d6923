// @ts-check
import { Connection } from './connection.js';
import { CarillonError } from './error.js';
import { NotificationStore, notification } from './store.js';
import { Tabs } from './tabs.js';

/** Tabs understand each other only where this is the same. */
const VERSION = 1;
/** Ids that are remembered so that nothing is announced twice. */
const SEEN = 1_000;
const INBOX = '/api/v1/notifications';
const LONGEST_TIMER = 2 ** 31 - 1;

const defaults = () => ({
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
    setTimeout: (/** @type {any} */ run, /** @type {number} */ time) => setTimeout(run, time),
    clearTimeout: (/** @type {any} */ timer) => clearTimeout(timer),
  },
  fetch: (/** @type {any} */ ...values) => fetch(.../** @type {[any]} */ (values)),
  WebSocket: globalThis.WebSocket,
  EventSource: globalThis.EventSource,
  BroadcastChannel: globalThis.BroadcastChannel,
  locks: globalThis.navigator?.locks,
});

/** What a token says, unproven: the server alone can tell. @param {string} token */
const claimsOf = (token) => {
  try {
    const text = atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'));
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) ?? {};
  } catch {
    return {};
  }
};

/** @param {string} token @returns {string} */
const userOf = (token) => {
  const { sub, user_id, userId, id } = claimsOf(token);
  return String(sub ?? user_id ?? userId ?? id ?? '');
};

/**
 * One user's client in one page.
 *
 * Of the tabs that share a connection one leads: it alone connects, and tells the others what it
 * hears. Every tab takes that in the same way, the leader too, so all show the same.
 */
export class Carillon extends EventTarget {
  /** @type {string | undefined} */
  #token;
  /** @type {(() => any) | undefined} */
  #source;
  /** @type {Promise<string> | undefined} */
  #asking;
  /** @type {any} */
  #renewal;
  /** @type {Connection} */
  #connection;
  /** @type {Tabs | undefined} */
  #tabs;
  /** What each other tab has: its rooms, and whether it is visible. @type {Map<string, any>} */
  #peers = new Map();
  /** @type {Set<string>} */
  #rooms;
  /** @type {Set<string>} */
  #seen = new Set();
  #state = 'disconnected';
  #cursor = '';
  #isWanted = false;
  #isLoading = false;
  #isStale = false;
  #isPulling = false;
  #isChanged = false;
  /** Whether a follower has been told what there is; it takes no news before. */
  #isCurrent = false;
  #ending = new AbortController();

  /** @param {any} [options] */
  constructor(options = {}) {
    super();
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    this.options = { ...defaults(), ...Object.fromEntries(given) };
    const base = globalThis.location?.href;
    this.url = new URL(options.url ?? '/', base).href.replace(/\/+$/, '');
    this.store = options.store ?? new NotificationStore({ capacity: this.options.capacity });
    this.store.bind({
      request: this.request.bind(this),
      failed: this.#failed,
      share: (/** @type {any} */ change) => this.#share({ kind: 'change', change }),
    });
    this.#rooms = new Set(this.options.rooms);
    /** What the server counted last. @type {any} */
    this.stats = undefined;
    this.#keep(options.token);
    this.#connection = new Connection({
      options: this.options,
      token: () => this.#fresh(),
      renewToken: () => this.#renew(),
      lead: () => this.#lead(),
      address: this.#address,
      rooms: () => this.#allRooms(),
      probe: () => this.request('GET', `${INBOX}/unread-count`),
      changeState: (/** @type {string} */ state) => this.#change(state),
      opened: this.#opened,
      begin: (/** @type {string} */ cursor) => this.#cursor || this.#move(cursor),
      told: this.#told,
      pull: this.#pull,
      pullSoon: this.#pullSoon,
      frame: this.#frame,
      failed: this.#failed,
      ended: () => this.#tabs?.yield(),
      isAsleep: () => globalThis.document?.hidden && navigator.onLine === false,
    });
    this.#watch();
  }

  get state() {
    return this.#state;
  }

  get isLeader() {
    return !!this.#tabs?.isLeader;
  }

  get cursor() {
    return this.#cursor || undefined;
  }

  get rooms() {
    return [...this.#rooms];
  }

  /** The user of the token; empty as long as there is none. */
  get user() {
    return userOf(this.#token ?? '');
  }

  /** Whether a tab of this browser that shows this user's notifications is visible. */
  get isVisible() {
    const others = [...this.#peers.values()];
    return !globalThis.document?.hidden || others.some((peer) => peer.isVisible);
  }

  // The connection.

  connect() {
    if (this.#ending.signal.aborted) return;
    this.#isWanted = true;
    if (!this.#connection.isRunning && this.#state !== 'connected') this.#setState('connecting');
    this.#connection.start();
  }

  /** Leaves until `connect`. The other tabs go on. */
  disconnect() {
    this.#isWanted = false;
    this.#leave();
  }

  /** Ends for good. */
  close() {
    this.disconnect();
    this.#ending.abort();
    this.options.clock.clearTimeout(this.#renewal);
    this.store.bind(undefined);
  }

  #leave() {
    this.#connection.stop();
    this.#tabs?.post({ kind: 'bye' });
    this.#tabs?.close();
    this.#tabs = undefined;
    this.#peers.clear();
    this.#isCurrent = false;
    this.#setState('disconnected');
  }

  /** Hears this room too. @param {string} room */
  join(room) {
    this.#rooms.add(room);
    this.#roomsChanged();
  }

  /** @param {string} room */
  leave(room) {
    this.#rooms.delete(room);
    this.#roomsChanged();
  }

  /** Uses a fresh token from now on, and hands it over where there is a connection. */
  setToken(/** @type {any} */ token) {
    const user = this.user;
    this.#keep(token);
    if (typeof token === 'string') this.#use(token, user);
    if (!this.#isWanted) return;
    if (!this.#connection.isRunning || this.#state !== 'connected') this.connect();
  }

  // What the server does for the token's user.

  /**
   * A page of the inbox.
   *
   * @param {Record<string, any>} [query]
   */
  list(query = {}) {
    const asked = Object.entries(query).filter(([, value]) => value != null);
    return this.request('GET', `${INBOX}?${new URLSearchParams(asked)}`);
  }

  /** @param {string} room @param {boolean} [isTyping] */
  typing(room, isTyping = true) {
    const body = { room, is_typing: isTyping };
    return this.request('POST', '/api/v1/websocket/realtime/typing', body);
  }

  /** @param {string} status online, away, busy or offline */
  presence(status) {
    return this.request('POST', '/api/v1/websocket/realtime/presence', { status });
  }

  /**
   * The data of an answer.
   *
   * @param {string} method
   * @param {string} path
   * @param {any} [body]
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async request(method, path, body, signal) {
    for (let isAgain = false; ; isAgain = true) {
      /** @type {Record<string, string>} */
      const headers = { Authorization: `Bearer ${await this.#fresh()}` };
      if (body !== undefined) headers['Content-Type'] = 'application/json';
      let response, answer;
      try {
        const text = body === undefined ? undefined : JSON.stringify(body);
        const sent = { method, headers, body: text, signal, cache: 'no-store', credentials: 'omit' };
        response = await this.options.fetch(this.url + path, sent);
        answer = await response.json().catch(() => undefined);
      } catch (cause) {
        throw new CarillonError(0, 'network', `the server cannot be reached: ${cause}`);
      }
      const { status } = response;
      if (response.ok && answer) return answer.data;
      if (status === 401 && !isAgain && this.#renew()) continue;
      const { code = 'http', message = `status ${status}` } = answer?.error ?? {};
      const wait = Number(response.headers.get('Retry-After')) * 1_000 || undefined;
      throw new CarillonError(status, code, message, wait);
    }
  }

  // The token.

  /** @param {any} token */
  #keep(token) {
    if (typeof token !== 'function') return void (this.#token ??= token);
    this.#source = token;
    this.#token = undefined;
  }

  /** Takes a token that differs. @param {string} token @param {string} user before it */
  #use(token, user) {
    if (token === this.#token && user === this.user) return;
    this.#token = token;
    if (user && user !== this.user) return this.#forget();
    if (this.isLeader) this.#connection.handOver(token);
    else this.#tabs?.post({ kind: 'token', token });
    this.#planRenewal();
  }

  /** It is another user's: nothing of the old one's stays. */
  #forget() {
    this.#leave();
    this.#cursor = '';
    this.#seen.clear();
    this.stats = undefined;
    this.store.restore();
    if (this.#isWanted) this.connect();
  }

  /** A token that is not about to end, asked for where it can be. @returns {Promise<string>} */
  async #fresh() {
    const ends = claimsOf(this.#token ?? '').exp * 1_000;
    if (this.#token && !(this.#source && ends < this.options.clock.now())) return this.#token;
    if (!this.#source) throw new CarillonError(0, 'token', 'there is no token');
    this.#asking ??= (async () => this.#source?.())().finally(() => (this.#asking = undefined));
    const user = this.user;
    let token;
    try {
      token = await this.#asking;
    } catch (cause) {
      throw new CarillonError(0, 'token', `no token could be had: ${cause}`);
    }
    if (typeof token !== 'string' || !token) throw new CarillonError(0, 'token', 'not a token');
    this.#use(token, user);
    return token;
  }

  /** Whether another token can be asked for. */
  #renew() {
    if (this.#source) this.#token = undefined;
    return !!this.#source;
  }

  /** Asks for a fresh token before this one ends. */
  #planRenewal() {
    const { clock } = this.options;
    clock.clearTimeout(this.#renewal);
    const left = claimsOf(this.#token ?? '').exp * 1_000 - clock.now();
    if (!this.#source || !(left > 0)) return;
    const time = Math.min(Math.max(left * 0.9, left - 60_000), LONGEST_TIMER);
    this.#renewal = clock.setTimeout(async () => {
      if (!this.isLeader) return;
      const old = this.#token;
      this.#token = undefined;
      try {
        await this.#fresh();
      } catch (error) {
        this.#token ??= old;
        this.#failed(error);
      }
    }, time);
  }

  // The tabs.

  async #lead() {
    if (!this.#tabs) {
      const { user, options } = this;
      const name = `carillon/${VERSION} ${this.url} ${user}`;
      const isShared = options.shared && user && options.locks;
      this.#tabs = new Tabs(name, isShared ? options : {}, this.#hear);
      this.#introduce();
    }
    const tabs = this.#tabs;
    if (tabs.isLeader) return;
    await tabs.lead();
    if (this.#cursor && tabs.isLeader) tabs.post(this.#snapshot());
  }

  #introduce() {
    const isVisible = !globalThis.document?.hidden;
    this.#tabs?.post({ kind: 'hello', rooms: [...this.#rooms], isVisible });
  }

  #snapshot() {
    return {
      kind: 'snapshot',
      state: this.#state,
      cursor: this.#cursor,
      stats: this.stats,
      peers: [...this.#peers],
      store: this.store.snapshot(),
    };
  }

  /** Tells the other tabs. @param {any} message */
  #share(message) {
    this.#tabs?.post(message);
  }

  /** What another tab says. @param {any} message */
  #hear = (message) => {
    const { kind, from } = message;
    if (kind === 'hello') {
      this.#peers.set(from, { rooms: message.rooms, isVisible: message.isVisible });
      if (!this.isLeader) return;
      this.#tabs?.post({ ...this.#snapshot(), to: from });
      this.#connection.reopenIfMoved();
    } else if (kind === 'bye') {
      this.#peers.delete(from);
    } else if (kind === 'token') {
      if (this.isLeader && userOf(message.token) === this.user) this.#use(message.token, this.user);
    } else if (kind === 'snapshot') {
      if (this.isLeader) return;
      this.#isCurrent = true;
      this.#cursor = message.cursor;
      for (const [id, peer] of message.peers) if (id !== this.#tabs?.id) this.#peers.set(id, peer);
      this.store.restore(message.store);
      this.#count(message.stats);
      this.#setState(message.state);
    } else if (!this.#isCurrent && !this.isLeader) {
      // It is in the snapshot that comes.
    } else if (kind === 'state') {
      if (!this.isLeader) this.#setState(message.state);
    } else if (kind === 'cursor') {
      this.#cursor = message.cursor;
    } else if (kind === 'change') {
      this.store.mirror(message.change);
    } else if (kind === 'told') {
      this.#take(message.event, message.data, message.timestamp);
    }
  };

  // What the connection says.

  /** @param {string} path */
  #address = (path) => {
    const rooms = this.#allRooms();
    const query = new URLSearchParams({ token: this.#token ?? '', since: this.#cursor });
    if (rooms) query.set('rooms', rooms);
    return `${this.url}${path}?${query}`;
  };

  /** Those of every tab. */
  #allRooms() {
    const others = [...this.#peers.values()].flatMap((peer) => peer.rooms);
    return [...new Set([...others, ...this.#rooms])].sort().join();
  }

  #opened = () => {
    this.#change('connected');
    this.#planRenewal();
    // Changes leave no trace in what is replayed, so the list may be another.
    void this.#load();
  };

  /** @param {string} direction @param {string} text */
  #frame = (direction, text) => {
    this.#emit('frame', { direction, text, time: this.options.clock.now() });
  };

  /** @param {any} event @param {any} data @param {any} [timestamp] */
  #told = (event, data, timestamp) => {
    if (typeof event !== 'string' || typeof data !== 'object' || !data) return;
    try {
      this.#share({ kind: 'told', event, data, timestamp });
      this.#take(event, data, timestamp);
    } catch (error) {
      this.#failed(error);
    }
  };

  /** Takes what the server told, here or to the tab that leads. */
  #take(/** @type {string} */ event, /** @type {any} */ { cursor, ...data }, /** @type {any} */ timestamp) {
    if (event === 'notification:new') {
      if (typeof data.id !== 'string') return;
      if (cursor) this.#cursor = cursor;
      if (this.#seen.has(data.id)) return;
      this.#seen.add(data.id);
      if (this.#seen.size > SEEN) this.#seen.delete(this.#seen.values().next().value ?? '');
      data = notification(data);
      this.store.receive(event, data);
      this.#emit('notification', data);
    } else if (event === 'notification:read' || event === 'notification:deleted') {
      this.store.receive(event, data);
      this.#emit(event.slice(13), data);
    } else if (event === 'stats:updated') {
      if (this.store.receive(event, data) && this.isLeader) void this.#load();
      this.#count(data);
    } else if (event === 'resync') {
      this.#cursor = cursor;
      this.#emit('resync');
      if (this.isLeader) void this.#load();
    } else if (event === 'connection:established') {
      this.#cursor ||= cursor ?? '';
    } else if (!data.room || this.#rooms.has(data.room)) {
      this.#emit('message', { event, data });
    }
    this.#emit('event', { event, data, timestamp });
  }

  /** @param {any} stats */
  #count(stats) {
    if (!stats || JSON.stringify(stats) === JSON.stringify(this.stats)) return;
    this.stats = stats;
    this.#emit('stats', stats);
  }

  /** @param {string} cursor */
  #move(cursor) {
    if (!cursor) return;
    this.#cursor = cursor;
    this.#share({ kind: 'cursor', cursor });
  }

  /** Asks for what is newer than the cursor. @param {number} wait @param {AbortSignal} [signal] */
  #pull = async (wait, signal) => {
    const query = new URLSearchParams({ since: this.#cursor, wait: `${wait}` });
    const answer = await this.request('GET', `${INBOX}/poll?${query}`, undefined, signal);
    const { notifications, cursor, resync } = answer;
    this.#frame('in', JSON.stringify(answer));
    for (const each of notifications) this.#told('notification:new', each, each.created_at);
    if (resync) this.#told('resync', { cursor });
    else this.#move(cursor);
    this.#told('stats:updated', await this.request('GET', `${INBOX}/stats`, undefined, signal));
    return notifications.length;
  };

  /** The same, once for any number of reasons at a time. */
  #pullSoon = async () => {
    this.#isChanged = true;
    if (this.#isPulling) return;
    this.#isPulling = true;
    try {
      while (this.#isChanged) {
        this.#isChanged = false;
        while ((await this.#pull(0)) > 0);
      }
    } catch (error) {
      this.#failed(error);
      this.#again(this.#pullSoon, error);
    } finally {
      this.#isPulling = false;
    }
  };

  /** Loads the list that the store shows. */
  #load = async () => {
    this.#isStale = true;
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      while (this.#isStale && this.isLeader) {
        this.#isStale = false;
        this.store.beginLoad();
        const path = `${INBOX}?limit=${this.store.capacity}&collapse=false`;
        const stats = !this.stats && this.request('GET', `${INBOX}/stats`);
        const page = await this.request('GET', path);
        if (!this.isLeader) break;
        if (this.store.load(page)) this.#isStale = true;
        this.#share(this.#snapshot());
        const counts = await stats;
        if (counts && !this.stats) this.#told('stats:updated', counts);
      }
    } catch (error) {
      this.#failed(error);
      this.#again(this.#load, error);
    } finally {
      this.#isLoading = false;
    }
  };

  /** Tries again later, if there is still a connection then. */
  #again(/** @type {() => any} */ run, /** @type {any} */ error) {
    const { clock, reconnectInterval } = this.options;
    const time = Math.max(reconnectInterval, error.retryAfter ?? 0);
    clock.setTimeout(() => this.isLeader && this.#state === 'connected' && run(), time);
  }

  #roomsChanged() {
    this.#introduce();
    if (this.isLeader) this.#connection.reopenIfMoved();
  }

  // The page.

  #watch() {
    const { signal } = this.#ending;
    const on = (/** @type {any} */ target, /** @type {string} */ name, /** @type {any} */ run) =>
      target?.addEventListener?.(name, run, { signal });
    const connection = this.#connection;
    on(globalThis.document, 'visibilitychange', () => {
      this.#introduce();
      if (!document.hidden) connection.wake();
    });
    on(globalThis, 'online', () => connection.wake(true));
    on(globalThis, 'offline', () => connection.check());
    // A page that is kept for going back may hold neither a connection nor the lead.
    on(globalThis, 'pagehide', () => this.#leave());
    on(globalThis, 'pageshow', (/** @type {any} */ { persisted }) => {
      if (persisted && this.#isWanted) this.connect();
    });
  }

  /** @param {string} state */
  #change(state) {
    this.#setState(state);
    if (this.isLeader) this.#share({ kind: 'state', state });
  }

  /** @param {string} state */
  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.store.setState(state);
    this.#emit('state', state);
  }

  /** @param {any} error */
  #failed = (error) => {
    if (!this.#ending.signal.aborted) this.#emit('error', error);
  };

  /** @param {string} name @param {any} [detail] */
  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
