// @ts-check
// The raw frames of one client, newest first. Each opens as indented JSON.
//
// Invariant: at most `CAPACITY` frames are shown, and at most as many wait for the next paint.

import { find, make } from './dom.js';
import { icon } from './icons.js';

const CAPACITY = 200;
/** Characters of a frame shown on its line. */
const LINE_LENGTH = 400;

/** @typedef {{direction: 'in' | 'out', text: string, time: number}} Frame */

export class FrameLog {
  /** Frames to show at the next paint. @type {Frame[]} */
  #waiting = [];
  #isDue = false;
  #isPaused = false;
  /** Number of frames discarded while the log is paused. */
  #passed = 0;
  #list;
  #note;
  #pause;

  /** @param {ParentNode} root */
  constructor(root) {
    this.#list = find('.frames', root);
    this.#note = find('.frames-note', root);
    this.#pause = find('.frames-pause', root);
    this.#pause.addEventListener('click', () => this.#toggle());
    find('.frames-clear', root).addEventListener('click', () => this.clear());
  }

  /** @param {Frame} frame */
  add(frame) {
    if (this.#isPaused) {
      this.#passed += 1;
      this.#note.textContent = `${this.#passed} not shown`;
      return;
    }
    this.#waiting.push(frame);
    if (this.#waiting.length > CAPACITY) this.#waiting.shift();
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => this.#show());
  }

  clear() {
    this.#waiting = [];
    this.#passed = 0;
    this.#note.textContent = '';
    this.#list.replaceChildren();
  }

  #show() {
    this.#isDue = false;
    this.#list.prepend(...this.#waiting.reverse().map(line));
    this.#waiting = [];
    while (this.#list.children.length > CAPACITY) this.#list.lastElementChild.remove();
  }

  #toggle() {
    this.#isPaused = !this.#isPaused;
    this.#pause.textContent = this.#isPaused ? 'Resume' : 'Pause';
    this.#pause.setAttribute('aria-pressed', String(this.#isPaused));
    if (this.#isPaused) return;
    this.#passed = 0;
    this.#note.textContent = '';
  }
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
  hourCycle: 'h23',
});

/** @param {Frame} frame */
function line({ direction, text, time }) {
  const isIn = direction === 'in';
  const whole = make('pre', { tabindex: '0' });
  return make(
    'li',
    {},
    make(
      'details',
      {
        toggle: (/** @type {Event} */ event) => {
          const { open } = /** @type {HTMLDetailsElement} */ (event.target);
          whole.textContent = open ? pretty(text) : '';
        },
      },
      make(
        'summary',
        {},
        make('span', {
          class: `way ${direction}`,
          role: 'img',
          'aria-label': isIn ? 'received' : 'sent',
        }, icon(isIn ? 'received' : 'sent')),
        make('time', {}, clock.format(time)),
        make('code', {}, text.slice(0, LINE_LENGTH)),
      ),
      whole,
    ),
  );
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
