// @ts-check
import { CarillonElement, make, setText } from './element.js';

const WORDS = { connected: 'Real-time', reconnecting: 'Reconnecting…', connecting: 'Connecting…',
  offline: 'Offline' };

/** Whether notifications come in real time. */
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
    this.listen(window, 'online offline', () => this.update());
  }

  render() {
    let { connected, state } = this.value;
    this.#wasConnected ||= connected;
    const comesBack = { disconnected: this.client?.isWanted, connecting: this.#wasConnected };
    state = connected ? 'connected' : !navigator.onLine ? 'offline'
      : comesBack[state] ? 'reconnecting' : state;
    this.dataset.state = state;
    setText(this.#word, this.word(WORDS[state] ?? 'Disconnected'));
  }
}

CarillonStatus.define('carillon-status');
