"""Notifications outside of the page: asked for on a click, shown when nobody looks."""

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


def test_it_is_asked_for_when_it_is_asked_for(server, open_tab):
    tab = open_tab("default")
    tab.evaluate("hide(true)")
    published(server, tab, "before")
    assert tab.evaluate(f"[asked, {SHOWN}]") == [0, []]
    assert tab.evaluate("carillon.requestPermission()") == "granted"
    assert tab.evaluate("carillon.requestPermission()") == "granted"
    assert tab.evaluate("asked") == 1
    published(server, tab, "after")
    assert tab.evaluate(SHOWN) == ["after"]
    tab.evaluate("stop()")
    published(server, tab, "later")
    assert tab.evaluate(SHOWN) == ["after"]


def test_a_refusal_is_final_and_a_browser_may_have_none(server, open_tab):
    tab = open_tab("denied")
    tab.evaluate("hide(true)")
    published(server, tab, "hello")
    assert tab.evaluate("carillon.requestPermission()") == "denied"
    assert tab.evaluate(f"[asked, {SHOWN}]") == [0, []]
    tab.evaluate("window.Notification = undefined")
    published(server, tab, "hello again")
    assert tab.evaluate("carillon.requestPermission()") == "unsupported"


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


@pytest.mark.parametrize(
    "url, opens",
    [("/trades/7", "/trades/7"), ("https://a.example/x", "https://a.example/x"), (None, None)],
)
def test_a_click_focuses_the_page_and_follows_the_url(server, open_tab, url, opens):
    tab = open_tab()
    tab.evaluate("hide(true)")
    fields = {"entity_url": url} if url else {}
    published(server, tab, "<b>title</b>", message="body", **fields)
    shown = tab.evaluate("natives[0].options")
    assert (shown["body"], shown["icon"]) == ("body", "/icon.png")
    assert shown["tag"] == tab.told("notification")[0]["id"]
    assert tab.evaluate("natives[0].title") == "<b>title</b>"
    tab.evaluate("natives[0].onclick()")
    assert tab.evaluate("[window.focused, natives[0].isClosed]") == [True, True]
    expected = [] if opens is None else [opens if ":" in opens else server.url + opens]
    assert tab.evaluate("opened") == expected


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "http://a.example"])
def test_no_other_url_is_followed(open_tab, url):
    """The server refuses these; a client does not take its word for it."""
    tab = open_tab()
    tab.evaluate(
        """(url) => {
          hide(true);
          const detail = { id: 'x', title: 't', message: '', entity_url: url, is_read: false };
          client.dispatchEvent(new CustomEvent('notification', { detail }));
          natives[0].onclick();
        }""",
        url,
    )
    followed = tab.evaluate("opened.filter((each) => !each.startsWith(location.origin))")
    assert followed == []


def test_where_only_a_service_worker_may_show_one(server, open_tab):
    tab = open_tab()
    tab.evaluate("window.isPhone = true; hide(true)")
    published(server, tab, "pocket")
    assert tab.evaluate("opened") == ["by worker: pocket"]
