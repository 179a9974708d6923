// @ts-check
// The inbox as rows: the newest in a panel, all of them in a list; and the connection status.

import { button, CarillonElement, lead, make, setText } from './element.js';
import { CarillonItem, iconOf } from './item.js';
import { own } from './words.js';

const WORDS = {
  connected: 'Real-time',
  reconnecting: 'Reconnecting…',
  connecting: 'Connecting…',
  offline: 'Offline',
};

/** Whether notifications arrive in real time: a dot and a word. */
export class CarillonStatus extends CarillonElement {
  #word = make('span', 'label');
  #wasConnected = false;

  constructor() {
    super('status');
    this.root.append(make('span', 'dot'), this.#word);
  }

  attached() {
    this.role ??= 'status';
    this.follow();
    this.listen(window, 'online offline', () => this.update());
  }

  render() {
    let { connected, state } = this.value;
    this.#wasConnected ||= connected;
    const comesBack = { disconnected: this.client?.isWanted, connecting: this.#wasConnected };
    state = connected
      ? 'connected'
      : !navigator.onLine
      ? 'offline'
      : own(comesBack, state)
      ? 'reconnecting'
      : state;
    this.dataset.state = state;
    setText(this.#word, this.word(own(WORDS, state) ?? 'Disconnected'));
  }
}

CarillonStatus.define('carillon-status');

/** The newest notifications, placed in a page or opened by a bell. */
export class CarillonPanel extends CarillonElement {
  /** The element of each shown notification, by id. Elements are reused, so focus is kept. */
  #items = new Map();
  #isSure = false;
  #count = make('span', 'count');
  #markAll = button('text', () => this.store.markAllAsRead());
  #clearAll = button('text', () => {
    if (this.#isSure) this.store.clear();
    this.#ask(!this.#isSure);
  });
  #all = make('a', 'all');
  heading = make('h2', 'title', { tabIndex: -1 });
  list = make('div', 'list', { role: 'list' });
  empty = make('div', 'empty', { role: 'status' });
  status = new CarillonStatus();
  header = make('header', 'header', {}, this.heading, this.#count, this.#markAll, this.#clearAll);
  open = new Set();

  constructor(sheet = 'panel') {
    super('rows', sheet);
    this.root.append(
      this.header,
      make('div', 'scroll', {}, this.list, this.empty),
      make('footer', 'footer', {}, this.status, this.#all),
    );
    this.#clearAll.onblur = () => this.#ask(false);
  }

  focus(options) {
    this.heading.focus(options);
  }

  get rows() {
    return this.value.notifications;
  }
  /** @returns {string} */
  get blank() {
    return this.value.state === 'connecting' ? 'Loading…' : 'You’re all caught up';
  }

  #ask(isSure) {
    this.#isSure = isSure;
    this.update();
  }

  expand({ group_key }) {
    if (!this.open.delete(group_key)) this.open.add(group_key);
    this.update();
  }

  /** Applies the change to all of a closed group; the server sends an event for each member. */
  #whole(event, method, path) {
    const { notification, group } = event.detail;
    if (!this.client || !group || group.expanded) return;
    event.preventDefault();
    this.ask(this.client.request(
      method,
      `/api/v1/notifications/${notification.id}${path}?group=true`,
    ));
  }

  async ask(answer) {
    try {
      return await answer;
    } catch (error) {
      this.emit('error', { error });
    }
  }

  #press(event) {
    const all = [...this.list.children];
    const path = event.composedPath();
    const place = all.findIndex((item) => path.includes(item));
    const item = own({
      ArrowDown: all[place + 1],
      ArrowUp: all[place - 1],
      Home: all[0],
      End: all.at(-1),
      Delete: all[place],
    }, event.key);
    if (!item || path[0].matches('select')) return;
    event.preventDefault();
    if (event.key === 'Delete') item.dismiss();
    else item.focus();
  }

  /** Updates the list's elements to match the rows, and keeps the focus. */
  #draw() {
    const before = [...this.list.children];
    const place = before.indexOf(this.root.activeElement);
    const rows = this.#collapsed();
    const ids = new Set(rows.map(([{ id }]) => id));
    this.#items.forEach((item, id) => {
      if (ids.has(id)) return;
      item.remove();
      this.#items.delete(id);
    });
    rows.forEach(([notification, group, isMember], index) => {
      const { id } = notification;
      if (!this.#items.has(id)) {
        this.#items.set(id, Object.assign(new CarillonItem(), { role: 'listitem' }));
      }
      const item = Object.assign(this.#items.get(id), { group, notification });
      item.toggleAttribute('member', !!isMember);
      const at = this.list.children[index];
      if (at !== item) this.list.insertBefore(item, at ?? null);
    });
    if (place < 0 || before[place].isConnected) return;
    // The focused row was removed: focus the next one, else the last.
    const next = before.slice(place).find((item) => item.isConnected) ?? this.list.lastChild;
    (next ?? this.heading).focus();
  }

  /**
   * Returns the rows to show.
   *
   * A group is its newest notification with a count, and its other members while it is open. Each
   * row is a notification, its group or null, and whether it is a member of the group above it.
   */
  #collapsed() {
    const groups = Map['groupBy'](this.rows, (it) => it.group_key || it);
    return [...groups].flatMap(([key, [head, ...rest]]) => {
      const count = [head, ...rest].reduce((sum, it) => sum + (it.group_count ?? 1), 0);
      if (count < 2) return [[head]];
      const expanded = this.open.has(key);
      const is_read = head.is_read && (expanded || rest.every((it) => it.is_read));
      return [
        [{ ...head, is_read }, { count, expanded }],
        ...expanded ? rest.map((it) => [it, null, true]) : [],
      ];
    });
  }

  attached() {
    this.role ??= 'region';
    this.speak();
    this.follow();
    this.listen(this, 'keydown', (event) => this.#press(event));
    this.listen(this.root, 'carillon-expand', ({ detail }) => this.expand(detail.notification));
    this.listen(this.root, 'carillon-read', (event) => this.#whole(event, 'PUT', '/read'));
    this.listen(this.root, 'carillon-dismiss', (event) => this.#whole(event, 'DELETE', ''));
  }

  render() {
    const { unreadCount: n } = this.value;
    this.ariaLabel = this.label;
    setText(this.heading, this.label);
    setText(this.#count, n ? this.word('{n} unread', { n }) : '');
    setText(this.#markAll, this.word('Mark all read'));
    setText(this.#clearAll, this.word(this.#isSure ? 'Really clear all?' : 'Clear all'));
    // Not `disabled`: a disabled button loses the focus.
    this.#markAll.ariaDisabled = !n;
    this.#clearAll.ariaDisabled = !this.rows.length;
    setText(this.#all, this.word('See all'));
    this.#all.hidden = !lead(this.#all, this.getAttribute('href'));
    this.#draw();
    this.empty.hidden = this.rows.length > 0;
    if (!this.empty.hidden) this.empty.replaceChildren(iconOf('bell'), this.word(this.blank));
  }
}

CarillonPanel.define('carillon-panel');

/** Reads a number from an attribute, which is free text. */
const within = (text, low, high, other) => Math.min(high, Math.max(low, parseInt(text) || other));

const LOADING = 'Loading…', FAILED = 'This could not be loaded';

/** The whole inbox: loaded by pages, filtered, and updated live. */
export class CarillonList extends CarillonPanel {
  #all = [];
  #next;
  #state = '';
  /** Number of the last request; the answer to an earlier one is discarded. */
  #asked = 0;
  /** Changes that arrived during a load, to apply to the loaded page as well. */
  #late = [];
  #types = new Set(['']);
  #unread = button('filter', () => {
    this.#unread.ariaPressed = `${!this.#isUnread}`;
    this.reload();
  });
  #type = make('select', 'types', { onchange: () => this.reload() });
  #more = button('load', () => this.#loadMore());
  #end = make('p', 'end');

  constructor() {
    super('list');
    this.heading.after(this.status);
    this.header.after(make('div', 'filters', {}, this.#unread, this.#type));
    this.empty.after(this.#more, this.#end);
  }

  get #isUnread() {
    return this.#unread.ariaPressed === 'true';
  }
  get rows() {
    return this.#all;
  }
  get blank() {
    return this.#state ||
      (this.#isUnread || this.#type.value ? 'Nothing matches' : super.blank);
  }

  attached() {
    super.attached();
    const on = (type, change) =>
      this.listen(this.client, type, ({ detail }) => {
        change(detail);
        // Apply the change also to the page that is being loaded.
        if (this.#state) this.#late.push(() => change(detail));
        this.update();
      });
    on('notification', (it) => {
      if (!this.#type.value || this.#type.value === it.type) this.#add([it], 0);
    });
    on('read', ({ id }) => this.#read((it) => it.id === id));
    on('deleted', ({ id }) => this.#keep((it) => it.id !== id));
    on('stats', ({ total, unread }) => {
      if (!total) this.#keep(() => false);
      if (!unread) this.#read(() => true);
    });
    // Changes made while the client was disconnected are not sent, so load the list again.
    this.listen(this.client, 'state resync', ({ detail }) => {
      if ((detail ?? 'connected') === 'connected') this.reload();
    });
    if (this.client) this.reload();
  }

  #keep(which) {
    this.#all = this.#all.filter(which);
  }
  #read(which) {
    this.#all = this.#all.map((it) => it.is_read || !which(it) ? it : { ...it, is_read: true });
  }
  /** Inserts new notifications at a position: the order follows from neither ids nor times. */
  #add(some, place) {
    const ids = new Set(this.#all.map(({ id }) => id));
    this.#all.splice(place, 0, ...some.filter(({ id }) => !ids.has(id)));
    for (const { type } of some) this.#types.add(type);
  }

  async reload(before) {
    const asked = this.#asked += 1;
    this.#next = before;
    this.#state = LOADING;
    this.#late = [];
    this.update();
    const page = await this.ask(
      this.client.list({
        before,
        unread: this.#isUnread,
        limit: within(this.getAttribute('page-size'), 1, 200, 20),
        type: this.#type.value || null,
      }),
    );
    if (asked !== this.#asked) return;
    this.#state = page ? '' : FAILED;
    if (page) {
      if (!before) this.#all = [];
      this.#add(page.notifications, Infinity);
      this.#next = page.next;
      for (const change of this.#late) change();
    }
    this.render();
  }

  async #loadMore() {
    if (this.#state === LOADING) return;
    const { childElementCount } = this.list;
    await this.reload(this.#next);
    this.list.children[childElementCount]?.focus();
  }

  async expand({ group_key }) {
    super.expand({ group_key });
    const page = this.open.has(group_key) &&
      await this.ask(this.client.list({ limit: 200, group_key }));
    const place = this.#all.findIndex((it) => it.group_key === group_key);
    if (!page || place < 0) return;
    this.#keep((it) => it.group_key !== group_key);
    this.#add(page.notifications, place);
    this.update();
  }

  render() {
    const read = new Set(this.value.notifications.map((it) => it.is_read && it.id));
    this.#read(({ id }) => read.has(id));
    super.render();
    const hasFailed = this.#state === FAILED;
    this.list.ariaBusy = this.#state === LOADING;
    this.#unread.ariaPressed = this.#isUnread;
    setText(this.#unread, this.word('Unread only'));
    this.#type.ariaLabel = this.word('All types');
    [...this.#types].forEach((type, index) => {
      const option = this.#type.options[index] ?? this.#type.appendChild(make('option', ''));
      option.value = type;
      setText(option, this.word(type || 'All types').replace(/[._:-]+/g, ' '));
    });
    const more = hasFailed ? 'Try again' : this.#next && (this.#state || 'Load more');
    const end = hasFailed ? FAILED : !this.#next && !this.#state && 'That’s everything';
    setText(this.#more, more ? this.word(more) : '');
    setText(this.#end, end && this.#all.length ? this.word(end) : '');
  }
}

CarillonList.define('carillon-list');
