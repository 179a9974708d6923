"""Changes that the server refuses, on touch screens too, and the list of types to filter by."""

import itertools

import pytest
from playwright.sync_api import expect

from harness.elements import (
    assert_calm,
    bell,
    connected,
    expect_badge,
    expect_titles,
    open_elements,
    open_panel,
    until,
)

INBOX = "**/api/v1/notifications"
REFUSED = "Could not save the change"
BODY = "<header>{bell}</header><main><carillon-list></carillon-list></main>"


def refuse(route):
    if route.request.method == "GET":
        return route.fallback()
    return route.fulfill(
        status=503,
        json={"success": False, "error": {"code": "unavailable", "message": "later"}},
    )


def lose(route):
    return route.fallback() if route.request.method == "GET" else route.abort()


@pytest.mark.parametrize("answer", [refuse, lose])
def test_a_change_that_fails_is_said_and_undone(server, context, fresh_user, answer):
    user = fresh_user()
    for title in ("one", "two"):
        server.publish(user, title)
    page = connected(open_elements(context, server, bell(user)))
    context.route(f"{INBOX}/**", answer)
    opened = open_panel(page)
    said = opened.get_by_role("status").filter(has_text=REFUSED)
    opened.get_by_text("two").hover()
    opened.get_by_role("button", name="Dismiss: two").click()
    expect(said).to_be_visible()
    expect_titles(opened, ["two", "one"])
    until(page, "fired.some(([name]) => name === 'refused')")
    said.evaluate("(it) => it.replaceChildren()")
    opened.get_by_role("button", name="Mark all read").click()
    expect(said).to_be_visible()
    expect_badge(page, "2")
    said.evaluate("(it) => it.replaceChildren()")
    opened.get_by_role("button", name="one", exact=True).click()
    expect(said).to_be_visible()
    expect(opened.locator("carillon-item[unread]")).to_have_count(2)
    assert page.uncaught == []


def test_a_refused_change_of_a_whole_group_is_said(server, context, fresh_user):
    user = fresh_user()
    for title in ("one", "two"):
        server.publish(user, title, group_key="g")
    page = connected(open_elements(context, server, bell(user)))
    context.route(f"{INBOX}/**", refuse)
    opened = open_panel(page)
    opened.locator("carillon-item").hover()
    opened.get_by_role("button", name="Dismiss all 2: two").click()
    expect(opened.get_by_role("status").filter(has_text=REFUSED)).to_be_visible()
    expect_titles(opened, ["two"])
    assert page.uncaught == []


def test_a_page_may_show_a_refusal_itself(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "one")
    page = connected(open_elements(context, server, bell(user)))
    page.evaluate(
        "document.querySelector('carillon-bell').root.querySelector('carillon-panel')"
        ".addEventListener('carillon-refused', (event) => event.preventDefault())"
    )
    context.route(f"{INBOX}/**", refuse)
    opened = open_panel(page)
    opened.get_by_text("one").click()
    until(page, "fired.some(([name]) => name === 'refused')")
    expect(opened.get_by_text(REFUSED)).to_have_count(0)


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_no_control_covers_another_on_a_touch_screen(server, make_context, fresh_user, direction):
    user = fresh_user()
    server.publish(user, "a title " * 10, message="a message " * 20, priority="high")
    server.publish(user, "with a link", actions=[{"label": "Open", "url": "/x"}])
    context = make_context(
        server, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    body = BODY.format(bell=bell(user))
    page = connected(open_elements(context, server, body, dir=direction))
    items = page.locator("carillon-list carillon-item")
    expect(items).to_have_count(2)
    for item in items.all():
        expect(item.locator(".dismiss")).to_have_css("opacity", "1")
        # Measured all at once, because the rows above may still move this one.
        boxes = item.evaluate(
            """(it, parts) => Object.fromEntries(parts.map((part) =>
              [part, it.root.querySelector(part).getBoundingClientRect().toJSON()]))""",
            [".mark", ".dismiss", ".time", ".title", ".icon"],
        )
        for (one, box), (other, next_box) in itertools.combinations(boxes.items(), 2):
            assert not overlap(box, next_box), (one, other)
    # A finger needs more room than a pointer.
    size = items.first.locator(".dismiss").bounding_box()
    assert min(size["width"], size["height"]) >= 32


def overlap(one, other):
    return all(
        one[start] < other[start] + other[length] and other[start] < one[start] + one[length]
        for start, length in (("x", "width"), ("y", "height"))
    )


def test_the_filter_offers_types_that_are_not_loaded_yet(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "the oldest", type="rare")
    server.publish_many(user, [f"n {index}" for index in range(120)], "info")
    page = connected(open_elements(context, server, BODY.format(bell=bell(user))))
    shown = page.locator("carillon-list")
    expect(shown.locator("carillon-item")).to_have_count(20)
    types = shown.get_by_role("combobox")
    expect(types.locator("option")).to_have_text(["All types", "info", "rare"])
    types.select_option("rare")
    expect_titles(shown, ["the oldest"])
    assert_calm(page)


def test_a_long_inbox_is_searched_for_types_when_the_filter_is_used(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "the oldest", type="rare")
    server.publish_many(user, [f"n {index}" for index in range(450)], "info")
    page = connected(open_elements(context, server, BODY.format(bell=bell(user))))
    types = page.locator("carillon-list").get_by_role("combobox")
    expect(types.locator("option")).to_have_text(["All types", "info"])
    types.focus()
    expect(types.locator("option")).to_have_text(["All types", "info", "rare"])
    assert_calm(page)


def test_the_filter_offers_the_types_inside_a_group(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "one", type="rare", group_key="g")
    server.publish(user, "two", type="info", group_key="g")
    page = connected(open_elements(context, server, BODY.format(bell=bell(user))))
    types = page.locator("carillon-list").get_by_role("combobox")
    expect(types.locator("option")).to_have_text(["All types", "info", "rare"])
