// @ts-check

/** @typedef {{id: string, is_read: boolean, created_at: string, [name: string]: any}} Item */
/** @typedef {{list: readonly Item[], total: number, unread: number}} Inbox */
/** @typedef {{key: string, kind: string, id?: string, ids: string[], isDone?: boolean}} Change */

/** How long a change that was granted waits to be told like one of another device. */
const SETTLES_WITHIN = 2_000;
/** How long a change of another tab is believed without an answer. */
const FORGOTTEN_WITHIN = 15_000;

const NULLABLE = ['entity_type', 'entity_id', 'entity_url'];
const OPTIONAL = ['data', 'actions', 'group_key'];

/** A notification in one form, whichever way it came. @param {any} fields @returns {Item} */
export const notification = (fields) => {
  /** @type {any} */
  const item = {
    id: String(fields.id),
    type: String(fields.type ?? 'info'),
    priority: String(fields.priority ?? 'normal'),
    title: String(fields.title ?? ''),
    message: String(fields.message ?? ''),
    is_read: !!fields.is_read,
    created_at: String(fields.created_at ?? fields.timestamp ?? new Date().toISOString()),
  };
  for (const name of NULLABLE) item[name] = fields[name] ?? null;
  for (const name of OPTIONAL) if (fields[name] != null) item[name] = fields[name];
  return Object.freeze(item);
};

const unreadOf = (/** @type {readonly Item[]} */ list) => list.filter((n) => !n.is_read).length;

/**
 * What an inbox looks like after a change: the same object where the change shows in it already.
 *
 * @param {Inbox} inbox
 * @param {Change} change
 * @returns {Inbox}
 */
const after = (inbox, { kind, id, ids }) => {
  const { list, total, unread } = inbox;
  if (kind === 'read' || kind === 'remove') {
    const item = list.find((n) => n.id === id);
    if (!item || (kind === 'read' && item.is_read)) return inbox;
    return {
      list:
        kind === 'read'
          ? list.map((n) => (n === item ? { ...n, is_read: true } : n))
          : list.filter((n) => n !== item),
      total: total - (kind === 'read' ? 0 : 1),
      unread: unread - (item.is_read ? 0 : 1),
    };
  }
  // All that there was when it was asked for; older ones, which the list does not show, too.
  const known = new Set(ids);
  const isOld = (/** @type {Item} */ n) => known.has(n.id);
  const left = unreadOf(list.filter((n) => !isOld(n)));
  if (kind === 'readAll') {
    return unread === left && !list.some((n) => isOld(n) && !n.is_read)
      ? inbox
      : { list: list.map((n) => (isOld(n) ? { ...n, is_read: true } : n)), total, unread: left };
  }
  const rest = list.filter((n) => !isOld(n));
  return total === rest.length && rest.length === list.length
    ? inbox
    : { list: rest, total: rest.length, unread: left };
};

/**
 * The newest notifications and the unread count, as a store of Svelte's contract.
 *
 * What is shown is what the server said, and over it the changes that it has not answered yet: so
 * a change shows at once, does not flicker back, and is gone when it is refused.
 */
export class NotificationStore {
  /** @type {Inbox} */
  #inbox = { list: [], total: 0, unread: 0 };
  /** @type {Change[]} */
  #changes = [];
  /** Those that the server does not know. @type {Set<string>} */
  #own = new Set();
  /** What is told while the list is loaded. @type {any[] | undefined} */
  #journal;
  /** Whether something was told of one that the list does not show. */
  #isExcused = false;
  #connected = false;
  #state = 'disconnected';
  /** @type {Set<{run: (value: any) => void}>} */
  #subscribers = new Set();
  /** @type {any} */
  #value;
  /** @type {any} */
  #client;

  /** @param {{capacity?: number}} [options] */
  constructor({ capacity = 50 } = {}) {
    // What one page of the inbox holds at the most.
    this.capacity = Math.min(capacity, 200);
    this.#show();
  }

  /** @param {(value: any) => void} run */
  subscribe(run) {
    const subscriber = { run };
    this.#subscribers.add(subscriber);
    run(this.#value);
    return () => void this.#subscribers.delete(subscriber);
  }

  get value() {
    return this.#value;
  }

  // What a page does. Each resolves to whether it was granted.

  /** @param {any} fields of one that the server need not know */
  add(fields) {
    const item = notification({ id: crypto.randomUUID?.() ?? `${Math.random()}`, ...fields });
    this.#client?.share({ kind: 'add', item });
    this.addOwn(item);
    return Promise.resolve(true);
  }

  /** @param {string} id */
  markAsRead(id) {
    return this.#change('read', id, 'PUT', `/${encodeURIComponent(id)}/read`);
  }

  markAllAsRead() {
    return this.#change('readAll', undefined, 'PUT', '/read-all');
  }

  /** @param {string} id */
  remove(id) {
    return this.#change('remove', id, 'DELETE', `/${encodeURIComponent(id)}`);
  }

  clear() {
    return this.#change('clear', undefined, 'DELETE', '');
  }

  /** @param {boolean} isConnected */
  setConnected(isConnected) {
    this.setState(isConnected ? 'connected' : 'disconnected');
  }

  /**
   * @param {string} kind
   * @param {string | undefined} id
   * @param {string} method
   * @param {string} path
   */
  async #change(kind, id, method, path) {
    const client = this.#client;
    const ids = this.#value.notifications.map((/** @type {Item} */ n) => n.id);
    const change = { key: `${Math.random()}`, kind, id, ids };
    // Without a client there is no server to ask: whoever has logged out clears the page alone.
    if (!client || (id && this.#own.has(id))) {
      client?.share({ kind: 'own', change });
      this.changeOwn(change);
      return true;
    }
    this.begin(change);
    client.share({ kind: 'begin', change });
    let isGranted = true;
    try {
      await client.request(method, `/api/v1/notifications${path}`);
    } catch (error) {
      // What is gone need not be removed.
      isGranted = kind === 'remove' && /** @type {any} */ (error).status === 404;
      if (!isGranted) client.failed(error);
    }
    this.answer(change.key, isGranted);
    client.share({ kind: 'answer', key: change.key, isGranted });
    return isGranted;
  }

  // What a client does with it.

  /** @param {any} client or nothing, when it is closed */
  bind(client) {
    this.#client = client;
  }

  /** @param {string} state */
  setState(state) {
    this.#state = state;
    this.#connected = state === 'connected';
    this.#show();
  }

  /** Does what a page of another tab did. @param {any} message */
  mirror({ kind, item, change, key, isGranted }) {
    if (kind === 'add') this.addOwn(item);
    else if (kind === 'own') this.changeOwn(change);
    else if (kind === 'begin') this.begin(change);
    else this.answer(key, isGranted);
  }

  /** @param {Item} item */
  addOwn(item) {
    if (this.#inbox.list.some((n) => n.id === item.id)) return;
    this.#own.add(item.id);
    this.#insert(item);
    this.#show();
  }

  /** @param {Change} change */
  changeOwn(change) {
    this.#inbox = after(this.#inbox, change);
    this.#show();
  }

  /** @param {Change} change */
  begin(change) {
    this.#changes.push(change);
    setTimeout(() => this.#drop(change), FORGOTTEN_WITHIN);
    this.#show();
  }

  /** @param {string} key @param {boolean} isGranted */
  answer(key, isGranted) {
    const change = this.#changes.find((each) => each.key === key);
    if (!change) return;
    if (!isGranted) return this.#drop(change);
    change.isDone = true;
    setTimeout(() => {
      if (!this.#changes.includes(change)) return;
      this.#inbox = after(this.#inbox, change);
      this.#drop(change);
    }, SETTLES_WITHIN);
    this.#show();
  }

  /** @param {Change} change */
  #drop(change) {
    this.#changes = this.#changes.filter((each) => each !== change);
    this.#show();
  }

  /** What is told from now on is also told to the list that is being loaded. */
  beginLoad() {
    this.#journal = [];
  }

  /**
   * Takes the inbox as the server has it; whether it has changed since.
   *
   * @param {{notifications: any[], total: number, unread: number}} page
   */
  load({ notifications, total, unread }) {
    const own = this.#inbox.list.filter((n) => this.#own.has(n.id));
    this.#inbox = { list: notifications.map(notification), total, unread };
    this.#isExcused = false;
    for (const item of own) this.#insert(item);
    const journal = this.#journal ?? [];
    this.#journal = undefined;
    let isStale = false;
    for (const [event, data] of journal) isStale = this.#take(event, data) || isStale;
    this.#show();
    return isStale;
  }

  /**
   * Takes what the server tells; whether the list has to be loaded to agree with it.
   *
   * @param {string} event
   * @param {any} data
   */
  receive(event, data) {
    this.#journal?.push([event, data]);
    const isStale = this.#take(event, data);
    this.#show();
    return isStale && !this.#journal;
  }

  /** @param {string} event @param {any} data @returns {boolean} */
  #take(event, data) {
    const { list } = this.#inbox;
    const knows = list.some((n) => n.id === data.id);
    if (event === 'notification:new') {
      if (!knows) this.#insert(notification(data));
      else this.#own.delete(data.id);
    } else if (event === 'stats:updated') {
      return this.#count(data);
    } else if (!knows) {
      this.#isExcused = true;
    } else {
      const kind = event === 'notification:read' ? 'read' : 'remove';
      this.#inbox = after(this.#inbox, { key: '', kind, id: data.id, ids: [] });
    }
    return false;
  }

  /** @param {{total: number, unread: number}} counts */
  #count({ total, unread }) {
    const ids = this.#inbox.list.map((n) => n.id).filter((id) => !this.#own.has(id));
    // All at once is told by the counts alone.
    if (!total) this.#inbox = after(this.#inbox, { key: '', kind: 'clear', ids });
    else if (!unread) this.#inbox = after(this.#inbox, { key: '', kind: 'readAll', ids });
    const { list } = this.#inbox;
    const own = list.filter((n) => this.#own.has(n.id));
    total += own.length;
    unread += unreadOf(own);
    const isExplained = total === this.#inbox.total && unread === this.#inbox.unread;
    this.#inbox = { list, total, unread };
    const isExcused = this.#isExcused;
    this.#isExcused = false;
    return (!isExplained && !isExcused) || list.length < Math.min(total, this.capacity);
  }

  /** @param {Item} item */
  #insert(item) {
    const list = [...this.#inbox.list];
    // Newest first; of two of one moment the one that was told later.
    const place = list.findIndex((n) => n.created_at <= item.created_at);
    // Older than all that is shown: the server has counted it already.
    if (place < 0 && list.length >= this.capacity) return;
    list.splice(place < 0 ? list.length : place, 0, item);
    this.#inbox = {
      list: list.slice(0, this.capacity),
      total: this.#inbox.total + 1,
      unread: this.#inbox.unread + (item.is_read ? 0 : 1),
    };
  }

  #show() {
    let inbox = this.#inbox;
    this.#changes = this.#changes.filter((each) => !each.isDone || after(inbox, each) !== inbox);
    for (const change of this.#changes) inbox = after(inbox, change);
    this.#value = Object.freeze({
      notifications: Object.freeze(inbox.list),
      unreadCount: Math.max(0, inbox.unread),
      connected: this.#connected,
      state: this.#state,
    });
    for (const { run } of [...this.#subscribers]) {
      try {
        run(this.#value);
      } catch (error) {
        globalThis.reportError?.(error);
      }
    }
  }

  /** All that another tab needs to show the same. */
  snapshot() {
    return { inbox: this.#inbox, changes: this.#changes, own: [...this.#own] };
  }

  /** @param {any} snapshot */
  restore({ inbox, changes, own } = { inbox: { list: [], total: 0, unread: 0 }, changes: [], own: [] }) {
    this.#inbox = inbox;
    this.#own = new Set(own);
    // Those of this tab that the other has not heard of yet stay.
    const known = new Set(this.#changes.map(({ key }) => key));
    for (const change of changes) if (!known.has(change.key)) this.begin(change);
    this.#show();
  }
}
