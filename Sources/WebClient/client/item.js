// @ts-check
import { button, CarillonElement, lead, make, setText } from './element.js';
import { iconOf, kindOf } from './kinds.js';
import { keepTime } from './time.js';

/** One notification, or the newest of a group. */
export class CarillonItem extends CarillonElement {
  #it;
  #drawn;
  #icon = make('span', 'icon');
  // A button where it leads nowhere.
  #title = make('a', 'title', { dir: 'auto', tabIndex: 0 });
  #message = make('p', 'message', { dir: 'auto' });
  #time = make('time', 'time');
  #priority = make('span', 'priority');
  #more = button('more', () => this.#tell('expand'));
  #actions = make('div', 'actions');
  #mark = make('span', 'mark', { role: 'img' });
  #dismiss = button('dismiss', () => this.dismiss(), iconOf('cross'));
  /** `{ count, expanded }`. */
  group;

  constructor() {
    super('item');
    this.root.append(make('div', 'item', {}, this.#icon,
      make('div', 'body', {}, this.#title, this.#message,
        make('div', 'meta', {}, this.#time, this.#priority, this.#more), this.#actions),
      this.#mark, this.#dismiss));
    this.#title.onclick = (event) => this.#follow(event, 'open');
    this.#title.onkeydown = (event) => {
      if (this.#title.href || !/^( |Enter)$/.test(event.key)) return;
      event.preventDefault();
      this.#title.click();
    };
  }

  get notification() { return this.#it; }
  set notification(notification) {
    this.#it = notification;
    this.update();
  }

  focus(options) { this.#title.focus(options); }

  dismiss() {
    if (this.#tell('dismiss')) this.store.remove(this.#it.id);
  }

  #tell(name, more) {
    return this.tell(name, { notification: this.#it, group: this.group, ...more });
  }

  #follow(event, name, action) {
    const url = event.currentTarget.href;
    if (!url) this.toggleAttribute('expanded');
    if (!this.#tell(name, { url, action })) event.preventDefault();
    else if (!this.#it.is_read && this.#tell('read')) this.store.markAsRead(this.#it.id);
  }

  render() {
    const it = this.#it;
    if (!it) return;
    const { count: n = 1, expanded = false } = this.group ?? {};
    const isStack = n > 1 && !expanded;
    this.toggleAttribute('unread', !it.is_read);
    this.toggleAttribute('stacked', isStack);
    setText(this.#title, it.title);
    setText(this.#message, it.message ?? '');
    keepTime(this.#time, it.created_at, this.language);
    setText(this.#priority, /high|urgent/.test(it.priority) ? this.word(it.priority) : '');
    setText(this.#more,
      n < 2 ? '' : expanded ? this.word('Show less') : this.word('{n} more', { n: n - 1 }));
    this.#more.ariaExpanded = expanded;
    this.#mark.ariaLabel = this.word('Unread');
    this.#dismiss.title = this.word(isStack ? 'Dismiss all {n}' : 'Dismiss', { n });
    this.#dismiss.ariaLabel = `${this.#dismiss.title}: ${it.title}`;
    // What may have the focus stays.
    const drawn = JSON.stringify([it.type, it.entity_url, it.actions]);
    if (this.#drawn === drawn) return;
    this.#drawn = drawn;
    const { icon, color } = kindOf(it.type);
    this.#icon.replaceChildren(iconOf(icon));
    for (const value of [color, `var(--_${color})`]) this.#icon.style.color = value;
    this.#title.role = lead(this.#title, it.entity_url) ? null : 'button';
    this.#actions.replaceChildren();
    for (const action of Array.isArray(it.actions) ? it.actions : []) {
      const link = make('a', 'action', { dir: 'auto' }, `${action?.label}`);
      link.onclick = (event) => this.#follow(event, 'action', action);
      // What may not be followed is not offered.
      if (lead(link, action?.url)) this.#actions.append(link);
    }
  }
}

CarillonItem.define('carillon-item');
