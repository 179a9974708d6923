"""Accessibility of the elements: keys, names and roles, contrast, motion, direction."""

import re

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
    panel,
    screenshot,
    until,
)
from harness.tokens import user_token
from harness.waiting import wait_until

SAMPLES = [
    dict(type="trade.created", title="Trade created", message="The trade for AAPL was made."),
    dict(type="csv.import", title="Import completed", message="1,204 rows were imported."),
    dict(type="trade.deleted", title="Trade removed", message="The trade for TSLA was removed."),
    dict(
        type="payment_failed",
        title="Payment failed",
        message="The card ending in 4242 was declined.",
        priority="high",
        entity_url="https://billing.example.com/invoices/77",
        actions=[{"label": "Update card", "url": "/billing"}],
    ),
    dict(type="comment", title="Ada replied", message="“Ship it on Monday.”", group_key="t"),
    dict(type="comment", title="Grace replied", message="“The log is ready.”", group_key="t"),
    dict(type="incident_created", title="New incident", message="INC-001", priority="urgent"),
    dict(type="info", title="A long title that wraps onto a second line", message="Lorem " * 60),
    dict(type="welcome", title="Welcome", message="مرحبا بالعالم"),
]
TYPES = {sample["type"] for sample in SAMPLES}
BODY = (
    "<header><b>Acme</b>{bell}</header>"
    '<main><carillon-list page-size="5"></carillon-list></main>'
    '<carillon-toast timeout="0" position="bottom-end"></carillon-toast>'
)


def fill(server, user):
    for sample in SAMPLES:
        server.publish(user, **sample)


def everything(context, server, user, body=BODY, **options):
    """Opens a page with all elements and the sample notifications in them."""
    fill(server, user)
    markup = body.format(bell=bell(user, href="/notifications"))
    page = connected(open_elements(context, server, markup, **options))
    expect_badge(page, str(len(SAMPLES)))
    shown = page.locator("carillon-list")
    expect(shown.locator("carillon-item")).to_have_count(5 if shown.count() else 0)
    return page


def focus(page):
    return page.evaluate("focusName()")


def expect_focus(page, pattern):
    wait_until(f"the focus is on {pattern}", lambda: re.search(pattern, focus(page) or ""))


def test_the_elements_work_from_the_keyboard_alone(server, context, fresh_user):
    user = fresh_user()
    page = everything(context, server, user, body="{bell}<a href='#end'>the next</a>")
    opener = page.get_by_role("button", name=re.compile("^Notifications, . unread$"))
    page.keyboard.press("Tab")
    expect(opener).to_be_focused()
    expect(opener).to_have_attribute("aria-haspopup", "dialog")
    expect(opener).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Notifications")).to_be_visible()
    expect(opener).to_have_attribute("aria-expanded", "true")
    expect_focus(page, "^title:Notifications")
    # The arrow keys, Home and End move through the items.
    for key, title in (
        ("ArrowDown", "Welcome"),
        ("ArrowDown", "A long title"),
        ("End", "Trade created"),
        ("ArrowDown", "Trade created"),
        ("ArrowUp", "Import completed"),
        ("Home", "Welcome"),
        ("ArrowUp", "Welcome"),
        ("ArrowDown", "A long title"),
    ):
        page.keyboard.press(key)
        expect_focus(page, f"^title:{title}")
    # Dismissing an item moves the focus to the next one.
    page.keyboard.press("Delete")
    expect_focus(page, "^title:New incident")
    expect_badge(page, "8")
    page.keyboard.press("Enter")
    expect_badge(page, "7")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect_focus(page, "^more:1 more")
    page.keyboard.press("Enter")
    expect_focus(page, "^more:Show less")
    expect(panel(page).locator("carillon-item")).to_have_count(8)
    page.keyboard.press("Tab")
    expect_focus(page, "^dismiss:Dismiss: Grace")
    # Escape closes the panel and returns the focus to the bell.
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(opener).to_be_focused()
    expect(opener).to_have_attribute("aria-expanded", "false")
    page.keyboard.press(" ")
    expect_focus(page, "^title:Notifications")
    # Shift+Tab leaves the panel for the bell, and Tab returns to it.
    page.keyboard.press("Shift+Tab")
    expect(opener).to_be_focused()
    page.keyboard.press("Tab")
    expect_focus(page, "^text:Mark all read")
    page.keyboard.press("Enter")
    expect(page.locator("carillon-bell .badge")).to_be_hidden()
    expect(page.get_by_role("button", name="Notifications", exact=True)).to_be_visible()
    # A button without further effect keeps the focus and is disabled.
    expect_focus(page, "^text:Mark all read")
    expect(page.get_by_role("button", name="Mark all read")).to_be_disabled()
    page.evaluate("document.querySelector('a').focus()")
    expect(panel(page)).to_be_hidden()
    assert_calm(page)


def test_the_focus_survives_changes_by_others(server, context, fresh_user):
    user = fresh_user()
    body = "{bell}<main><carillon-list></carillon-list></main>"
    fill(server, user)
    page = connected(open_elements(context, server, body.format(bell=bell(user))))
    shown = page.locator("carillon-list")
    shown.get_by_role("button", name="Trade removed", exact=True).focus()
    server.publish(user, "on top")
    expect(shown.locator("carillon-item .title").first).to_have_text("on top")
    expect_focus(page, "^title:Trade removed")
    (own,) = [each for each in server.inbox(user) if each["title"] == "Trade removed"]
    server.request("DELETE", f"/api/v1/notifications/{own['id']}", user_token(user))
    expect_focus(page, "^title:Import completed")
    # The focus stays when an item above it is deleted.
    (above,) = [each for each in server.inbox(user) if each["title"] == "on top"]
    server.request("DELETE", f"/api/v1/notifications/{above['id']}", user_token(user))
    expect(shown.locator("carillon-item .title").first).to_have_text("Welcome")
    expect_focus(page, "^title:Import completed")
    server.request("DELETE", "/api/v1/notifications", user_token(user))
    expect_focus(page, "^title:Notifications")


def test_the_focus_ring_is_visible(server, context, fresh_user):
    page = everything(context, server, fresh_user())
    seen = 0
    for _ in range(60):
        page.keyboard.press("Tab")
        ring = page.evaluate("isFocusSeen()")
        if ring is None:
            break
        assert ring, focus(page)
        seen += 1
    assert seen > 15


# Assistive technology.


def nodes(page):
    """Returns the page's accessibility tree, without ignored nodes."""
    session = page.context.new_cdp_session(page)
    tree = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return [node for node in tree if not node["ignored"]]


def value(node, name):
    return node.get(name, {}).get("value", "")


def test_roles_and_names(server, context, fresh_user):
    user = fresh_user()
    page = everything(context, server, user)
    open_panel(page)
    server.publish(user, "brand new")
    expect(page.locator("carillon-toast carillon-item")).to_have_count(1)
    tree = nodes(page)
    named = ("button", "link", "combobox", "dialog", "region", "image", "heading", "option")
    for node in tree:
        if value(node, "role") in named:
            assert value(node, "name").strip(), node
    roles = [value(node, "role") for node in tree]
    assert {"list", "listitem", "dialog", "region", "status", "combobox"} <= set(roles)
    assert roles.count("listitem") >= 10
    unread = [node for node in tree if value(node, "role") == "image"]
    assert {value(node, "name") for node in unread} == {"Unread"}
    # No button in a button, no link in a link, no duplicate id.
    count, nested = page.evaluate("interactiveCounts()")
    assert count > 20 and nested == 0
    ids = page.evaluate("all().map((it) => it.id).filter(Boolean)")
    assert len(ids) == len(set(ids))
    # All controls have at least the 24 by 24 pixels of WCAG 2.2.
    assert page.evaluate("smallTargets()") == []


def test_a_new_notification_is_announced_once(server, context, fresh_user):
    user = fresh_user()
    body = "{bell}<carillon-list></carillon-list><carillon-toast></carillon-toast>"
    page = connected(open_elements(context, server, body.format(bell=bell(user))))
    regions = page.locator("body > [aria-live]")
    expect(regions).to_have_count(2)
    server.publish(user, "one")
    until(page, "spoken.length === 1")
    server.publish(user, "fire", priority="urgent")
    until(page, "spoken.length === 2")
    assert page.evaluate("spoken") == [
        ["polite", "New notification: one"],
        ["assertive", "New notification: fire"],
    ]
    server.publish_many(user, [f"n {index}" for index in range(40)])

    def counts():
        texts = [text for _, text in page.evaluate("spoken")[2:]]
        return [int(text.split()[0]) if text[0].isdigit() else 1 for text in texts]

    # A burst of notifications is announced by number, not one by one.
    wait_until("all are announced", lambda: sum(counts()) >= 40)
    expect_badge(page, "42")
    assert sum(counts()) == 40 and max(counts()) > 1
    assert_calm(page)


# Looks.


def settled(page):
    """Waits until all animations have ended; a disconnected bell would pulse without end."""
    until(page, "movingCount() === 0")


def assert_contrast(page):
    measured = page.evaluate("contrasts()")
    assert len(measured) > 30
    for name, ratio, size, kind in measured:
        # WCAG 2.2, 1.4.3 and 1.4.11, allow less contrast for icons and large text.
        least = 3 if name == "svg" or float(size[:-2]) >= 24 else 4.5
        assert ratio >= least, (name, kind, size, round(ratio, 2))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(server, make_context, fresh_user, scheme):
    user = fresh_user()
    context = make_context(server, color_scheme=scheme, viewport={"width": 1_100, "height": 900})
    page = everything(context, server, user)
    screenshot(page, f"elements-list-{scheme}")
    assert_contrast(page)
    opened = open_panel(page)
    server.publish(user, **SAMPLES[3])
    server.publish(user, **SAMPLES[6])
    expect(page.locator("carillon-toast carillon-item")).to_have_count(2)
    expect_badge(page, str(len(SAMPLES) + 2))
    opened.locator("carillon-item").nth(2).hover()
    settled(page)
    screenshot(page, f"elements-open-{scheme}")
    assert_contrast(page)
    opened.get_by_role("button", name="Mark all read").click()
    expect(opened.locator("carillon-item[unread]")).to_have_count(0)
    page.mouse.move(0, 0)
    screenshot(page, f"elements-read-{scheme}")
    assert_contrast(page)


def test_the_theme_attribute_applies_to_the_whole_bell(server, make_context, fresh_user):
    context = make_context(server, color_scheme="light")
    page = everything(context, server, fresh_user())
    dark = "rgb(27, 30, 37)"
    opened = open_panel(page)
    expect(opened).to_have_css("background-color", "rgb(255, 255, 255)")
    page.evaluate("document.querySelector('carillon-bell').setAttribute('theme', 'dark')")
    expect(opened).to_have_css("background-color", dark)
    expect(opened.locator(".title").first).to_have_css("color", "rgb(236, 238, 242)")
    expect(page.locator("carillon-list")).to_have_css("background-color", "rgb(255, 255, 255)")


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_when_reduced_motion_is_preferred(server, make_context, fresh_user, motion):
    user = fresh_user()
    context = make_context(server, reduced_motion=motion)
    page = everything(context, server, user)
    server.publish(user, "new")
    expect(page.locator("carillon-toast carillon-item")).to_have_count(1)
    moving = set(page.evaluate("all().map((it) => getComputedStyle(it).animationName)"))
    if motion == "reduce":
        assert moving == {"none"}
        assert page.evaluate("movingCount()") == 0
    else:
        assert "come" in moving
    # The panel comes and goes with a transition.
    opened = open_panel(page)
    duration = opened.evaluate("(it) => getComputedStyle(it).transitionDuration")
    is_still = set(duration.split(", ")) == {"0s"}
    assert is_still == (motion == "reduce"), duration
    assert page.evaluate("movingCount()") == 0 or not is_still


def test_the_layout_mirrors_in_right_to_left_pages(server, make_context, fresh_user):
    user = fresh_user()
    context = make_context(server, viewport={"width": 1_100, "height": 900})
    left = everything(context, server, user)
    other = fresh_user()
    right = everything(context, server, other, dir="rtl", lang="ar")
    positions = {}
    for page, name, owner in ((left, "ltr", user), (right, "rtl", other)):
        opened = open_panel(page)
        server.publish(owner, "new", message="مرحبا بالعالم")
        expect(page.locator("carillon-toast carillon-item")).to_have_count(1)
        # Each of these has an effect on the width of an element that is measured below.
        expect_badge(page, str(len(SAMPLES) + 1))
        expect(page.locator("carillon-list option")).to_have_count(len(TYPES) + 1)
        settled(page)
        screenshot(page, f"elements-open-{name}")

        def middle(locator):
            box = locator.first.bounding_box()
            return box["x"] + box["width"] / 2

        positions[name] = {
            "bell": middle(page.locator("carillon-bell .bell")),
            "panel": middle(opened),
            "icon": middle(opened.locator("carillon-item .icon")),
            "badge": middle(page.locator("carillon-bell .badge"))
            - middle(page.locator("carillon-bell .bell")),
            "toast": middle(page.locator("carillon-toast")),
            "filter": middle(page.locator("carillon-list .types")),
        }
    width = 1_100
    for part, position in positions["ltr"].items():
        mirrored = -position if part == "badge" else width - position
        # Words differ in width, so elements beside them are not mirrored exactly.
        assert abs(positions["rtl"][part] - mirrored) < 20, (part, positions)
    assert positions["ltr"]["bell"] > width / 2 > positions["rtl"]["bell"]


@pytest.mark.parametrize("width", [320, 375])
def test_the_elements_fit_a_phone(server, make_context, fresh_user, width):
    user = fresh_user()
    context = make_context(server, viewport={"width": width, "height": 640}, has_touch=True)
    page = everything(context, server, user)
    opened = open_panel(page)
    server.publish(user, "w" * 200)
    expect(page.locator("carillon-toast carillon-item")).to_have_count(1)
    expect_titles(page.locator("carillon-toast"), ["w" * 200])
    settled(page)
    screenshot(page, f"elements-phone-{width}")
    for element in (opened, page.locator("carillon-toast"), page.locator("carillon-list")):
        box = element.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # The whole panel is on the screen.
    box = opened.bounding_box()
    assert box["y"] + box["height"] <= 640
    assert_calm(page)


def test_forced_colours_keep_the_coloured_marks_visible(server, make_context, fresh_user):
    context = make_context(server, forced_colors="active")
    page = everything(context, server, fresh_user())
    open_panel(page)
    for part in (".mark", ".dot", ".badge"):
        colors = page.locator(f"carillon-bell {part}").evaluate_all(
            "(all) => all.map((it) => getComputedStyle(it).backgroundColor)"
        )
        assert set(colors).isdisjoint({"rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"}), part
    screenshot(page, "elements-forced-colors")
