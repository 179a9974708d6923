// @ts-check
import { Carillon } from './client.js';
import { NotificationStore } from './store.js';

/**
 * What is one for the page. It is kept with the page and not with the module, because a page may
 * have this module twice: under the address that it wrote, and under the one that this led to.
 *
 * @type {{store?: NotificationStore, client?: Carillon, options: any}}
 */
const page = ((/** @type {any} */ (globalThis))[Symbol.for('carillon/1')] ??= { options: {} });

/** What `configure` was told. @returns {any} */
export const settings = () => page.options;

/** Says once for the page what clients are made with. @param {any} options */
export const configure = (options) => void Object.assign(page.options, options);

/** The page's own store, as tradepulse has it. */
export const notificationStore = (page.store ??= new NotificationStore());

/** The client behind `notificationStore`, when there is one. */
export const defaultClient = () => page.client;

/** tradepulse's three methods. */
export const wsClient = {
  /** @param {any} token */
  connect(token) {
    if (page.client) return page.client.setToken(token);
    const { React, ...options } = page.options;
    page.client = new Carillon({ ...options, token, store: notificationStore });
    page.client.connect();
  },

  disconnect() {
    page.client?.close();
    page.client = undefined;
  },

  isConnected() {
    return page.client?.state === 'connected';
  },
};
