"""inbox-watch's notifications page: the whole inbox in pages, with filters and live updates."""

import itertools
import sys

from playwright.sync_api import expect

from harness.elements import (
    assert_calm,
    bell,
    connected,
    drawn,
    expect_titles,
    open_elements,
    open_panel,
    screenshot,
    until,
)
from harness.tokens import user_token
from harness.waiting import wait_until

INBOX = "/api/v1/notifications"


def open_list(context, server, user, **attributes):
    """Opens a page with a list of ten notifications per page, and a bell that connects it."""
    words = {"page_size": 10, **attributes}
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in words.items())
    body = f"<header>{bell(user)}</header><main><carillon-list{extra}></carillon-list></main>"
    page = connected(open_elements(context, server, body))
    return page, page.locator("carillon-list")


def titles(start, end):
    """Returns the titles of the notifications with these numbers, newest first."""
    return [f"n {index}" for index in range(start - 1, end - 1, -1)]


def fill(server, user, count, type="info"):
    server.publish_many(user, [f"n {index}" for index in range(count)], type)


def choose(shown, name):
    shown.get_by_role("button", name=name, exact=True).click()


def hold(page, address, count=sys.maxsize):
    """Holds the server's answers to the first requests for this address; returns the held ones."""
    numbers, held = itertools.count(), []

    def take(route):
        if next(numbers) < count:
            held.append((route, route.fetch()))
        else:
            route.fallback()

    page.route(address, take)
    return held


def release(page, held):
    """Passes the held answers on to the page, and waits until it has drawn them."""
    page.evaluate("recordAnswers()")
    for route, answer in held:
        route.fulfill(response=answer)
    urls = {route.request.url for route, _ in held}
    wait_until("the page has read them", lambda: urls <= set(page.evaluate("answers")))
    drawn(page)


def test_the_whole_inbox_page_by_page_to_its_end(server, context, fresh_user):
    user = fresh_user()
    # More than the page's store holds.
    fill(server, user, 65)
    page, shown = open_list(context, server, user, page_size=30)
    expect_titles(shown, titles(65, 35))
    more = shown.get_by_role("button", name="Load more")
    more.focus()
    page.keyboard.press("Enter")
    expect_titles(shown, titles(65, 5))
    # The focus moves to the first new item.
    until(page, "document.activeElement.root.activeElement.notification?.title === 'n 34'")
    more.click()
    expect_titles(shown, titles(65, 0))
    expect(more).to_be_hidden()
    expect(shown.get_by_text("That’s everything")).to_be_visible()
    assert_calm(page)


def test_a_notification_between_pages_is_listed_once(server, context, fresh_user):
    user = fresh_user()
    fill(server, user, 15)
    page, shown = open_list(context, server, user)
    expect_titles(shown, titles(15, 5))
    server.publish(user, "newest")
    expect_titles(shown, ["newest", *titles(15, 5)])
    choose(shown, "Load more")
    expect_titles(shown, ["newest", *titles(15, 0)])
    assert_calm(page)


def test_a_notification_during_a_page_load_is_kept(server, context, fresh_user):
    user = fresh_user()
    fill(server, user, 3)
    page, shown = open_list(context, server, user)
    expect_titles(shown, titles(3, 0))
    held = hold(page, "**/api/v1/notifications?*unread=true*")
    choose(shown, "Unread only")
    wait_until("the page has asked", lambda: page.evaluate("1") and held)
    server.publish(user, "meanwhile")
    expect_titles(shown, ["meanwhile", *titles(3, 0)])
    for route, answer in held:
        route.fulfill(response=answer)
    expect(shown.locator("[aria-busy=true]")).to_have_count(0)
    expect_titles(shown, ["meanwhile", *titles(3, 0)])
    assert_calm(page)


def test_a_notification_pushed_and_in_the_page_counts_once(server, context, fresh_user):
    user = fresh_user()
    page, shown = open_list(context, server, user)
    expect(shown.get_by_text("You’re all caught up")).to_be_visible()
    held = []
    page.route("**/api/v1/notifications?*unread=true*", lambda route: held.append(route))
    choose(shown, "Unread only")
    wait_until("the page has asked", lambda: page.evaluate("1") and held)
    server.publish(user, "one of a group", group_key="g")
    expect_titles(shown, ["one of a group"])
    for route in held:
        route.continue_()
    expect(shown.locator("[aria-busy=true]")).to_have_count(0)
    expect_titles(shown, ["one of a group"])
    expect(shown.locator(".more")).to_be_hidden()


def test_an_answer_that_comes_too_late_changes_nothing(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "an error", type="error")
    server.publish(user, "an info", type="info")
    page, shown = open_list(context, server, user)
    expect_titles(shown, ["an info", "an error"])
    held = hold(page, "**/api/v1/notifications?*type=error*")
    types = shown.get_by_role("combobox")
    types.select_option("error")
    wait_until("the page has asked", lambda: page.evaluate("1") and held)
    types.select_option("info")
    expect_titles(shown, ["an info"])
    release(page, held)
    expect_titles(shown, ["an info"])
    types.select_option("")
    expect_titles(shown, ["an info", "an error"])
    assert_calm(page)


def test_filters_by_type_and_unread(server, context, fresh_user):
    user = fresh_user()
    fill(server, user, 12, type="trade.created")
    made = server.publish(user, "broken", type="error")
    page, shown = open_list(context, server, user)
    expect_titles(shown, ["broken", *titles(12, 3)])
    shown.get_by_role("combobox", name="All types").select_option(label="trade created")
    expect_titles(shown, titles(12, 2))
    server.publish(user, "not of this type", type="error")
    server.publish(user, "of this type", type="trade.created")
    expect_titles(shown, ["of this type", *titles(12, 2)])
    only = shown.get_by_role("button", name="Unread only")
    expect(only).to_have_attribute("aria-pressed", "false")
    only.click()
    expect(only).to_have_attribute("aria-pressed", "true")
    shown.get_by_role("combobox").select_option("error")
    expect_titles(shown, ["not of this type", "broken"])
    # A notification read elsewhere stays in the list until the list is loaded again.
    server.request("PUT", f"{INBOX}/{made['id']}/read", user_token(user))
    expect(shown.locator("carillon-item[unread]")).to_have_count(1)
    expect_titles(shown, ["not of this type", "broken"])
    only.click()
    expect_titles(shown, ["not of this type", "broken"])
    only.click()
    expect_titles(shown, ["not of this type"])
    shown.get_by_role("button", name="Dismiss: not of this type").click(force=True)
    expect(shown.get_by_text("Nothing matches")).to_be_visible()
    assert_calm(page)


def test_it_is_live(server, context, fresh_user):
    user, token = fresh_user(), None
    token = user_token(user)
    page, shown = open_list(context, server, user)
    expect(shown.get_by_text("You’re all caught up")).to_be_visible()
    made = [server.publish(user, f"n {index}") for index in range(4)]
    expect_titles(shown, titles(4, 0))
    expect(shown.get_by_text("4 unread")).to_be_visible()
    server.request("PUT", f"{INBOX}/{made[1]['id']}/read", token)
    expect(shown.locator("carillon-item[unread] .title")).to_have_text(["n 3", "n 2", "n 0"])
    server.request("DELETE", f"{INBOX}/{made[2]['id']}", token)
    expect_titles(shown, ["n 3", "n 1", "n 0"])
    # A change in another element of the page.
    open_panel(page).get_by_role("button", name="Mark all read").click()
    expect(shown.locator("carillon-item[unread]")).to_have_count(0)
    server.request("DELETE", INBOX, token)
    expect(shown.get_by_text("You’re all caught up")).to_be_visible()
    assert_calm(page)


def test_changes_during_an_outage_show_after_reconnecting(make_server, make_context):
    server, token = make_server(), user_token("ann")
    made = [server.publish("ann", f"n {index}") for index in range(4)]
    page, shown = open_list(make_context(server), server, "ann")
    expect_titles(shown, titles(4, 0))
    server.kill()
    expect(shown.locator("carillon-status")).to_have_text("Reconnecting…")
    context = page.context
    context.set_offline(True)
    server.start(port=server.port)
    server.request("PUT", f"{INBOX}/{made[3]['id']}/read", token)
    server.request("DELETE", f"{INBOX}/{made[0]['id']}", token)
    server.publish("ann", "n 4")
    context.set_offline(False)
    expect_titles(shown, titles(5, 1))
    expect(shown.locator("carillon-item[unread]")).to_have_count(3)
    assert_calm(page)


def test_a_group_opens_from_the_server(server, context, fresh_user):
    user = fresh_user()
    for index in range(60):
        server.publish(user, f"of the group {index}", group_key="g")
    server.publish(user, "alone")
    page, shown = open_list(context, server, user)
    expect_titles(shown, ["alone", "of the group 59"])
    shown.get_by_role("button", name="59 more").click()
    expect(shown.locator("carillon-item")).to_have_count(61)
    server.publish(user, "of the group 60", group_key="g")
    expect(shown.locator("carillon-item")).to_have_count(62)
    shown.get_by_role("button", name="Show less").click()
    expect_titles(shown, ["of the group 60", "alone"])
    shown.get_by_role("button", name="Dismiss all 61: of the group 60").click(force=True)
    expect_titles(shown, ["alone"])
    assert [each["title"] for each in server.inbox(user)] == ["alone"]
    assert_calm(page)


def test_changes_while_a_group_opens_are_kept(server, context, fresh_user):
    user = fresh_user()
    made = [server.publish(user, f"n {index}", group_key="g") for index in range(3)]
    page, shown = open_list(context, server, user)
    expect_titles(shown, ["n 2"])
    held = hold(page, "**/api/v1/notifications?*group_key=g*")
    shown.get_by_role("button", name="2 more").click()
    wait_until("the page has asked", lambda: page.evaluate("1") and held)
    server.publish(user, "n 3", group_key="g")
    expect_titles(shown, ["n 3", "n 2"])
    server.request("DELETE", f"{INBOX}/{made[2]['id']}", user_token(user))
    expect_titles(shown, ["n 3"])
    release(page, held)
    expect_titles(shown, ["n 3", "n 1", "n 0"])
    assert_calm(page)


def test_answers_for_the_last_user_are_not_shown_to_the_next(server, context, fresh_user):
    users = alice, bob = fresh_user("alice"), fresh_user("bob")
    for user in users:
        # A page shows a group as one row, so the list searches the whole inbox for types.
        server.publish(user, f"older of {user}", type=f"type.{user}", group_key="g")
        server.publish(user, f"newer of {user}", group_key="g")
    groups = "**/api/v1/notifications?*group_key=g*"
    types = "**/api/v1/notifications?*limit=200*collapse=false*"
    held_types = hold(context, types, count=1)
    page, shown = open_list(context, server, alice)
    expect_titles(shown, [f"newer of {alice}"])
    held_groups = hold(page, groups, count=1)
    shown.get_by_role("button", name="1 more").click()
    wait_until("the page has asked", lambda: page.evaluate("1") and held_types and held_groups)
    page.evaluate("(token) => core.wsClient.connect(token)", user_token(bob))
    expect_titles(shown, [f"newer of {bob}"])
    options = ["All types", "info", f"type {bob}".replace("-", " ")]
    expect(shown.locator("option")).to_have_text(options)
    release(page, held_types + held_groups)
    expect_titles(shown, [f"newer of {bob}"])
    expect(shown.locator("option")).to_have_text(options)
    expect(shown.get_by_role("button", name="1 more")).to_be_visible()
    assert_calm(page)


def test_a_failed_page_shows_an_error_and_can_be_retried(server, context, fresh_user):
    user = fresh_user()
    fill(server, user, 12)
    page, shown = open_list(context, server, user)
    expect_titles(shown, titles(12, 2))
    asked = f"{server.url}{INBOX}?*before=*"
    page.route(asked, lambda route: route.abort())
    choose(shown, "Load more")
    retry = shown.get_by_role("button", name="Try again")
    expect(retry).to_be_visible()
    # The loaded notifications stay.
    expect_titles(shown, titles(12, 2))
    expect(shown.get_by_text("Could not load notifications")).to_be_visible()
    until(page, "fired.some(([name]) => name === 'error')")
    page.unroute(asked)
    retry.click()
    expect_titles(shown, titles(12, 0))
    expect(shown.get_by_text("Could not load notifications")).to_be_hidden()
    assert_calm(page)


def test_a_list_that_cannot_load_shows_an_error(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "there")
    context.route("**/api/v1/notifications?*limit=10*", lambda route: route.abort())
    page, shown = open_list(context, server, user)
    expect(shown.get_by_text("Could not load notifications").first).to_be_visible()
    screenshot(page, "elements-list-failed")
    context.unroute("**/api/v1/notifications?*limit=10*")
    choose(shown, "Try again")
    expect_titles(shown, ["there"])
    assert_calm(page)
