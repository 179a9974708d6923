// @ts-check
// The connection of a page's client while elements are in the page.
//
// The last element to go pauses the client that a bell connected, and the next one brings it back.

import { defaultClient, wsClient } from './carillon.js';

const elements = new Set();
/** The client that a bell connected. */
let own;
/** The same client while it is paused. */
let paused;

export const connect = (token) => {
  wsClient.connect(token);
  if (own === defaultClient()) return;
  own = defaultClient();
  // After a logout, also one in another tab, no element connects by its return.
  // guard: no-return-after-logout
  own.addEventListener('reset', () => (paused = undefined));
};

export const enter = (element) => {
  elements.add(element);
  if (paused && paused === defaultClient()) paused.connect();
  paused = undefined;
};

export const leave = (element) => {
  elements.delete(element);
  // Moving an element removes and inserts it, and React's strict mode does so with each new one.
  // guard: leave-after-a-task
  setTimeout(() => {
    if (elements.size || !own?.isWanted || own !== defaultClient()) return;
    paused = own;
    // guard: last-element-pauses
    own.pause();
  });
};
