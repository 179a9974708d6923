// @ts-check
// The things that a page has once: its settings, its client and its store; and the desktop
// notifications.

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
    if (!token) return wsClient.disconnect();
    if (page.client) page.client.setToken(token);
    page.client ??= new Carillon({ ...page.options, token, store: page.store });
    page.client.connect();
  },

  disconnect() {
    page.client?.disconnect();
    page.client?.close();
    page.client = undefined;
  },

  isConnected: () => page.client?.state === 'connected',
};

/** Requests permission. Browsers require that a click triggers the call. */
export const requestPermission = async () => {
  const { Notification } = globalThis;
  if (!Notification) return 'unsupported';
  const { permission } = Notification;
  return permission === 'default' ? Notification.requestPermission() : permission;
};

/** Returns the URL if a click may open it (same origin or https), else an empty string. */
const safe = (url) => {
  try {
    const { origin, protocol, href } = new URL(url, location.href);
    return origin === location.origin || protocol === 'https:' ? href : '';
  } catch {
    return '';
  }
};

/**
 * Shows notifications that arrive while no tab is visible. Only the leader tab shows them.
 *
 * Returns a function that stops it.
 */
export const nativeNotifications = (client, options = {}) => {
  const { icon, registration, filter = () => true } = options;
  const { open = (url) => location.assign(url) } = options;
  const natives = new Set();
  const show = ({ detail }) => {
    const { Notification } = globalThis;
    if (Notification?.permission !== 'granted' || !client.isLeader || client.isVisible) return;
    if (detail.is_read || !filter(detail)) return;
    const { id: tag, title, message: body, entity_url } = detail;
    const url = entity_url && safe(entity_url);
    const shown = { body, icon, tag, data: { url } };
    try {
      const native = new Notification(title, shown);
      natives.add(native);
      native.onclose = () => natives.delete(native);
      native.onclick = () => {
        window.focus();
        native.close();
        if (url) open(url, detail);
      };
    } catch {
      // Some browsers (on phones) let only a service worker show one, such as that of Web Push.
      registration?.showNotification(title, shown);
    }
  };
  // The next user must not see those of this one.
  const clear = () => natives.forEach((native) => native.close());
  client.addEventListener('notification', show);
  // guard: native-closed-for-next-user
  client.addEventListener('reset', clear);
  return () => {
    client.removeEventListener('notification', show);
    client.removeEventListener('reset', clear);
  };
};
