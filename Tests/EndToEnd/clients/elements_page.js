// The script of a page with the elements. It configures the page's client, then loads the elements,
// which use that client. The functions below are called by tests.

import * as core from '/client/carillon.js';

core.configure({ reconnectInterval: Number(document.documentElement.dataset.interval) });
// The method and the path of each request. The client takes over this function, and calls it in the
// task in which it decides to send a request.
window.asked = [];
const { fetch } = window;
window.fetch = (address, options) => {
  asked.push([options?.method ?? 'GET', new URL(address, location.href).pathname]);
  return fetch(address, options);
};
window.core = core;
window.fired = [];
window.violations = [];
addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective));
for (const name of ['open', 'action', 'read', 'dismiss', 'refused', 'error']) {
  addEventListener(`carillon-${name}`, ({ detail }) => fired.push([name, detail]));
}
// The announced texts of live regions, in order.
window.spoken = [];
new MutationObserver((records) => {
  for (const { target } of records) {
    if (target.ariaLive && target.textContent) spoken.push([target.ariaLive, target.textContent]);
  }
}).observe(document.body, { childList: true, subtree: true });

/** Records in `panelState` each handled change of the bell's panel: 'open' or 'closed'. */
window.watchPanel = () => {
  window.panelState = undefined;
  if (window.panel) return;
  window.panel = document.querySelector('carillon-bell').root.querySelector('carillon-panel');
  // The browser dispatches the event after the panel is visible. The bell's own listener, which
  // places and focuses the panel, was added before this one.
  panel.addEventListener('toggle', ({ newState }) => {
    window.panelState = newState;
  });
};

/** Every element, including those in shadow roots. */
window.all = (root = document) =>
  [...root.querySelectorAll('*')].flatMap((
    element,
  ) => [element, ...element.shadowRoot ? all(element.shadowRoot) : []]);

/** The focused element, also inside shadow roots. */
const focused = () => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  return at;
};

/** The class and the name of the focused element. */
window.focusName = () => {
  const at = focused();
  return at && `${at.className || at.localName}:${at.ariaLabel ?? at.textContent}`;
};

/** Whether the focused element has a visible ring; null when no element has the focus. */
window.isFocusSeen = () => {
  const at = focused();
  if (!at || at === document.body) return null;
  const isRound = ({ outlineStyle, outlineWidth }) =>
    outlineStyle !== 'none' && outlineWidth !== '0px';
  return isRound(getComputedStyle(at)) || isRound(getComputedStyle(at, '::after'));
};

/** Each visible text: its start, its contrast with its background, its size and its class. */
window.contrasts = () => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
  };
  const over = ([r, g, b, a], below) =>
    [r, g, b].map((value, index) => value * a + below[index] * (1 - a));
  const luminance = (color) => {
    const [r, g, b] = color.map((value) =>
      value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const { colorScheme } = getComputedStyle(document.documentElement);
  const isDark = colorScheme === 'dark' ||
    (colorScheme === 'light dark' && matchMedia('(prefers-color-scheme: dark)').matches);
  const ground = (element) => {
    if (!element) return rgba(isDark ? '#000' : '#fff');
    const { backgroundColor } = getComputedStyle(element);
    const parent = element.assignedSlot ?? element.parentElement ?? element.getRootNode().host;
    const own = rgba(backgroundColor);
    return own[3] === 1 ? own : over(own, ground(parent));
  };
  const isSeen = (element) =>
    element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) &&
    !element.matches(':disabled') && element.getClientRects().length;
  const isText = (element) =>
    element.localName === 'svg' ||
    [...element.childNodes].some((it) => it.nodeType === 3 && it.data.trim());
  return all().filter((element) => isSeen(element) && isText(element)).map((element) => {
    const below = ground(element).slice(0, 3);
    const { color, fontSize } = getComputedStyle(element);
    const [high, low] = [luminance(over(rgba(color), below)), luminance(below)]
      .sort((a, b) => b - a);
    const name = element.localName === 'svg' ? 'svg' : element.textContent.slice(0, 40);
    const kind = element.className.baseVal ?? element.className;
    return [name, (high + 0.05) / (low + 0.05), fontSize, kind];
  });
};

/** The number of running animations. */
window.movingCount = () =>
  all().flatMap((it) => it.getAnimations())
    .filter((it) => it.effect.getKeyframes().length && it.playState === 'running').length;

/** Whether every toast's timer is paused: the timer is its animation without keyframes. */
window.areToastsHeld = () =>
  all().filter((it) => it.localName === 'carillon-item').flatMap((it) => it.getAnimations())
    .filter((it) => !it.effect.getKeyframes().length)
    .every((it) => it.playState === 'paused');

/** The timers of the messages in panels and lists: animations without keyframes. */
window.noticeTimes = () =>
  all().filter((it) => it.className === 'snackbar').flatMap((it) => it.getAnimations())
    .filter((it) => !it.effect.getKeyframes().length);

/** The number of interactive elements, and the number of those inside another one. */
window.interactiveCounts = () => {
  const interactive = 'a, button, select, [role=button]';
  const found = all().filter((it) => it.matches(interactive));
  const nested = found.filter((it) => it.parentElement?.closest(interactive));
  return [found.length, nested.length];
};

/** Controls smaller than 24 by 24 pixels. */
window.smallTargets = () =>
  all().filter((it) => it.matches('button, select, .action') && it.checkVisibility())
    .map((it) => [it.textContent || it.ariaLabel, it.getBoundingClientRect()])
    .filter(([, { width, height }]) => width < 24 || height < 24)
    .map(([name, { width, height }]) => [name, width, height]);

/** The left edge of each character of an element's text, in the order of the text. */
window.characterEdges = ({ firstChild }) =>
  [...firstChild.data].flatMap((letter, index) => {
    const range = document.createRange();
    range.setStart(firstChild, index);
    range.setEnd(firstChild, index + 1);
    return letter.trim() ? [range.getBoundingClientRect().left] : [];
  });

/** Shows one notification without a server, from a store of the page. */
window.showAlone = (given) => {
  const store = new core.NotificationStore();
  const item = document.createElement('carillon-item');
  const notification = {
    id: 'n-1',
    type: 'info',
    priority: 'normal',
    title: 'It rings',
    message: '',
    is_read: false,
    created_at: new Date().toISOString(),
    ...given,
  };
  Object.assign(item, { store, notification });
  document.body.append(item);
};

/** Gives each bell its own client. */
window.connectBells = (tokens) =>
  tokens.forEach((token, index) => {
    const client = new core.Carillon({ token, shared: false });
    client.connect();
    document.querySelectorAll('carillon-bell')[index].client = client;
  });

/** Translates the bell, adds a kind of notification and sets a colour. */
window.customize = () => {
  elements.setStrings('de', { Notifications: 'Mitteilungen', '{n} unread': '{n} ungelesen' });
  elements.setKind('ship', { icon: 'M2 12h20', color: 'rgb(1, 2, 3)' });
  document.querySelector('carillon-bell').style.setProperty('--carillon-surface', 'beige');
};

window.elements = await import('/client/elements.js');
