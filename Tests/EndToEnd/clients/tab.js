// Creates a browser client in a test's page and logs its events.
//
// A list as the token stands for a function that fetches one element per call, and the last one
// repeatedly; an element that begins with `!` stands for a failing fetch.

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

globalThis.loadClient = async () => {
  globalThis.carillon ??= await import('/client/carillon.js');
};

globalThis.openClient = async ({ token, ...options } = {}) => {
  await loadClient();
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
  globalThis.details = (name) => log.filter(([each]) => each === name).map(([, detail]) => detail);
  globalThis.titles = () => details('notification').map(({ title }) => title);
  globalThis.listed = () => store.value.notifications.map(({ title }) => title);
  client.connect();
};

/** Starts to record in `shown` each visible state of the list, without repetitions. */
globalThis.noteShown = () => {
  globalThis.shown = [];
  store.subscribe(({ notifications, unreadCount }) => {
    const text = notifications.map((n) => n.title + (n.is_read ? '' : '*')).join('');
    const line = `${text} ${unreadCount}`;
    if (shown.at(-1) !== line) shown.push(line);
  });
};

/** The id of the listed notification with this title. */
globalThis.id = (title) => store.value.notifications.find((n) => n.title === title).id;

/** Fakes native notifications for a headless browser; their titles are in `natives`. */
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

/** Hides or shows the page, as when a user switches to another tab or returns. */
globalThis.hide = (isHidden) => {
  window.isHidden = isHidden;
  document.dispatchEvent(new Event('visibilitychange'));
};
