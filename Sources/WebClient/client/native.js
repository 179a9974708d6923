// @ts-check

/** Asks whether notifications may be shown; browsers want this to be on a person's click. */
export const requestPermission = async () => {
  const { Notification } = globalThis;
  if (!Notification) return 'unsupported';
  return Notification.permission === 'default'
    ? Notification.requestPermission()
    : Notification.permission;
};

/** Where a notification may lead: within this site, or by https. @param {any} url */
const target = (url) => {
  try {
    const { origin, protocol, href } = new URL(url, location.href);
    return origin === location.origin || protocol === 'https:' ? href : undefined;
  } catch {
    return undefined;
  }
};

/**
 * Shows what arrives outside of the page while nobody looks at it: once, by the tab that leads.
 *
 * With a `registration` of a service worker it is shown by that, where pages may not show any.
 *
 * @param {any} client
 * @param {any} [options]
 * @returns {() => void} ends it
 */
export const nativeNotifications = (client, options = {}) => {
  const { icon, filter = () => true, open = (/** @type {string} */ url) => location.assign(url) } = options;
  const show = (/** @type {any} */ { detail }) => {
    const { Notification } = globalThis;
    if (Notification?.permission !== 'granted' || !client.isLeader || client.isVisible) return;
    if (detail.is_read || !filter(detail)) return;
    const { id, title, message: body, entity_url } = detail;
    // Of one `tag` only the last is shown.
    const shown = { body, icon, tag: id, data: { url: target(entity_url ?? '') } };
    try {
      const notification = new Notification(title, shown);
      notification.onclick = () => {
        window.focus();
        notification.close();
        if (entity_url && shown.data.url) open(shown.data.url, detail);
      };
    } catch {
      void options.registration?.showNotification(title, shown);
    }
  };
  client.addEventListener('notification', show);
  return () => client.removeEventListener('notification', show);
};
