"""Native notifications with several tabs: one tab shows them, and only when all are hidden.

Tests/WebClient/native.test.js has the cases of one page.
"""

import pytest

from harness.browser import Tab


@pytest.fixture
def open_tab(context, server, fresh_user):
    user = fresh_user()

    def open_one():
        tab = Tab(context, server, user).connected()
        tab.evaluate("fakeNative()")
        return tab

    return open_one


def published(server, tab, title, **fields):
    server.publish(tab.user, title, **fields)
    tab.until("(title) => titles().includes(title)", title)


def test_it_is_shown_once_and_only_when_no_tab_is_visible(server, open_tab):
    first, second = open_tab(), open_tab()
    published(server, first, "both visible")
    first.evaluate("hide(true)")
    second.until("!isHidden")
    first.until("client.isVisible")
    published(server, first, "one visible")
    second.evaluate("hide(true)")
    first.until("!client.isVisible")
    published(server, first, "none visible")
    second.until("titles().length === 3")
    assert first.evaluate("natives") == ["none visible"]
    assert second.evaluate("natives") == []
    # A closed tab no longer counts as visible.
    second.evaluate("hide(false)")
    first.until("client.isVisible")
    second.page.close()
    first.until("!client.isVisible")
    published(server, first, "alone")
    assert first.evaluate("natives") == ["none visible", "alone"]
