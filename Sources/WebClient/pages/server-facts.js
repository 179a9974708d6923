// @ts-check
// The facts of the server: version, uptime, memory and its store.

import { find, make } from './dom.js';
import { duration, formats } from './units.js';

/** Shares of the write queue that are worth attention, and that are close to refusing publishes. */
const BUSY = 0.5, FULL = 0.9;

/**
 * Shows the facts. A server of an earlier version sends none.
 *
 * @param {any} server
 */
export function showServer(server) {
  const facts = find('#server');
  facts.hidden = !server;
  if (!server) return;
  const { version, uptime, memory, store = {} } = server;
  facts.replaceChildren(
    ...fact('Version', version),
    ...fact('Up', duration(uptime)),
    ...fact('Memory', memory === null ? '–' : formats.size(memory)),
    ...fact('Store', ...storeState(store)),
    ...fact('Write queue', ...queueState(store)),
  );
}

/** @param {any} store @returns {[string, string?]} */
function storeState({ state, reason, persistent }) {
  // guard: store-state-stands-out
  if (state !== 'ok') return [reason ?? String(state).replace('_', '-'), 'bad'];
  return persistent ? ['on disk'] : ['in memory only, lost at the end', 'warn'];
}

/** @param {any} store @returns {[string, string?]} */
function queueState({ write_queue, write_queue_limit }) {
  const share = write_queue_limit > 0 ? write_queue / write_queue_limit : 0;
  // guard: queue-threshold
  const level = share >= FULL ? 'bad' : share >= BUSY ? 'warn' : '';
  const text = `${formats.count(write_queue ?? 0)} of ${formats.count(write_queue_limit ?? 0)}`;
  return [share >= FULL ? `${text}: publishes are refused at the limit` : text, level];
}

/**
 * @param {string} name
 * @param {string} text
 * @param {string} [level]
 */
const fact = (name, text, level = '') => [
  make('div', {}, make('dt', {}, name), make('dd', { class: level }, text)),
];
