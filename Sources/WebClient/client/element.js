// @ts-check
// What all the elements have in common.

import { defaultClient, notificationStore } from './carillon.js';
import { sheetOf } from './sheets.js';
import { wordFor } from './words.js';

/** Makes an element whose class and part is `name`. Text goes in as a text node, never else. */
export const make = (tag, name, given, ...children) => {
  const element = Object.assign(document.createElement(tag), { className: name, part: name }, given);
  element.append(...children);
  return element;
};

export const button = (name, onclick, ...children) =>
  make('button', name, { type: 'button', onclick }, ...children);

/** Sets a text only where it differs, so that what a person selected stays selected. */
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/**
 * Leads a link to this page's origin, or anywhere by https: never to a script, nor to a URL with
 * a user's name, which looks like another's. Whether it leads there.
 */
export const lead = (link, url) => {
  link.removeAttribute('href');
  if (!url || !URL.canParse(url, location.href)) return false;
  const { href, origin, protocol, username } = new URL(url, location.href);
  const isOurs = origin === location.origin && protocol === location.protocol;
  if (username || (!isOurs && protocol !== 'https:')) return false;
  Object.assign(link, { href, target: isOurs ? '' : '_blank', rel: 'noopener noreferrer' });
  return true;
};

/** What is told to those who listen to the page: the regions, what waits, and what was told. */
const regions = {}, told = new Set();
let waiting = [];

const say = (live, text) => {
  const region = regions[live] ??= make('div', '', { ariaLive: live });
  Object.assign(region.style, { position: 'fixed', clipPath: 'inset(50%)' });
  if (!region.isConnected) document.body.append(region);
  region.textContent = text;
};

/** Draws at most once a frame, however much happens. */
export class CarillonElement extends HTMLElement {
  static observedAttributes = ['lang', 'label', 'href', 'types'];

  #given = {};
  #frame = 0;
  #attachment = new AbortController();
  /** What the store held last. */
  value = /** @type {any} */ ({});
  root = this.attachShadow({ mode: 'open' });

  constructor(...sheets) {
    super();
    this.root.adoptedStyleSheets = ['base', ...sheets].map(sheetOf);
  }

  // Its own, else of the element that it is a part of, else the page's.
  get client() { return this.#find('client') ?? (this.#find('store') ? null : defaultClient()); }
  set client(client) { this.#give({ client }); }
  get store() { return this.#find('store') ?? this.client?.store ?? notificationStore; }
  set store(store) { this.#give({ store }); }
  get strings() { return this.#find('strings'); }
  set strings(strings) { this.#give({ strings }); }

  get #host() {
    const { host } = /** @type {any} */ (this.getRootNode());
    return host instanceof CarillonElement ? host : undefined;
  }
  #find(name) { return this.#given[name] ?? this.#host?.#find(name); }
  #give(given) {
    Object.assign(this.#given, given);
    if (this.isConnected) this.#attach();
  }

  get language() {
    const { lang } = /** @type {any} */ (this.closest('[lang]')) ?? {};
    return lang || this.#host?.language || navigator.language;
  }

  /** The word for `key`, with `values` in its places. */
  word(key, values = {}) {
    return wordFor(key, this.language, this.strings)
      .replace(/\{(\w+)\}/g, (_, name) => values[name].toLocaleString(this.language));
  }

  connectedCallback() {
    // What was set before the element was defined hides the property.
    for (const name of ['client', 'store', 'strings', 'notification']) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
    this.#attach();
  }

  disconnectedCallback() { this.#attachment.abort(); }
  attributeChangedCallback() { this.update(); }

  #attach() {
    this.#attachment.abort();
    this.#attachment = new AbortController();
    this.attached();
    this.render();
    for (const part of this.root.querySelectorAll('*')) {
      if (part instanceof CarillonElement) part.#attach();
    }
  }

  /** Listens until it leaves the page or has another client. */
  listen(target, type, listener) {
    target?.addEventListener(type, listener, { signal: this.#attachment.signal });
  }

  /** Follows the store; the page's client may come later, or another one. */
  follow() {
    const { client, store } = this;
    this.#attachment.signal.addEventListener('abort', store.subscribe((value) => {
      this.value = value;
      if (this.client === client) this.update();
      else this.#attach();
    }));
  }

  /** Tells what is new to those who listen to the page: once for all elements, a burst as one. */
  hear(listener) {
    // Regions are there before there is anything to tell, else the first would not be heard.
    for (const live of ['polite', 'assertive']) say(live, '');
    this.listen(this.client, 'notification', ({ detail }) => {
      listener?.(detail);
      if (told.has(detail.id)) return;
      told.add(detail.id);
      if (waiting.push(detail) > 1) return;
      setTimeout(() => {
        const n = waiting.length;
        say(waiting.some((it) => it.priority === 'urgent') ? 'assertive' : 'polite',
          n > 1 ? this.word('newMany', { n }) : this.word('newOne', detail));
        waiting = [];
      }, 200);
    });
  }

  /** Tells who uses the element; whether it is to go on. */
  tell(name, detail) {
    return this.dispatchEvent(new CustomEvent(
      `carillon-${name}`, { detail, bubbles: true, composed: true, cancelable: true }));
  }

  update() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.isConnected) this.render();
    });
  }

  attached() {}
  render() {}
}
