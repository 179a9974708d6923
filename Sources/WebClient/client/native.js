// @ts-check

/** To be asked on a person's click. */
export const requestPermission = async () => {
  const { Notification } = globalThis;
  if (!Notification) return 'unsupported';
  const { permission } = Notification;
  return permission === 'default' ? Notification.requestPermission() : permission;
};

/** A URL that a click may follow: of this site, or https. */
const safe = (url) => {
  try {
    const { origin, protocol, href } = new URL(url, location.href);
    return origin === location.origin || protocol === 'https:' ? href : '';
  } catch {
    return '';
  }
};

/** Shows what arrives while no tab is visible, by the tab that leads; returns what ends it. */
export const nativeNotifications = (client, options = {}) => {
  const { icon, registration, filter = () => true } = options;
  const { open = (url) => location.assign(url) } = options;
  const show = ({ detail }) => {
    const { Notification } = globalThis;
    if (Notification?.permission !== 'granted' || !client.isLeader || client.isVisible) return;
    if (detail.is_read || !filter(detail)) return;
    const { id: tag, title, message: body, entity_url } = detail;
    const url = entity_url && safe(entity_url);
    const shown = { body, icon, tag, data: { url } };
    try {
      const native = new Notification(title, shown);
      native.onclick = () => {
        window.focus();
        native.close();
        if (url) open(url, detail);
      };
    } catch {
      // Where only a service worker may, Web Push's for example.
      registration?.showNotification(title, shown);
    }
  };
  client.addEventListener('notification', show);
  return () => client.removeEventListener('notification', show);
};
