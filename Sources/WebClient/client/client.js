// @ts-check
import { channelOf, Connection, Tabs } from './connection.js';
import { notification, NotificationStore } from './store.js';
import { defaults, identityOf, Requests } from './transports.js';

/** Version of the messages that tabs exchange. */
const VERSION = 2;
/** Number of remembered notification ids, so that no notification is dispatched twice. */
const SEEN = 1_000;
const INBOX = '/api/v1/notifications';
/** Events about stored notifications, and the names under which the client dispatches them. */
const NAMES = Object.assign(Object.create(null), {
  'notification:new': 'notification',
  'notification:read': 'read',
  'notification:deleted': 'deleted',
  'stats:updated': 'stats',
});
const REALTIME = '/api/v1/websocket/realtime/';

const isHidden = () => !!globalThis.document?.hidden;

/**
 * One user's client in one page.
 *
 * The leader tab connects and forwards each received event to the other tabs. All tabs process
 * events in the same way.
 */
export class Carillon extends EventTarget {
  /** The requests, with the token that they carry. */
  #requests;
  /** The id of the user, as the server names it; empty until it is known. */
  #user = '';
  /** The position of the last user. The present token may be of the same user. */
  #past;
  #renewal;
  #connection;
  #load;
  #tabs;
  #rooms;
  #seen = new Set();
  #state = 'disconnected';
  #cursor = '';
  #isWanted = false;
  /** Whether this tab has the full state; until then it ignores events from other tabs. */
  #isCurrent = false;
  #ending = new AbortController();
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
    const requests = (this.#requests = new Requests(this.url, this.options, {
      user: () => this.#user,
      changed: this.#changed,
      isLeader: () => this.isLeader,
      isConnected: () => this.#state === 'connected',
      failed: this.#failed,
    }));
    this.#load = requests.merge(() => this.#loadList());
    const pullAll = requests.merge(async () => {
      while (await this.#pull());
    });
    requests.take(options.token);
    this.#connection = new Connection({
      options: this.options,
      url: this.url,
      token: () => requests.fresh(),
      renew: () => requests.renew(),
      identify: () => {
        if (!this.#user) this.#change('connecting');
        return requests.identify();
      },
      lead: (user) => this.#lead(user),
      rooms: () => this.#allRooms(),
      address: (path) => {
        const rooms = this.#allRooms();
        const query = { since: this.#cursor, ...(rooms && { rooms }) };
        // guard: connection-keeps-path-prefix
        return `${this.url + path}?${new URLSearchParams(query)}`;
      },
      bearer: () => requests.token,
      stream: (address, signal) => requests.send('GET', address, undefined, signal),
      probe: () => this.request('GET', `${INBOX}/unread-count`),
      change: this.#change,
      opened: () => {
        this.#change('connected');
        this.#planRenewal();
        // Replayed events contain no changes of notifications, so load the list as well.
        this.#load();
      },
      begin: (cursor) => this.#cursor || this.#move(cursor),
      receive: this.#receive,
      pull: this.#pull,
      changed: pullAll,
      frame: this.#frame,
      failed: this.#failed,
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
    // guard: logout-in-all-tabs
    this.#exits?.postMessage({ user: this.#user, identity: identityOf(this.#requests.token) });
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
    const requests = this.#requests;
    const { isRunning } = this.#connection;
    // guard: empty-token-logs-out
    if (!token) this.disconnect();
    requests.take(token);
    if (!token) return;
    // The attempt in progress may wait for an answer about the last token.
    if (isRunning && !this.#user) this.#connection.restart();
    else if (this.#isWanted && this.#state !== 'connected') this.connect();
    else if (this.#isWanted) requests.fresh().catch(this.#failed);
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

  request(method, path, body, signal) {
    return this.#requests.request(method, path, body, signal);
  }

  /** Takes over a new token. */
  #changed = (mayDiffer) => {
    // guard: unknown-user-hides-all
    if (mayDiffer) {
      // Nothing of the last user is shown until it is known that the user is the same.
      const past = { user: this.#user, cursor: this.#cursor, seen: this.#seen };
      this.#switch();
      this.#past = past;
    } else if (this.#user) {
      this.#hand().catch(this.#failed);
    }
  };

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
  async #hand() {
    this.#planRenewal();
    const { token } = this.#requests;
    const user = await this.#requests.identify();
    if (token !== this.#requests.token || !this.#user) return;
    if (user !== this.#user) return this.#switch();
    this.#tabs?.post({ kind: 'token', token });
    if (this.isLeader) this.#connection.sendToken(token);
  }

  #planRenewal() {
    const { clock } = this.options;
    clock.clearTimeout(this.#renewal);
    const requests = this.#requests;
    const { left } = requests;
    if (!this.isLeader || !(left > 0)) return;
    const renew = () => this.isLeader && requests.renew() && requests.fresh().catch(this.#failed);
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
    // guard: tabs-share-by-user
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
      this.#requests.use(token, true);
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
      const isSame = this.#user
        ? user === this.#user
        : identity === identityOf(this.#requests.token);
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
    this.#past = undefined;
  }

  /** Discards everything of the present user, before another one comes. */
  #forget() {
    this.#requests.owner = {};
    this.#user = this.#cursor = '';
    this.stats = undefined;
    this.#seen = new Set();
    // guard: logout-clears-store
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
    const owner = this.#requests.owner;
    const query = new URLSearchParams({ since: this.#cursor, wait: `${wait}` });
    const answer = await this.request('GET', `${INBOX}/poll?${query}`, undefined, signal);
    // guard: late-poll-ignored
    if (owner !== this.#requests.owner) return 0;
    const { notifications, cursor, resync } = answer;
    opened();
    this.#frame('in', JSON.stringify(answer));
    for (const each of notifications) this.#receive('notification:new', each, each.created_at);
    if (resync) this.#receive('resync', { cursor });
    else this.#move(cursor);
    const at = this.#cursor;
    const stats = await this.request('GET', `${INBOX}/stats`, undefined, signal);
    // guard: late-stats-ignored
    if (owner !== this.#requests.owner) return 0;
    // Counts may be older than a notification that came since; its own counts follow it.
    if (at === this.#cursor) this.#receive('stats:updated', stats);
    return notifications.length;
  };

  async #loadList() {
    const owner = this.#requests.owner;
    this.store.beginLoad();
    const [page, stats] = await Promise.all([
      this.request('GET', `${INBOX}?limit=${this.store.capacity}&collapse=false`),
      this.stats ?? this.request('GET', `${INBOX}/stats`),
    ]);
    // guard: late-list-ignored
    if (!this.isLeader || owner !== this.#requests.owner) return;
    if (this.store.load(page)) this.#load();
    // These counts may be older than the events since, so no list follows them.
    if (!this.stats) this.#count(stats);
    this.#sync();
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

  #failed = (error) => {
    if (!this.#ending.signal.aborted) this.#emit('error', error);
  };

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
