// @ts-check
import { button, CarillonElement, lead, make, setText } from './element.js';
import { CarillonItem } from './item.js';
import { iconOf } from './kinds.js';
import { CarillonStatus } from './status.js';

/** The newest notifications, in a page or dropped down from a bell. */
export class CarillonPanel extends CarillonElement {
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
    this.root.append(this.header, make('div', 'scroll', {}, this.list, this.empty),
      make('footer', 'footer', {}, this.status, this.#all));
    this.#clearAll.onblur = () => this.#ask(false);
  }

  focus(options) { this.heading.focus(options); }

  get rows() { return this.value.notifications; }
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

  /** To all of a closed group; the server tells of each. */
  #whole(event, method, path) {
    const { notification, group } = event.detail;
    if (!this.client || !group || group.expanded) return;
    event.preventDefault();
    this.ask(this.client.request(
      method, `/api/v1/notifications/${notification.id}${path}?group=true`));
  }

  async ask(answer) {
    try {
      return await answer;
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
    // The next one, else the last.
    const next = before.slice(place).find((item) => item.isConnected) ?? this.list.lastChild;
    (next ?? this.heading).focus();
  }

  #collapsed() {
    const groups = Map['groupBy'](this.rows, (it) => it.group_key || it);
    return [...groups].flatMap(([key, [head, ...rest]]) => {
      const count = [head, ...rest].reduce((sum, it) => sum + (it.group_count ?? 1), 0);
      if (count < 2) return [[head]];
      const expanded = this.open.has(key);
      const is_read = head.is_read && (expanded || rest.every((it) => it.is_read));
      return [[{ ...head, is_read }, { count, expanded }],
        ...expanded ? rest.map((it) => [it, null, true]) : []];
    });
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
    const { unreadCount: n } = this.value;
    this.ariaLabel = this.label;
    setText(this.heading, this.label);
    setText(this.#count, n ? this.word('{n} unread', { n }) : '');
    setText(this.#markAll, this.word('Mark all read'));
    setText(this.#clearAll, this.word(this.#isSure ? 'Really clear all?' : 'Clear all'));
    // Disabled ones would lose the focus.
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
