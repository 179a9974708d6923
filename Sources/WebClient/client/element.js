// @ts-check
// What all the elements have in common.

import { defaultClient, notificationStore } from './carillon.js';
import { sheetOf } from './sheets.js';
import { wordFor } from './words.js';

/** Class and part are `name`. Text goes in as a text node, never else. */
export const make = (tag, name, given, ...children) => {
  const element = Object.assign(document.createElement(tag), { className: name, part: name }, given);
  element.append(...children);
  return element;
};

export const button = (name, onclick, ...children) =>
  make('button', name, { type: 'button', onclick }, ...children);

/** What a person has selected stays selected. */
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/** Leads to this site or by https, never to a script, nor to a user's name that looks like a host. */
export const lead = (link, url) => {
  link.removeAttribute('href');
  if (!url || !URL.canParse(url, location.href)) return false;
  const { href, origin, protocol, username } = new URL(url, location.href);
  const isOurs = origin === location.origin && protocol === location.protocol;
  if (username || (!isOurs && protocol !== 'https:')) return false;
  Object.assign(link, { href, target: isOurs ? '' : '_blank', rel: 'noopener noreferrer' });
  return true;
};

const regions = {}, told = new Set();
let waiting = [];

const say = (live, text) => {
  const region = regions[live] ??= make('div', '', { ariaLive: live });
  Object.assign(region.style, { position: 'fixed', clipPath: 'inset(50%)' });
  if (!region.isConnected) document.body.append(region);
  region.textContent = text;
};

export class CarillonElement extends HTMLElement {
  static observedAttributes = ['lang', 'label', 'href', 'types'];

  #given = {};
  #frame = 0;
  #attachment = new AbortController();
  value;
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
    const { host } = this.getRootNode();
    return host instanceof CarillonElement ? host : null;
  }
  #find(name) { return this.#given[name] ?? this.#host?.#find(name); }
  #give(given) {
    Object.assign(this.#given, given);
    if (this.isConnected) this.#attach();
  }

  get language() {
    return this.closest('[lang]')?.lang || this.#host?.language || navigator.language;
  }

  word(key, values) {
    return wordFor(key, this.language, this.strings)
      .replace(/\{(\w+)\}/g, (_, name) => values[name].toLocaleString(this.language));
  }

  get label() { return this.getAttribute('label') ?? this.word('title'); }

  connectedCallback() {
    // What was set before the element was defined hides the property.
    for (const name of Object.keys(this)) {
      const { [name]: value } = this;
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

  listen(target, types, listener) {
    for (const type of types.split(' ')) {
      target?.addEventListener(type, listener, { signal: this.#attachment.signal });
    }
  }

  follow() {
    const { client, store } = this;
    this.#attachment.signal.addEventListener('abort', store.subscribe((value) => {
      this.value = value;
      // The page's client may come later.
      if (this.client === client) this.update();
      else this.#attach();
    }));
  }

  /** Tells those who listen to the page what is new: once for all elements, and a burst as one. */
  hear(listener) {
    // A region has to be there before there is anything to tell.
    for (const live of ['polite', 'assertive']) say(live, '');
    this.listen(this.client, 'notification', ({ detail }) => {
      listener?.(detail);
      if (told.has(detail.id)) return;
      if (told.add(detail.id).size > 999) told.clear();
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
