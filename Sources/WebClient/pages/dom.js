// @ts-check
// How these pages make elements: by calls, never from markup, so that a text stays a text.

/**
 * Makes an element. A function is a listener, a boolean an attribute that is there or not, and
 * whatever else an attribute; children are nodes, texts, or nothing.
 *
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | number | null | undefined)} children
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (typeof value === 'boolean') element.toggleAttribute(name, value);
    else if (value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children) {
    if (child !== null && child !== undefined) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
  return element;
}

/**
 * The one element that the page's own markup names; its absence is a mistake of ours.
 *
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {any}
 */
export function find(selector, root = document) {
  const element = root.querySelector(selector);
  if (!element) throw new Error(`the page has no ${selector}`);
  return element;
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/**
 * A time as its reader says it: the clock's alone when it is today.
 *
 * @param {string | number} time
 */
export function timeElement(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return make('span', {}, time);
  const isToday = date.toDateString() === new Date().toDateString();
  const text = (isToday ? clock : calendar).format(date);
  return make('time', { datetime: date.toISOString(), title: date.toISOString() }, text);
}
