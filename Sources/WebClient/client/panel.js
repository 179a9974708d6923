// @ts-check
// The newest notifications as rows, and the connection status.

import { button, CarillonElement, lead, make, setText } from './element.js';
import { CarillonItem, iconOf } from './item.js';
import { own } from './words.js';

const WORDS = {
  connected: 'Real-time',
  reconnecting: 'Reconnecting…',
  connecting: 'Connecting…',
  offline: 'Offline',
};
const NOTICE_MILLISECONDS = 8_000;
const BLANKS = { loading: 'Loading…', failed: 'Could not load notifications' };

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

  /** The state as a person sees it: a lost connection comes back by itself, or does not. */
  get condition() {
    const { connected, state } = this.value ?? this.store.value;
    this.#wasConnected ||= connected;
    if (connected) return 'connected';
    if (!navigator.onLine) return 'offline';
    const comesBack = state === 'disconnected'
      ? this.client?.isWanted
      : state === 'connecting' && this.#wasConnected;
    return comesBack ? 'reconnecting' : state;
  }

  /** The fault in words; empty if there is none. */
  get trouble() {
    const { condition } = this;
    // guard: state-only-in-trouble
    const isTrouble = ['reconnecting', 'offline', 'error'].includes(condition);
    return isTrouble ? this.word(own(WORDS, condition) ?? 'Disconnected') : '';
  }

  render() {
    const { condition } = this;
    this.dataset.state = condition;
    setText(this.#word, this.word(own(WORDS, condition) ?? 'Disconnected'));
  }
}

CarillonStatus.define('carillon-status');

/** The newest notifications, placed in a page or opened by a bell. */
export class CarillonPanel extends CarillonElement {
  /** The element of each shown notification, by id. Elements are reused, so focus is kept. */
  #items = new Map();
  /** Whether loading failed since the list was last known. */
  #hasFailed = false;
  /** The text that stands in place of rows. */
  #blank = '';
  #count = make('span', 'count');
  #markAll = button('text', () => this.#keep(this.store.markAllAsRead()));
  #clearAll = button('choice', () => this.#clear());
  #menu = make('div', 'menu', { popover: 'auto', role: 'menu' }, this.#clearAll);
  #opener = button('opener', null, iconOf('more'));
  /** Ends the time in which the last clear can be undone. */
  #settle = (_isUndone) => {};
  #all = make('a', 'all');
  heading = make('h2', 'title', { tabIndex: -1 });
  list = make('div', 'list', { role: 'list' });
  empty = make('div', 'empty', { role: 'status' });
  /** A message about an action, with a button or without one. */
  #notice = make('div', 'snackbar', { role: 'status' });
  #noticeTime = this.#notice.animate([], NOTICE_MILLISECONDS);
  /** Rows without content, in place of those that are being loaded. */
  skeleton = make('div', 'skeleton', { ariaHidden: 'true' });
  status = Object.assign(new CarillonStatus(), { part: 'status' });
  header = make(
    'header',
    'header',
    {},
    // guard: header-one-row
    make('div', 'name', {}, this.heading, this.#count),
    this.#markAll,
    this.#opener,
    this.#menu,
  );
  open = new Set();

  constructor(sheet = 'panel') {
    super('rows', sheet);
    this.root.append(
      this.header,
      make('div', 'scroll', {}, this.list, this.skeleton, this.empty),
      this.#notice,
      make('footer', 'footer', {}, this.status, this.#all),
    );
    this.#clearAll.role = 'menuitem';
    this.#opener.ariaHasPopup = 'menu';
    this.#opener.popoverTargetElement = this.#menu;
    this.#menu.ontoggle = () => this.#openMenu();
    this.#noticeTime.onfinish = () => {
      this.#notice.replaceChildren();
      this.settle();
    };
    this.#noticeTime.cancel();
    for (let row = 0; row < 4; row++) {
      this.skeleton.append(make('span', 'bone', {}, make('span', '')));
    }
  }

  focus(options) {
    this.heading.focus(options);
  }

  get rows() {
    return this.value.notifications;
  }
  /**
   * The content while there is no row: `loading`, `failed`, or a text.
   *
   * An inbox is called empty only when it is known to be: its list was loaded, or the store has no
   * client and is the page's own.
   *
   * @returns {string}
   */
  get condition() {
    const { client } = this;
    const { loaded, state } = this.value;
    // guard: panel-empty-when-known
    if (loaded || client === null) return 'You’re all caught up';
    if (state === 'error' || (state === 'disconnected' && client?.isWanted)) this.#hasFailed = true;
    // guard: failed-list-is-said
    if (this.#hasFailed) return 'failed';
    return state === 'disconnected' ? 'Not connected' : 'loading';
  }

  /** Tries to load the notifications again. */
  retry() {
    this.#hasFailed = false;
    this.client?.connect();
  }

  #retry() {
    // The pressed button disappears.
    this.heading.focus();
    this.retry();
    this.update();
  }

  #openMenu() {
    const isOpen = this.#menu.matches(':popover-open');
    this.#opener.ariaExpanded = `${isOpen}`;
    if (!isOpen) return;
    const { left, right, bottom } = this.#opener.getBoundingClientRect();
    const isRtl = this.matches(':dir(rtl)');
    this.#menu.style.insetInlineEnd = `${isRtl ? left : innerWidth - right}px`;
    this.#menu.style.top = `${bottom + 4}px`;
    this.#clearAll.focus();
  }

  /** Hides all notifications, and removes them when they can no longer be restored. */
  #clear() {
    this.#menu.hidePopover();
    this.settle();
    if (this.#clearAll.ariaDisabled === 'true') return;
    const undone = new Promise((resolve) => (this.#settle = resolve));
    this.#keep(this.store.clear(undone));
    const undo = () => {
      this.#settle(true);
      this.#notice.replaceChildren();
      this.heading.focus();
    };
    this.notify(this.word('All cleared'), button('undo', undo, this.word('Undo')));
  }

  /** Makes the last clear final. */
  settle() {
    this.#settle(false);
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
    const whole = `/api/v1/notifications/${encodeURIComponent(notification.id)}${path}?group=true`;
    this.#keep(this.client.request(method, whole), notification);
  }

  /** Shows that a change was not accepted. The store resolves to false, a request throws. */
  async #keep(change, notification = null) {
    try {
      if (await change !== false) return;
    } catch (error) {
      this.emit('error', { error });
    }
    this.refuse(notification);
  }

  refuse(notification) {
    if (!super.refuse(notification)) return false;
    // The message takes the place of one that could undo a clear.
    this.settle();
    // guard: refused-change-is-said
    this.notify(this.word('Could not save the change'));
    return true;
  }

  /** Shows a message for a while; not less while the pointer or the focus is on it. */
  notify(text, ...children) {
    this.#notice.replaceChildren(make('span', '', {}, text), ...children);
    this.#noticeTime.cancel();
    this.#noticeTime.play();
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
    if (!item || path[0].matches('select, .menu *')) return;
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

  disconnectedCallback() {
    super.disconnectedCallback();
    this.settle();
  }

  attached() {
    this.role ??= 'region';
    this.speak();
    this.#hasFailed = false;
    this.listen(this.client, 'error', () => {
      this.#hasFailed = !this.value.loaded;
      this.update();
    });
    this.follow();
    this.listen(this, 'keydown', (event) => this.#press(event));
    this.listen(window, 'pagehide', () => this.settle());
    this.listen(this.#notice, 'pointerenter focusin', () => this.#noticeTime.pause());
    this.listen(this.#notice, 'pointerleave focusout', () => this.#noticeTime.play());
    this.listen(this.root, 'carillon-expand', ({ detail }) => this.expand(detail.notification));
    this.listen(this.root, 'carillon-read', (event) => this.#whole(event, 'PUT', '/read'));
    this.listen(this.root, 'carillon-dismiss', (event) => this.#whole(event, 'DELETE', ''));
  }

  render() {
    const { unreadCount: n } = this.value;
    this.ariaLabel = this.label;
    // guard: unread-said-once
    setText(this.heading, this.label);
    setText(this.#count, n ? this.word('{n} unread', { n }) : '');
    setText(this.#markAll, this.word('Mark all read'));
    setText(this.#clearAll, this.word('Clear all'));
    this.#opener.title = this.#opener.ariaLabel = this.word('More actions');
    // Not `disabled`: a disabled button loses the focus.
    this.#markAll.ariaDisabled = !n;
    this.#clearAll.ariaDisabled = !this.rows.length;
    setText(this.#all, this.word('See all'));
    this.#all.hidden = !lead(this.#all, this.getAttribute('href'));
    this.#draw();
    this.#drawBlank();
  }

  #drawBlank() {
    const condition = this.rows.length ? '' : this.condition;
    const isLoading = condition === 'loading';
    if (this.value.loaded) this.#hasFailed = false;
    this.skeleton.hidden = !isLoading;
    this.empty.classList.toggle('unseen', isLoading);
    // A repeated text would be announced again, and a new button would lose the focus.
    const isFailed = condition === 'failed';
    const text = condition && this.word(BLANKS[condition] ?? condition);
    if (text === this.#blank) return;
    this.#blank = text;
    if (!text || isLoading) return this.empty.replaceChildren(text);
    this.empty.replaceChildren(iconOf(isFailed ? 'alert' : 'bell'), make('p', '', {}, text));
    if (isFailed) {
      this.empty.append(button('load', () => this.#retry(), this.word('Try again')));
    }
  }
}

CarillonPanel.define('carillon-panel');
