// @ts-check
// Functions that make the pages' elements: by DOM calls, never from markup, so that text cannot
// become markup.

/**
 * Makes an element.
 *
 * A function is added as a listener and a boolean toggles its attribute; any other value is the
 * attribute's value. Children are nodes or texts; null and undefined are skipped.
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
 * Finds an element of the page's own markup. A missing element is a bug, so it throws.
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
 * Makes a `time` element in the reader's locale; for today it shows no date.
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
