// @ts-check
import { CarillonError, Connection } from './connection.js';
import { notification, NotificationStore } from './store.js';
import { channelOf, Tabs } from './tabs.js';

/** Version of the messages that tabs exchange. */
const VERSION = 2;
/** Number of remembered notification ids, so that no notification is dispatched twice. */
const SEEN = 1_000;
/** A request without an answer after this time has failed: its connection may be dead. */
const ANSWERED_WITHIN = 20_000;
const INBOX = '/api/v1/notifications';
const USERS = Symbol.for('carillon/users');
/** Events about stored notifications, and the names under which the client dispatches them. */
const NAMES = Object.assign(Object.create(null), {
  'notification:new': 'notification',
  'notification:read': 'read',
  'notification:deleted': 'deleted',
  'stats:updated': 'stats',
});
const REALTIME = '/api/v1/websocket/realtime/';

/** Returns the address of the server of a module; the page's own if the page bundles the module. */
export const serverOf = (module) =>
  /^https?:.*(?=\/client\/([0-9a-f]{16}\/)?[^/]+$)/.exec(module)?.[0] ?? '/';

/** Returns how to mend the cause of an error. */
const remedyOf = ({ code, status }) => {
  if (code === 'token') return 'Set a token, or a function that fetches one.';
  if (code === 'refused' || status === 401) return 'Check it with "carillon token --check".';
  const address = 'Set the server: url="…" on <carillon-bell>, or configure({ url })';
  const origins = `and list ${globalThis.location?.origin} in its WEBSOCKET_CORS_ORIGINS.`;
  return status && status !== 403 ? `${address}.` : `${address}, ${origins}`;
};

const refusal = ({ status, headers }, address, { code = 'http', message = '' } = {}) => {
  const wait = Number(headers.get('Retry-After')) * 1_000;
  return new CarillonError(status, code, message || `status ${status}`, wait || undefined, address);
};

const answerOf = async (response, address) => {
  const answer = await response.json().catch(() => {});
  if (!answer) throw refusal(response, address);
  return answer;
};

const defaults = {
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

const isHidden = () => !!globalThis.document?.hidden;

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
 * One user's client in one page.
 *
 * The leader tab connects and forwards each received event to the other tabs. All tabs process
 * events in the same way.
 */
export class Carillon extends EventTarget {
  #token;
  /** The id of the user, as the server names it; empty until it is known. */
  #user = '';
  /** The position of the last user, who may be the user of the present token as well. */
  #past;
  #source;
  #asking;
  /** Ends the wait for a token of a replaced source. */
  #supersede;
  #isOld = false;
  #renewal;
  #connection;
  #tabs;
  #rooms;
  #seen = new Set();
  #state = 'disconnected';
  #isExplained = false;
  #cursor = '';
  #isWanted = false;
  /** Whether this tab has the full state; until then it ignores events from other tabs. */
  #isCurrent = false;
  #ending = new AbortController();
  /** Replaced when the user logs out or changes: answers for an earlier owner are ignored. */
  #owner = {};
  /** Brings the logouts of other tabs. */
  #exits;

  constructor(options = {}) {
    super();
    const { fetch, WebSocket, BroadcastChannel, navigator, location } = globalThis;
    const page = { fetch: fetch.bind(globalThis), WebSocket, BroadcastChannel };
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    this.options = { ...defaults, ...page, locks: navigator?.locks, ...Object.fromEntries(given) };
    // A server that renders pages has no location; the client does not connect there.
    const { href } = new URL(this.options.url, location?.href ?? 'http://localhost');
    this.url = href.replace(/\/+$/, '');
    this.store = options.store ?? new NotificationStore({ capacity: this.options.capacity });
    this.store.bind({
      request: this.request.bind(this),
      failed: this.#failed,
      share: (step) => this.#tabs?.post({ kind: 'step', step }),
    });
    this.#rooms = new Set(this.options.rooms);
    this.#take(options.token);
    this.#connection = new Connection({
      options: this.options,
      token: () => this.#fresh(),
      renew: () => this.#renew(),
      identify: () => {
        if (!this.#user) this.#change('connecting');
        return this.#identify(this.#token);
      },
      lead: (user) => this.#lead(user),
      rooms: () => this.#allRooms(),
      address: (path) => {
        const rooms = this.#allRooms();
        const query = { since: this.#cursor, ...(rooms && { rooms }) };
        return `${this.url + path}?${new URLSearchParams(query)}`;
      },
      bearer: () => this.#token,
      stream: (address, signal) => this.#send('GET', address, undefined, signal),
      probe: () => this.request('GET', `${INBOX}/unread-count`),
      change: this.#change,
      opened: () => {
        this.#change('connected');
        this.#isExplained = false;
        this.#planRenewal();
        // Replayed events contain no changes of notifications, so load the list as well.
        this.#load();
      },
      begin: (cursor) => this.#cursor || this.#move(cursor),
      receive: this.#receive,
      pull: this.#pull,
      changed: this.#pullAll,
      frame: this.#frame,
      failed: this.#explain,
      ended: () => this.#tabs?.yield(),
      isSuspended: () => isHidden() && navigator.onLine === false,
    });
    this.#watch();
  }

  get state() {
    return this.#state;
  }

  /** Whether the client reconnects by itself when it is not connected. */
  get isWanted() {
    return this.#isWanted;
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

  get user() {
    return this.#user;
  }

  get isVisible() {
    const others = [...(this.#tabs?.peers.values() ?? [])];
    return !isHidden() || others.some((peer) => peer.isVisible);
  }

  connect() {
    if (this.#ending.signal.aborted) return;
    this.#isWanted = true;
    this.#attend();
    if (!this.#connection.isRunning && this.#state !== 'connected') this.#setState('connecting');
    this.#connection.start();
    if (this.#state === 'connected' && !this.store.value.loaded) this.#load();
  }

  pause() {
    this.#isWanted = false;
    this.#leave();
  }

  disconnect() {
    this.#exits?.postMessage({ user: this.#user, identity: identityOf(this.#token) });
    this.#exit();
  }

  close() {
    this.pause();
    this.#ignore();
    this.#ending.abort();
    this.store.bind();
  }

  join(room) {
    this.#rooms.add(room);
    this.#roomsChanged();
  }

  leave(room) {
    this.#rooms.delete(room);
    this.#roomsChanged();
  }

  setToken(token) {
    if (!token) {
      if (this.#token || this.#source) this.disconnect();
      this.#token = this.#past = undefined;
    }
    const { isRunning } = this.#connection;
    this.#take(token);
    if (!token) return;
    // The attempt in progress may wait for an answer about the last token.
    if (isRunning && !this.#user) this.#connection.restart();
    else if (this.#isWanted && this.#state !== 'connected') this.connect();
    else if (this.#isWanted) this.#fresh().catch(this.#failed);
  }

  list(query = {}) {
    const asked = Object.entries(query).filter(([, value]) => (value ?? null) !== null);
    return this.request('GET', `${INBOX}?${new URLSearchParams(asked)}`);
  }

  typing(room, isTyping = true) {
    return this.request('POST', `${REALTIME}typing`, { room, is_typing: isTyping });
  }

  presence(status) {
    return this.request('POST', `${REALTIME}presence`, { status });
  }

  async request(method, path, body, signal) {
    const address = this.url + path;
    return (await answerOf(await this.#send(method, address, body, signal), address)).data;
  }

  /** Returns the user of a token: who it is decides the server, which is asked once for each. */
  #identify(token) {
    const users = (globalThis[USERS] ??= new Map());
    const address = `${this.url}/api/v1/me`;
    const key = `${address} ${token}`;
    const ask = async () => {
      const response = await this.#send('GET', address, undefined, undefined, token);
      const { data } = await answerOf(response, address);
      if (typeof data?.user_id === 'string') return data.user_id;
      throw refusal(response, address);
    };
    if (!users.has(key)) {
      const user = ask();
      users.set(key, user);
      user.catch(() => users.delete(key));
    }
    return users.get(key);
  }

  /** Sends a request, and returns the response if the server granted it. */
  async #send(method, address, body, signal, token) {
    const { clock, fetch } = this.options;
    const owner = this.#owner;
    for (let isAgain = false;; isAgain = true) {
      const headers = { Authorization: `Bearer ${token ?? (await this.#fresh())}` };
      // The request of one user must not be sent with the token of the next.
      if (owner !== this.#owner) throw new CarillonError(0, 'ended', 'the user logged out');
      if (body !== undefined) headers['Content-Type'] = 'application/json';
      const limit = new AbortController();
      const timer = clock.setTimeout(() => limit.abort(), ANSWERED_WITHIN);
      const sent = { method, headers, body: JSON.stringify(body), cache: 'no-store' };
      let response;
      try {
        response = await fetch(address, { ...sent, signal: signal ?? limit.signal });
      } catch (cause) {
        const text = `the server cannot be reached: ${cause}`;
        throw new CarillonError(0, 'network', text, undefined, address);
      } finally {
        clock.clearTimeout(timer);
      }
      if (response.ok) return response;
      if (response.status === 401 && !token && !isAgain && this.#renew()) continue;
      throw refusal(response, address, (await response.json().catch(() => {}))?.error);
    }
  }

  #take(token) {
    const isText = typeof token === 'string';
    if (!isText && token === this.#source) return;
    this.#source = isText ? undefined : token;
    this.#asking = undefined;
    this.#supersede?.();
    this.#isOld = true;
    if (isText) this.#use(token);
  }

  #isAlike(token) {
    return identityOf(token) === identityOf(this.#token);
  }

  #use(text, isSameUser = false) {
    // A token that is read from a file or an answer often ends with a newline.
    const token = text.trim();
    this.#isOld = false;
    if (token === this.#token) return;
    const mayDiffer = this.#user && !isSameUser && !this.#isAlike(token);
    this.#token = token;
    if (mayDiffer) {
      // Nothing of the last user is shown until it is known that the user is the same.
      const past = { user: this.#user, cursor: this.#cursor, seen: this.#seen };
      this.#switch();
      this.#past = past;
    } else if (this.#user) {
      this.#hand(token).catch(this.#failed);
    }
  }

  /** Discards the last user and goes on with the present token. */
  #switch() {
    const { isRunning } = this.#connection;
    this.#leave();
    this.#forget();
    if (!isRunning) return;
    this.#setState('connecting');
    this.#connection.restart();
  }

  /** Hands a fresh token of the same user to the other tabs and to the open connection. */
  async #hand(token) {
    this.#planRenewal();
    const user = await this.#identify(token);
    if (token !== this.#token || !this.#user) return;
    if (user !== this.#user) return this.#switch();
    this.#tabs?.post({ kind: 'token', token });
    if (this.isLeader) this.#connection.sendToken(token);
  }

  async #fresh() {
    const { clock } = this.options;
    if (claimsOf(this.#token).exp * 1_000 < clock.now()) this.#isOld = true;
    if (this.#token && !(this.#source && this.#isOld)) return this.#token;
    const source = this.#source;
    this.#asking ??= Promise.race([
      this.#ask(source),
      new Promise((resolve) => (this.#supersede = resolve)),
    ]);
    await this.#asking;
    // Another token may have been set in the meantime.
    return source === this.#source ? this.#token : this.#fresh();
  }

  async #ask(source) {
    try {
      // deno-lint-ignore no-throw-literal -- The text becomes the end of the message below.
      if (!source) throw 'none is set';
      const token = await source();
      // deno-lint-ignore no-throw-literal -- As above.
      if (typeof token !== 'string') throw 'not a string';
      const isKnown = this.#user && !this.#isAlike(token.trim());
      const isSameUser = isKnown && (await this.#identify(token.trim())) === this.#user;
      if (source === this.#source) this.#use(token, isSameUser);
    } catch (cause) {
      throw new CarillonError(0, 'token', `cannot get a token: ${cause}`);
    } finally {
      if (source === this.#source) this.#asking = undefined;
    }
  }

  #renew() {
    this.#isOld = true;
    return !!this.#source;
  }

  #planRenewal() {
    const { clock } = this.options;
    clock.clearTimeout(this.#renewal);
    const left = claimsOf(this.#token).exp * 1_000 - clock.now();
    if (!this.#source || !this.isLeader || !(left > 0)) return;
    const renew = () => this.isLeader && this.#renew() && this.#fresh().catch(this.#failed);
    const time = Math.max(left * 0.9, left - 60_000);
    this.#renewal = clock.setTimeout(renew, Math.min(time, 2 ** 31 - 1));
  }

  async #lead(user) {
    const { shared, locks, BroadcastChannel } = this.options;
    if (user !== this.#user && this.#user) this.#forget();
    if (user === this.#past?.user) {
      this.#cursor = this.#past.cursor;
      this.#seen = this.#past.seen;
    }
    this.#past = undefined;
    this.#user = user;
    const name = `carillon/${VERSION} ${this.url} ${user}`;
    const tabs = (this.#tabs ??= new Tabs(name, shared && locks, BroadcastChannel, {
      ...this.options,
      is: () => ({ rooms: this.rooms, isVisible: !isHidden(), cursor: this.#cursor }),
      isHidden,
      receive: this.#fromTab,
      deposed: () => this.#connection.restart(),
      moved: () => this.isLeader && this.#connection.follow(),
      welcome: (to) => this.#sync({ to }),
    }));
    if (tabs.isLeader) return;
    await tabs.lead();
    this.#isCurrent = true;
    // A tab that opened under a blocked leader continues where the other tabs are.
    for (const { cursor } of tabs.peers.values()) this.#cursor ||= cursor;
    // The last state from the previous leader may be out of date.
    if (this.#cursor) this.#sync({ state: 'connecting' });
  }

  /** Sends the full state to the other tabs. */
  #sync(more = {}) {
    const { stats } = this;
    const all = { state: this.#state, cursor: this.#cursor, stats, inbox: this.store.snapshot() };
    this.#tabs?.post({ kind: 'all', ...all, ...more });
  }

  #fromTab = ({ kind, state, cursor, stats, inbox, step, told, token }) => {
    if (kind === 'token') {
      this.#use(token, true);
    } else if (kind === 'all' && !this.isLeader) {
      this.#isCurrent = true;
      this.#cursor = cursor;
      this.store.restore(inbox);
      this.#count(stats);
      this.#setState(state);
    } else if (this.#isCurrent) {
      if (state && !this.isLeader) this.#setState(state);
      if (cursor) this.#cursor = cursor;
      if (step) this.store.mirror(step);
      if (told) this.#digest(...told);
    } else if (told) {
      this.#cursor = told[1].cursor ?? this.#cursor;
    }
  };

  #allRooms() {
    const peers = [...(this.#tabs?.peers.values() ?? [])];
    return [...new Set([...peers.flatMap(({ rooms }) => rooms), ...this.#rooms])].sort().join();
  }

  #roomsChanged() {
    this.#tabs?.introduce();
    if (this.isLeader) this.#connection.follow();
  }

  #leave() {
    this.#connection.stop();
    this.#tabs?.close();
    this.#tabs = undefined;
    this.#isCurrent = false;
    this.options.clock.clearTimeout(this.#renewal);
    this.#setState('disconnected');
  }

  /** Opens the channel on which the tabs of a server announce logouts. */
  #attend() {
    const name = `carillon/${VERSION} ${this.url}`;
    this.#exits ??= channelOf(name, this.options.BroadcastChannel);
    if (!this.#exits) return;
    this.#exits.onmessage = ({ data: { user, identity } }) => {
      const isSame = this.#user ? user === this.#user : identity === identityOf(this.#token);
      if (isSame) this.#exit();
    };
  }

  #ignore() {
    this.#exits?.close();
    this.#exits = undefined;
  }

  /** Logs out in this tab. */
  #exit() {
    this.pause();
    this.#forget();
  }

  /** Discards everything of the present user, before another one comes. */
  #forget() {
    this.#owner = {};
    this.#user = this.#cursor = '';
    this.stats = undefined;
    this.#seen = new Set();
    this.store.reset();
    this.#emit('reset');
  }

  #receive = (event, data, timestamp) => {
    if (typeof event !== 'string' || typeof data !== 'object' || !data) return;
    try {
      this.#tabs?.post({ kind: 'told', told: [event, data, timestamp] });
      this.#digest(event, data, timestamp);
    } catch (error) {
      this.#failed(error);
    }
  };

  #digest(event, { cursor, ...data }, timestamp) {
    if (event === 'notification:new' && this.#seen.has(data.id)) return;
    if (typeof cursor === 'string') this.#cursor = cursor;
    if (event === 'notification:new') {
      if (typeof data.id !== 'string') return;
      this.#seen.add(data.id);
      if (this.#seen.size > SEEN) this.#seen.delete(this.#seen.values().next().value);
      data = notification(data);
    }
    const name = NAMES[event];
    const isStale = name ? this.store.receive(event, data) : event === 'resync';
    if (isStale && this.isLeader) this.#load();
    if (name === 'stats') this.#count(data);
    else if (name) this.#emit(name, data);
    else if (event === 'resync') this.#emit(event);
    else if (event !== 'connection:established' && (!data.room || this.#rooms.has(data.room))) {
      this.#emit('message', { event, data });
    }
    this.#emit('event', { event, data, timestamp });
  }

  #count(stats) {
    if (!stats || JSON.stringify(stats) === JSON.stringify(this.stats)) return;
    this.stats = stats;
    this.#emit('stats', stats);
  }

  #move(cursor) {
    if (!cursor) return;
    this.#cursor = cursor;
    this.#tabs?.post({ kind: 'cursor', cursor });
  }

  #pull = async (wait = 0, signal = undefined, opened = () => {}) => {
    const owner = this.#owner;
    const query = new URLSearchParams({ since: this.#cursor, wait: `${wait}` });
    const answer = await this.request('GET', `${INBOX}/poll?${query}`, undefined, signal);
    if (owner !== this.#owner) return 0;
    const { notifications, cursor, resync } = answer;
    opened();
    this.#frame('in', JSON.stringify(answer));
    for (const each of notifications) this.#receive('notification:new', each, each.created_at);
    if (resync) this.#receive('resync', { cursor });
    else this.#move(cursor);
    const stats = await this.request('GET', `${INBOX}/stats`, undefined, signal);
    if (owner !== this.#owner) return 0;
    this.#receive('stats:updated', stats);
    return notifications.length;
  };

  #pullAll = this.#once(async () => {
    while (await this.#pull());
  });

  #load = this.#once(async () => {
    const owner = this.#owner;
    this.store.beginLoad();
    const [page, stats] = await Promise.all([
      this.request('GET', `${INBOX}?limit=${this.store.capacity}&collapse=false`),
      this.stats ?? this.request('GET', `${INBOX}/stats`),
    ]);
    if (!this.isLeader || owner !== this.#owner) return;
    if (this.store.load(page)) this.#load();
    this.#sync();
    if (!this.stats) this.#receive('stats:updated', stats);
  });

  /** Merges calls that arrive while `run` is running into one more run; retries after a failure. */
  #once(run) {
    let state = {};
    const start = async () => {
      const owner = this.#owner;
      // A slow answer for the previous user must not hold up the next one's.
      if (state.owner !== owner) state = { owner };
      const mine = state;
      mine.isDue = true;
      if (mine.isRunning) return;
      mine.isRunning = true;
      try {
        while (mine.isDue && this.isLeader && owner === this.#owner) {
          mine.isDue = false;
          await run();
        }
      } catch (error) {
        if (owner !== this.#owner) return;
        this.#failed(error);
        const { clock, reconnectInterval } = this.options;
        const again = () => this.isLeader && this.#state === 'connected' && start();
        clock.setTimeout(again, Math.max(reconnectInterval, error.retryAfter ?? 0));
      } finally {
        mine.isRunning = false;
      }
    };
    return start;
  }

  #watch() {
    const connection = this.#connection;
    const on = (target, name, run) =>
      target?.addEventListener?.(name, run, { signal: this.#ending.signal });
    on(globalThis.document, 'visibilitychange', () => {
      this.#tabs?.introduce();
      if (isHidden()) return;
      this.#tabs?.ask();
      connection.wake();
    });
    on(globalThis, 'online', () => connection.wake(true));
    on(globalThis, 'offline', () => connection.check());
    // A page in the back/forward cache may hold neither a socket nor a lock.
    on(globalThis, 'pagehide', () => {
      this.#leave();
      this.#ignore();
    });
    on(globalThis, 'pageshow', ({ persisted }) => persisted && this.#isWanted && this.connect());
  }

  #change = (state) => {
    this.#setState(state);
    if (this.isLeader) this.#tabs.post({ kind: 'state', state });
  };

  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.store.setState(state);
    this.#emit('state', state);
  }

  #frame = (direction, text) => {
    this.#emit('frame', { direction, text, time: this.options.clock.now() });
  };

  /** Reports why there is no connection, and once, until there is one, also in the console. */
  #explain = (error) => {
    const { address = this.url, status, message } = error;
    this.#failed(error);
    if (this.#isExplained) return;
    this.#isExplained = true;
    const outcome = status || 'no answer';
    // deno-lint-ignore no-console -- A page without a listener would fail silently.
    console.warn(`Carillon: ${address}: ${outcome}: ${message}. ${remedyOf(error)}`);
  };

  #failed = (error) => {
    if (!this.#ending.signal.aborted) this.#emit('error', error);
  };

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
