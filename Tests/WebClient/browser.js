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
    /** The tasks of a blocked tab, by their kind: a tab has a queue for each. */
    let blocked;
    const deliver = (kind, run) => {
      if (blocked) blocked.push([kind, run]);
      else run();
    };

    const locks = {
      request: (name, { signal, steal }, run) =>
        new Promise((resolve, reject) => {
          assert.ok(!(steal && signal), 'a request that steals cannot be withdrawn');
          if (signal?.aborted) return reject(signal.reason);
          const later = (settle) => (value) => deliver('lock', () => settle(value));
          const request = { run, resolve: later(resolve), reject: later(reject), crashed };
          const queue = queues.get(name) ?? [];
          if (steal && queue[0]?.isHeld) {
            queue.shift().reject(new DOMException('stolen', 'AbortError'));
          }
          queues.set(name, steal ? [request, ...queue] : [...queue, request]);
          const withdraw = () => {
            if (request.isHeld) return;
            remove(name, request);
            request.reject(signal.reason);
          };
          signal?.addEventListener('abort', withdraw);
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
          soon().then(() => channels.has(each) && each.deliver({ data }));
        }
      }
      deliver(event) {
        deliver('channel', () => channels.has(this) && this.onmessage?.(event));
      }
      close() {
        channels.delete(this);
      }
    }

    return {
      locks,
      BroadcastChannel,
      deliver,
      crash: () => {
        isAlive = false;
        crash();
      },
      /** Blocks the tab, as a dialog or a long script does: its tasks wait. */
      block: () => void (blocked = []),
      /** Runs the tasks that waited, those of the kinds in `order` first, and their promises. */
      unblock: async (order = []) => {
        const tasks = blocked;
        blocked = undefined;
        const rank = ([kind]) => (order.indexOf(kind) + 1) || order.length + 1;
        for (const [, run] of tasks.sort((a, b) => rank(a) - rank(b))) {
          run();
          await new Promise((resolve) => process.nextTick(resolve));
        }
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
  const open = async ({ isSoon = true, ...options } = {}) => {
    const { locks, BroadcastChannel, deliver, ...controls } = browser.tab();
    const shared = { ...world.options, shared: true, token: tokenOf('ann') };
    const clock = {
      ...shared.clock,
      setTimeout: (run, time) => shared.clock.setTimeout(() => deliver('timer', run), time),
    };
    class WebSocket extends shared.WebSocket {
      sayRaw(data) {
        deliver('socket', () => super.sayRaw(data));
      }
    }
    const own = { ...shared, clock, WebSocket, locks, BroadcastChannel };
    const tab = openClient({ ...own, ...options });
    await world.pass(0);
    if (isSoon) assert.equal(tab.client.state, 'connected');
    return { ...tab, ...controls, BroadcastChannel };
  };
  return { ...world, browser, open };
};
