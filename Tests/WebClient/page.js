// Fakes of the browser globals that the client uses and Node lacks.
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

/** Defines a global that the page has. */
export const define = (name, value) =>
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

/**
 * Installs a visible page that is online. `errors` collects the errors passed to `reportError`, and
 * `warnings` the texts passed to `console.warn`.
 */
export const resetPage = () => {
  // The page remembers the users of tokens.
  delete globalThis[Symbol.for('carillon/users')];
  const window = new EventTarget();
  for (const name of ['addEventListener', 'removeEventListener', 'dispatchEvent']) {
    define(name, window[name].bind(window));
  }
  const errors = [];
  define('reportError', (error) => void errors.push(error));
  const warnings = [];
  Object.assign(console, { warn: (text) => void warnings.push(text) });
  define('document', Object.assign(new EventTarget(), { hidden: false }));
  define('navigator', { onLine: true });
  define('location', new URL(ORIGIN));
  define('window', globalThis);
  return { errors, warnings };
};

/** Hides or shows the page, as when the user switches to another tab or back. */
export const hide = (isHidden) => {
  document.hidden = isHidden;
  document.dispatchEvent(new Event('visibilitychange'));
};

resetPage();

/**
 * Installs stubs that let the elements' modules load; the elements do not work.
 *
 * Returns the registered elements by name. As in a browser, a name can be registered only once.
 */
export const stubElements = () => {
  const registered = new Map();
  define('HTMLElement', class {});
  define(
    'CSSStyleSheet',
    class {
      replaceSync() {}
    },
  );
  define('customElements', {
    get: (name) => registered.get(name),
    define: (name, element) => {
      if (registered.has(name)) throw new Error(`${name} is registered already`);
      registered.set(name, element);
    },
  });
  return registered;
};
