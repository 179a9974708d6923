// What a page of the tests does with the browser client: makes one, and writes down what it tells.
//
// A token that is a list stands for a function that fetches one after the other, the last again and
// again; a text in it that begins with `!` stands for one that cannot be had.

const EVENTS = [
  'state',
  'notification',
  'stats',
  'read',
  'deleted',
  'resync',
  'frame',
  'message',
  'event',
  'error',
];

globalThis.openClient = async ({ token, ...options } = {}) => {
  globalThis.carillon ??= await import('/client/carillon.js');
  const log = [];
  let asked = 0;
  const fetchToken = async () => {
    const next = token[Math.min(asked++, token.length - 1)];
    if (next.startsWith('!')) throw new Error(next);
    return next;
  };
  const given = Array.isArray(token) ? fetchToken : token;
  const client = new carillon.Carillon({ reconnectInterval: 100, token: given, ...options });
  for (const name of EVENTS) {
    client.addEventListener(name, ({ detail }) => {
      const shown = detail instanceof Error ? { ...detail, message: detail.message } : detail;
      log.push([name, structuredClone(shown)]);
    });
  }
  Object.assign(globalThis, { client, log, store: client.store, tokensAsked: () => asked });
  globalThis.told = (name) => log.filter(([each]) => each === name).map(([, detail]) => detail);
  globalThis.titles = () => told('notification').map(({ title }) => title);
  globalThis.listed = () => store.value.notifications.map(({ title }) => title);
  client.connect();
};

/** Begins to note in `shown` each state of the list that a person could have seen, once. */
globalThis.noteShown = () => {
  globalThis.shown = [];
  store.subscribe(({ notifications, unreadCount }) => {
    const text = notifications.map((n) => n.title + (n.is_read ? '' : '*')).join('');
    const line = `${text} ${unreadCount}`;
    if (shown.at(-1) !== line) shown.push(line);
  });
};

/** The id of the listed notification with a title. */
globalThis.id = (title) => store.value.notifications.find((n) => n.title === title).id;

/** Makes a browser without a screen show notifications: their titles are in `natives`. */
globalThis.fakeNative = () => {
  window.natives = [];
  window.isHidden = false;
  window.Notification = class {
    static permission = 'granted';
    constructor(title) {
      natives.push(title);
    }
    close() {}
  };
  Object.defineProperty(document, 'hidden', { get: () => window.isHidden });
  carillon.nativeNotifications(client);
};

/** Hides or shows the page, as when a person goes to another tab or comes back. */
globalThis.hide = (isHidden) => {
  window.isHidden = isHidden;
  document.dispatchEvent(new Event('visibilitychange'));
};
