// The parts of a browser page that the client looks for and Node does not have.
//
// Importing this module installs a page. `resetPage` replaces it, so that a client of an earlier
// test no longer receives events.

export const ORIGIN = 'http://page.example';

globalThis.CustomEvent ??= class extends Event {
  constructor(type, { detail = null, ...options } = {}) {
    super(type, options);
    this.detail = detail;
  }
};

const define = (name, value) =>
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

/** Installs a visible page that is online. Its `errors` are those given to `reportError`. */
export const resetPage = () => {
  const window = new EventTarget();
  for (const name of ['addEventListener', 'removeEventListener', 'dispatchEvent']) {
    define(name, window[name].bind(window));
  }
  const errors = [];
  define('reportError', (error) => void errors.push(error));
  define('document', Object.assign(new EventTarget(), { hidden: false }));
  define('navigator', { onLine: true });
  define('location', new URL(ORIGIN));
  define('window', globalThis);
  return { errors };
};

/** Hides or shows the page, as when a person goes to another tab or comes back. */
export const hide = (isHidden) => {
  document.hidden = isHidden;
  document.dispatchEvent(new Event('visibilitychange'));
};

resetPage();

/** Installs just enough for the modules of the elements to load; no element works. */
export const stubElements = () => {
  define('HTMLElement', class {});
  define(
    'CSSStyleSheet',
    class {
      replaceSync() {}
    },
  );
  define('customElements', { define: () => {}, get: () => undefined });
  // The elements redraw times by a timer that would keep the process alive.
  define('setInterval', () => 0);
};
