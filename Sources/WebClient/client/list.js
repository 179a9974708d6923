// @ts-check
import { button, make, setText } from './element.js';
import { CarillonPanel } from './panel.js';

const LOADING = 'Loading…', FAILED = 'This could not be loaded';

/** The whole inbox, by pages and filtered, and live. */
export class CarillonList extends CarillonPanel {
  #all = [];
  #next;
  #state = '';
  /** An answer to an earlier question comes too late. */
  #asked = 0;
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

  get #isUnread() { return this.#unread.ariaPressed === 'true'; }
  get rows() { return this.#all; }
  get blank() {
    return this.#state
      || (this.#isUnread || this.#type.value ? 'Nothing matches' : super.blank);
  }

  attached() {
    super.attached();
    const on = (type, change) => this.listen(this.client, type, ({ detail }) => {
      change(detail);
      // And to the page that was asked for before.
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
    // What was read or deleted meanwhile is not told.
    this.listen(this.client, 'state resync', ({ detail }) => {
      if ((detail ?? 'connected') === 'connected') this.reload();
    });
    if (this.client) this.reload();
  }

  #keep(which) { this.#all = this.#all.filter(which); }
  #read(which) {
    this.#all = this.#all.map((it) => it.is_read || !which(it) ? it : { ...it, is_read: true });
  }
  /** Neither ids nor times tell the order. */
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
    const page = await this.ask(this.client.list({ before, unread: this.#isUnread,
      limit: this.getAttribute('page-size') ?? 20, type: this.#type.value || null }));
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
