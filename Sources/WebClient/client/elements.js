// @ts-check
// The elements' entry point for pages, documented in elements.d.ts; and two elements that announce
// new notifications: the bell and the toast.

import { configure, wsClient } from './carillon.js';
import { button, CarillonElement, make, setText } from './element.js';
import { CarillonItem, iconOf, kindOf } from './item.js';
import { connect } from './lifetime.js';
import { CarillonPanel, CarillonStatus } from './panel.js';
import { TIGHT } from './sheets.js';

export { setStrings } from './words.js';
export { CarillonItem, setKind } from './item.js';
export { CarillonList } from './list.js';
export { CarillonPanel, CarillonStatus } from './panel.js';

let audio;

/** Plays the sound of a type. Browsers allow it only after a user interaction with the page. */
const ring = (type) => {
  if (!navigator['userActivation']?.hasBeenActive) return;
  audio ??= new AudioContext();
  const volume = new GainNode(audio);
  volume.connect(audio.destination);
  kindOf(type).sound.forEach((frequency, index) => {
    const start = audio.currentTime + index / 8;
    const tone = new OscillatorNode(audio, { frequency });
    volume.gain.setValueAtTime(0.1, start).exponentialRampToValueAtTime(0.001, start + 0.3);
    tone.connect(volume);
    tone.start(start);
    tone.stop(start + 0.3);
  });
};

/** A button with the number of unread notifications that opens the panel. */
export class CarillonBell extends CarillonElement {
  #token;
  #badge = make('span', 'badge');
  #status = Object.assign(new CarillonStatus(), { ariaHidden: 'true', role: 'none' });
  #button = button('bell', null, iconOf('bell'), this.#badge, this.#status);
  #panel = Object.assign(new CarillonPanel(), { popover: 'auto', role: 'dialog', part: 'panel' });
  /** Closes the panel where it is a sheet at the bottom of the screen. */
  #grip = button('grip', () => this.open = false, make('span', ''));

  constructor() {
    super('bell');
    this.root.append(this.#button, this.#panel);
    this.#panel.header.before(this.#grip);
    this.#button.ariaHasPopup = 'dialog';
    // With this, the browser closes the panel on Escape and on a click elsewhere.
    this.#button.popoverTargetElement = this.#panel;
    this.#panel.addEventListener('beforetoggle', () => {
      if (this.open && this.root.activeElement === this.#panel) this.focus();
    });
    this.#panel.addEventListener('toggle', () => {
      this.update();
      if (!this.open) return this.#panel.settle();
      this.#place();
      this.#panel.focus();
      // Seen notifications look no different, so a failure is not shown either.
      this.client?.request('PUT', '/api/v1/notifications/seen').catch(() => {});
    });
    this.#panel.addEventListener('focusout', ({ relatedTarget }) => {
      if (relatedTarget && !this.root.contains(relatedTarget)) this.open = false;
    });
  }

  get open() {
    return this.#panel.matches(':popover-open');
  }
  set open(isOpen) {
    this.#panel.togglePopover(isOpen);
  }

  focus(options) {
    this.#button.focus(options);
  }

  attached() {
    this.follow();
    this.speak(({ type }) => {
      const types = this.getAttribute('sound');
      // Only the leader tab plays the sound.
      if (this.client.isLeader && (types === '' || types?.split(' ').includes(type))) ring(type);
    });
    this.listen(window, 'resize scroll', () => this.#place());
    this.listen(window, 'online offline', () => this.update());
  }

  /** Puts the panel below the button, within the window. */
  #place() {
    if (!this.open) return;
    const { left, right, bottom } = this.#button.getBoundingClientRect();
    const end = this.matches(':dir(rtl)') ? left : innerWidth - right;
    const { offsetWidth, style } = this.#panel;
    style.insetInlineEnd = `${Math.max(8, Math.min(end, innerWidth - offsetWidth - 8))}px`;
    style.top = `${bottom + 8}px`;
    style.setProperty('--_room', `${innerHeight - bottom - 16}px`);
  }

  // A hidden page draws nothing, but a removed token must log out at once.
  attributeChangedCallback() {
    super.attributeChangedCallback();
    if (this.isConnected) this.#sign();
  }

  /** Logs in with the token, and out when it is removed. */
  #sign() {
    const [url, token] = ['url', 'token'].map((name) => this.getAttribute(name));
    // Quoted, because TypeScript 4's declarations lack it.
    if (url && URL['canParse'](url, location.href)) configure({ url });
    const last = this.#token;
    this.#token = token;
    if (token && token !== last) connect(token);
    else if (!token && last) wsClient.disconnect();
  }

  render() {
    this.#sign();
    const { unreadCount: n = 0 } = this.value;
    const { label } = this;
    setText(this.#badge, n > 99 ? '99+' : n ? n.toLocaleString(this.language) : '');
    const { trouble } = this.#status;
    this.#button.title = trouble;
    this.#button.ariaLabel = [label, n && this.word('{n} unread', { n }), trouble]
      .filter(Boolean).join(', ');
    this.#grip.ariaLabel = this.word('Close');
    this.#button.ariaExpanded = `${this.open}`;
    this.#panel.setAttribute('label', label);
    this.#panel.setAttribute('href', this.getAttribute('href') ?? '');
  }
}

CarillonBell.define('carillon-bell');

/** New notifications in a corner, shown for a few seconds; urgent ones stay. */
export class CarillonToast extends CarillonElement {
  /** Timers of the toasts. They pause while a toast has the pointer or focus, or the page hides. */
  #times = new Map();

  constructor() {
    super('toast');
    for (const type of ['open', 'dismiss']) {
      this.root.addEventListener(`carillon-${type}`, (event) => {
        // Dismissing a toast leaves the notification in the inbox.
        if (type === 'dismiss') event.preventDefault();
        this.#close((item) => item === event.target);
      });
    }
  }

  attached() {
    // A popover is in the top layer, above everything else, including dialogs.
    Object.assign(this, { role: 'region', popover: 'manual' });
    this.follow();
    this.speak((it) => this.add(it));
    this.listen(
      this.client,
      'read deleted',
      ({ detail }) => this.#close(({ notification }) => notification.id === detail.id),
    );
    this.listen(this.client, 'reset', () => this.#close(() => true));
    this.listen(document, 'visibilitychange', () => this.update());
    this.listen(this, 'pointerenter pointerleave focusin focusout', () => this.update());
    this.listen(this, 'keydown', ({ key }) => this.#close(() => key === 'Escape'));
  }

  add(notification) {
    const item = Object.assign(new CarillonItem(), { notification });
    const isUrgent = (it) => it.notification.priority === 'urgent';
    const timeout = isUrgent(item) ? 0 : +(this.getAttribute('timeout') ?? 6_000);
    // The attribute is free text, and a negative duration would throw.
    const time = item.animate([], timeout > 0 ? timeout : Infinity);
    time.onfinish = () => this.#close((it) => it === item);
    this.root.prepend(item);
    this.#times.set(item, time);
    const all = [...this.#times.keys()];
    // A phone has room for one, and so has a low window.
    // guard: one-toast-on-a-phone
    const most = matchMedia(TIGHT).matches ? 1 : 3;
    while (all.length > most) {
      const oldest = all.find((it) => !isUrgent(it)) ?? all[0];
      all.splice(all.indexOf(oldest), 1);
      this.#close((it) => it === oldest);
    }
    this.update();
  }

  #close(which) {
    for (const item of this.#times.keys()) {
      if (which(item)) {
        this.#times.delete(item);
        item.remove();
      }
    }
    this.update();
  }

  render() {
    this.ariaLabel = this.label;
    this.togglePopover(this.#times.size > 0);
    const isHeld = document.hidden || this.matches(':hover, :focus-within');
    for (const time of this.#times.values()) isHeld ? time.pause() : time.play();
  }
}

CarillonToast.define('carillon-toast');
