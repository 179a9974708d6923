// @ts-check
import { CarillonElement, make, setText } from './element.js';
import { CarillonItem } from './item.js';

/**
 * `<carillon-toast>`: what is new, in a corner, for a while (`timeout`, 6000 ms; 0: until closed).
 *
 * The time stands still while a person points at it, is inside or is away. Urgent ones stay. At
 * most `max` (3) are there; of the others the number is told.
 */
export class CarillonToast extends CarillonElement {
  #stack = make('div', 'stack');
  #rest = make('div', 'rest');
  #hidden = 0;
  /** Each toast, and its time. */
  #times = new Map();

  constructor() {
    super('toast');
    this.root.append(this.#stack, this.#rest);
    for (const type of ['pointerenter', 'pointerleave', 'focusin', 'focusout']) {
      this.addEventListener(type, () => this.update());
    }
    this.addEventListener('keydown', ({ key }) => key === 'Escape' && this.#close(() => true));
    for (const type of ['open', 'dismiss']) {
      this.root.addEventListener(`carillon-${type}`, (event) => {
        // Put away here, it is still in the inbox.
        if (type === 'dismiss') event.preventDefault();
        this.#close((it, item) => item === event.target);
      });
    }
  }

  attached() {
    // Above all else, dialogs too.
    Object.assign(this, { role: 'region', popover: 'manual' });
    this.follow();
    this.hear((it) => this.add(it));
    for (const type of ['read', 'deleted']) {
      this.listen(this.client, type, ({ detail }) => this.#close(({ id }) => id === detail.id));
    }
    this.listen(document, 'visibilitychange', () => this.update());
  }

  /** Shows a notification. */
  add(notification) {
    const item = Object.assign(new CarillonItem(), { notification });
    const timeout = notification.priority !== 'urgent' && +(this.getAttribute('timeout') ?? 6_000);
    // An animation of nothing is a clock that can be held.
    const time = item.animate([], timeout || Infinity);
    time.onfinish = () => this.#close((it, each) => each === item);
    this.#stack.prepend(item);
    this.#times.set(item, time);
    this.showPopover();
    if (this.#times.size > +(this.getAttribute('max') ?? 3)) {
      const all = [...this.#times.keys()];
      const oldest = all.find((each) => each.notification.priority !== 'urgent') ?? all[0];
      this.#hidden += 1;
      this.#close((it, each) => each === oldest);
    }
    this.update();
  }

  #close(which) {
    for (const item of this.#times.keys()) {
      if (!which(item.notification, item)) continue;
      this.#times.delete(item);
      item.remove();
    }
    if (!this.#times.size) {
      this.#hidden = 0;
      this.hidePopover();
    }
    this.update();
  }

  render() {
    this.ariaLabel = this.getAttribute('label') ?? this.word('title');
    setText(this.#rest, this.#hidden ? this.word('more', { n: this.#hidden }) : '');
    const isHeld = document.hidden || this.matches(':hover, :focus-within');
    for (const time of this.#times.values()) isHeld ? time.pause() : time.play();
  }
}
