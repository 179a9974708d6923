// @ts-check
// The ways to the server. Each takes a link (see connection.js), tells it what it hears in the words
// of the `event` dialect, and resolves when it has ended. None comes back by itself: whoever does
// needs the newest token and cursor.

/** @typedef {{opened: boolean, code?: number, reason?: string, error?: any}} End */

const OPENS_WITHIN = 10_000;
const PING_EVERY = 25_000;
const PONG_WITHIN = 10_000;
/** When there is a reason for doubt. */
const PONG_SOON = 4_000;
const POLL_SECONDS = 25;

/** Nobody closed it; it is gone. @see RFC 6455, 7.1.5 */
const LOST = 1006;

/** What the event stream calls otherwise; of the rest, the first `_` is a `:`. */
const NAMES = new Map([
  ['room_notification', 'room:message'],
  ['typing_indicator', 'typing'],
  ['presence_update', 'presence'],
]);

/** @param {string} text @returns {any} */
const parse = (text) => {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
};

/** @type {Record<string, (link: any) => Promise<End>>} */
export const transports = {
  websocket: (link) =>
    new Promise((resolve) => {
      const { clock, WebSocket } = link.options;
      const address = link.address('/api/v1/ws/notifications');
      const socket = new WebSocket(address.replace(/^http/, 'ws'));
      let opened = false;
      /** @type {any} */
      let timer;
      const end = (/** @type {number} */ code, reason = '') => {
        clock.clearTimeout(timer);
        socket.onmessage = socket.onclose = null;
        socket.close();
        // A server that says why was reached.
        resolve({ opened: opened || code > LOST || code < 1005, code, reason });
      };
      const within = (/** @type {number} */ time, /** @type {() => void} */ then) => {
        clock.clearTimeout(timer);
        timer = clock.setTimeout(then, time);
      };
      const ping = (/** @type {number} */ time) => {
        link.send('{"type":"ping"}');
        within(time, () => end(LOST, 'no answer'));
      };
      link.close = () => end(1000);
      link.check = () => opened && ping(PONG_SOON);
      link.send = (/** @type {string} */ text, shown = text) => {
        if (socket.readyState !== 1) return;
        socket.send(text);
        link.frame('out', shown);
      };
      socket.onclose = (/** @type {any} */ { code, reason }) => end(code, reason);
      socket.onmessage = (/** @type {any} */ { data: text }) => {
        // Whatever comes shows that it lives.
        within(PING_EVERY, () => ping(PONG_WITHIN));
        link.frame('in', text);
        const { event, data, timestamp } = parse(text);
        if (event === 'connection:established' && !opened) {
          opened = true;
          link.opened();
        }
        if (event !== 'pong') link.told(event, data, timestamp);
      };
      within(OPENS_WITHIN, () => end(LOST, 'no greeting'));
    }),

  // Only a signal for what is stored: the stream shows less of a notification than the other ways,
  // so that is pulled.
  sse: (link) =>
    new Promise((resolve) => {
      const { clock, EventSource } = link.options;
      const source = new EventSource(link.address('/notifications/events'));
      let opened = false;
      const end = () => {
        clock.clearTimeout(timer);
        source.onopen = source.onmessage = source.onerror = null;
        source.close();
        resolve({ opened, code: LOST });
      };
      const timer = clock.setTimeout(end, OPENS_WITHIN);
      link.close = end;
      source.onerror = end;
      source.onopen = () => {
        clock.clearTimeout(timer);
        opened = true;
        link.opened();
      };
      source.onmessage = (/** @type {any} */ { data: text, lastEventId }) => {
        link.frame('in', text);
        link.begin(lastEventId);
        const { type, data, timestamp } = parse(text);
        if (type === 'notification' || type === 'unread_count') link.changed();
        else link.told(NAMES.get(type) ?? String(type).replace('_', ':'), data, timestamp);
      };
    }),

  async poll(link) {
    const { clock } = link.options;
    const ending = new AbortController();
    let opened = false;
    link.close = () => ending.abort();
    try {
      for (let wait = 0; ; wait = POLL_SECONDS) {
        const start = clock.now();
        const count = await link.pull(wait, ending.signal);
        if (!opened) link.opened();
        opened = true;
        // A server that is about to go does not let anyone wait.
        if (wait && !count && clock.now() - start < 1_000) {
          await new Promise((resolve) => clock.setTimeout(resolve, 1_000));
        }
      }
    } catch (error) {
      return { opened, error };
    }
  },
};
