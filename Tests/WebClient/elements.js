// A small fake of the DOM, in which the elements' modules load and their logic runs. It has no
// layout and no selectors; Tests/EndToEnd tests the elements in Chromium.

import { define } from './page.js';

class FakeElement extends EventTarget {
  children = [];
  parentElement = null;
  options = [];
  value = '';
  dataset = {};
  style = { setProperty() {}, removeProperty() {} };
  classList = { toggle() {} };
  #attributes = new Map();
  #isPressed = 'false';

  // A browser keeps the attribute as a text.
  get ariaPressed() {
    return this.#isPressed;
  }
  set ariaPressed(isPressed) {
    this.#isPressed = `${isPressed}`;
  }
  get isConnected() {
    return this === document.body || !!(this.parentElement ?? this.host)?.isConnected;
  }
  get childElementCount() {
    return this.children.length;
  }
  get nextSibling() {
    const { children } = this.parentElement;
    return children[children.indexOf(this) + 1];
  }
  get length() {
    return this.options.length;
  }
  set length(length) {
    this.options.length = length;
  }

  attachShadow() {
    return Object.assign(new FakeElement(), { host: this });
  }
  getRootNode() {
    return this.parentElement?.getRootNode() ?? this;
  }
  insertBefore(node, next) {
    node.remove?.();
    const place = next ? this.children.indexOf(next) : this.children.length;
    this.children.splice(place, 0, node);
    if (node instanceof FakeElement) node.parentElement = this;
  }
  append(...nodes) {
    for (const node of nodes) this.insertBefore(node);
  }
  after(...nodes) {
    const next = this.nextSibling;
    for (const node of nodes) this.parentElement.insertBefore(node, next);
  }
  appendChild(option) {
    this.options.push(option);
    return option;
  }
  remove() {
    const { children } = this.parentElement ?? { children: [] };
    if (children.includes(this)) children.splice(children.indexOf(this), 1);
    this.parentElement = null;
  }
  replaceChildren(...nodes) {
    this.children = [];
    this.append(...nodes);
  }
  querySelectorAll() {
    return [];
  }
  closest() {
    return null;
  }
  getAttribute(name) {
    return this.#attributes.get(name) ?? null;
  }
  setAttribute(name, value) {
    this.#attributes.set(name, value);
  }
  removeAttribute(name) {
    this.#attributes.delete(name);
  }
  toggleAttribute() {}
  animate() {
    return { cancel() {}, play() {}, pause() {} };
  }
}

const registered = new Map();
define('HTMLElement', FakeElement);
define(
  'CSSStyleSheet',
  class {
    replaceSync() {}
  },
);
define(
  'MutationObserver',
  class {
    observe() {}
    disconnect() {}
  },
);
define('customElements', {
  get: (name) => registered.get(name),
  define: (name, element) => registered.set(name, element),
});
define('getComputedStyle', () => ({ colorScheme: 'light', color: 'rgb(0, 0, 0)' }));
// The timer that keeps ages current would keep the test from ending.
define('setInterval', () => 1);
define('matchMedia', () => new EventTarget());
// Node 20 lacks it; browsers have it.
Map['groupBy'] ??= (items, keyOf) => {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...groups.get(keyOf(item)) ?? [], item]);
  return groups;
};

await import('../../Sources/WebClient/client/list.js');

/** The renderings that wait for the next frame. */
let waiting = [];

/** Draws the next frame: the elements render in it. */
export const drawFrame = () => {
  const due = waiting;
  waiting = [];
  for (const run of due) run();
};

/** Puts a `<carillon-list>` of a client into the present page, and returns it. */
export const openList = (client) => {
  waiting = [];
  define('requestAnimationFrame', (run) => waiting.push(run));
  const createElement = () => new FakeElement();
  Object.assign(document, { createElement, createElementNS: createElement });
  Object.assign(document, { documentElement: new FakeElement(), body: new FakeElement() });
  const list = new (registered.get('carillon-list'))();
  list.client = client;
  document.body.append(list);
  list.connectedCallback();
  return list;
};
