// @ts-check
import { button, make, setText } from './element.js';
import { CarillonPanel } from './panel.js';

/**
 * `<carillon-list>`: the whole inbox, a page at a time, filtered by type and by what is unread.
 *
 * What comes, is read or is deleted anywhere shows without a reload. What is read while only the
 * unread are shown stays, so that nothing jumps away under a person's hand.
 */
export class CarillonList extends CarillonPanel {
  /** The newest first. */
  #all = [];
  /** Where the next page begins, and where the one began that was asked for last. */
  #next;
  #before;
  /** Each question has a number: an answer to an earlier one comes too late. */
  #asked = 0;
  #state = 'loading';
  #wasAway = false;
  /** What was told while a page was on its way. */
  #late = [];
  #types = new Set();
  #isUnread = false;
  #filters = [false, true].map((isUnread) => button('filter', () => {
    this.#isUnread = isUnread;
    this.reload();
  }));
  #type = make('select', 'types', { onchange: () => this.reload() });
  #more = button('more', () => this.#load(this.#next));
  #retry = button('more', () => this.#load(this.#before));
  #note = make('p', 'note', { role: 'status' });

  constructor() {
    super('list');
    this.header.after(make('div', 'filters', {}, ...this.#filters, this.#type));
    this.empty.after(this.#note, this.#more, this.#retry);
  }

  get rows() { return this.#all; }
  get blank() {
    return this.#state || (this.#isUnread || this.#type.value ? 'noMatch' : 'empty');
  }

  attached() {
    super.attached();
    const on = (type, change) => this.listen(this.client, type, ({ detail }) => {
      change(detail);
      // Again over a page that was asked for before it.
      if (this.#state) this.#late.push(() => change(detail));
      this.update();
    });
    on('notification', (it) => {
      this.#types.add(it.type);
      if (!this.#type.value || this.#type.value === it.type) this.#merge([it]);
    });
    on('read', ({ id }) => this.#read((it) => it.id === id));
    on('deleted', ({ id }) => this.#keep((it) => it.id !== id));
    // What happens to all at once is told as a number.
    on('stats', ({ total, unread }) => {
      if (!total) this.#keep(() => false);
      if (!unread) this.#read(() => true);
    });
    // What was read or deleted while it was away is told to nobody.
    this.listen(this.client, 'state', ({ detail }) => {
      if (detail !== 'connected') this.#wasAway = true;
      else if (this.#wasAway) this.reload();
    });
    this.listen(this.client, 'resync', () => this.reload());
    this.reload();
  }

  #keep(which) { this.#all = this.#all.filter(which); }
  #read(which) {
    this.#all = this.#all.map((it) => it.is_read || !which(it) ? it : { ...it, is_read: true });
  }
  /** Puts them where they belong, each once. */
  #merge(some) {
    const ids = new Set(some.map(({ id }) => id));
    this.#keep(({ id }) => !ids.has(id));
    const rank = (it) => it.created_at + it.id;
    this.#all = [...this.#all, ...some].sort((a, b) => rank(a) < rank(b) ? 1 : -1);
  }

  /** Asks for the first page anew; what is there stays until it comes. */
  reload() {
    this.#wasAway = false;
    this.#load();
  }

  async #load(before) {
    const asked = this.#asked += 1;
    const query = { limit: this.getAttribute('page-size') ?? 20, before, type: this.#type.value,
      unread: this.#isUnread };
    this.#before = before;
    this.#state = 'loading';
    this.#late = [];
    this.update();
    const page = await this.#page(query);
    if (asked !== this.#asked) return;
    this.#state = page ? '' : 'failed';
    if (page) {
      if (!before) this.#all = [];
      this.#merge(page.notifications);
      this.#next = page.next;
      for (const { type } of this.#all) this.#types.add(type);
      for (const change of this.#late) change();
    }
    this.update();
  }

  #page(query) {
    return this.ask('GET', `?${new URLSearchParams(Object.entries(query).filter(([, it]) => it))}`);
  }

  async expand(notification) {
    super.expand(notification);
    const { group_key } = notification;
    if (!this.open.has(group_key)) return;
    const page = await this.#page({ limit: 200, group_key });
    if (!page) return;
    this.#keep((it) => it.group_key !== group_key);
    this.#merge(page.notifications);
    this.update();
  }

  render() {
    // What was read in another element of the page shows here at once.
    const read = new Set();
    for (const it of this.value.notifications ?? []) if (it.is_read) read.add(it.id);
    this.#read(({ id }) => read.has(id));
    super.render();
    const isLoading = this.#state === 'loading';
    this.list.ariaBusy = `${isLoading}`;
    this.#filters.forEach((filter, index) => {
      setText(filter, this.word(index ? 'onlyUnread' : 'all'));
      filter.ariaPressed = `${this.#isUnread === !!index}`;
    });
    this.#drawTypes();
    this.#more.hidden = !this.#next || this.#state === 'failed';
    this.#more.disabled = isLoading;
    setText(this.#more, this.word(isLoading ? 'loading' : 'loadMore'));
    this.#retry.hidden = this.#state !== 'failed';
    setText(this.#retry, this.word('retry'));
    setText(this.#note, !this.#state && !this.#next && this.#all.length ? this.word('end')
      : !this.#retry.hidden && this.#all.length ? this.word('failed') : '');
  }

  #drawTypes() {
    const given = this.getAttribute('types')?.split(' ') ?? [...this.#types].sort();
    this.#type.ariaLabel = this.word('type');
    ['', ...given].forEach((value, index) => {
      const key = value ? `type:${value}` : 'type';
      const word = this.word(key);
      const option = this.#type.options[index] ?? make('option', '');
      if (!option.isConnected) this.#type.append(option);
      option.value = value;
      setText(option, word === key ? value : word);
    });
  }
}
