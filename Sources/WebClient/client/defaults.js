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
    page.isElements = false;
    if (!token) return wsClient.disconnect();
    if (page.client) {
      page.client.setToken(token);
    } else {
      page.client = new Carillon({ ...page.options, token, store: page.store });
      // After a logout, also one in another tab, no element connects by its return.
      page.client.addEventListener('reset', () => (page.isPaused = false));
    }
    page.client.connect();
  },

  disconnect() {
    page.client?.disconnect();
    page.client?.close();
    page.client = undefined;
  },

  isConnected: () => page.client?.state === 'connected',
};

/** The elements in the page. The last one to go pauses the client that an element connected. */
const elements = (page.elements ??= new Set());

export const connectElements = (token) => {
  wsClient.connect(token);
  page.isElements = true;
};

export const enter = (element) => {
  elements.add(element);
  if (page.isPaused) page.client?.connect();
  page.isPaused = false;
};

export const leave = (element) => {
  elements.delete(element);
  // Moving an element removes and inserts it, and React's strict mode does so with each new one.
  setTimeout(() => {
    if (elements.size || !page.isElements || !page.client?.isWanted) return;
    page.isPaused = true;
    page.client.pause();
  });
};
