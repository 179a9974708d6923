// @ts-check
// The demo: two users side by side, and a form that publishes to them as a backend would.
//
// The server issues the tokens; it does so only in development mode.

import '../elements.js';
import { at, Backend, RequestError } from './backend.js';
import { find } from './dom.js';
import { Pane } from './pane.js';
import { PublishForm } from './publish-form.js';

const CONSOLE_KEY = 'carillon-console-token';

/** Fetches fresh tokens. A restarted server has another secret, so old ones become invalid. */
async function tokens() {
  const response = await fetch(at('/demo/tokens'), { cache: 'no-store' });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error?.message ?? `response status ${response.status}`);
  return answer.data;
}

/** A publisher that fetches a new token when the server rejects its own. */
class DemoBackend extends Backend {
  #held;

  /** @param {{token: string}} held */
  constructor(held) {
    super(() => held.token);
    this.#held = held;
  }

  /** @override @param {string} method @param {string} path @param {any} [body] */
  async request(method, path, body) {
    try {
      return await super.request(method, path, body);
    } catch (failure) {
      // A request rejected with 401 had no effect, so it can be repeated.
      if (!(failure instanceof RequestError) || failure.status !== 401) throw failure;
      this.#held.token = (await tokens()).publisher;
      return super.request(method, path, body);
    }
  }
}

find('main').hidden = false;
try {
  const { users, publisher } = await tokens();
  const held = { token: publisher };
  const backend = new DemoBackend(held);
  new PublishForm(find('#publish'), backend);
  for (const { id } of users) {
    const root = find('#pane').content.cloneNode(true).firstElementChild;
    find('#panes').append(root);
    const token = async () =>
      (await tokens()).users.find((/** @type {any} */ user) => user.id === id).token;
    new Pane(id, token, backend, root);
  }
  // Only for this tab, as if the operator had entered the token in the console.
  find('#to-console').addEventListener(
    'click',
    () => sessionStorage.setItem(CONSOLE_KEY, held.token),
  );
} catch (failure) {
  find('#page-error').textContent = `The demo cannot start: ${
    /** @type {Error} */ (failure).message
  }.`;
}
