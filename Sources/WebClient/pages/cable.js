// @ts-check
// A simulated network cable between one client and the server, which the user can unplug.
//
// A client gets its `WebSocket` and `fetch` from here. Unplugging the cable ends
// open connections as a lost network does (code 1006, no close frame), and new ones fail until it
// is plugged in. The client cannot detect the simulation, so it behaves as in a real outage.

const LOST = 1006;

/** Dispatches `change` when it is unplugged or plugged in. */
export class Cable extends EventTarget {
  #isIn = true;
  /** @type {Set<Line>} */
  #lines = new Set();
  /** Aborts the pending requests. */
  #cut = new AbortController();

  constructor() {
    super();
    this.WebSocket = linesOf(this);
    /** @param {RequestInfo | URL} address @param {RequestInit} [options] */
    this.fetch = async (address, options = {}) => {
      if (!this.#isIn) throw new TypeError('the cable is out');
      const cut = this.#cut.signal;
      const signal = options.signal ? AbortSignal.any([options.signal, cut]) : cut;
      return fetch(address, { ...options, signal });
    };
  }

  get isIn() {
    return this.#isIn;
  }

  pull() {
    if (!this.#isIn) return;
    this.#isIn = false;
    this.#cut.abort(new TypeError('the cable was pulled'));
    for (const line of [...this.#lines]) line.lose();
    this.dispatchEvent(new Event('change'));
  }

  putIn() {
    if (this.#isIn) return;
    this.#isIn = true;
    this.#cut = new AbortController();
    this.dispatchEvent(new Event('change'));
  }

  /** @param {Line} line */
  add(line) {
    this.#lines.add(line);
  }

  /** @param {Line} line */
  remove(line) {
    this.#lines.delete(line);
  }
}

/** A WebSocket through a cable; it ends when the cable is unplugged. */
class Line extends EventTarget {
  /** @type {any} */
  #real = null;
  #cable;
  #isOver = false;
  /** The same handler properties as the browser's classes have. @type {any} */
  onopen = null;
  /** @type {any} */
  onmessage = null;
  /** @type {any} */
  onerror = null;
  /** @type {any} */
  onclose = null;

  /**
   * @param {Cable} cable
   * @param {string} url
   * @param {string | string[]} [protocols]
   */
  constructor(cable, url, protocols) {
    super();
    this.#cable = cable;
    if (!cable.isIn) {
      queueMicrotask(() => this.lose());
      return;
    }
    cable.add(this);
    const real = (this.#real = new WebSocket(url, protocols));
    real.addEventListener('open', () => this.#pass(new Event('open')));
    real.addEventListener(
      'message',
      (/** @type {any} */ { data, origin }) =>
        this.#pass(new MessageEvent('message', { data, origin })),
    );
    real.addEventListener('error', () => this.#pass(new Event('error')));
    real.addEventListener('close', (/** @type {any} */ { code, reason, wasClean }) => {
      this.#pass(new CloseEvent('close', { code, reason, wasClean }));
      this.#end();
    });
  }

  get readyState() {
    return this.#real && !this.#isOver ? this.#real.readyState : WebSocket.CLOSED;
  }

  get bufferedAmount() {
    return this.#real?.bufferedAmount ?? 0;
  }

  /** @param {string} text */
  send(text) {
    if (!this.#isOver) this.#real?.send(text);
  }

  /** @param {[number?, string?]} how */
  close(...how) {
    this.#real?.close(...how);
  }

  /** Ends the connection as if the peer had vanished. */
  lose() {
    if (this.#isOver) return;
    this.#pass(new Event('error'));
    this.#pass(new CloseEvent('close', { code: LOST }));
    this.#end();
    this.#real?.close();
  }

  #end() {
    this.#isOver = true;
    this.#cable.remove(this);
  }

  /** @param {Event} event */
  #pass(event) {
    if (this.#isOver) return;
    const handler = /** @type {any} */ (this)[`on${event.type}`];
    if (typeof handler === 'function') handler.call(this, event);
    this.dispatchEvent(event);
  }
}

/**
 * Makes the class of the lines through a cable.
 *
 * @param {Cable} cable
 */
const linesOf = (cable) =>
  class extends Line {
    /** @param {string} url @param {string | string[]} [protocols] */
    constructor(url, protocols) {
      super(cable, url, protocols);
    }
  };
