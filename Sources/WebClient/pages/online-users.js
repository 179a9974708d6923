// @ts-check
// The users online, one page at a time. A click on a name looks that user up.

import { find, make } from './dom.js';

const PAGE = 25;

export class OnlineUsers {
  #backend;
  #signal;
  #open;
  /** Cursors: of the shown page, and of the next one. @type {string | null} */
  #after = null;
  /** @type {string | null} */
  #next = null;
  /** Number of the last request; the response to an earlier one is discarded. */
  #asked = 0;
  #list = find('#online-users');

  /**
   * @param {import('./backend.js').Backend} backend
   * @param {(user: string) => void} open
   * @param {AbortSignal} signal aborted at the sign-out
   */
  constructor(backend, open, signal) {
    this.#backend = backend;
    this.#signal = signal;
    this.#open = open;
    find('#online-refresh').addEventListener('click', () => this.refresh(), { signal });
    find('#online-first').addEventListener('click', () => this.#show(null), { signal });
    find('#online-next').addEventListener('click', () => this.#show(this.#next), { signal });
    this.#list.replaceChildren();
    this.refresh();
  }

  refresh() {
    return this.#show(this.#after);
  }

  /** @param {string | null} after */
  async #show(after) {
    this.#asked += 1;
    const asked = this.#asked;
    const isCurrent = () => asked === this.#asked && !this.#signal.aborted;
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (after !== null) query.set('after', after);
    const error = find('#online-error');
    try {
      const page = await this.#backend.request('GET', `/api/v1/users/online?${query}`);
      if (!isCurrent()) return;
      error.textContent = '';
      this.#after = after;
      this.#next = page.next ?? null;
      find('#online-total').textContent = String(page.total);
      this.#list.replaceChildren(
        ...page.users.map((/** @type {string} */ user) => this.#item(user)),
      );
      if (!page.users.length) this.#list.append(make('li', { class: 'empty' }, 'No users.'));
    } catch (failure) {
      if (!isCurrent()) return;
      error.textContent = /** @type {Error} */ (failure).message;
    }
    find('#online-first').disabled = this.#after === null;
    find('#online-next').disabled = this.#next === null;
  }

  /** @param {string} user */
  #item(user) {
    const open = make(
      'button',
      { type: 'button', class: 'link', click: () => this.#open(user) },
      user,
    );
    return make('li', {}, make('bdi', {}, open));
  }
}
