// @ts-check
// The whole inbox: a panel that loads it by pages, with filters.

import { button, make, setText } from './element.js';
import { CarillonPanel } from './panel.js';

/** Reads a number from an attribute, which is free text. */
const within = (text, low, high, other) => Math.min(high, Math.max(low, parseInt(text) || other));

const marked = (it, is_read) => it.is_read === is_read ? it : { ...it, is_read };

/** Pages of 200 that the filter searches for types. */
const MOST_PAGES = 50;
const LOADING = 'Loading…', FAILED = 'Could not load notifications';

/** The whole inbox: loaded by pages, filtered, and updated live. */
export class CarillonList extends CarillonPanel {
  #all = [];
  #next;
  #state = '';
  /** Whether a page was loaded: without one, an empty list says nothing about the inbox. */
  #isKnown = false;
  #wasLoaded = false;
  /** The store's number of changes that no event named. */
  #gaps = 0;
  /** Whether such a change came while a page was being loaded. */
  #isDue = false;
  #client;
  #isSearching = false;
  /** Number of the last request; the answer to an earlier one is discarded. */
  #asked = 0;
  /** For each load in progress, the changes that arrived since: the page may be without them. */
  #loads = new Set();
  #types = new Set(['']);
  #unread = button('filter', () => {
    this.#unread.ariaPressed = `${!this.#isUnread}`;
    this.reload();
  });
  #type = make('select', 'types', {
    onchange: () => this.reload(),
    onfocus: () => this.#findTypes(MOST_PAGES),
  });
  /** Where the search for types goes on: null is the start, and undefined the end. */
  #unsearched;
  /** Number of pages that the search may still read. */
  #pages = 0;
  #more = button('load', () => this.#loadMore());
  #end = make('p', 'end');

  constructor() {
    super('list');
    this.heading.nextSibling.after(this.status);
    this.header.after(make('div', 'filters', {}, this.#unread, this.#type));
    this.empty.after(this.#more, this.#end);
  }

  get #isUnread() {
    return this.#unread.ariaPressed === 'true';
  }
  get rows() {
    const { clearing, notifications } = this.value;
    const marks = new Map(notifications.map((it) => [it.id, it.is_read]));
    // The marks of the store include changes that the server may still refuse. While all are
    // cleared, those are hidden that the store hides, and those that it does not list.
    return this.#all
      .filter(({ id }) => !clearing || marks.has(id))
      .map((it) => marked(it, marks.get(it.id) ?? it.is_read));
  }
  get condition() {
    if (this.#state === LOADING) return 'loading';
    if (this.#state === FAILED) return 'failed';
    // guard: list-empty-when-known
    if (!this.#isKnown) return this.client ? 'loading' : 'Not connected';
    return this.#isUnread || this.#type.value ? 'Nothing matches' : 'You’re all caught up';
  }
  retry() {
    super.retry();
    this.reload();
  }

  /**
   * Forgets the rows when the store forgets its list: another user may follow.
   *
   * Loads them again after changes that no event names, as of a notification that was marked
   * unread elsewhere. Changes during a load lead to one more.
   */
  changed() {
    const { loaded } = this.value;
    const { gaps = 0 } = this.store;
    // guard: list-forgets-last-user
    if (this.#wasLoaded && !loaded) this.#forget();
    else if (this.client && this.#wasLoaded && gaps !== this.#gaps) {
      this.#isDue = true;
      if (this.#state !== LOADING) this.reload(undefined, this.#all.length);
    }
    this.#wasLoaded = loaded;
    this.#gaps = gaps;
  }

  #forget() {
    // The answer to a pending request is discarded.
    this.#asked++;
    this.#all = [];
    this.#next = undefined;
    this.#state = '';
    this.#isKnown = this.#wasLoaded = this.#isDue = false;
    this.#types = new Set(['']);
    this.#unsearched = undefined;
    // Answers to the requests of other loads belong to the last user as well.
    this.#loads = new Set();
    this.#isSearching = false;
    this.#pages = 0;
    this.open.clear();
  }

  attached() {
    if (this.#client !== this.client) this.#forget();
    this.#client = this.client;
    super.attached();
    const apply = (change) => {
      change();
      for (const late of this.#loads) late.push(change);
      this.update();
    };
    const on = (type, change) =>
      this.listen(this.client, type, ({ detail }) => apply(() => change(detail)));
    on('notification', (it) => {
      // A loaded page may have it already, with a change of all applied that was made before it.
      this.#mark(({ id }) => id === it.id, it.is_read);
      if (!this.#type.value || this.#type.value === it.type) this.#add([it], 0);
    });
    on('read', ({ id }) => this.#mark((it) => it.id === id));
    on('deleted', ({ id }) => this.#keep((it) => it.id !== id));
    // Not `stats`, which also reports counts that are older than the last notification, and not
    // counts that repeat the last ones.
    this.listen(this.client, 'event', ({ detail: { event, data } }) => {
      if (event === 'stats:updated') apply(() => this.#count(data));
    });
    // Changes made while the client was disconnected are not sent, so load the list again.
    this.listen(this.client, 'state resync', ({ detail }) => {
      if ((detail ?? 'connected') === 'connected') this.reload();
    });
    if (this.client) this.reload();
  }

  /** The server reports a change of all notifications only through these counts. */
  #count({ total, unread }) {
    if (total === 0) this.#keep(() => false);
    if (unread === 0) this.#mark(() => true);
  }
  #keep(which) {
    this.#all = this.#all.filter(which);
  }
  #mark(which, isRead = true) {
    this.#all = this.#all.map((it) => which(it) ? marked(it, isRead) : it);
  }
  /** Inserts new notifications at a position: the order follows from neither ids nor times. */
  #add(some, place) {
    const ids = new Set(this.#all.map(({ id }) => id));
    this.#all.splice(place, 0, ...some.filter(({ id }) => !ids.has(id)));
    this.#addTypes(some);
  }
  #addTypes(some) {
    for (const { type } of some) this.#types.add(type);
  }

  /**
   * Reads the inbox only for the types in it, so that the filter offers all of them.
   *
   * One large page after the list was loaded covers most inboxes; the rest when the filter is used.
   */
  async #findTypes(pages) {
    this.#pages = Math.max(this.#pages, pages);
    if (this.#isSearching) return;
    this.#isSearching = true;
    const { client } = this;
    const types = this.#types;
    for (; this.#pages > 0 && this.#unsearched !== undefined; this.#pages--) {
      const query = { limit: 200, before: this.#unsearched, collapse: false };
      // If it fails, the filter offers fewer types; the list itself is complete.
      const page = await client.list(query).catch(() => {});
      if (types !== this.#types) return;
      if (!page) break;
      this.#addTypes(page.notifications);
      this.#unsearched = page.next;
      this.update();
    }
    this.#pages = 0;
    this.#isSearching = false;
  }

  /**
   * Loads a page, passes it to `take`, and applies the changes that arrived since.
   *
   * No change arrives between these steps: it would be in neither.
   */
  async #load(query, take) {
    const loads = this.#loads;
    const late = [];
    loads.add(late);
    const page = await this.ask(this.client.list(query));
    loads.delete(late);
    if (loads !== this.#loads || !take(page)) return;
    for (const change of late) change();
  }

  /** Loads the list, or a page of it; at least so many rows as a page can have. */
  async reload(before, rows = 0) {
    const asked = this.#asked += 1;
    this.#isDue &&= !!before;
    this.#next = before;
    this.#state = LOADING;
    this.update();
    const query = {
      before,
      unread: this.#isUnread,
      limit: Math.max(within(this.getAttribute('page-size'), 1, 200, 20), Math.min(rows, 200)),
      type: this.#type.value || null,
    };
    await this.#load(query, (page) => {
      if (asked !== this.#asked) return false;
      this.#state = page ? '' : FAILED;
      if (!page) return false;
      this.#isKnown = true;
      if (!before) this.#all = [];
      this.#add(page.notifications, Infinity);
      this.#next = page.next;
      if (!before && !query.unread && !query.type) {
        // A page shows a group as one row, and its members may differ in type.
        const isPartial = page.next || page.notifications.some((it) => it.group_count > 1);
        this.#unsearched = isPartial ? null : undefined;
        // guard: filter-finds-types
        this.#findTypes(1);
      }
      // The page has only the newest of each group.
      for (const key of before ? [] : this.open) {
        if (this.#all.some((it) => it.group_key === key)) this.#loadGroup(key);
        else this.open.delete(key);
      }
      return true;
    });
    if (asked !== this.#asked) return;
    this.render();
    if (this.#isDue) this.reload(undefined, this.#all.length);
  }

  async #loadMore() {
    if (this.#state === LOADING) return;
    const { childElementCount } = this.list;
    await this.reload(this.#next);
    this.list.children[childElementCount]?.focus();
  }

  async expand({ group_key }) {
    super.expand({ group_key });
    if (this.open.has(group_key)) await this.#loadGroup(group_key);
  }

  async #loadGroup(group_key) {
    await this.#load({ limit: 200, group_key }, (page) => {
      const place = this.#all.findIndex((it) => it.group_key === group_key);
      if (!page || place < 0) return false;
      this.#keep((it) => it.group_key !== group_key);
      this.#add(page.notifications, place);
      return true;
    });
    this.update();
  }

  render() {
    super.render();
    // Without rows, the panel's own text and button say this.
    const hasFailed = this.#state === FAILED && this.#all.length > 0;
    this.list.ariaBusy = this.#state === LOADING;
    this.#unread.ariaPressed = this.#isUnread;
    setText(this.#unread, this.word('Unread only'));
    this.#type.ariaLabel = this.word('All types');
    this.#type.length = Math.min(this.#type.length, this.#types.size);
    [...this.#types].forEach((type, index) => {
      const option = this.#type.options[index] ?? this.#type.appendChild(make('option', ''));
      option.value = type;
      setText(option, this.word(type || 'All types').replace(/[._:-]+/g, ' '));
    });
    const isBusy = this.#state === LOADING;
    const more = hasFailed
      ? 'Try again'
      : this.#next && !this.value.clearing && (isBusy ? LOADING : 'Load more');
    const end = hasFailed ? FAILED : !this.#next && !this.#state && 'That’s everything';
    setText(this.#more, more && this.rows.length ? this.word(more) : '');
    setText(this.#end, end && this.rows.length ? this.word(end) : '');
  }
}

CarillonList.define('carillon-list');
