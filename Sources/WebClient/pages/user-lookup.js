// @ts-check
// One user: presence, connections and inbox, with buttons to send a test notification and to
// disconnect the user.
//
// Invariant: all shown data belongs to one user; a response that arrives after a later request or
// after the sign-out is discarded.

import { userPath } from './backend.js';
import { find, make, timeElement } from './dom.js';

const PAGE = 10;

export class UserLookup {
  #backend;
  #signal;
  #user = '';
  /** Number of the last request; the response to an earlier one is discarded. */
  #asked = 0;
  /** @type {string | null} */
  #older = null;
  #error = find('#user-error');
  #done = find('#user-done');
  #dialog = find('#disconnect-dialog');

  /**
   * @param {import('./backend.js').Backend} backend
   * @param {AbortSignal} signal aborted at the sign-out
   */
  constructor(backend, signal) {
    this.#backend = backend;
    this.#signal = signal;
    const on = (
      /** @type {string} */ selector,
      /** @type {string} */ type,
      /** @type {any} */ act,
    ) =>
      find(selector).addEventListener(
        type,
        (/** @type {Event} */ event) => {
          if (type === 'submit') event.preventDefault();
          act();
        },
        { signal },
      );
    on('#look-up', 'submit', () => this.open(find('#user-id').value.trim()));
    on('#user-refresh', 'click', () => {
      this.#answerAfter('.user-head');
      this.#refresh();
    });
    for (const [button, before] of /** @type {const} */ ([['newest', 0], ['older', 1]])) {
      on(`#inbox-${button}`, 'click', () => {
        this.#answerAfter('#inbox-pager');
        this.#showInbox(before ? this.#older : null);
      });
    }
    on('#test', 'submit', () => this.#send());
    on('#disconnect', 'click', () => this.#ask());
    this.#dialog.addEventListener('close', () => this.#answered(), { signal });
    find('#user').hidden = true;
    this.#error.textContent = '';
  }

  /** Moves the messages about an action beside its button. @param {string} selector */
  #answerAfter(selector) {
    this.#done.textContent = this.#error.textContent = '';
    find(selector).after(this.#done, this.#error);
  }

  /** @param {string} user */
  async open(user) {
    this.#answerAfter('#look-up');
    find('#user-id').value = user;
    this.#user = user;
    this.#done.textContent = '';
    find('#user').hidden = true;
    if (await this.#refresh()) find('#user').hidden = false;
  }

  /** Loads and shows the user. Returns whether all of it is shown. */
  async #refresh() {
    const path = userPath(this.#user);
    return this.#show(async (isCurrent) => {
      const [presence, { connections }] = await Promise.all([
        this.#backend.request('GET', `${path}/online`),
        this.#backend.request('GET', `${path}/connections`),
        this.#loadInbox(null, isCurrent),
      ]);
      if (!isCurrent()) return;
      find('#user-name').textContent = this.#user;
      const chip = find('#user-presence');
      chip.className = `chip ${presence.online ? 'live' : ''}`;
      chip.textContent = presence.online
        ? `${presence.status}, ${count(presence.connections, 'connection')}`
        : 'offline';
      find('#connections').replaceChildren(...rows(connections.map(connectionRow), 5, 'None.'));
    });
  }

  /** @param {string | null} before */
  #showInbox(before) {
    return this.#show((isCurrent) => this.#loadInbox(before, isCurrent));
  }

  /**
   * @param {string | null} before
   * @param {() => boolean} isCurrent
   */
  async #loadInbox(before, isCurrent) {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (before !== null) query.set('before', before);
    const page = await this.#backend.request(
      'GET',
      `${userPath(this.#user)}/notifications?${query}`,
    );
    if (!isCurrent()) return;
    this.#older = page.next ?? null;
    find('#inbox-counts').textContent = `${page.unread} unread of ${page.total}`;
    find('#inbox').replaceChildren(...rows(page.notifications.map(inboxRow), 6, 'Nothing.'));
    find('#inbox-newest').disabled = before === null;
    find('#inbox-older').disabled = this.#older === null;
  }

  #send() {
    const fields = Object.fromEntries(new FormData(find('#test')));
    const body = { user_id: this.#user, ...fields };
    this.#answerAfter('#test .primary');
    return this.#show(async (isCurrent) => {
      await this.#backend.request('POST', '/api/v1/notifications', body);
      if (!isCurrent()) return;
      this.#done.textContent = `Sent to ${this.#user}.`;
      await this.#loadInbox(null, isCurrent);
    });
  }

  #ask() {
    find('#disconnect-user').textContent = this.#user;
    this.#dialog.returnValue = '';
    this.#dialog.showModal();
    find('#disconnect-reason').select();
  }

  #answered() {
    if (this.#dialog.returnValue !== 'yes') return;
    const reason = find('#disconnect-reason').value.trim();
    const body = { user_id: this.#user, ...(reason && { reason }) };
    this.#answerAfter('.user-head');
    this.#show(async (isCurrent) => {
      const { disconnected } = await this.#backend.request('POST', '/api/v1/disconnect', body);
      if (isCurrent()) {
        this.#done.textContent = `Ended ${count(disconnected, 'session')} of ${this.#user}.`;
      }
      await this.#refresh();
    });
  }

  /**
   * Runs an action on the shown user and shows its error, unless a later action has begun.
   *
   * @param {(isCurrent: () => boolean) => Promise<unknown>} act
   */
  async #show(act) {
    this.#asked += 1;
    const asked = this.#asked;
    const isCurrent = () => asked === this.#asked && !this.#signal.aborted;
    try {
      await act(isCurrent);
      if (isCurrent()) this.#error.textContent = '';
      return isCurrent();
    } catch (failure) {
      if (isCurrent()) this.#error.textContent = /** @type {Error} */ (failure).message;
      return false;
    }
  }
}

/**
 * @param {number} number
 * @param {string} noun
 */
const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;

/**
 * @param {HTMLElement[]} all
 * @param {number} columns
 * @param {string} nothing
 */
const rows = (all, columns, nothing) =>
  all.length ? all : [make('tr', {}, make('td', { colspan: columns, class: 'empty' }, nothing))];

/** @param {any} connection */
const connectionRow = (connection) =>
  make(
    'tr',
    {},
    make('td', {}, timeElement(connection.connected_at)),
    make('td', {}, connection.dialect),
    make('td', {}, connection.remote_address),
    make('td', {}, make('bdi', {}, connection.rooms.join(', ') || '–')),
    make('td', { class: 'agent', title: connection.user_agent }, connection.user_agent ?? '–'),
  );

/** @param {any} notification */
const inboxRow = (notification) =>
  make(
    'tr',
    { class: notification.is_read ? '' : 'unread' },
    make('td', {}, timeElement(notification.created_at)),
    make('td', {}, make('code', {}, notification.type)),
    make('td', {}, notification.priority),
    make('td', { class: 'text' }, make('bdi', {}, notification.title)),
    make('td', { class: 'text' }, make('bdi', {}, notification.message)),
    make('td', {}, notification.is_read ? 'read' : 'unread'),
  );
