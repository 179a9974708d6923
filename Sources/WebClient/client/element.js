// @ts-check
// The elements' base class, and functions that make their parts.

import { defaultClient, notificationStore } from './carillon.js';
import { enter, leave } from './lifetime.js';
import { sheets } from './sheets.js';
import { languageOf, translate } from './words.js';

// A server that renders pages imports this module, and has no elements.
// guard: module-without-a-page
const { HTMLElement = class {}, customElements } = /** @type {any} */ (globalThis);

/** Makes an element. Text always becomes a text node, never markup. */
export const make = (tag, name, given, ...children) => {
  const element = Object.assign(
    document.createElement(tag),
    { className: name, part: name },
    given,
  );
  element.append(...children);
  return element;
};

export const button = (name, onclick, ...children) =>
  make('button', name, { type: 'button', onclick }, ...children);

// Unchanged text keeps its text node, so a selection in it survives.
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/**
 * Points a link at a URL of this site or of https, and returns whether the URL is safe.
 *
 * Scripts are rejected, and so is a user name in the URL, which can look like a host.
 */
export const lead = (link, url) => {
  link.href = url;
  const { origin, protocol, username } = link;
  const isOurs = origin === location.origin && protocol === location.protocol;
  const isSafe = url && !username && (isOurs || protocol === 'https:');
  if (!isSafe) link.removeAttribute('href');
  Object.assign(link, { target: isOurs ? '' : '_blank', rel: 'noopener noreferrer' });
  return isSafe;
};

// One live region for each politeness, shared by all elements of a page. Screen readers speak the
// text that changes in it.
const regions = {};
/** Notifications to announce together. */
let waiting = [];

const say = (live, text) => {
  const region = regions[live] ??= make('div', '', { ariaLive: live });
  region.style.cssText = 'position: fixed; clip-path: circle(0)';
  if (!region.isConnected) document.body.append(region);
  region.textContent = text;
};

/** Whether a computed colour is light; pages write colours in several spaces. */
const isLight = (color) => {
  const [r, g, b] = color.match(/[\d.]+/g)?.map(Number) ?? [];
  // `oklch(0.98 …)` and `lab(98 …)` begin with the lightness; `color(srgb 1 1 1)` is from 0 to 1.
  if (/^ok/.test(color)) return r > 0.6;
  if (/^l/.test(color)) return r > 60;
  return (2 * r + 5 * g + b) / 8 > (/^rgb/.test(color) ? 150 : 0.6);
};

/**
 * An element with a shadow root that draws the store's value at most once per frame.
 *
 * Its listeners and its subscription end when it is detached, so it can be moved and can get
 * another client at any time.
 */
export class CarillonElement extends HTMLElement {
  static observedAttributes = ['lang', 'label', 'href', 'token'];
  /** Registers the element, unless another copy of its module has: a page may load two. */
  static define(name) {
    // guard: element-defined-once
    if (customElements && !customElements.get(name)) customElements.define(name, this);
  }

  #given = {};
  #frame = 0;
  #attachment = new AbortController();
  value;
  root = this.attachShadow({ mode: 'open' });

  constructor(...names) {
    super();
    this.root.adoptedStyleSheets = ['base', ...names].map((name) => sheets[name]);
  }

  // The element's own client, else that of the enclosing element, else the page's.
  get client() {
    return this.#find('client') ?? (this.#find('store') ? null : defaultClient());
  }
  set client(client) {
    this.#give({ client });
  }
  get store() {
    return this.#find('store') ?? this.client?.store ?? notificationStore;
  }
  set store(store) {
    this.#give({ store });
  }
  get strings() {
    return this.#find('strings');
  }
  set strings(strings) {
    this.#give({ strings });
  }

  get #host() {
    const { host } = this.getRootNode();
    return host instanceof CarillonElement ? host : null;
  }
  /** Follows a dark page that declares no `color-scheme`: its text is light. */
  #followScheme() {
    const parent = this.parentElement ?? document.body;
    const isDark = getComputedStyle(parent).colorScheme === 'normal' &&
      isLight(getComputedStyle(document.body).color);
    // guard: scheme-of-the-page
    if (isDark) this.style.setProperty('--_scheme', 'dark');
    else this.style.removeProperty('--_scheme');
  }

  #find(name) {
    return this.#given[name] ?? (this.#host && this.#host.#find(name));
  }
  #give(given) {
    Object.assign(this.#given, given);
    if (this.isConnected) this.#attach();
  }

  get language() {
    return languageOf(this.closest('[lang]')?.lang, this.#host?.language, navigator.language);
  }
  get label() {
    return this.getAttribute('label') ?? this.word('Notifications');
  }

  /** Translates an English text to the element's language and fills in the `{names}`. */
  word(english, values) {
    return translate(english, this.language, this.strings, values);
  }

  connectedCallback() {
    // A value set before the element was defined is an own property that hides the accessor.
    for (const [name, value] of Object.entries(this)) {
      delete this[name];
      this[name] = value;
    }
    enter(this);
    this.#attach();
  }

  disconnectedCallback() {
    leave(this);
    this.#attachment.abort();
  }
  attributeChangedCallback() {
    this.update();
  }

  #attach() {
    this.#attachment.abort();
    this.#attachment = new AbortController();
    if (!this.#host) this.#watchScheme();
    this.attached();
    this.render();
    for (const part of this.root.querySelectorAll('*')) {
      if (part instanceof CarillonElement) part.#attach();
    }
  }

  /** Follows the page's colours now, and when the page or the system changes them. */
  #watchScheme() {
    const follow = () => this.#followScheme();
    const observer = new MutationObserver(follow);
    for (const target of [document.documentElement, document.body]) {
      observer.observe(target, { attributeFilter: ['class', 'style', 'data-theme', 'theme'] });
    }
    this.#attachment.signal.addEventListener('abort', () => observer.disconnect());
    this.listen(matchMedia('(prefers-color-scheme: dark)'), 'change', follow);
    this.listen(document.body, 'transitionend', follow);
    follow();
  }

  listen(target, types, listener) {
    for (const type of types.split(' ')) {
      target?.addEventListener(type, listener, { signal: this.#attachment.signal });
    }
  }

  /** Draws the store's value, now and after each change. */
  follow() {
    const { client, store } = this;
    this.#attachment.signal.addEventListener(
      'abort',
      store.subscribe((value) => {
        this.value = value;
        this.changed();
        // The page's client may be created later; then attach again.
        if (this.client === client) this.update();
        else this.#attach();
      }),
    );
  }

  /** Announces each notification to screen readers once, and a burst as one message. */
  speak(listener) {
    const hush = () => ['polite', 'assertive'].forEach((live) => say(live, ''));
    hush();
    this.listen(this.client, 'reset', hush);
    this.listen(this.client, 'notification', ({ detail }) => {
      listener?.(detail);
      if (waiting.includes(detail) || waiting.push(detail) > 1) return;
      setTimeout(() => {
        const n = waiting.length;
        say(
          waiting.some((it) => it.priority === 'urgent') ? 'assertive' : 'polite',
          this.word(n > 1 ? '{n} new notifications' : 'New notification: {title}', {
            n,
            ...detail,
          }),
        );
        waiting = [];
      }, 200);
    });
  }

  /** Dispatches `carillon-name`. Returns false if a listener prevented the default action. */
  emit(name, detail) {
    return this.dispatchEvent(
      new CustomEvent(
        `carillon-${name}`,
        { detail, bubbles: true, composed: true, cancelable: true },
      ),
    );
  }

  /** Reports that the server did not accept a change, which is shown as undone. */
  refuse(notification) {
    return this.emit('refused', { notification });
  }

  /** Draws the element in the next frame, once for all changes until then. */
  update() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.isConnected) this.render();
    });
  }

  attached() {}
  changed() {}
  render() {}
}
