// A network and a clock that the test moves by hand, for what takes minutes or hangs on chance.

/** Behind what is under way; quicker than a timer, which a browser makes wait. */
const soon = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = resolve;
    port2.postMessage(0);
  });

globalThis.fakes = () => {
  let now = 1_000_000;
  const timers = new Map();
  let last = 0;
  const clock = {
    now: () => now,
    setTimeout: (run, time) => (timers.set(++last, { run, at: now + time }), last),
    clearTimeout: (id) => void timers.delete(id),
  };
  /** Lets what is under way come to rest. */
  const settle = async () => {
    for (let i = 0; i < 20; i++) await soon();
  };
  /** Lets so much time pass, one timer after the other. */
  const pass = async (time) => {
    const end = now + time;
    for (;;) {
      await settle();
      const due = [...timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
      if (!due.length) break;
      const [id, { run, at }] = due[0];
      timers.delete(id);
      now = Math.max(now, at);
      run();
    }
    now = end;
    await settle();
  };

  const sockets = [];
  class WebSocket {
    readyState = 0;
    sent = [];
    constructor(url) {
      this.url = url;
      this.at = now;
      sockets.push(this);
      soon().then(() => net.socket(this));
    }
    send(text) {
      this.sent.push(text);
      if (!net.isMute) soon().then(() => this.say('pong'));
    }
    close() {
      this.readyState = 3;
    }
    say(event, data = {}) {
      this.readyState = 1;
      this.onmessage?.({ data: JSON.stringify({ event, data }) });
    }
    end(code, reason = '') {
      this.readyState = 3;
      this.onclose?.({ code, reason });
    }
  }
  const net = {
    /** What becomes of each socket. */
    socket: (socket) => socket.say('connection:established', { cursor: 'e.1' }),
    /** What is answered: a status, and what to its body and head. */
    answer: (path) => ({
      data: path.includes('?limit=') ? { notifications: [], total: 0, unread: 0 } : {},
    }),
  };
  const asked = [];
  const fetch = async (url) => {
    const path = url.replace(/^https?:\/\/[^/]+/, '');
    asked.push({ path, at: now });
    const { status = 200, data, error, retryAfter } = net.answer(path);
    if (!status) throw new TypeError('Failed to fetch');
    const headers = new Headers(retryAfter ? { 'Retry-After': `${retryAfter}` } : {});
    return { ok: status < 400, status, headers, json: async () => ({ data, error }) };
  };
  const options = {
    clock,
    WebSocket,
    fetch,
    random: () => 0.5,
    shared: false,
    token: 'a.b.c',
    transports: ['websocket'],
    reconnectInterval: 5_000,
  };
  return { ...options, options, net, sockets, asked, settle, pass, timers, time: () => now };
};
