// @ts-check
import { Carillon } from './client.js';
import { NotificationStore } from './store.js';

// Kept with the page, which may have this module twice: under the address that it wrote, and under
// the one that this leads to.
const page = (globalThis[Symbol.for('carillon/1')] ??= {
  options: {},
  store: new NotificationStore(),
});

export const settings = () => page.options;

/** Says once what the page's clients are made with. */
export const configure = (options) => void Object.assign(page.options, options);

export const notificationStore = page.store;

/** The client behind it, while there is one. */
export const defaultClient = () => page.client;

/** tradepulse's. */
export const wsClient = {
  connect(token) {
    if (page.client) return page.client.setToken(token);
    page.client = new Carillon({ ...page.options, token, store: page.store });
    page.client.connect();
  },

  disconnect() {
    page.client?.close();
    page.client = undefined;
  },

  isConnected: () => page.client?.state === 'connected',
};
