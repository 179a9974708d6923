// @ts-check
import { configure, wsClient } from './carillon.js';
import { button, CarillonElement, make, setText } from './element.js';
import { iconOf, ring } from './kinds.js';
import { CarillonPanel } from './panel.js';
import { CarillonStatus } from './status.js';

/** `<carillon-bell>`: a button with the number of unread notifications, which opens the panel. */
export class CarillonBell extends CarillonElement {
  static observedAttributes = [...super.observedAttributes, 'url', 'token'];

  #badge = make('span', 'badge');
  #icon = iconOf('bell');
  #button = button('bell', null, this.#icon, this.#badge, 
    Object.assign(new CarillonStatus(), { ariaHidden: 'true', role: 'none' }));
  #panel = Object.assign(new CarillonPanel(), { popover: 'auto', role: 'dialog', part: 'panel' });

  constructor() {
    super('bell');
    this.root.append(this.#button, this.#panel);
    this.#button.ariaHasPopup = 'dialog';
    // The browser closes it, by Escape and by a click elsewhere.
    this.#button.popoverTargetElement = this.#panel;
    this.#panel.addEventListener('beforetoggle', () => {
      if (this.open && this.root.activeElement === this.#panel) this.focus();
    });
    this.#panel.addEventListener('toggle', () => {
      this.update();
      if (!this.open) return;
      this.#place();
      this.#panel.focus();
      // That it was seen shows nowhere, so neither does a refusal.
      this.client?.request('PUT', '/api/v1/notifications/seen').catch(() => {});
    });
    this.#panel.addEventListener('focusout', ({ relatedTarget }) => {
      if (relatedTarget && !this.root.contains(relatedTarget)) this.open = false;
    });
  }

  get open() { return this.#panel.matches(':popover-open'); }
  set open(isOpen) { this.#panel.togglePopover(isOpen); }

  focus(options) { this.#button.focus(options); }

  attributeChangedCallback(name) {
    if (this.isConnected && (name === 'token' || name === 'url')) this.#sign();
    super.attributeChangedCallback();
  }

  #sign() {
    const [url, token] = ['url', 'token'].map((name) => this.getAttribute(name));
    if (url) configure({ url });
    // The page's client, which the other elements share.
    if (token) wsClient.connect(token);
  }

  attached() {
    this.#sign();
    this.follow();
    this.hear(({ type }) => {
      const types = this.getAttribute('sound');
      // One tab of the browser sounds.
      if (this.client.isLeader && (types === '' || types?.split(' ').includes(type))) ring(type);
      if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
      this.#icon.animate({ rotate: ['0deg', '14deg', '-12deg', '8deg', '0deg'] }, 700);
    });
    this.listen(window, 'resize scroll', () => this.#place());
  }

  #place() {
    if (!this.open) return;
    const { left, right, bottom } = this.#button.getBoundingClientRect();
    const width = this.#panel.offsetWidth;
    const start = getComputedStyle(this).direction === 'rtl' ? left : right - width;
    Object.assign(this.#panel.style, { top: `${bottom + 8}px`,
      left: `${Math.max(8, Math.min(start, innerWidth - width - 8))}px` });
    this.#panel.style.setProperty('--_room', `${innerHeight - bottom - 16}px`);
  }

  render() {
    const { unreadCount: n = 0 } = this.value;
    const { label } = this;
    setText(this.#badge, n > 99 ? '99+' : n ? n.toLocaleString(this.language) : '');
    this.#button.ariaLabel = n ? `${label}, ${this.word('unread', { n })}` : label;
    this.#button.ariaExpanded = `${this.open}`;
    this.#panel.setAttribute('label', label);
    this.#panel.setAttribute('href', this.getAttribute('href') ?? '');
  }
}
