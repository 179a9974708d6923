// @ts-check
// The element of one notification, with its age and its kind: a colour, an icon and a sound.

import { button, CarillonElement, lead, make, setText } from './element.js';
import { own } from './words.js';

const ICONS = {
  check: 'M5 13l4 4L19 7',
  info: 'M12 11v6M12 7v.1M12 3a9 9 0 1 0 .1 0',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13',
  folder: 'M3 19V5h6l2 3h10v11z',
  cross: 'M6 6l12 12M18 6L6 18',
  alert: 'M12 9v4M12 17v.1M12 3L2 20h20z',
  chat: 'M4 5h16v11H10l-4 4v-4H4z',
  card: 'M3 6h18v12H3zM3 10h18',
  bell: 'M4 18l2-2v-5a6 6 0 0 1 12 0v5l2 2zM10 21h4',
  more: 'M5 12v.1M12 12v.1M19 12v.1',
};

// Parts of a type's name, with the icon and colour for them. The first match decides.
const WORDS = [
  ['fail|error|declin', 'cross', 'red'],
  ['delet|remov|cancel', 'trash', 'gray'],
  ['succe|complet|paid|releas|resolv', 'check', 'green'],
  ['incident|alert|warn|mainten|expir', 'alert', 'amber'],
  ['comment|message|mention|reply', 'chat', 'blue'],
  ['payment|invoice|escrow|subscription', 'card', 'purple'],
  ['import|export|file', 'folder', 'purple'],
  ['creat', 'check', 'green'],
  ['updat|info|system', 'info', 'blue'],
  ['', 'bell', 'blue'],
];
const SOUNDS = { green: [660, 880], red: [440, 330] };
const kinds = new Map();

export const setKind = (type, kind) => void kinds.set(type, kind);

export const kindOf = (type) => {
  const [, icon, color] = WORDS.find(([word]) => RegExp(word).test(type));
  const kind = { icon, color, ...kinds.get(type) };
  return { sound: own(SOUNDS, kind.color) ?? [784], ...kind };
};

export const iconOf = (name) => {
  const [svg, path] = ['svg', 'path'].map((tag) =>
    document.createElementNS('http://www.w3.org/2000/svg', tag)
  );
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.ariaHidden = 'true';
  path.setAttribute('d', own(ICONS, name) ?? name);
  svg.append(path);
  return svg;
};

// One timer per page keeps the shown ages current. `times` maps each element to its language.
const MINUTE = 60_000, HOUR = 3_600_000, DAY = 86_400_000;
const times = new Map();

const drawTime = (language, element) => {
  const then = Date.parse(element.dateTime);
  const age = Date.now() - then;
  const [length, unit] = age < HOUR
    ? [MINUTE, 'minute']
    : age < DAY
    ? [HOUR, 'hour']
    : [DAY, 'day'];
  const format = (numeric, count, unit) =>
    new Intl.RelativeTimeFormat(language, { style: 'narrow', numeric }).format(count, unit);
  const text = age < MINUTE
    ? format('auto', 0, 'second')
    : age < 7 * DAY
    ? format('always', -Math.floor(age / length), unit)
    : new Date(then).toLocaleDateString(language, { dateStyle: 'medium' });
  setText(element, text);
  if (!element.isConnected) times.delete(element);
};

const drawTimes = () => document.hidden || times.forEach(drawTime);
let timer;

const keepTime = (element, time, language) => {
  if (!timer) document.addEventListener('visibilitychange', drawTimes);
  timer ??= setInterval(drawTimes, 5_000);
  element.dateTime = time;
  element.hidden = isNaN(Date.parse(time));
  if (element.hidden) return;
  element.title = new Date(time).toLocaleString(language);
  times.set(element, language);
  drawTime(language, element);
};

/** One notification, or the newest of a group. */
export class CarillonItem extends CarillonElement {
  #it;
  #drawn;
  #icon = make('span', 'icon');
  // A link; it gets the role of a button when the notification has no URL.
  #title = make('a', 'title', { dir: 'auto', tabIndex: 0 });
  #message = make('p', 'message', { dir: 'auto' });
  #time = make('time', 'time');
  #priority = make('span', 'priority');
  #more = button('more', () => this.#emit('expand'));
  #actions = make('div', 'actions');
  #mark = make('span', 'mark', { role: 'img' });
  #dismiss = button('dismiss', () => this.dismiss(), iconOf('cross'));
  /** `{ count, expanded }`. */
  group;

  constructor() {
    super('item');
    this.root.append(
      make(
        'div',
        'item',
        {},
        this.#icon,
        make(
          'div',
          'body',
          {},
          make('div', 'head', {}, this.#title, this.#time),
          this.#message,
          make('div', 'meta', {}, this.#priority, this.#more),
          this.#actions,
        ),
        this.#mark,
        this.#dismiss,
      ),
    );
    this.#title.onclick = (event) => this.#follow(event, 'open');
    this.#title.onkeydown = (event) => {
      if (this.#title.href || !/^( |Enter)$/.test(event.key)) return;
      event.preventDefault();
      this.#title.click();
    };
  }

  get notification() {
    return this.#it;
  }
  set notification(notification) {
    this.#it = notification;
    this.update();
  }

  focus(options) {
    this.#title.focus(options);
  }

  dismiss() {
    if (this.#emit('dismiss')) this.#keep(this.store.remove(this.#it.id));
  }

  /** Reports a refused change: to the element around the item, which may be gone by then. */
  async #keep(change) {
    const it = this.#it;
    const { host } = this.getRootNode();
    if (!(await change)) (host instanceof CarillonElement ? host : this).refuse(it);
  }

  #emit(name, more) {
    return this.emit(name, { notification: this.#it, group: this.group, ...more });
  }

  #follow(event, name, action) {
    const url = event.currentTarget.href;
    if (!url) this.toggleAttribute('expanded');
    if (!this.#emit(name, { url, action })) event.preventDefault();
    else if (!this.#it.is_read && this.#emit('read')) {
      this.#keep(this.store.markAsRead(this.#it.id));
    }
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
    setText(
      this.#more,
      n < 2 ? '' : expanded ? this.word('Show less') : this.word('{n} more', { n: n - 1 }),
    );
    this.#more.ariaExpanded = expanded;
    this.#mark.ariaLabel = this.word('Unread');
    this.#dismiss.title = this.word(isStack ? 'Dismiss all {n}' : 'Dismiss', { n });
    this.#dismiss.ariaLabel = `${this.#dismiss.title}: ${it.title}`;
    // Keep the existing links when nothing changed, because one of them may have the focus.
    const drawn = JSON.stringify([it.type, it.entity_url, it.actions]);
    if (this.#drawn === drawn) return;
    this.#drawn = drawn;
    const { icon, color } = kindOf(it.type);
    this.#icon.replaceChildren(iconOf(icon));
    for (const value of [color, `var(--_${color})`]) this.#icon.style.color = value;
    this.#title.role = lead(this.#title, it.entity_url) ? null : 'button';
    this.#actions.replaceChildren();
    for (const action of Array.isArray(it.actions) ? it.actions : []) {
      // The fields are as published: an object there may have no text.
      const [label, url] = [action?.label, action?.url].map((each) =>
        typeof each === 'string' ? each : ''
      );
      const link = make('a', 'action', { dir: 'auto' }, label);
      link.onclick = (event) => this.#follow(event, 'action', action);
      // An action with an unsafe URL is not shown.
      if (lead(link, url)) this.#actions.append(link);
    }
  }
}

CarillonItem.define('carillon-item');
