"""The bell's signs, the panel and the toasts on phones, and a clear that can be undone."""

import re

import pytest
from playwright.sync_api import expect

from harness.elements import (
    asked,
    assert_calm,
    badge,
    bell,
    clear_all,
    close_panel,
    connected,
    expect_badge,
    expect_titles,
    open_elements,
    open_panel,
    toasts,
    until,
)
from harness.waiting import wait_until

# The bell in trouble.


def test_the_bell_shows_a_state_only_in_trouble(make_server, make_context):
    server = make_server()
    page = connected(open_elements(make_context(server), server, bell("ann")))
    sign = page.locator("carillon-bell .bell carillon-status")
    button = page.locator("carillon-bell .bell")
    expect(sign).to_be_hidden()
    expect(button).to_have_attribute("aria-label", "Notifications")
    server.kill()
    expect(sign).to_be_visible()
    expect(sign.locator(".dot")).to_have_css("background-color", "rgb(208, 116, 0)")
    expect(button).to_have_attribute("aria-label", "Notifications, Reconnecting…")
    expect(button).to_have_attribute("title", "Reconnecting…")
    server.start(port=server.port)
    expect(sign).to_be_hidden()
    expect(button).to_have_attribute("title", "")
    page.evaluate("core.defaultClient().disconnect()")
    expect(sign).to_have_attribute("data-state", "disconnected")
    expect(sign).to_be_hidden()


def test_the_badge_is_beside_the_icon(server, context, fresh_user):
    user = fresh_user()
    server.publish_many(user, [f"n {index}" for index in range(120)])
    page = connected(open_elements(context, server, bell(user)))
    expect_badge(page, "99+")
    icon = page.locator("carillon-bell .bell > svg").bounding_box()
    number = badge(page).bounding_box()
    assert icon["x"] + icon["width"] <= number["x"]
    assert icon["width"] >= 24
    button = page.locator("carillon-bell .bell").bounding_box()
    assert button["height"] >= 44
    assert number["x"] + number["width"] <= button["x"] + button["width"]


def test_the_panel_says_once_how_many_are_unread(server, context, fresh_user):
    user = fresh_user()
    for title in ("one", "two"):
        server.publish(user, title)
    page = connected(open_elements(context, server, f"{bell(user)}<carillon-list></carillon-list>"))
    for scope in (open_panel(page), page.locator("body > carillon-list")):
        expect_titles(scope, ["two", "one"])
        expect(scope.get_by_text(re.compile(r"\b2\b|unread"))).to_have_text(["2 unread"])


def test_the_time_is_in_the_row_of_the_title(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "a title of several words " * 4, message="a message", priority="high")
    body = f"{bell(user)}<carillon-list></carillon-list>"
    page = connected(open_elements(context, server, body))
    for scope in (open_panel(page), page.locator("body > carillon-list")):
        boxes = {
            part: scope.locator(f"carillon-item .{part}").first.bounding_box()
            for part in ("title", "time", "message")
        }
        assert boxes["title"]["x"] + boxes["title"]["width"] <= boxes["time"]["x"]
        assert abs(boxes["time"]["y"] - boxes["title"]["y"]) < boxes["time"]["height"]
        assert boxes["time"]["y"] + boxes["time"]["height"] <= boxes["message"]["y"]


# Phones.


PHONE = {"viewport": {"width": 390, "height": 700}, "has_touch": True, "is_mobile": True}


def test_the_panel_is_a_sheet_on_a_phone(server, make_context, fresh_user):
    user = fresh_user()
    server.publish(user, "one")
    page = connected(open_elements(make_context(server, **PHONE), server, bell(user)))
    opened = open_panel(page)
    until(page, "movingCount() === 0")
    box = opened.bounding_box()
    assert (box["x"], box["width"]) == (0, 390)
    assert abs(box["y"] + box["height"] - 700) < 1
    opened.get_by_role("button", name="Close").click()
    expect(opened).to_be_hidden()
    # A tap beside it closes it, too.
    open_panel(page)
    until(page, "movingCount() === 0")
    page.touchscreen.tap(200, 60)
    expect(opened).to_be_hidden()
    assert_calm(page)


GERMAN = {
    "Notifications": "Benachrichtigungen",
    "{n} unread": "{n} ungelesene",
    "Mark all read": "Alle als gelesen markieren",
    "Real-time": "In Echtzeit verbunden",
}
PAGES = {
    "English": dict(lang="en"),
    "long translations": dict(lang="de"),
    "right to left": dict(lang="ar", dir="rtl"),
    "large text": dict(
        style="carillon-list::part(title), carillon-list::part(text)"
        ", carillon-list::part(count) { font-size: 28px }"
    ),
}


@pytest.mark.parametrize("width", [320, 375])
@pytest.mark.parametrize("kind", PAGES)
def test_a_header_is_one_row_on_a_phone(server, make_context, fresh_user, kind, width):
    user = fresh_user()
    server.publish_many(user, [f"n {index}" for index in range(120)])
    context = make_context(server, **{**PHONE, "viewport": {"width": width, "height": 700}})
    body = f"{bell(user)}<carillon-list></carillon-list>"
    page = connected(open_elements(context, server, body, **PAGES[kind]))
    page.evaluate("(strings) => elements.setStrings('de', strings)", GERMAN)
    for scope in (page.locator("body > carillon-list"), open_panel(page)):
        expect(scope.locator("[part=count]")).to_contain_text("120")
        until(page, "movingCount() === 0")
        header = scope.locator("[part=header]").bounding_box()
        parts = (scope.locator(f"[part={part}]") for part in ("text", "opener"))
        boxes = [part.bounding_box() for part in (scope.locator("h2").locator(".."), *parts)]
        middles = [box["y"] + box["height"] / 2 for box in boxes]
        assert max(middles) - min(middles) < 2, boxes
        if kind == "right to left":
            boxes.reverse()
        edges = [edge for box in boxes for edge in (box["x"], box["x"] + box["width"])]
        assert edges == sorted(edges), "no part overlaps another one"
        assert header["x"] <= edges[0] and edges[-1] <= header["x"] + header["width"]
        assert scope.locator("h2").bounding_box()["width"] >= 80, "it is readable"
    assert_calm(page)


def test_a_phone_shows_one_toast_at_a_time(server, make_context, fresh_user):
    user = fresh_user()
    body = f'{bell(user)}<carillon-toast timeout="0"></carillon-toast>'
    page = connected(open_elements(make_context(server, **PHONE), server, body))
    for title in ("one", "two", "three"):
        server.publish(user, title)
    expect(toasts(page).locator(".title")).to_have_text(["three"])
    server.publish(user, "fire", priority="urgent")
    server.publish(user, "four")
    # A notification gets its toast before it is counted.
    expect_badge(page, "5")
    expect(toasts(page).locator(".title")).to_have_text(["fire"])
    assert_calm(page)


LONG = dict(title="a title of several words " * 9, message="a message " * 60, priority="high")


def test_a_low_window_shows_one_toast_at_a_time(server, make_context, fresh_user):
    user = fresh_user()
    # A window of 1280 by 800 pixels at a zoom of 200 %.
    context = make_context(server, viewport={"width": 640, "height": 400})
    body = f'{bell(user)}<carillon-toast timeout="0" position="bottom-end"></carillon-toast>'
    page = connected(open_elements(context, server, body))
    for _ in range(3):
        server.publish(user, **LONG)
    expect_badge(page, "3")
    expect(toasts(page)).to_have_count(1)
    until(page, "movingCount() === 0")
    box = toasts(page).bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 400, "the whole toast is visible"


# Clearing.


def test_a_clear_can_be_undone(server, context, fresh_user):
    user = fresh_user()
    for title in ("one", "two", "three"):
        server.publish(user, title)
    body = f"{bell(user)}<carillon-list></carillon-list>"
    page = connected(open_elements(context, server, body))
    shown = page.locator("body > carillon-list")
    opened = open_panel(page)
    for scope in (opened, shown):
        expect_titles(scope, ["three", "two", "one"])
    clear_all(opened)
    for scope in (opened, shown):
        expect_titles(scope, [])
        expect(scope.get_by_text("You’re all caught up")).to_be_visible()
    opened.get_by_role("button", name="Undo").click()
    for scope in (opened, shown):
        expect_titles(scope, ["three", "two", "one"])
    expect_badge(page, "3")
    # The end of the time for an undo deletes nothing any more.
    close_panel(page)
    assert asked(page, "DELETE") == []
    assert_calm(page)


def test_a_notification_that_comes_during_a_clear_is_kept(server, context, fresh_user):
    user = fresh_user()
    for title in ("one", "two"):
        server.publish(user, title)
    page = connected(open_elements(context, server, bell(user)))
    opened = open_panel(page)
    expect_titles(opened, ["two", "one"])
    clear_all(opened)
    expect_titles(opened, [])
    server.publish(user, "meanwhile")
    expect_titles(opened, ["meanwhile"])
    close_panel(page)
    titles = ["meanwhile"]
    wait_until(
        "the older ones are deleted",
        lambda: [each["title"] for each in server.inbox(user)] == titles,
    )
    expect_badge(page, "1")
    assert_calm(page)


def test_a_clear_becomes_final_after_some_seconds(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "one")
    page = connected(open_elements(context, server, f"{bell(user)}<carillon-list></carillon-list>"))
    shown = page.locator("body > carillon-list")
    expect_titles(shown, ["one"])
    clear_all(shown)
    undo = shown.get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    # The test ends the time of the message instead of waiting for it.
    page.evaluate("noticeTimes().forEach((time) => time.finish())")
    expect(undo).to_have_count(0)
    wait_until("it is deleted", lambda: server.inbox(user) == [])
    assert_calm(page)
