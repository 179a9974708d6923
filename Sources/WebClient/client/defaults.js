// @ts-check
import { Carillon } from './client.js';
import { NotificationStore } from './store.js';

// The state lives on the global object because a page may load this module twice: under the URL
// it imports and under the versioned URL that the first one redirects to.
const page = (globalThis[Symbol.for('carillon/1')] ??= {
  options: {},
  store: new NotificationStore(),
});

export const settings = () => page.options;

/** Sets the options that all clients of the page are created with. */
export const configure = (options) => void Object.assign(page.options, options);

export const notificationStore = page.store;

/** The client that feeds `notificationStore`, if one exists. */
export const defaultClient = () => page.client;

/** The interface that tradepulse uses. */
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
