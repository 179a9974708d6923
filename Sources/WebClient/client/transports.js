// @ts-check
// The ways to the server. Each takes a link (see connection.js), tells it what it hears in the words
// of the `event` dialect, and resolves when it has ended. None comes back by itself: whoever does
// needs the newest token and cursor.

const OPENS_WITHIN = 10_000;
const PING_EVERY = 25_000;
const PONG_WITHIN = 10_000;
/** Where there is a reason for doubt. */
const PONG_SOON = 4_000;
const POLL_SECONDS = 25;
/** Nobody closed it: RFC 6455, 7.1.5. */
const LOST = 1006;

/** What the event stream calls otherwise; in the rest, the first `_` is a `:`. */
const NAMES = {
  room_notification: 'room:message',
  typing_indicator: 'typing',
  presence_update: 'presence',
};

const parse = (text) => {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
};

export const transports = {
  websocket: (link) =>
    new Promise((resolve) => {
      const { clock, WebSocket } = link.options;
      const socket = new WebSocket(link.address('/api/v1/ws/notifications').replace(/^http/, 'ws'));
      let opened = false;
      let timer;
      const end = (code, reason = '') => {
        clock.clearTimeout(timer);
        socket.onmessage = socket.onclose = null;
        socket.close();
        // A server that says why was reached.
        resolve({ opened: opened || code !== LOST, code, reason });
      };
      const within = (time, then) => {
        clock.clearTimeout(timer);
        timer = clock.setTimeout(then, time);
      };
      const ping = (time) => {
        link.send('{"type":"ping"}');
        within(time, () => end(LOST, 'no answer'));
      };
      link.close = () => end(1000);
      link.check = () => opened && ping(PONG_SOON);
      link.send = (text, shown = text) => {
        if (socket.readyState !== 1) return;
        socket.send(text);
        link.frame('out', shown);
      };
      socket.onclose = ({ code, reason }) => end(code, reason);
      socket.onmessage = ({ data: text }) => {
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

  // Only a signal for what is stored: it shows less of a notification than the other ways, so that
  // is pulled.
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
      link.close = source.onerror = end;
      source.onopen = () => {
        clock.clearTimeout(timer);
        opened = true;
        link.opened();
      };
      source.onmessage = ({ data: text, lastEventId }) => {
        link.frame('in', text);
        link.begin(lastEventId);
        const { type, data, timestamp } = parse(text);
        if (type === 'notification' || type === 'unread_count') link.changed();
        else link.told(NAMES[type] ?? String(type).replace('_', ':'), data, timestamp);
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
        const count = await link.pull(wait, ending.signal, () => {
          if (!opened) link.opened();
          opened = true;
        });
        // A server that is about to go lets nobody wait.
        if (wait && !count && clock.now() - start < 1_000) {
          await new Promise((resolve) => clock.setTimeout(resolve, 1_000));
        }
      }
    } catch (error) {
      return { opened, error };
    }
  },
};
