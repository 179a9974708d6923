// @ts-check
import { button, CarillonElement, lead, make, setText } from './element.js';
import { CarillonItem } from './item.js';
import { iconOf } from './kinds.js';
import { CarillonStatus } from './status.js';

/** `<carillon-panel>`: the newest notifications, in a page or dropped down from a bell. */
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
  empty = make('div', 'empty', { role: 'status' });
  status = new CarillonStatus();
  header = make('header', 'header', {}, this.heading, this.#count, this.#markAll, this.#clearAll);
  open = new Set();

  constructor(sheet = 'panel') {
    super('rows', sheet);
    this.root.append(this.header, make('div', 'scroll', {}, this.list, this.empty),
      make('footer', 'footer', {}, this.status, this.#all));
    this.#clearAll.onblur = () => this.#ask(false);
  }

  focus(options) { this.heading.focus(options); }

  get rows() { return this.value.notifications; }
  /** The word for an empty list. */
  get blank() { return this.rows.length || this.value.state !== 'connecting' ? 'empty' : 'loading'; }

  #ask(isSure) {
    this.#isSure = isSure;
    this.update();
  }

  expand({ group_key }) {
    if (!this.open.delete(group_key)) this.open.add(group_key);
    this.update();
  }

  /** What is done to a closed group is done to all of it; the server tells of each. */
  #whole(event, method, path) {
    const { notification, group } = event.detail;
    if (!this.client || !group || group.expanded) return;
    event.preventDefault();
    this.ask(method, `/${notification.id}${path}?group=true`);
  }

  async ask(method, path) {
    try {
      return await this.client.request(method, `/api/v1/notifications${path}`);
    } catch (error) {
      this.tell('error', { error });
    }
  }

  #press(event) {
    const all = [...this.list.children];
    const path = event.composedPath();
    const place = all.findIndex((item) => path.includes(item));
    const item = {
      ArrowDown: all[place + 1], ArrowUp: all[place - 1], Home: all[0], End: all.at(-1),
      Delete: all[place],
    }[event.key];
    if (!item || path[0].matches('select')) return;
    event.preventDefault();
    if (event.key === 'Delete') item.dismiss();
    else item.focus();
  }

  /** Items stay while others come and go; the focus of one that goes passes to the next. */
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

  #collapsed() {
    const groups = Map.groupBy(this.rows, (it) => it.group_key || it);
    return [...groups].flatMap(([key, [head, ...rest]]) => {
      const count = [head, ...rest].reduce((sum, it) => sum + (it.group_count ?? 1), 0);
      if (count < 2) return [[head]];
      const expanded = this.open.has(key);
      const is_read = head.is_read && (expanded || rest.every((it) => it.is_read));
      return [[{ ...head, is_read }, { count, expanded }],
        ...expanded ? rest.map((it) => [it, null, true]) : []];
    });
  }

  /** A disabled button would lose the focus. */
  #disable(element, isDisabled) {
    if (isDisabled && element === this.root.activeElement) this.heading.focus();
    element.disabled = isDisabled;
  }

  attached() {
    this.role ??= 'region';
    this.hear();
    this.follow();
    this.listen(this, 'keydown', (event) => this.#press(event));
    this.listen(this.root, 'carillon-expand', ({ detail }) => this.expand(detail.notification));
    this.listen(this.root, 'carillon-read', (event) => this.#whole(event, 'PUT', '/read'));
    this.listen(this.root, 'carillon-dismiss', (event) => this.#whole(event, 'DELETE', ''));
  }

  render() {
    const { unreadCount = 0 } = this.value;
    this.ariaLabel = this.label;
    setText(this.heading, this.label);
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
