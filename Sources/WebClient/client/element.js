// @ts-check
// What all the elements have in common.

import { defaultClient, notificationStore } from './carillon.js';
import { sheets } from './sheets.js';

/** Text goes in as a text node, never else. */
export const make = (tag, name, given, ...children) => {
  const element = Object.assign(
    document.createElement(tag), { className: name, part: name }, given);
  element.append(...children);
  return element;
};

export const button = (name, onclick, ...children) =>
  make('button', name, { type: 'button', onclick }, ...children);

// What a person has selected stays selected.
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/** To this site or by https: no script, nor a user's name that looks like a host. */
export const lead = (link, url) => {
  link.href = url;
  const { origin, protocol, username } = link;
  const isOurs = origin === location.origin && protocol === location.protocol;
  const isSafe = url && !username && (isOurs || protocol === 'https:');
  if (!isSafe) link.removeAttribute('href');
  Object.assign(link, { target: isOurs ? '' : '_blank', rel: 'noopener noreferrer' });
  return isSafe;
};

const languages = {};
export const setStrings = (language, strings) =>
  void (languages[language] = { ...languages[language], ...strings });

const regions = {};
let waiting = [];

const say = (live, text) => {
  const region = regions[live] ??= make('div', '', { ariaLive: live });
  region.style.cssText = 'position: fixed; clip-path: circle(0)';
  if (!region.isConnected) document.body.append(region);
  region.textContent = text;
};

export class CarillonElement extends /** @type {any} */ (HTMLElement) {
  static observedAttributes = ['lang', 'label', 'href', 'token'];
  static define(name) { customElements.define(name, /** @type {any} */ (this)); }

  #given = {};
  #frame = 0;
  #attachment = new AbortController();
  value;
  root = this.attachShadow({ mode: 'open' });

  constructor(...names) {
    super();
    this.root.adoptedStyleSheets = ['base', ...names].map((name) => sheets[name]);
  }

  // Its own, or of the element around it, or the page's.
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
  #find(name) { return this.#given[name] ?? (this.#host && this.#host.#find(name)); }
  #give(given) {
    Object.assign(this.#given, given);
    if (this.isConnected) this.#attach();
  }

  get language() {
    return this.closest('[lang]')?.lang || this.#host?.language || navigator.language;
  }
  get label() { return this.getAttribute('label') ?? this.word('Notifications'); }

  word(english, values) {
    const { language } = this;
    const { [english]: word = english } =
      { ...languages[language.split('-')[0]], ...languages[language], ...this.strings };
    return word.replace(/\{(\w+)\}/g, (_, name) => values[name].toLocaleString(language));
  }

  connectedCallback() {
    // What was set before it was defined hides the property.
    for (const [name, value] of Object.entries(this)) {
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

  /** Said once, and a burst as one. */
  hear(listener) {
    for (const live of ['polite', 'assertive']) say(live, '');
    this.listen(this.client, 'notification', ({ detail }) => {
      listener?.(detail);
      if (waiting.includes(detail) || waiting.push(detail) > 1) return;
      setTimeout(() => {
        const n = waiting.length;
        say(waiting.some((it) => it.priority === 'urgent') ? 'assertive' : 'polite',
          this.word(n > 1 ? '{n} new notifications' : 'New notification: {title}',
            { n, ...detail }));
        waiting = [];
      }, 200);
    });
  }

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
