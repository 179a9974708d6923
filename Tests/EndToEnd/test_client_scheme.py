"""Light and dark: the elements look like the page around them, whatever the system prefers."""

import re

import pytest
from playwright.sync_api import expect

from harness.elements import (
    assert_calm,
    bell,
    connected,
    expect_badge,
    open_elements,
    open_panel,
    until,
)

SURFACES = {"light": "rgb(255, 255, 255)", "dark": "rgb(27, 30, 37)"}
BODY = "<header>{bell}</header><carillon-list></carillon-list>"
BODY += '<carillon-toast timeout="0"></carillon-toast>'
SCHEMES = {"light": re.compile("light|normal"), "dark": "dark"}
SYSTEMS = ["light", "dark"]
# Pages and the scheme that they have.
PAGES = {
    "nothing declared": ("", "light"),
    "a light page": ("body { background: #fff; color: #222 }", "light"),
    "declared light": (":root { color-scheme: light } body { background: #fff }", "light"),
    "declared dark": (":root { color-scheme: dark } body { background: #111 }", "dark"),
    "a dark page": ("body { background: #111; color: #eee }", "dark"),
    "a dark page in oklch": (
        "body { background: oklch(0.2 0 0); color: oklch(0.95 0.01 250) }",
        "dark",
    ),
    "a dark page in lab": ("body { background: lab(10 0 0); color: lab(94 0 0) }", "dark"),
    "a dark page in srgb": (
        "body { background: #111; color: color(srgb 0.9 0.9 0.95) }",
        "dark",
    ),
    "a dark header": (
        "body { background: #fff; color: #222 } header { background: #123; color: #fff }",
        "light",
    ),
}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", PAGES)
def test_the_elements_follow_the_page(server, make_context, fresh_user, system, name):
    user, (style, scheme) = fresh_user(), PAGES[name]
    context = make_context(server, color_scheme=system)
    body = BODY.format(bell=bell(user))
    page = connected(open_elements(context, server, body, style=style))
    opened = open_panel(page)
    server.publish(user, "new")
    expect_badge(page, "1")
    for element in (opened, page.locator("carillon-list"), page.locator("carillon-toast .item")):
        expect(element.first).to_have_css("color-scheme", SCHEMES[scheme])
    for element in (opened, page.locator("carillon-list")):
        expect(element).to_have_css("background-color", SURFACES[scheme])
    # The bell has the colour of the text around it, so it is visible wherever that text is.
    text = page.evaluate("getComputedStyle(document.querySelector('header')).color")
    expect(page.locator("carillon-bell .bell")).to_have_css("color", text)
    poor = [each for each in page.evaluate("contrasts()") if each[0] == "svg" and each[1] < 3]
    assert poor == []
    assert_calm(page)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_page_that_declares_both_follows_the_system(server, make_context, fresh_user, system):
    context = make_context(server, color_scheme=system)
    body = BODY.format(bell=bell(fresh_user()))
    page = connected(open_elements(context, server, body))
    expect(open_panel(page)).to_have_css("background-color", SURFACES[system])
    other = "light" if system == "dark" else "dark"
    page.emulate_media(color_scheme=other)
    expect(page.locator("carillon-list")).to_have_css("background-color", SURFACES[other])


def test_a_page_whose_own_colours_follow_the_system_is_followed(server, make_context, fresh_user):
    style = (
        "body { background: #fff; color: #222 }"
        "@media (prefers-color-scheme: dark) { body { background: #111; color: #eee } }"
    )
    body = BODY.format(bell=bell(fresh_user()))
    page = connected(
        open_elements(make_context(server, color_scheme="light"), server, body, style=style)
    )
    for system in ("light", "dark", "light"):
        page.emulate_media(color_scheme=system)
        expect(page.locator("carillon-list")).to_have_css("background-color", SURFACES[system])


def test_a_page_that_changes_its_colours_changes_the_elements(server, context, fresh_user):
    style = "body { color: #222; transition: color .05s } .night body { color: #eee }"
    body = BODY.format(bell=bell(fresh_user()))
    page = connected(open_elements(context, server, body, style=style))
    shown = page.locator("carillon-list")
    expect(shown).to_have_css("background-color", SURFACES["light"])
    page.evaluate("document.documentElement.classList.add('night')")
    expect(shown).to_have_css("background-color", SURFACES["dark"])
    page.evaluate("document.documentElement.classList.remove('night')")
    expect(shown).to_have_css("background-color", SURFACES["light"])


def test_an_attribute_or_a_property_overrides_the_page(server, context, fresh_user):
    body = BODY.format(bell=bell(fresh_user()))
    style = "body { background: #111; color: #eee }"
    page = connected(open_elements(context, server, body, style=style))
    shown = page.locator("carillon-list")
    expect(shown).to_have_css("background-color", SURFACES["dark"])
    page.evaluate("document.querySelector('carillon-list').setAttribute('theme', 'light')")
    expect(shown).to_have_css("background-color", SURFACES["light"])
    page.evaluate("document.body.style.setProperty('--carillon-color-scheme', 'light')")
    expect(open_panel(page)).to_have_css("background-color", SURFACES["light"])
    page.evaluate("document.querySelector('carillon-bell').setAttribute('theme', 'dark')")
    until(page, "getComputedStyle(document.querySelector('carillon-bell')).colorScheme === 'dark'")
    assert_calm(page)
