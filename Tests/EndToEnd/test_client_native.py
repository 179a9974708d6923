"""Notifications outside of the page: of several tabs, one shows them, and only when all are hidden.

The cases of one page are in Tests/WebClient/native.test.js.
"""

import pytest
from harness.browser import Tab

# What a browser has, without a screen to show it on.
FAKE = """(permission) => {
  window.natives = [];
  window.asked = 0;
  window.hidden = false;
  window.focus = () => { window.focused = true; };
  window.Notification = class {
    static permission = permission;
    static async requestPermission() {
      window.asked++;
      return (Notification.permission = 'granted');
    }
    constructor(title, options) {
      if (window.isPhone) throw new TypeError('Illegal constructor');
      Object.assign(this, { title, options });
      natives.push(this);
    }
    close() { this.isClosed = true; }
  };
  Object.defineProperty(document, 'hidden', { get: () => window.hidden });
  window.hide = (isHidden) => {
    window.hidden = isHidden;
    document.dispatchEvent(new Event('visibilitychange'));
  };
  window.opened = [];
  window.stop = carillon.nativeNotifications(client, {
    icon: '/icon.png', open: (url) => opened.push(url),
    registration: { showNotification: (title) => opened.push(`by worker: ${title}`) },
  });
}"""
SHOWN = "natives.map((each) => each.title)"


@pytest.fixture
def open_tab(context, server, fresh_user):
    user = fresh_user()

    def open_one(permission="granted"):
        tab = Tab(context, server, user).connected()
        tab.evaluate(FAKE, permission)
        return tab

    return open_one


def published(server, tab, title, **fields):
    server.publish(tab.user, title, **fields)
    tab.until("(title) => titles().includes(title)", title)


def test_it_is_shown_once_and_only_when_no_tab_is_visible(server, open_tab):
    first, second = open_tab(), open_tab()
    published(server, first, "both visible")
    first.evaluate("hide(true)")
    second.until("!hidden")
    first.until("client.isVisible")
    published(server, first, "one visible")
    second.evaluate("hide(true)")
    first.until("!client.isVisible")
    published(server, first, "none visible")
    second.until("titles().length === 3")
    assert first.evaluate(SHOWN) == ["none visible"]
    assert second.evaluate(SHOWN) == []
    # A visible tab that is gone is not looked at any more.
    second.evaluate("hide(false)")
    first.until("client.isVisible")
    second.page.close()
    first.until("!client.isVisible")
    published(server, first, "alone")
    assert first.evaluate(SHOWN) == ["none visible", "alone"]
