// @ts-check
// One user's side of the demo: the bell, the inbox, the room, the raw frames, and the cable.
//
// Invariant: one client at a time; it and its listeners are closed before the next one is made.

import { Carillon, nativeNotifications, requestPermission } from '../carillon.js';
import { at } from './backend.js';
import { Cable } from './cable.js';
import { find, make } from './dom.js';
import { FrameLog } from './frame-log.js';
import { RoomChat } from './room-chat.js';

/** The client's transports for each option of the menu. @type {Record<string, string[]>} */
const TRANSPORTS = {
  automatic: ['websocket', 'sse', 'poll'],
  websocket: ['websocket'],
  sse: ['sse'],
  poll: ['poll'],
};
/** Shorter than a product's, because a viewer of the demo waits for it. */
const RECONNECT_MILLISECONDS = 1_000;
const STATES = {
  connecting: 'Connecting…',
  connected: 'Connected',
  disconnected: 'Reconnecting…',
  error: 'Refused',
};

export class Pane {
  #user;
  #token;
  #backend;
  #cable = new Cable();
  #frames;
  #leaves = new AbortController();
  /** @type {any} */
  #client;

  /**
   * @param {string} user
   * @param {() => Promise<string>} token fetches a fresh token
   * @param {import('./backend.js').Backend} backend
   * @param {HTMLElement} root
   */
  constructor(user, token, backend, root) {
    this.#user = user;
    this.#token = token;
    this.#backend = backend;
    this.root = root;
    root.dataset.user = user;
    root.setAttribute('aria-label', user);
    find('.user', root).textContent = user;
    find('.face', root).textContent = user.slice(0, 1).toUpperCase();
    this.#frames = new FrameLog(root);
    find('.cable', root).addEventListener('change', (/** @type {any} */ { target }) => {
      if (target.checked) this.#cable.putIn();
      else this.#cable.pull();
    });
    this.#cable.addEventListener('change', () => this.#plug());
    find('.transport', root).addEventListener('change', () => this.#start());
    find('.toasts', root).addEventListener('change', () => this.#showToasts());
    find('.desktop', root).addEventListener('change', () => this.#ask());
    this.#start();
  }

  /** Makes a client, and the views of its events. */
  #start() {
    this.#leaves.abort();
    this.#client?.close();
    const leaves = (this.#leaves = new AbortController());
    const { WebSocket, fetch } = this.#cable;
    const client = new Carillon({
      url: at('/'),
      token: this.#token,
      transports: TRANSPORTS[find('.transport', this.root).value],
      reconnectInterval: RECONNECT_MILLISECONDS,
      // Two users on one page, each with a connection of its own.
      shared: false,
      WebSocket,
      fetch,
    });
    this.#client = client;
    const listen = (/** @type {string} */ type, /** @type {(detail: any) => void} */ run) =>
      client.addEventListener(
        type,
        (/** @type {any} */ event) => run(event.detail),
        { signal: leaves.signal },
      );
    listen('frame', (frame) => this.#frames.add(frame));
    listen('state', () => this.#showState());
    listen('message', (message) => this.#receive(message));
    this.#show();
    const stop = nativeNotifications(client, {
      filter: () => find('.desktop', this.root).checked,
      icon: find('.mark').src,
    });
    leaves.signal.addEventListener('abort', stop);
    new RoomChat(this.#user, client, this.#backend, this.root, leaves.signal);
    this.#showState();
    client.connect();
  }

  #show() {
    this.#place('bell');
    // The heading above it says that these are notifications.
    this.#place('list', { label: 'Inbox' });
    this.#showToasts();
  }

  #showToasts() {
    const isWanted = find('.toasts', this.root).checked;
    // Each user's toasts have a corner of their own.
    const position = this.root.previousElementSibling ? 'bottom-end' : 'bottom-start';
    if (isWanted) this.#place('toast', { position });
    else find('.toast-place', this.root).replaceChildren();
  }

  /**
   * @param {string} name
   * @param {Record<string, any>} [attributes]
   */
  #place(name, attributes) {
    const element = make(`carillon-${name}`, attributes);
    // Set before the element is in the page, where it would otherwise use the page's own client.
    element.client = this.#client;
    find(`.${name}-place`, this.root).replaceChildren(element);
  }

  /** Requests permission for desktop notifications, on the user's click. */
  async #ask() {
    const box = find('.desktop', this.root);
    if (!box.checked) return;
    const answer = await requestPermission();
    box.checked = answer === 'granted';
    if (answer === 'granted') this.#say('Shown on the desktop while this page is hidden.');
    else this.#say(`The browser does not show desktop notifications: ${answer}.`);
  }

  #plug() {
    find('.cable-text', this.root).textContent = this.#cable.isIn ? 'Cable in' : 'Cable out';
    this.root.classList.toggle('cut', !this.#cable.isIn);
    // After a real outage the browser dispatches `online`, and the client connects at once.
    if (this.#cable.isIn) this.#client.connect();
  }

  #showState() {
    const chip = find('.state', this.root);
    const state = /** @type {keyof typeof STATES} */ (this.#client.state);
    chip.className = `chip state ${state}`;
    chip.textContent = STATES[state];
  }

  /** Shows a system message, which is not stored. @param {{event: string, data: any}} message */
  #receive({ event, data }) {
    if (event !== 'system:message') return;
    this.#say([data.title, data.message].filter(Boolean).join(': '));
  }

  /** @param {string} text */
  #say(text) {
    find('.notice', this.root).textContent = text;
  }
}
