// @ts-check
import { CarillonElement, make, setText } from './element.js';

/** `<carillon-status>`: whether notifications come in real time, as a dot and a word. */
export class CarillonStatus extends CarillonElement {
  #word = make('span', 'label');
  #wasConnected = false;

  constructor() {
    super('status');
    this.root.append(make('span', 'dot'), this.#word);
  }

  attached() {
    this.role ??= 'status';
    this.follow();
    for (const type of ['online', 'offline']) this.listen(window, type, () => this.update());
  }

  render() {
    let { connected, state } = this.value;
    this.#wasConnected ||= connected;
    if (connected) state = 'connected';
    else if (!navigator.onLine) state = 'offline';
    else if (this.#wasConnected && state === 'connecting') state = 'reconnecting';
    this.dataset.state = state;
    setText(this.#word, this.word(state));
  }
}
