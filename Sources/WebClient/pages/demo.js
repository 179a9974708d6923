// @ts-check
// The demo: two users side by side, and a backend that publishes to them.
//
// The tokens come from the server, which gives them away in development alone.

import '../elements.js';
import { Backend, RequestError } from './backend.js';
import { find } from './dom.js';
import { Pane } from './pane.js';
import { PublishForm } from './publish-form.js';

const CONSOLE_KEY = 'carillon-console-token';

/** Fresh tokens: a server that began anew has another secret. */
async function tokens() {
  const response = await fetch('/demo/tokens', { cache: 'no-store' });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error?.message ?? `the answer was ${response.status}`);
  return answer.data;
}

/** A publisher that gets another token when its own has become too old. */
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
      // Nothing was done with it, so it can be asked again.
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
  // In this tab only, as if the operator had typed it there.
  find('#to-console').addEventListener(
    'click',
    () => sessionStorage.setItem(CONSOLE_KEY, held.token),
  );
} catch (failure) {
  find('#page-error').textContent = `The demo cannot begin: ${
    /** @type {Error} */ (failure).message
  }.`;
}
