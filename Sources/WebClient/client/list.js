// @ts-check
import { button, make, setText } from './element.js';
import { CarillonPanel } from './panel.js';

/**
 * `<carillon-list>`: the whole inbox by pages, filtered, and live.
 *
 * What is read while only the unread are shown stays: nothing jumps away under a person's hand.
 */
export class CarillonList extends CarillonPanel {
  #all = [];
  /** Where the next page begins, and the one that was asked for last. */
  #next;
  #before;
  /** Questions are numbered: an answer to an earlier one comes too late. */
  #asked = 0;
  #state = 'loading';
  #wasAway = false;
  /** What was told while a page was on its way. */
  #late = [];
  #types = new Set(['']);
  #isUnread = false;
  #filters = [false, true].map((isUnread) => button('filter', () => {
    this.#isUnread = isUnread;
    this.reload();
  }));
  #type = make('select', 'types', { onchange: () => this.reload() });
  #more = button('load', () => this.#loadMore());
  #end = make('p', 'end');

  constructor() {
    super('list');
    this.heading.after(this.status);
    this.header.after(make('div', 'filters', {}, ...this.#filters, this.#type));
    this.empty.after(this.#more, this.#end);
  }

  get rows() { return this.#all; }
  get blank() {
    return this.#state || (this.#isUnread || this.#type.value ? 'noMatch' : 'empty');
  }

  attached() {
    super.attached();
    const on = (type, change) => this.listen(this.client, type, ({ detail }) => {
      change(detail);
      // And again over the page that was asked for before it.
      if (this.#state) this.#late.push(() => change(detail));
      this.update();
    });
    on('notification', (it) => {
      if (!this.#type.value || this.#type.value === it.type) this.#add([it], 0);
    });
    on('read', ({ id }) => this.#read((it) => it.id === id));
    on('deleted', ({ id }) => this.#keep((it) => it.id !== id));
    // What happens to all is told as a number.
    on('stats', ({ total, unread }) => {
      if (!total) this.#keep(() => false);
      if (!unread) this.#read(() => true);
    });
    // What was read or deleted while it was away is not told.
    this.listen(this.client, 'state', ({ detail }) => {
      if (detail !== 'connected') this.#wasAway = true;
      else if (this.#wasAway) this.reload();
    });
    this.listen(this.client, 'resync', () => this.reload());
    if (this.client) this.reload();
  }

  #keep(which) { this.#all = this.#all.filter(which); }
  #read(which) {
    this.#all = this.#all.map((it) => it.is_read || !which(it) ? it : { ...it, is_read: true });
  }
  /** The order is the server's: ids and times do not tell it. */
  #add(some, place) {
    const ids = new Set(this.#all.map(({ id }) => id));
    this.#all = this.#all.toSpliced(place, 0, ...some.filter(({ id }) => !ids.has(id)));
    for (const { type } of some) this.#types.add(type);
  }

  reload() {
    this.#wasAway = false;
    return this.#load();
  }

  async #load(before) {
    const asked = this.#asked += 1;
    this.#before = before;
    this.#state = 'loading';
    this.#late = [];
    this.update();
    const page = await this.#page({ limit: this.getAttribute('page-size') ?? 20, before,
      type: this.#type.value, unread: this.#isUnread });
    if (asked !== this.#asked) return;
    this.#state = page ? '' : 'failed';
    if (page) {
      if (!before) this.#all = [];
      this.#add(page.notifications, Infinity);
      this.#next = page.next;
      for (const change of this.#late) change();
    }
    this.render();
  }

  async #loadMore() {
    if (this.#state === 'loading') return;
    const { childElementCount } = this.list;
    await this.#load(this.#state ? this.#before : this.#next);
    // The focus goes on where the new ones begin.
    if (!this.#state) this.list.children[childElementCount]?.focus();
  }

  #page(query) {
    return this.ask('GET', `?${new URLSearchParams(Object.entries(query).filter(([, it]) => it))}`);
  }

  async expand(notification) {
    super.expand(notification);
    const { group_key } = notification;
    const page = this.open.has(group_key) && await this.#page({ limit: 200, group_key });
    const place = this.#all.findIndex((it) => it.group_key === group_key);
    if (!page || place < 0) return;
    this.#keep((it) => it.group_key !== group_key);
    this.#add(page.notifications, place);
    this.update();
  }

  render() {
    // What is read elsewhere in the page.
    const read = new Set(this.value.notifications.map((it) => it.is_read && it.id));
    this.#read(({ id }) => read.has(id));
    super.render();
    this.list.ariaBusy = `${this.#state === 'loading'}`;
    this.#filters.forEach((filter, index) => {
      setText(filter, this.word(index ? 'onlyUnread' : 'all'));
      filter.ariaPressed = `${this.#isUnread === !!index}`;
    });
    this.#type.ariaLabel = this.word('type');
    const types = this.getAttribute('types')?.split(' ') ?? this.#types;
    [...new Set(['', ...types])].forEach((type, index) => {
      const key = type ? `type:${type}` : 'type';
      const word = this.word(key);
      const option = this.#type.options[index] ?? this.#type.appendChild(make('option', ''));
      option.value = type;
      setText(option, word === key ? type.replace(/[._:-]+/g, ' ') : word);
    });
    const isMore = this.#next || this.#state === 'failed';
    setText(this.#more, isMore ? this.word({ loading: 'loading', failed: 'retry' }[this.#state]
      ?? 'loadMore') : '');
    const end = { failed: 'failed', '': !isMore && 'end' }[this.#state];
    setText(this.#end, this.#all.length && end ? this.word(end) : '');
  }
}
