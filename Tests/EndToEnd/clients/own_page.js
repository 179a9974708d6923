// Watches one of the server's own pages from the start, before any of its scripts run. The
// functions below are called by tests.

window.violations = [];
addEventListener(
  'securitypolicyviolation',
  (event) =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`),
);

/**
 * Accessibility faults: a control without a name, a table without heads, a duplicate id, a listener
 * in the markup, a missing language or title, or a number of `h1` other than one.
 */
window.faults = () => {
  const faults = [];
  const name = (each) =>
    [
      each.getAttribute('aria-label'),
      each.title,
      each.textContent,
      ...[...(each.labels ?? [])].map((label) => label.textContent),
      each.getAttribute('aria-labelledby') && each.ownerDocument
        .getElementById(each.getAttribute('aria-labelledby'))?.textContent,
    ].join('').trim();
  for (
    const each of document.querySelectorAll(
      'button, input, select, textarea, a, [role=slider], [role=region], [role=log], dialog',
    )
  ) {
    if (!name(each)) faults.push(`no name: ${each.outerHTML.slice(0, 120)}`);
  }
  for (const table of document.querySelectorAll('table')) {
    const isSeen = table.checkVisibility();
    if (isSeen && !table.querySelector('thead th[scope=col]')) faults.push(`no heads: ${table.id}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);
  for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) {
    faults.push(`twice: ${id}`);
  }
  for (const each of document.querySelectorAll('*')) {
    for (const { name } of each.attributes) {
      if (name.startsWith('on')) faults.push(`listener in markup: ${name}`);
    }
  }
  if (!document.documentElement.lang || !document.title) faults.push('no language or title');
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
  return faults;
};

/** Visible texts with too low a contrast by WCAG 2.2, each with its contrast. */
window.poorContrasts = () => {
  const pen = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) =>
    [r, g, b].map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
      .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !each.checkVisibility()) continue;
    if (each.closest('.unseen, option, :disabled, .stale')) continue;
    const [one, other] = [light(rgba(getComputedStyle(each).color)), light(ground(each))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) poor.push(`${contrast.toFixed(2)} ${walker.currentNode.data.trim()}`);
  }
  return poor;
};

/** Whether a plot's pixels, at the screen's resolution, show both lines in different colours. */
window.areLinesDrawn = (index) => {
  const plot = document.querySelectorAll('.plot')[index];
  const canvas = plot.querySelector('canvas');
  if (canvas.width !== Math.round(canvas.getBoundingClientRect().width * 2)) return false;
  // Reads a copy, because the browser warns about a canvas that is read often.
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const pen = copy.getContext('2d', { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  const pixels = new Set();
  for (let at = 0; at < data.length; at += 4) pixels.add(data.slice(at, at + 4).join());
  const colors = [...plot.querySelectorAll('.legend .swatch')].map((swatch) =>
    getComputedStyle(swatch).color.match(/\d+/g).slice(0, 3).join()
  );
  return new Set(colors).size === 2 && colors.every((color) => pixels.has(`${color},255`));
};

/** The sum of the sessions in the rows of the shards. */
window.sessionsOfShards = () => {
  const cells = [...document.querySelectorAll('#shards tbody tr td:nth-child(3)')];
  return cells.reduce((sum, cell) => sum + Number(cell.textContent), 0);
};

/** The modules that the page names and loads, and the addresses with a status of 300 or more. */
window.modules = () => ({
  named: [...document.querySelectorAll('link[rel=modulepreload], script[src]')]
    .map((each) => each.href ?? each.src),
  loaded: performance.getEntriesByType('resource').map((each) => each.name)
    .filter((name) => name.split('?')[0].endsWith('.js')),
  unlike: performance.getEntriesByType('resource').filter((each) => each.responseStatus >= 300)
    .map((each) => each.name),
});

/** Counts in `posts` the requests that publish something. */
window.countPosts = () => {
  window.posts = 0;
  const { fetch } = window;
  window.fetch = (address, options) => {
    if (options?.method === 'POST') window.posts += 1;
    return fetch(address, options);
  };
};

/** The newest title in the store of each list, which may not be drawn yet. */
window.newestTitles = () =>
  [...document.querySelectorAll('carillon-list')]
    .map((list) => list.store.value.notifications[0]?.title);

/** Fakes desktop notifications; `isAway` hides the page, `answer` is the permission to grant. */
window.fakeDesktop = () => {
  window.shown = [];
  window.Notification = class {
    static permission = 'default';
    static async requestPermission() {
      return (Notification.permission = window.answer);
    }
    constructor(title) {
      window.shown.push(title);
    }
  };
  Object.defineProperty(Document.prototype, 'hidden', { get: () => window.isAway === true });
};
