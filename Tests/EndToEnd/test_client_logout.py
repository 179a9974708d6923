"""Logouts through the elements: a removed token, and a removed element.

Tests/WebClient/logout.test.js has the cases that need no real browser, test_client_react.py the
hook's.
"""

import pytest
from playwright.sync_api import expect

from harness.elements import assert_calm, bell, connected, expect_badge, open_elements, until
from harness.shards import own_connections
from harness.tokens import user_token
from harness.waiting import wait_until

BELL = "document.querySelector('carillon-bell')"


@pytest.fixture
def opened(server, context, fresh_user):
    """Two pages of one user with an unread notification, in one browser."""
    user = fresh_user()
    server.publish(user, "private")
    pages = [open_elements(context, server, bell(user)) for _ in range(2)]
    for page in pages:
        connected(page)
        expect_badge(page, "1")
    return user, pages


def leads(page):
    """Waits until the page has the connection of the user's tabs."""
    until(page, "core.defaultClient().isLeader && core.wsClient.isConnected()")


def has_one(server, user, before):
    """Whether the user has one connection, and it is none of those before."""
    ids = [each["id"] for each in own_connections(server, user)]
    return len(ids) == 1 and ids[0] not in before


@pytest.mark.parametrize(
    "change",
    [f"{BELL}.removeAttribute('token')", f"{BELL}.setAttribute('token', '')"],
    ids=["removed", "emptied"],
)
def test_a_bell_without_its_token_logs_out_in_all_tabs(server, opened, change):
    user, pages = opened
    # A hidden tab draws nothing, but the logout does not wait until it is visible.
    pages[0].evaluate("window.requestAnimationFrame = () => 0")
    pages[0].evaluate(change)
    for page in pages:
        until(page, "core.notificationStore.value.notifications.length === 0")
        until(page, "!core.wsClient.isConnected()")
    expect_badge(pages[1], "")
    wait_until("no connection", lambda: own_connections(server, user) == [])
    for page in pages:
        assert_calm(page)


def test_the_next_token_shows_nothing_of_the_last_user(server, opened, fresh_user):
    user, (page, other) = opened
    before = [each["id"] for each in own_connections(server, user)]
    shown = page.evaluate(
        f"""(token) => {{
          const page = {BELL}
          page.setAttribute('token', token)
          return core.notificationStore.value.notifications.length
        }}""",
        user_token(fresh_user()),
    )
    assert shown == 0
    until(page, "core.wsClient.isConnected() && core.notificationStore.value.loaded")
    assert page.evaluate("core.notificationStore.value.notifications") == []
    expect_badge(page, "")
    leads(other)
    wait_until("the other tab stays", lambda: has_one(server, user, before))


def test_the_last_element_that_is_removed_disconnects_its_tab(server, opened):
    user, (page, other) = opened
    (before,) = own_connections(server, user)
    # An element that is removed and inserted in one task, or moves, keeps the connection.
    page.evaluate(
        f"""() => {{
          window.states = []
          core.defaultClient().addEventListener('state', ({{ detail }}) => states.push(detail))
          window.bell = {BELL}
          bell.remove()
          document.body.append(bell)
          document.body.append(bell, document.createElement('carillon-list'))
        }}"""
    )
    page.evaluate("bell.remove()")
    page.evaluate("document.body.append(bell); bell.remove()")
    expect(page.locator("carillon-list carillon-item")).to_have_count(1)
    assert page.evaluate("core.wsClient.isConnected()")
    assert page.evaluate("states") == []
    assert [each["id"] for each in own_connections(server, user)] == [before["id"]]
    page.evaluate("document.querySelector('carillon-list').remove()")
    until(page, "!core.wsClient.isConnected()")
    leads(other)
    expect_badge(other, "1")
    # The same element comes back, and with it the connection.
    page.evaluate("document.body.append(bell)")
    until(page, "core.wsClient.isConnected()")
    expect_badge(page, "1")
    wait_until("one connection", lambda: has_one(server, user, [before["id"]]))
    # A logout in another tab also ends what the removed element would bring back.
    page.evaluate("bell.remove()")
    until(page, "!core.wsClient.isConnected()")
    other.evaluate("core.wsClient.disconnect()")
    until(page, "core.notificationStore.value.notifications.length === 0")
    page.evaluate("document.body.append(bell)")
    expect_badge(page, "")
    assert page.evaluate("core.defaultClient().isWanted") is False
    for each in (page, other):
        assert_calm(each)


def test_a_client_that_the_page_connected_outlives_its_elements(server, context, fresh_user):
    user = fresh_user()
    page = open_elements(context, server, "<carillon-list></carillon-list>")
    page.evaluate("(token) => core.wsClient.connect(token)", user_token(user))
    connected(page)
    page.evaluate(
        """() => {
          document.querySelector('carillon-list').remove()
          return new Promise((resolve) => setTimeout(() => setTimeout(resolve)))
        }"""
    )
    assert page.evaluate("core.wsClient.isConnected()")
