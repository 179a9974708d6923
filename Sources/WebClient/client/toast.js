// @ts-check
import { CarillonElement, make, setText } from './element.js';
import { CarillonItem } from './item.js';

/**
 * `<carillon-toast>`: what is new, in a corner, for a while.
 *
 * Time stands still while a person points at it, is inside, or is away. Urgent ones stay.
 */
export class CarillonToast extends CarillonElement {
  #stack = make('div', 'stack');
  #rest = make('div', 'rest');
  #hidden = 0;
  #times = new Map();

  constructor() {
    super('toast');
    this.root.append(this.#stack, this.#rest);
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
    this.listen(this.client, 'read deleted', ({ detail }) =>
      this.#close(({ id }) => id === detail.id));
    this.listen(document, 'visibilitychange', () => this.update());
    this.listen(this, 'pointerenter pointerleave focusin focusout', () => this.update());
    this.listen(this, 'keydown', ({ key }) => key === 'Escape' && this.#close(() => true));
  }

  add(notification) {
    const item = Object.assign(new CarillonItem(), { notification });
    const timeout = notification.priority !== 'urgent' && +(this.getAttribute('timeout') ?? 6_000);
    // An animation of nothing is a clock that can be stopped.
    const time = item.animate([], timeout || Infinity);
    time.onfinish = () => this.#close((it, each) => each === item);
    this.#stack.prepend(item);
    this.#times.set(item, time);
    this.togglePopover(true);
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
      this.togglePopover(false);
    }
    this.update();
  }

  render() {
    this.ariaLabel = this.label;
    setText(this.#rest, this.#hidden ? this.word('more', { n: this.#hidden }) : '');
    const isHeld = document.hidden || this.matches(':hover, :focus-within');
    for (const time of this.#times.values()) isHeld ? time.pause() : time.play();
  }
}
