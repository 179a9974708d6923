// @ts-check
// The transports. Each reports received events to its link in the form of the `event` dialect and
// resolves with the reason it ended. None reconnects by itself, because the token and the cursor
// may have changed.

const OPENS_WITHIN = 10_000;
/**
 * A client that resumes gets a heartbeat every 25 s. After 1.5 intervals of silence the connection
 * is dead; a WebSocket first asks, in case only the heartbeats are missing.
 */
const DEAD_AFTER = 37_500;
const ASK_AFTER = 30_000;
const PONG_SOON = 4_000;
const POLL_SECONDS = 25;
const LOST = 1006;

/** The stream's event names that need a translation; in all others the first `_` becomes `:`. */
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

/**
 * Reads server-sent events from chunks of bytes: HTML Standard, section 9.2.6.
 *
 * Returns a function that takes the next chunk, which may end anywhere, and passes each completed
 * event to `dispatch` as `{ data, id }`. A block without data, such as a comment or a `retry`, is
 * no event. Events of a named type have another meaning, so they are not passed on.
 */
export const eventReader = (dispatch) => {
  // It keeps the bytes of an incomplete character, and drops a byte order mark.
  const decoder = new TextDecoder();
  let rest = '';
  let isAfterReturn = false;
  let id = '';
  let data, type;

  const take = (line) => {
    if (!line) {
      if (data && (type ?? 'message') === 'message') dispatch({ data: data.join('\n'), id });
      data = type = undefined;
      return;
    }
    const [, field, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
    if (field === 'data') (data ??= []).push(value);
    else if (field === 'event') type = value || undefined;
    else if (field === 'id' && !value.includes('\0')) id = value;
  };

  return (chunk) => {
    let text = decoder.decode(chunk, { stream: true });
    if (!text) return;
    // The line that ended with the last chunk's return may end with this chunk's line feed.
    if (isAfterReturn && text[0] === '\n') text = text.slice(1);
    isAfterReturn = text.endsWith('\r');
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop() ?? '';
    lines.forEach(take);
  };
};

export const transports = {
  websocket: (link) =>
    new Promise((resolve) => {
      const { clock, WebSocket } = link.options;
      const address = link.address('/api/v1/ws/notifications').replace(/^http/, 'ws');
      // The token is not part of the URL, which proxies log.
      const socket = new WebSocket(address, ['bearer', link.bearer()]);
      let opened = false;
      let timer;
      const end = (code, reason = '') => {
        clock.clearTimeout(timer);
        socket.onmessage = socket.onclose = null;
        socket.close();
        // A close code other than 1006 comes from the server, so it was reached.
        resolve({ opened: opened || code !== LOST, code, reason });
      };
      const within = (time, then = () => end(LOST, 'no answer')) => {
        clock.clearTimeout(timer);
        timer = clock.setTimeout(then, time);
      };
      const ping = (time) => {
        link.send('{"type":"ping"}');
        within(time);
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
        within(ASK_AFTER, () => ping(DEAD_AFTER - ASK_AFTER));
        link.frame('in', text);
        const { event, data, timestamp } = parse(text);
        if (event === 'connection:established' && !opened) {
          opened = true;
          link.opened();
        }
        if (event !== 'pong' && event !== 'heartbeat') link.receive(event, data, timestamp);
      };
      within(OPENS_WITHIN);
    }),

  // The stream carries fewer fields of a notification than the other transports, so notifications
  // are pulled by a request. `EventSource` cannot send the token in a header.
  async sse(link) {
    const { clock } = link.options;
    const ending = new AbortController();
    let opened = false;
    let timer;
    link.close = () => ending.abort();
    const within = (time) => {
      clock.clearTimeout(timer);
      timer = clock.setTimeout(link.close, time);
    };
    within(OPENS_WITHIN);
    const read = eventReader(({ data: text, id }) => {
      link.frame('in', text);
      link.begin(id);
      // The first event follows the head at once, except through a proxy that buffers the body.
      if (!opened) {
        opened = true;
        link.opened();
      }
      const { type, data, timestamp } = parse(text);
      if (type === 'heartbeat') return;
      if (type === 'notification' || type === 'unread_count') link.changed();
      else link.receive(NAMES[type] ?? String(type).replace('_', ':'), data, timestamp);
    });
    try {
      const { body } = await link.stream(link.address('/notifications/events'), ending.signal);
      const reader = body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || ending.signal.aborted) return { opened, code: LOST };
        read(value);
        // Comments count as well. Before the first event, they do not.
        if (opened) within(DEAD_AFTER);
      }
    } catch (error) {
      return opened ? { opened, code: LOST } : { error, code: LOST };
    } finally {
      clock.clearTimeout(timer);
      ending.abort();
    }
  },

  async poll(link) {
    const { clock } = link.options;
    const ending = new AbortController();
    let opened = false;
    link.close = () => ending.abort();
    try {
      for (let wait = 0;; wait = POLL_SECONDS) {
        const start = clock.now();
        const timer = clock.setTimeout(link.close, wait ? DEAD_AFTER : OPENS_WITHIN);
        const count = await link.pull(wait, ending.signal, () => {
          if (!opened) link.opened();
          opened = true;
        }).finally(() => clock.clearTimeout(timer));
        // A draining server answers polls at once, so a pause prevents a busy loop.
        if (wait && !count && clock.now() - start < 1_000) {
          await new Promise((resolve) => clock.setTimeout(resolve, 1_000));
        }
      }
    } catch (error) {
      return { opened, error };
    }
  },
};
