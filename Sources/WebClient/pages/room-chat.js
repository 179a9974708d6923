// @ts-check
// A room as one user sees it: the members with their presence, the typing indicator, and messages.
//
// The client receives room events on its own connection, and sends typing and presence over HTTP.
// Only a publisher can send room messages; in the demo the page is that publisher.
//
// Invariant: at most one room is joined, and at most `CAPACITY` of its messages are shown.

import { find, make, timeElement } from './dom.js';

const CAPACITY = 100;
/** Interval for repeating "typing": the server drops a typing entry after 5 s. */
const TYPING_AGAIN = 2_000;
const TYPING_OVER = 3_000;
const SEND = '/api/v1/websocket/send/room';

export class RoomChat {
  #user;
  #client;
  #backend;
  #root;
  #room = '';
  /** The presence of each member. @type {Map<string, string>} */
  #people = new Map();
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #typing = new Map();
  #typingSentAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pause;

  /**
   * @param {string} user
   * @param {any} client a `Carillon`
   * @param {import('./backend.js').Backend} backend
   * @param {ParentNode} root
   * @param {AbortSignal} signal removes the listeners
   */
  constructor(user, client, backend, root, signal) {
    this.#user = user;
    this.#client = client;
    this.#backend = backend;
    this.#root = root;
    const on = (
      /** @type {string} */ selector,
      /** @type {string} */ type,
      /** @type {any} */ act,
    ) => find(selector, root).addEventListener(type, act, { signal });
    on('.room-form', 'submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#enterOrLeave();
    });
    on('.say-form', 'submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#say();
    });
    on('.say', 'input', () => this.#type());
    on('.presence', 'change', () => this.#setPresence());
    client.addEventListener('message', (/** @type {any} */ { detail }) => this.#receive(detail), {
      signal,
    });
    signal.addEventListener('abort', () => this.#forget());
    this.#showRoom();
  }

  #enterOrLeave() {
    if (this.#room) {
      this.#client.leave(this.#room);
      this.#room = '';
      this.#forget();
    } else {
      const room = find('.room-name', this.#root).value.trim();
      if (!room) return;
      this.#room = room;
      this.#client.join(room);
    }
    this.#showRoom();
  }

  /** Shows whether a room is joined. */
  #showRoom() {
    const isIn = this.#room !== '';
    find('.room-enter', this.#root).textContent = isIn ? 'Leave' : 'Join';
    find('.room-enter', this.#root).disabled = !this.#supportsRooms;
    find('.room-name', this.#root).readOnly = isIn;
    find('.say-fields', this.#root).disabled = !isIn;
    find('.say', this.#root).placeholder = isIn
      ? `Say something in ${this.#room}`
      : 'Join a room first';
    this.#showPeople();
  }

  /** Long-polling returns only stored notifications, and room messages are not stored. */
  get #supportsRooms() {
    return find('.transport', this.#root).value !== 'poll';
  }

  #forget() {
    clearTimeout(this.#pause);
    for (const timer of this.#typing.values()) clearTimeout(timer);
    this.#typing.clear();
    this.#people.clear();
    this.#typingSentAt = -Infinity;
    this.#showTyping();
    this.#showPeople();
  }

  // Events from the server.

  /** @param {{event: string, data: any}} message */
  #receive({ event, data }) {
    if (event === 'room:joined' && data.room === this.#room) {
      this.#people = new Map(
        data.members.map((
          /** @type {string} */ user,
        ) => [user, this.#people.get(user) ?? 'online']),
      );
      this.#showPeople();
    } else if (event === 'presence' && this.#room) {
      if (data.status === 'offline') this.#people.delete(data.user_id);
      else this.#people.set(data.user_id, data.status);
      this.#showPeople();
    } else if (event === 'typing' && data.room === this.#room) {
      this.#setTyping(data.user_id, data.is_typing);
    } else if (event === 'room:message' && data.room === this.#room) {
      this.#setTyping(data.payload?.from, false);
      this.#add(data);
    }
  }

  /**
   * @param {string} user
   * @param {boolean} isTyping
   */
  #setTyping(user, isTyping) {
    clearTimeout(this.#typing.get(user));
    this.#typing.delete(user);
    if (isTyping) {
      const forget = () => this.#setTyping(user, false);
      this.#typing.set(user, setTimeout(forget, 2 * TYPING_OVER));
    }
    this.#showTyping();
  }

  #showTyping() {
    const names = [...this.#typing.keys()];
    const verb = names.length === 1 ? 'is' : 'are';
    find('.typing', this.#root).textContent = names.length
      ? `${names.join(', ')} ${verb} typing…`
      : '';
  }

  #showPeople() {
    const people = [...this.#people].map(([user, status]) =>
      make('li', { class: `person ${status}` }, make('bdi', {}, user), ` ${status}`)
    );
    const outside = this.#supportsRooms
      ? 'Not in a room.'
      : 'Long-polling does not receive room messages.';
    const note = make('li', { class: 'empty' }, this.#room ? 'Joining…' : outside);
    find('.people', this.#root).replaceChildren(...(people.length ? people : [note]));
  }

  /** @param {any} data */
  #add({ title, message, payload }) {
    const from = typeof payload?.from === 'string' ? payload.from : '';
    const isOwn = from === this.#user;
    const lines = find('.lines', this.#root);
    lines.append(
      make(
        'li',
        { class: isOwn ? 'line own' : 'line' },
        make(
          'span',
          { class: 'who' },
          make('bdi', {}, from || title),
          ' ',
          timeElement(Date.now()),
        ),
        make('bdi', { class: 'said' }, from ? message : message || title),
      ),
    );
    while (lines.children.length > CAPACITY) lines.firstElementChild.remove();
    lines.scrollTop = lines.scrollHeight;
  }

  // Input.

  async #say() {
    const input = find('.say', this.#root);
    const message = input.value.trim();
    if (!message || !this.#room) return;
    input.value = '';
    this.#stopTyping();
    const body = {
      room: this.#room,
      notification_type: 'chat',
      title: this.#user,
      message,
      payload: { from: this.#user },
    };
    await this.#try(this.#backend.request('POST', SEND, body));
  }

  #type() {
    clearTimeout(this.#pause);
    if (!find('.say', this.#root).value) return this.#stopTyping();
    this.#pause = setTimeout(() => this.#stopTyping(), TYPING_OVER);
    const now = performance.now();
    if (now - this.#typingSentAt < TYPING_AGAIN) return;
    this.#typingSentAt = now;
    this.#try(this.#client.typing(this.#room, true));
  }

  #stopTyping() {
    clearTimeout(this.#pause);
    if (this.#typingSentAt === -Infinity) return;
    this.#typingSentAt = -Infinity;
    this.#try(this.#client.typing(this.#room, false));
  }

  #setPresence() {
    const status = find('.presence', this.#root).value;
    if (this.#room) this.#people.set(this.#user, status);
    this.#showPeople();
    this.#try(this.#client.presence(status));
  }

  /**
   * Shows the error of a failed request until the next request.
   *
   * A success does not remove it: the answer to an earlier request may come after the failure.
   *
   * @param {Promise<unknown>} request
   */
  async #try(request) {
    const error = find('.room-error', this.#root);
    error.textContent = '';
    try {
      await request;
    } catch (failure) {
      error.textContent = /** @type {Error} */ (failure).message;
    }
  }
}
