// @ts-check

/**
 * A granted change also arrives as an event, like a change from another device. If none arrives
 * within this time, the store applies the change itself.
 */
const NOTIFIED_WITHIN = 2_000;
/** The tab that made a change may close before the answer arrives, so a change times out. */
const ANSWERED_WITHIN = 15_000;
/** The same, for a change that waits until it can no longer be undone. */
const SETTLED_WITHIN = 60_000;
const INBOX = '/api/v1/notifications';
const EMPTY = { list: [], total: 0, unread: 0 };

const unreadOf = (list) => list.filter((n) => !n.is_read).length;

const text = (value, other = null) => (typeof value === 'string' ? value : other);

/** Returns the notification with all fields, the same for every transport. */
export const notification = (fields) => {
  const { data, actions } = fields;
  return Object.freeze({
    id: text(fields.id, ''),
    type: text(fields.type, 'info'),
    priority: text(fields.priority, 'normal'),
    title: text(fields.title, ''),
    message: text(fields.message, ''),
    entity_type: text(fields.entity_type),
    entity_id: text(fields.entity_id),
    entity_url: text(fields.entity_url),
    group_key: text(fields.group_key),
    is_read: fields.is_read === true,
    created_at: text(fields.created_at ?? fields.timestamp, new Date().toISOString()),
    actions: Array.isArray(actions) ? actions : [],
    data: data ?? {},
  });
};

/**
 * Returns the inbox after a change, or the same object if the change has no effect.
 *
 * A change of all applies to `ids`, the notifications listed at that time, and to all older ones.
 */
const after = (inbox, { ids, isAll = false, isRemoval = false }) => {
  const hits = new Set(inbox.list.filter((n) => ids.includes(n.id) && (isRemoval || !n.is_read)));
  const list = isRemoval
    ? inbox.list.filter((n) => !hits.has(n))
    : inbox.list.map((n) => (hits.has(n) ? Object.freeze({ ...n, is_read: true }) : n));
  let { total } = inbox;
  if (isRemoval) total = isAll ? list.length : total - hits.size;
  const unread = isAll ? unreadOf(list) : inbox.unread - unreadOf([...hits]);
  const isSame = !hits.size && total === inbox.total && unread === inbox.unread;
  return isSame ? inbox : { list, total, unread };
};

/**
 * The newest notifications and the unread count.
 *
 * The value is the server's state with all pending changes applied on top. A change shows at once
 * and does not flicker back while it is pending; a refused change is rolled back.
 */
export class NotificationStore {
  /** How often the counts changed without an event that names the change. */
  gaps = 0;
  #inbox = EMPTY;
  #changes = [];
  /** Ids of notifications that the page added and the server does not have. */
  #own = new Set();
  /** Events received during a load; they are applied again to the loaded list. */
  #journal;
  /** Whether an event named an unlisted notification, which explains counts that differ. */
  #isExcused = false;
  #state = 'disconnected';
  /** Whether the list is the user's, and not only empty because no list was loaded yet. */
  #isLoaded = false;
  #subscribers = new Set();
  #value;
  #client;

  constructor({ capacity = 50 } = {}) {
    this.capacity = Math.min(capacity, 200);
    this.#show();
  }

  subscribe(run) {
    const subscriber = { run };
    this.#subscribers.add(subscriber);
    run(this.#value);
    return () => void this.#subscribers.delete(subscriber);
  }

  get value() {
    return this.#value;
  }

  add(fields) {
    const item = notification({ id: `own-${Math.random()}`, ...fields });
    return this.#do({ add: item });
  }

  markAsRead(id) {
    return this.#ask({ ids: [id] }, 'PUT', `/${encodeURIComponent(id)}/read`);
  }

  markAllAsRead() {
    return this.#ask({ isAll: true }, 'PUT', '/read-all');
  }

  remove(id) {
    return this.#ask({ ids: [id], isRemoval: true }, 'DELETE', `/${encodeURIComponent(id)}`);
  }

  clear(undone) {
    return this.#ask({ isAll: true, isRemoval: true }, 'DELETE', '', undone);
  }

  setConnected(isConnected) {
    this.setState(isConnected ? 'connected' : 'disconnected');
  }

  async #ask(what, method, path, undone) {
    const client = this.#client;
    const key = Math.random();
    const ids = this.#value.notifications.map(({ id }) => id);
    const change = { key, ids, isHeld: !!undone, ...what };
    // Without a client (after a logout), and for the page's own notifications, no request is sent.
    if (!client || (!what.isAll && this.#own.has(change.ids[0]))) return this.#do({ own: change });
    this.#do({ begin: change });
    let isGranted = true;
    try {
      // guard: clear-can-be-undone
      if (await undone) return !(await this.#do({ key, isGranted: false }));
      // After a logout, the request would be made as another user.
      // guard: no-clear-for-next-user
      if (undone && !this.#changes.includes(change)) return true;
      // A notification that came while it could be undone is not part of it.
      const [newest] = this.#inbox.list;
      // guard: clear-keeps-later-ones
      const isLate = undone && newest && !ids.includes(newest.id);
      if (isLate) { for (const id of ids) await this.#delete(client, id); }
      else await client.request(method, INBOX + path);
    } catch (error) {
      isGranted = !!what.isRemoval && error.status === 404;
      if (!isGranted) client.failed(error);
    }
    return this.#do({ key, isGranted });
  }

  async #delete(client, id) {
    try {
      await client.request('DELETE', `${INBOX}/${encodeURIComponent(id)}`);
    } catch (error) {
      if (error.status !== 404) throw error;
    }
  }

  #do(step) {
    this.#client?.share(step);
    this.mirror(step);
    return Promise.resolve(step.isGranted ?? true);
  }

  // Called by the client.

  bind(client) {
    this.#client = client;
  }

  setState(state) {
    this.#state = state;
    this.#show();
  }

  /**
   * Applies a step of this tab or of another one.
   *
   * @param {any} step
   */
  mirror({ add, own, begin, key, isGranted }) {
    const change = this.#changes.find((each) => each.key === key);
    if (add) {
      if (this.#knows(add.id)) return;
      this.#own.add(add.id);
      this.#insert(add);
    } else if (own) {
      this.#inbox = after(this.#inbox, own);
    } else if (begin) {
      this.#changes.push(begin);
      setTimeout(() => this.#drop(begin), begin.isHeld ? SETTLED_WITHIN : ANSWERED_WITHIN);
      // guard: refused-change-undone
    } else if (change && !isGranted) {
      this.#drop(change);
    } else if (change) {
      change.isDone = true;
      setTimeout(() => {
        if (this.#changes.includes(change)) this.#inbox = after(this.#inbox, change);
        this.#drop(change);
      }, NOTIFIED_WITHIN);
    }
    this.#show();
  }

  #drop(change) {
    this.#changes = this.#changes.filter((each) => each !== change);
    this.#show();
  }

  beginLoad() {
    this.#journal = [];
  }

  /** Replaces the list by the loaded page. Returns whether it must be loaded again. */
  load({ notifications, total, unread }) {
    const own = this.#inbox.list.filter((n) => this.#own.has(n.id));
    this.#inbox = { list: notifications.map(notification), total, unread };
    // guard: list-known-once-loaded
    this.#isLoaded = true;
    own.forEach((item) => this.#insert(item));
    this.#isExcused = false;
    const journal = this.#journal ?? [];
    this.#journal = undefined;
    const isStale = journal.filter(([event, data]) => this.#take(event, data)).length > 0;
    this.#show();
    return isStale;
  }

  /** Applies an event from the server. Returns whether only a load can restore the true list. */
  receive(event, data) {
    this.#journal?.push([event, data]);
    const isStale = this.#take(event, data);
    this.#show();
    return isStale && !this.#journal;
  }

  #knows(id) {
    return this.#inbox.list.some((n) => n.id === id);
  }

  #take(event, data) {
    if (event === 'stats:updated') return this.#count(data);
    const { id } = data;
    const isNew = event === 'notification:new';
    if (!this.#knows(id)) {
      if (isNew) this.#insert(data);
      else this.#isExcused = true;
    } else if (isNew) {
      this.#own.delete(id);
    } else {
      const isRemoval = event === 'notification:deleted';
      this.#inbox = after(this.#inbox, { ids: [id], isRemoval });
    }
    return false;
  }

  #count({ total, unread }) {
    if (!(total >= 0 && unread >= 0)) return false;
    // The server reports a change of all notifications only through these counts.
    if (!total || !unread) {
      const ids = this.#inbox.list.map(({ id }) => id).filter((id) => !this.#own.has(id));
      this.#inbox = after(this.#inbox, { ids, isAll: true, isRemoval: !total });
    }
    const { list, ...counted } = this.#inbox;
    const own = list.filter((n) => this.#own.has(n.id));
    total += own.length;
    unread += unreadOf(own);
    const isExplained = this.#isExcused || (total === counted.total && unread === counted.unread);
    this.#isExcused = false;
    if (!isExplained) this.gaps++;
    this.#inbox = { list, total, unread };
    return !isExplained || list.length < Math.min(total, this.capacity);
  }

  #insert(item) {
    const { list, total, unread } = this.#inbox;
    const place = list.findIndex((n) => n.created_at <= item.created_at);
    const index = place < 0 ? list.length : place;
    // The notification is older than the list, so the server's counts already include it.
    if (index >= this.capacity) return;
    this.#inbox = {
      list: [...list.slice(0, index), item, ...list.slice(index)].slice(0, this.capacity),
      total: total + 1,
      unread: unread + (item.is_read ? 0 : 1),
    };
  }

  #show() {
    let shown = this.#inbox;
    this.#changes = this.#changes.filter((each) => !each.isDone || after(shown, each) !== shown);
    for (const change of this.#changes) shown = after(shown, change);
    this.#value = Object.freeze({
      notifications: Object.freeze(shown.list),
      unreadCount: Math.max(0, shown.unread),
      connected: this.#state === 'connected',
      state: this.#state,
      loaded: this.#isLoaded,
      clearing: this.#changes.some((each) => each.isAll && each.isRemoval),
    });
    for (const { run } of [...this.#subscribers]) {
      try {
        run(this.#value);
      } catch (error) {
        reportError(error);
      }
    }
  }

  snapshot() {
    return {
      inbox: this.#inbox,
      changes: this.#changes,
      own: this.#own,
      isLoaded: this.#isLoaded,
    };
  }

  reset() {
    this.#changes = [];
    this.#isExcused = false;
    this.restore({ inbox: EMPTY, changes: [], own: new Set() });
  }

  restore({ inbox, changes, own, isLoaded = false }) {
    // A leader that was replaced does not finish its load.
    this.#journal = undefined;
    this.#inbox = inbox;
    this.#own = own;
    // guard: list-unknown-after-reset
    this.#isLoaded = isLoaded;
    // Keep the pending changes of this tab.
    const keys = this.#changes.map(({ key }) => key);
    for (const begin of changes) if (!keys.includes(begin.key)) this.mirror({ begin });
    this.#show();
  }
}
