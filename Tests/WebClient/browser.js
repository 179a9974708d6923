// Fakes of the locks and channels that the tabs of one browser share.

import assert from 'node:assert/strict';
import { fakes, openClient, tokenOf } from './fakes.js';

const soon = () => new Promise((resolve) => setImmediate(resolve));

/** A browser. `tab` opens a tab; the tab's `crash` ends it without running any of its code. */
export const fakeBrowser = () => {
  /** The requests for each lock name, in order. Only the first one can hold the lock. */
  const queues = new Map();
  const channels = new Set();

  const grant = (name) => {
    const [first] = queues.get(name) ?? [];
    if (!first || first.isHeld) return;
    first.isHeld = true;
    soon().then(async () => {
      try {
        first.resolve(await Promise.race([first.run(), first.crashed]));
      } catch (error) {
        first.reject(error);
      }
      remove(name, first);
    });
  };
  const remove = (name, request) => {
    const queue = queues.get(name).filter((each) => each !== request);
    queues.set(name, queue);
    grant(name);
  };

  const tab = () => {
    let isAlive = true;
    let crash;
    const crashed = new Promise((resolve) => (crash = resolve));

    const locks = {
      request: (name, { signal }, run) =>
        new Promise((resolve, reject) => {
          if (signal.aborted) return reject(signal.reason);
          const request = { run, resolve, reject, crashed, isHeld: false };
          queues.set(name, [...(queues.get(name) ?? []), request]);
          const withdraw = () => {
            if (request.isHeld) return;
            remove(name, request);
            reject(signal.reason);
          };
          signal.addEventListener('abort', withdraw);
          crashed.then(() => !request.isHeld && remove(name, request));
          grant(name);
        }),
    };

    class BroadcastChannel {
      onmessage = null;
      constructor(name) {
        this.name = name;
        channels.add(this);
        crashed.then(() => this.close());
      }
      postMessage(message) {
        if (!isAlive) return;
        const data = structuredClone(message);
        for (const each of channels) {
          if (each === this || each.name !== this.name) continue;
          soon().then(() => channels.has(each) && each.onmessage?.({ data }));
        }
      }
      close() {
        channels.delete(this);
      }
    }

    return {
      locks,
      BroadcastChannel,
      crash: () => {
        isAlive = false;
        crash();
      },
    };
  };
  return { tab };
};

/** A fake browser and network; `open` opens a tab with a connected client of the user ann. */
export const startBrowser = (net = {}) => {
  const world = fakes();
  Object.assign(world.net, net);
  const browser = fakeBrowser();
  const open = async (options = {}) => {
    const { locks, BroadcastChannel, crash } = browser.tab();
    const shared = { ...world.options, shared: true, token: tokenOf('ann') };
    const tab = openClient({ ...shared, locks, BroadcastChannel, ...options });
    await world.pass(0);
    assert.equal(tab.client.state, 'connected');
    return { ...tab, crash, BroadcastChannel };
  };
  return { ...world, browser, open };
};
