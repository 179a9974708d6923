"""Text of the page and of notifications in places where it selects something: languages, types."""

import pytest
from playwright.sync_api import expect

from harness.elements import (
    assert_calm,
    bell,
    connected,
    expect_titles,
    open_elements,
    open_panel,
    until,
)

# Types that are also members of every object.
MEMBERS = ["constructor", "__proto__", "toString", "hasOwnProperty", "__defineGetter__"]
BODY = "<header>{bell}</header><main><carillon-list></carillon-list></main>"


@pytest.mark.parametrize("lang", ["en_US", "pt_BR", "C", "en-US@posix", "de_DE.UTF-8", "", "!"])
def test_a_page_in_a_language_that_intl_refuses(server, context, fresh_user, lang):
    user = fresh_user()
    for index in range(2):
        server.publish(user, f"n {index}")
    # Chromium itself reports such a name when the system's locale is C.
    context.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'language', { get: () => 'en-US@posix' })"
    )
    body = BODY.format(bell=bell(user))
    page = connected(open_elements(context, server, body, lang=lang))
    opened = open_panel(page)
    for scope in (opened, page.locator("carillon-list")):
        expect_titles(scope, ["n 1", "n 0"])
        expect(scope.locator("time").first).not_to_be_empty()
        expect(scope.get_by_text("2 unread")).to_be_visible()
    assert_calm(page)


def test_types_named_like_the_members_of_an_object(server, context, fresh_user):
    user = fresh_user()
    for type in MEMBERS:
        server.publish(user, f"of {type}", type=type)
    page = connected(open_elements(context, server, BODY.format(bell=bell(user, sound=""))))
    page.evaluate("elements.setKind('toString', { icon: 'constructor', color: 'constructor' })")
    shown = page.locator("carillon-list")
    expect_titles(shown, [f"of {type}" for type in reversed(MEMBERS)])
    expect_titles(open_panel(page), [f"of {type}" for type in reversed(MEMBERS)])
    page.keyboard.press("Escape")
    for type in MEMBERS:
        shown.get_by_role("combobox").select_option(type)
        expect_titles(shown, [f"of {type}"])
    server.publish(user, "sounds", type="toString")
    expect(page.locator("carillon-bell .badge")).to_have_text(str(len(MEMBERS) + 1))
    assert_calm(page)


@pytest.mark.parametrize("size", ["", "x", "-1", "0", "1e9", "20; drop"])
def test_attributes_that_are_no_number(server, context, fresh_user, size):
    user = fresh_user()
    server.publish(user, "first")
    body = (
        f'{bell(user)}<carillon-list page-size="{size}"></carillon-list>'
        f'<carillon-toast timeout="{size}"></carillon-toast>'
    )
    page = connected(open_elements(context, server, body))
    expect_titles(page.locator("carillon-list"), ["first"])
    server.publish(user, "second")
    expect_titles(page.locator("carillon-toast"), ["second"])
    assert_calm(page)


def test_an_address_that_is_none_leaves_the_bell_usable(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "first")
    page = connected(open_elements(context, server, bell(user, url="http://[")))
    expect_titles(open_panel(page), ["first"])
    assert_calm(page)


# Right to left.


def test_texts_that_are_not_translated_keep_their_order(server, context, fresh_user):
    user = fresh_user()
    for index in range(3):
        server.publish(user, f"n {index}", group_key="g")
    body = BODY.format(bell=bell(user))
    page = connected(open_elements(context, server, body, lang="ar-EG", dir="rtl"))
    opened = open_panel(page)
    for text in ("3 unread", "2 more"):
        shown = opened.get_by_text(text, exact=True)
        expect(shown).to_be_visible()
        # The number, which is first, is to the left of the word, although the page is read from
        # the right.
        edges = shown.evaluate("(it) => characterEdges(it)")
        assert edges == sorted(edges), (text, edges)
    expect(opened.locator("time")).to_have_text("الآن")
    page.evaluate("elements.setStrings('ar', { '{n} unread': '{n} غير مقروءة' })")
    server.publish(user, "n 3", group_key="g")
    translated = opened.get_by_text("٤ غير مقروءة", exact=True)
    expect(translated).to_be_visible()
    edges = translated.evaluate("(it) => characterEdges(it)")
    assert edges[0] == max(edges), "an Arabic text begins at the right"
    assert_calm(page)


@pytest.mark.parametrize("dir, text", [("rtl", "words "), ("ltr", "كلمات ")])
def test_the_dots_of_a_text_of_the_other_direction_are_visible(
    server, context, fresh_user, dir, text
):
    user = fresh_user()
    server.publish(user, "short", message=text * 200)
    page = connected(open_elements(context, server, bell(user), dir=dir))
    opened = open_panel(page)
    message = opened.locator("carillon-item .message")
    expect(message).to_be_visible()
    until(page, "movingCount() === 0")
    box = message.bounding_box()
    line = box["height"] / 3
    # The dots follow the text's last line, in the margin between the text and the icon.
    x = box["x"] + box["width"] + 1 if dir == "rtl" else box["x"] - 9
    first, last = (
        page.screenshot(clip=dict(x=x, y=y, width=8, height=line))
        for y in (box["y"], box["y"] + 2 * line)
    )
    assert first != last


def test_a_long_type_widens_no_filter(server, make_context, fresh_user):
    user = fresh_user()
    server.publish(user, "one", type="a_type_with_a_long_name." * 2)
    context = make_context(server, viewport={"width": 320, "height": 700})
    page = connected(open_elements(context, server, BODY.format(bell=bell(user))))
    expect(page.locator("carillon-list option")).to_have_count(2)
    filters = page.locator("carillon-list [part=filters]").bounding_box()
    types = page.locator("carillon-list [part=types]").bounding_box()
    assert filters["x"] <= types["x"]
    assert types["x"] + types["width"] <= filters["x"] + filters["width"] - 16
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
