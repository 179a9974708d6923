// The connection of a page's client while elements are in the page.

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { start, tokenOf } from './fakes.js';
import {
  configure,
  defaultClient,
  notificationStore,
  wsClient,
} from '../../Sources/WebClient/client/carillon.js';
import { connect, enter, leave } from '../../Sources/WebClient/client/lifetime.js';

const ANN = tokenOf('ann');
const list = { notifications: [{ id: 'a', title: 'A' }], total: 1, unread: 1 };
const answer = (path) => ({ data: path.includes('?limit=') ? list : {} });

const isConnected = () => wsClient.isConnected();
const titles = () => notificationStore.value.notifications.map(({ title }) => title);

describe('the client that a bell connected', () => {
  const [bell, other] = [{}, {}];
  /** Runs the present tasks and the timers without a delay. */
  let turn;

  beforeEach(async () => {
    wsClient.disconnect();
    const { options, pass } = await start({}, { answer });
    turn = () => pass(0);
    configure({ ...options, token: undefined });
    enter(bell);
    connect(ANN);
    await turn();
    assert.deepEqual([isConnected(), titles()], [true, ['A']]);
  });

  test('pauses when the last element leaves, and comes back with the next one', async () => {
    enter(other);
    leave(other);
    await turn();
    assert.equal(isConnected(), true);
    leave(bell);
    await turn();
    assert.deepEqual([isConnected(), defaultClient().isWanted, titles()], [false, false, ['A']]);
    enter(other);
    await turn();
    assert.equal(isConnected(), true);
    enter(bell);
    leave(other);
    await turn();
    assert.equal(isConnected(), true);
  });

  test('stays connected while an element moves', async () => {
    const states = [];
    defaultClient().addEventListener('state', ({ detail }) => states.push(detail));
    leave(bell);
    enter(bell);
    leave(bell);
    enter(other);
    await turn();
    enter(bell);
    leave(other);
    await turn();
    assert.deepEqual([isConnected(), states], [true, []]);
  });

  test('does not come back after a logout', async () => {
    leave(bell);
    await turn();
    // As after a logout in another tab.
    defaultClient().disconnect();
    enter(bell);
    await turn();
    assert.deepEqual([isConnected(), defaultClient().isWanted, titles()], [false, false, []]);
  });

  test('is not that of the page, which outlives its elements', async () => {
    wsClient.disconnect();
    wsClient.connect(ANN);
    await turn();
    leave(bell);
    await turn();
    assert.equal(isConnected(), true);
  });
});
