"""An inbox that is not known yet, or cannot be loaded, is not called empty."""

import pytest
from playwright.sync_api import expect

from harness.elements import (
    assert_calm,
    bell,
    connected,
    drawn,
    expect_badge,
    expect_titles,
    open_elements,
    open_panel,
    panel,
    until,
)
from harness.tokens import user_token
from harness.waiting import wait_until

PAGES = "**/api/v1/notifications?*"
EMPTY = "You’re all caught up"
FAILED = "Could not load notifications"
BODY = "<header>{bell}</header><main><carillon-list></carillon-list></main>"


def scopes(page):
    open_panel(page)
    return [panel(page), page.locator("carillon-list")]


def test_rows_without_content_until_the_list_is_loaded(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "there")
    held, is_open = [], False
    context.route(PAGES, lambda route: route.continue_() if is_open else held.append(route))
    page = open_elements(context, server, BODY.format(bell=bell(user)))
    shown = scopes(page)
    for scope in shown:
        expect(scope.locator(".skeleton")).to_be_visible()
        expect(scope.locator("carillon-item")).to_have_count(0)
        expect(scope.get_by_role("status").filter(has_text="Loading…")).to_be_attached()
        expect(scope.get_by_text(EMPTY)).to_have_count(0)
    # Both the list and the page's store load.
    wait_until("both have asked", lambda: page.evaluate("1") and len(held) >= 2)
    is_open = True
    while held:
        held.pop().continue_()
    for scope in shown:
        expect_titles(scope, ["there"])
        expect(scope.locator(".skeleton")).to_be_hidden()
    assert_calm(page)


def test_an_empty_inbox_is_empty_once_it_is_loaded(server, context, fresh_user):
    page = open_elements(context, server, BODY.format(bell=bell(fresh_user())))
    for scope in scopes(page):
        expect(scope.get_by_text(EMPTY)).to_be_visible()
        expect(scope.locator(".skeleton")).to_be_hidden()
    assert_calm(page)


@pytest.mark.parametrize("cause", ["a bad token", "an unreachable server", "a failing list"])
def test_a_failure_is_said_and_can_be_retried(server, context, fresh_user, cause):
    user = fresh_user()
    server.publish(user, "there")
    good, markup = user_token(user), bell(user)
    if cause == "a bad token":
        markup = markup.replace(good, "not.a.token")
    elif cause == "an unreachable server":
        context.route("**/api/**", lambda route: route.abort())
        context.route_web_socket("**/api/**", lambda socket: socket.close())
    else:
        context.route(PAGES, lambda route: route.fulfill(status=500, body="{}"))
    # The client must not load again by itself what the button loads.
    interval = 120_000 if cause == "a failing list" else 100
    page = open_elements(context, server, BODY.format(bell=markup), data_interval=interval)
    if cause == "a failing list":
        # The list loads again once the client has connected.
        drawn(connected(page))
    shown = scopes(page)
    for scope in shown:
        expect(scope.get_by_text(FAILED)).to_be_visible()
        expect(scope.get_by_text(EMPTY)).to_have_count(0)
        expect(scope.get_by_role("button", name="Try again")).to_have_count(1)
    if cause == "a bad token":
        page.evaluate("(token) => core.wsClient.connect(token)", good)
        connected(page)
    elif cause == "a failing list":
        context.unroute(PAGES)
        for scope in shown:
            scope.get_by_role("button", name="Try again").click()
    if cause != "an unreachable server":
        for scope in shown:
            expect_titles(scope, ["there"])
            expect(scope.get_by_text(FAILED)).to_have_count(0)
        assert page.uncaught == []


def test_a_retry_that_fails_says_so_again_and_keeps_the_focus(server, context, fresh_user):
    held, is_open = [], True
    context.route(PAGES, lambda route: route.abort() if is_open else held.append(route))
    # A client that connects loads again what it could not load before, and then the button is gone.
    body = BODY.format(bell=bell(fresh_user()))
    page = connected(open_elements(context, server, body, data_interval=120_000))
    drawn(page)
    shown = page.locator("carillon-list")
    again = shown.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    is_open = False
    again.press("Enter")
    # The button is gone while the list loads again, and with it the focus on it.
    expect(shown.locator(".skeleton")).to_be_visible()
    expect(again).to_have_count(0)
    until(page, "focusName() === 'title:Notifications'")
    # The list and the page's store ask.
    wait_until("it asks again", lambda: page.evaluate("1") and len(held) >= 2)
    is_open = True
    for route in held:
        route.abort()
    expect(again).to_be_visible()
    assert page.evaluate("focusName()") == "title:Notifications"
    assert page.uncaught == []


def test_a_page_without_a_client_says_that_it_is_not_connected(server, context):
    page = open_elements(context, server, "<carillon-list></carillon-list><carillon-panel>")
    for name in ("carillon-list", "carillon-panel"):
        expect(page.locator(name).get_by_text("Not connected")).to_be_visible()
    # A store of the page's own is the whole inbox.
    page.evaluate("document.querySelector('carillon-panel').store = new core.NotificationStore()")
    expect(page.locator("carillon-panel").get_by_text(EMPTY)).to_be_visible()
    assert_calm(page)


def test_the_next_user_does_not_see_the_rows_of_the_one_before(server, context, fresh_user):
    alice, bob = fresh_user("alice"), fresh_user("bob")
    server.publish(alice, "for alice")
    server.publish(bob, "for bob")
    page = connected(open_elements(context, server, BODY.format(bell=bell(alice))))
    expect_badge(page, "1")
    shown = scopes(page)
    for scope in shown:
        expect_titles(scope, ["for alice"])
    context.route(PAGES, lambda route: route.abort())
    page.evaluate("(token) => core.wsClient.connect(token)", user_token(bob))
    drawn(connected(page))
    for scope in shown:
        expect_titles(scope, [])
        expect(scope.get_by_text(FAILED)).to_be_visible()
    context.unroute(PAGES)
    shown[1].get_by_role("button", name="Try again").click()
    expect_titles(shown[1], ["for bob"])
    assert page.uncaught == []
