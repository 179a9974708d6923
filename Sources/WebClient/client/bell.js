// @ts-check
import { configure, wsClient } from './carillon.js';
import { button, CarillonElement, make, setText } from './element.js';
import { iconOf, ring } from './kinds.js';
import { CarillonPanel } from './panel.js';
import { CarillonStatus } from './status.js';

/** The number of unread notifications, which opens the panel. */
export class CarillonBell extends CarillonElement {
  #token;
  #badge = make('span', 'badge');
  #button = button('bell', null, iconOf('bell'), this.#badge,
    Object.assign(new CarillonStatus(), { ariaHidden: 'true', role: 'none' }));
  #panel = Object.assign(new CarillonPanel(), { popover: 'auto', role: 'dialog', part: 'panel' });

  constructor() {
    super('bell');
    this.root.append(this.#button, this.#panel);
    this.#button.ariaHasPopup = 'dialog';
    // By this Escape and a click elsewhere close it.
    this.#button.popoverTargetElement = this.#panel;
    this.#panel.addEventListener('beforetoggle', () => {
      if (this.open && this.root.activeElement === this.#panel) this.focus();
    });
    this.#panel.addEventListener('toggle', () => {
      this.update();
      if (!this.open) return;
      this.#place();
      this.#panel.focus();
      // This shows nowhere, so neither does a refusal.
      this.client?.request('PUT', '/api/v1/notifications/seen').catch(() => {});
    });
    this.#panel.addEventListener('focusout', ({ relatedTarget }) => {
      if (relatedTarget && !this.root.contains(relatedTarget)) this.open = false;
    });
  }

  get open() { return this.#panel.matches(':popover-open'); }
  set open(isOpen) { this.#panel.togglePopover(isOpen); }

  focus(options) { this.#button.focus(options); }

  attached() {
    this.follow();
    this.hear(({ type }) => {
      const types = this.getAttribute('sound');
      // One tab of the browser sounds.
      if (this.client.isLeader && (types === '' || types?.split(' ').includes(type))) ring(type);
    });
    this.listen(window, 'resize scroll', () => this.#place());
  }

  #place() {
    if (!this.open) return;
    const { left, right, bottom } = this.#button.getBoundingClientRect();
    const end = this.matches(':dir(rtl)') ? left : innerWidth - right;
    const { offsetWidth, style } = this.#panel;
    style.insetInlineEnd = `${Math.max(8, Math.min(end, innerWidth - offsetWidth - 8))}px`;
    style.top = `${bottom + 8}px`;
    style.setProperty('--_room', `${innerHeight - bottom - 16}px`);
  }

  render() {
    const [url, token] = ['url', 'token'].map((name) => this.getAttribute(name));
    if (url) configure({ url });
    if (token && token !== this.#token) wsClient.connect(this.#token = token);
    const { unreadCount: n = 0 } = this.value;
    const { label } = this;
    setText(this.#badge, n > 99 ? '99+' : n ? this.word('{n}', { n }) : '');
    this.#button.ariaLabel = n ? `${label}, ${this.word('{n} unread', { n })}` : label;
    this.#button.ariaExpanded = `${this.open}`;
    this.#panel.setAttribute('label', label);
    this.#panel.setAttribute('href', this.getAttribute('href') ?? '');
  }
}

CarillonBell.define('carillon-bell');
