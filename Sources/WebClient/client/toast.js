// @ts-check
import { CarillonElement } from './element.js';
import { CarillonItem } from './item.js';

/** What is new, in a corner, for a while; but urgent ones stay. */
export class CarillonToast extends CarillonElement {
  /** They stop while a person is there, or away. */
  #times = new Map();

  constructor() {
    super('toast');
    for (const type of ['open', 'dismiss']) {
      this.root.addEventListener(`carillon-${type}`, (event) => {
        // Put away here, it is still in the inbox.
        if (type === 'dismiss') event.preventDefault();
        this.#close((item) => item === event.target);
      });
    }
  }

  attached() {
    // Above all else, dialogs too.
    Object.assign(this, { role: 'region', popover: 'manual' });
    this.follow();
    this.hear((it) => this.add(it));
    this.listen(this.client, 'read deleted', ({ detail }) =>
      this.#close(({ notification }) => notification.id === detail.id));
    this.listen(document, 'visibilitychange', () => this.update());
    this.listen(this, 'pointerenter pointerleave focusin focusout', () => this.update());
    this.listen(this, 'keydown', ({ key }) => this.#close(() => key === 'Escape'));
  }

  add(notification) {
    const item = Object.assign(new CarillonItem(), { notification });
    const isUrgent = (it) => it.notification.priority === 'urgent';
    const timeout = isUrgent(item) ? 0 : +(this.getAttribute('timeout') ?? 6_000);
    const time = item.animate([], timeout || Infinity);
    time.onfinish = () => this.#close((it) => it === item);
    this.root.prepend(item);
    this.#times.set(item, time);
    const all = [...this.#times.keys()];
    if (all.length > 3) {
      const oldest = all.find((it) => !isUrgent(it)) ?? all[0];
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
