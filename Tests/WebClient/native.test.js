// Desktop notifications: permission is requested on a click, and they show while the page is
// hidden.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { start } from './fakes.js';
import { hide, ORIGIN } from './page.js';
import { nativeNotifications, requestPermission } from '../../Sources/WebClient/client/carillon.js';

/**
 * A connected client in a browser that can show notifications.
 *
 * With `isPhone` the constructor throws, as in browsers that allow only a service worker.
 */
const startWithNative = async (permission = 'granted', { isPhone = false } = {}) => {
  const world = await start({ shared: false });
  const natives = [];
  const opened = [];
  const permissions = { requested: 0 };
  const page = { isFocused: false };
  globalThis.focus = () => void (page.isFocused = true);
  globalThis.Notification = class Notification {
    static permission = permission;
    static async requestPermission() {
      permissions.requested++;
      return (Notification.permission = 'granted');
    }
    constructor(title, options) {
      if (isPhone) throw new TypeError('Illegal constructor');
      Object.assign(this, { title, options });
      natives.push(this);
    }
    close() {
      this.isClosed = true;
    }
  };
  const stop = nativeNotifications(world.client, {
    icon: '/icon.png',
    open: (url) => opened.push(url),
    registration: { showNotification: (title) => opened.push(`by worker: ${title}`) },
  });
  const publish = async (title, fields = {}) => {
    await world.say('notification:new', { id: `n-${title}`, title, is_read: false, ...fields });
    assert.ok(world.titles().includes(title));
  };
  const shown = () => natives.map(({ title }) => title);
  return { ...world, natives, opened, permissions, page, stop, publish, shown };
};

describe('permission', () => {
  test('it is requested only when the page asks for it', async () => {
    const { permissions, publish, shown, stop } = await startWithNative('default');
    hide(true);
    await publish('before');
    assert.deepEqual([permissions.requested, shown()], [0, []]);
    assert.equal(await requestPermission(), 'granted');
    assert.equal(await requestPermission(), 'granted');
    assert.equal(permissions.requested, 1);
    await publish('after');
    assert.deepEqual(shown(), ['after']);
    stop();
    await publish('later');
    assert.deepEqual(shown(), ['after']);
  });

  test('a refusal is final and a browser may have no notifications', async () => {
    const { permissions, publish, shown } = await startWithNative('denied');
    hide(true);
    await publish('hello');
    assert.equal(await requestPermission(), 'denied');
    assert.deepEqual([permissions.requested, shown()], [0, []]);
    globalThis.Notification = undefined;
    await publish('hello again');
    assert.equal(await requestPermission(), 'unsupported');
  });
});

describe('a click', () => {
  for (
    const [url, expected] of [
      ['/trades/7', [`${ORIGIN}/trades/7`]],
      ['https://a.example/x', ['https://a.example/x']],
      [null, []],
    ]
  ) {
    test(`focuses the page and opens the URL: ${url}`, async () => {
      const { detailsOf, natives, opened, page, publish } = await startWithNative();
      hide(true);
      await publish('<b>title</b>', { message: 'body', ...(url && { entity_url: url }) });
      const [native] = natives;
      assert.deepEqual([native.options.body, native.options.icon], ['body', '/icon.png']);
      assert.equal(native.options.tag, detailsOf('notification')[0].id);
      assert.equal(native.title, '<b>title</b>');
      native.onclick();
      assert.deepEqual([page.isFocused, native.isClosed], [true, true]);
      assert.deepEqual(opened, expected);
    });
  }

  for (const url of ['javascript:alert(1)', 'data:text/html,x', 'http://a.example']) {
    test(`does not open ${url}`, async () => {
      // The server rejects such URLs, but the client checks them again.
      const { client, natives, opened } = await startWithNative();
      hide(true);
      const detail = { id: 'x', title: 't', message: '', entity_url: url, is_read: false };
      client.dispatchEvent(new CustomEvent('notification', { detail }));
      natives[0].onclick();
      assert.deepEqual(opened.filter((each) => !each.startsWith(ORIGIN)), []);
    });
  }
});

test('it is shown only while the page is hidden', async () => {
  const { publish, shown } = await startWithNative();
  await publish('visible');
  hide(true);
  await publish('hidden');
  hide(false);
  await publish('visible again');
  assert.deepEqual(shown(), ['hidden']);
});

test('where only a service worker may show one, it does', async () => {
  const { opened, publish } = await startWithNative('granted', { isPhone: true });
  hide(true);
  await publish('pocket');
  assert.deepEqual(opened, ['by worker: pocket']);
});

test('the next user sees none that was shown for the last one', async () => {
  const { client, natives, publish } = await startWithNative();
  hide(true);
  await publish('private');
  client.disconnect();
  assert.deepEqual(natives.map(({ isClosed }) => isClosed), [true]);
});
