// @ts-check
import { button, CarillonElement, lead, make, setText } from './element.js';
import { CarillonItem } from './item.js';
import { iconOf } from './kinds.js';
import { CarillonStatus } from './status.js';

/** `<carillon-panel>`: the newest notifications, in the page or dropped down from a bell. */
export class CarillonPanel extends CarillonElement {
  #items = new Map();
  #isSure = false;
  #count = make('span', 'count');
  #markAll = button('text', () => this.store.markAllAsRead());
  #clearAll = button('text', () => {
    // There is no way back, so it is asked once.
    if (this.#isSure) this.store.clear();
    this.#ask(!this.#isSure);
  });
  #all = make('a', 'all');
  heading = make('h2', 'title', { tabIndex: -1 });
  list = make('div', 'list', { role: 'list' });
  empty = make('div', 'empty');
  header = make('header', 'header', {}, this.heading, this.#count, this.#markAll, this.#clearAll);
  /** The groups that are open. */
  open = new Set();

  constructor(sheet = 'panel') {
    super('rows', sheet);
    this.root.append(this.header, make('div', 'scroll', {}, this.list, this.empty),
      make('footer', 'footer', {}, new CarillonStatus(), this.#all));
    this.#clearAll.onblur = () => this.#ask(false);
    this.addEventListener('keydown', this.#press);
    this.root.addEventListener('carillon-expand', ({ detail }) => this.expand(detail.notification));
    this.root.addEventListener('carillon-read', (event) =>
      this.#whole(event, 'PUT', '/read?group=true'));
    this.root.addEventListener('carillon-dismiss', (event) =>
      this.#whole(event, 'DELETE', '?group=true'));
  }

  focus(options) { this.heading.focus(options); }

  /** What it shows, the newest first. */
  get rows() { return this.value.notifications; }
  /** What it says when that is nothing. */
  get blank() { return this.rows.length || this.value.state !== 'connecting' ? 'empty' : 'loading'; }

  #ask(isSure) {
    this.#isSure = isSure;
    this.update();
  }

  /** Opens or closes a group. */
  expand({ group_key }) {
    if (!this.open.delete(group_key)) this.open.add(group_key);
    this.update();
  }

  /** Does to the whole of a closed group what is done to it; the server tells of each. */
  #whole(event, method, query) {
    const { notification, group } = event.detail;
    if (!this.client || !group || group.expanded) return;
    event.preventDefault();
    this.ask(method, `/${notification.id}${query}`);
  }

  /** Asks the server; what comes of a refusal is told. */
  async ask(method, path) {
    try {
      return await this.client.request(method, `/api/v1/notifications${path}`);
    } catch (error) {
      this.tell('error', { error });
    }
  }

  /** Arrow keys go from one item to the next, Delete dismisses. */
  #press(event) {
    const all = [...this.list.children];
    const path = event.composedPath();
    const place = all.findIndex((item) => path.includes(item));
    const next = {
      ArrowDown: Math.min(place + 1, all.length - 1), ArrowUp: Math.max(place - 1, 0),
      Home: 0, End: all.length - 1,
    }[event.key];
    const isDelete = event.key === 'Delete';
    const item = all[isDelete ? place : next];
    if (!item || path[0].matches('select')) return;
    event.preventDefault();
    if (isDelete) item.dismiss();
    else item.focus();
  }

  /** Items are kept while others come and go; the focus of one that goes passes to the next. */
  #draw() {
    const before = [...this.list.children];
    const place = before.indexOf(this.root.activeElement);
    const rows = this.#collapsed();
    const kept = new Map();
    rows.forEach(([notification, group, isMember], index) => {
      const { id } = notification;
      const item = this.#items.get(id) ?? Object.assign(new CarillonItem(), { role: 'listitem' });
      kept.set(id, item);
      Object.assign(item, { notification, group });
      item.toggleAttribute('member', !!isMember);
      const at = this.list.children[index];
      if (at !== item) this.list.insertBefore(item, at ?? null);
    });
    this.#items.forEach((item, id) => kept.has(id) || item.remove());
    this.#items = kept;
    if (place < 0 || before[place].isConnected) return;
    const next = [...before.slice(place), ...before.slice(0, place).reverse(), this.heading];
    next.find((item) => item.isConnected).focus();
  }

  /** One for each group that is closed: `[notification, group, isMember]`. */
  #collapsed() {
    const groups = Map.groupBy(this.rows, (it) => it.group_key || it);
    return [...groups].flatMap(([key, [head, ...rest]]) => {
      // A page of the server shows one for all of its group, and says of how many.
      const count = [head, ...rest].reduce((sum, it) => sum + (it.group_count ?? 1), 0);
      if (count < 2) return [[head]];
      const expanded = this.open.has(key);
      const is_read = head.is_read && (expanded || rest.every((it) => it.is_read));
      return [[{ ...head, is_read }, { count, expanded }],
        ...expanded ? rest.map((it) => [it, null, true]) : []];
    });
  }

  /** Disables a button without losing the focus. */
  #disable(element, isDisabled) {
    if (isDisabled && element === this.root.activeElement) this.heading.focus();
    element.disabled = isDisabled;
  }

  attached() {
    this.role ??= 'region';
    this.hear();
    this.follow();
  }

  render() {
    const { unreadCount = 0 } = this.value;
    this.ariaLabel = this.getAttribute('label') ?? this.word('title');
    setText(this.heading, this.ariaLabel);
    setText(this.#count, unreadCount ? this.word('unread', { n: unreadCount }) : '');
    setText(this.#markAll, this.word('markAll'));
    setText(this.#clearAll, this.word(this.#isSure ? 'clearSure' : 'clearAll'));
    this.#disable(this.#markAll, !unreadCount);
    this.#disable(this.#clearAll, !this.rows.length);
    setText(this.#all, this.word('seeAll'));
    this.#all.hidden = !lead(this.#all, this.getAttribute('href'));
    this.#draw();
    this.empty.hidden = this.rows.length > 0;
    if (!this.empty.hidden) this.empty.replaceChildren(iconOf('bell'), this.word(this.blank));
  }
}
