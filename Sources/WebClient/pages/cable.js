// @ts-check
// A simulated network cable between one client and the server, which the user can unplug.
//
// A client gets its `WebSocket`, `EventSource` and `fetch` from here. Unplugging the cable ends
// open connections as a lost network does (code 1006, no close frame), and new ones fail until it
// is plugged in. The client cannot detect the simulation, so it behaves as in a real outage.

/** @typedef {'WebSocket' | 'EventSource'} Kind */

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
    this.WebSocket = linesOf(this, (url) => new WebSocket(url), 'WebSocket');
    this.EventSource = linesOf(this, (url) => new EventSource(url), 'EventSource');
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

/** A WebSocket or an EventSource through a cable; it ends when the cable is unplugged. */
class Line extends EventTarget {
  /** @type {any} */
  #real = null;
  #cable;
  #kind;
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
   * @param {() => WebSocket | EventSource} open
   * @param {Kind} kind
   */
  constructor(cable, open, kind) {
    super();
    this.#cable = cable;
    this.#kind = kind;
    if (!cable.isIn) {
      queueMicrotask(() => this.lose());
      return;
    }
    cable.add(this);
    const real = (this.#real = open());
    real.addEventListener('open', () => this.#pass(new Event('open')));
    real.addEventListener(
      'message',
      (/** @type {any} */ { data, lastEventId, origin }) =>
        this.#pass(new MessageEvent('message', { data, lastEventId, origin })),
    );
    real.addEventListener('error', () => this.#pass(new Event('error')));
    real.addEventListener('close', (/** @type {any} */ { code, reason, wasClean }) => {
      this.#pass(new CloseEvent('close', { code, reason, wasClean }));
      this.#end();
    });
  }

  get readyState() {
    return this.#real && !this.#isOver ? this.#real.readyState : this.#kind === 'WebSocket' ? 3 : 2;
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
    if (this.#kind === 'EventSource') this.#end();
  }

  /** Ends the connection as if the peer had vanished. */
  lose() {
    if (this.#isOver) return;
    this.#pass(new Event('error'));
    if (this.#kind === 'WebSocket') this.#pass(new CloseEvent('close', { code: LOST }));
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
 * Makes the class of the lines of one kind through a cable.
 *
 * @param {Cable} cable
 * @param {(url: string) => WebSocket | EventSource} open
 * @param {Kind} kind
 */
const linesOf = (cable, open, kind) =>
  class extends Line {
    /** @param {string} url */
    constructor(url) {
      super(cable, () => open(url), kind);
    }
  };
