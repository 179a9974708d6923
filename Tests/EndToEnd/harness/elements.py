"""Pages with the custom elements, under the Content-Security-Policy of the server's own pages."""

import os
from pathlib import Path

from playwright.sync_api import expect

from harness.browser import MILLISECONDS, PATIENCE
from harness.server import ROOT
from harness.socketio_js import CLIENTS
from harness.tokens import user_token
from harness.waiting import wait_until

# The screenshots are for a person to review; CI keeps them.
SCREENSHOTS = Path(os.environ.get("CARILLON_SCREENSHOTS") or ROOT / ".build" / "screenshots")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# The page's script, with the functions that the tests call.
SCRIPT = CLIENTS / "elements_page.js"
PAGE = """<!doctype html>
<html lang="{lang}" dir="{dir}"><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/page.css"><script type="module" src="/page.js"></script>
<body>{body}</body></html>"""
STYLE = """
:root { color-scheme: light dark }
body { margin: 0; min-height: 100vh; font-family: system-ui, sans-serif;
  background: light-dark(#eef1f5, #12141a); color: light-dark(#222, #eee) }
header { display: flex; justify-content: space-between; align-items: center; padding: 8px 24px;
  background: light-dark(#fff, #1b1e25) }
main { max-inline-size: 760px; margin: 24px auto; padding: 0 16px }
"""


def bell(user, **attributes):
    """Returns the markup of a bell that connects the page's own client."""
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<carillon-bell token="{user_token(user)}"{extra}></carillon-bell>'


def open_elements(context, server, body, *, lang="en", dir="ltr", clock=None, style=STYLE):
    """Opens a page with `body` in it and waits until the elements are defined."""
    page = context.new_page()
    page.uncaught = []
    page.on("pageerror", lambda error: page.uncaught.append(str(error)))
    if clock is not None:
        page.clock.install(time=clock)
    text = PAGE.format(body=body, lang=lang, dir=dir)
    headers = {"Content-Security-Policy": POLICY}
    answers = {
        "/a-page": (text, "text/html", headers),
        "/page.js": (SCRIPT.read_text(), "text/javascript", {}),
        "/page.css": (style, "text/css", {}),
    }
    for path, (answer, kind, head) in answers.items():
        fulfill = fulfilling(answer, kind, head)
        page.route(server.url + path, fulfill)
    page.goto(server.url + "/a-page")
    until(page, "!!window.elements")
    return page


def fulfilling(body, kind, headers):
    return lambda route: route.fulfill(body=body, content_type=kind, headers=headers)


def until(page, condition):
    """Waits until an expression is true. It polls, since the page's policy forbids `eval`."""
    return wait_until(condition, lambda: page.evaluate(condition), within=PATIENCE)


def connected(page):
    """Waits until the page's own client is connected."""
    until(page, "core.wsClient.isConnected()")
    return page


def assert_calm(page):
    """Asserts that the page had no uncaught error and no policy violation."""
    assert page.uncaught == []
    assert page.evaluate("violations") == []


def badge(page):
    return page.locator("carillon-bell .badge").first


def expect_badge(page, text):
    expect(badge(page)).to_have_text(text, timeout=PATIENCE * MILLISECONDS)


def expect_titles(scope, titles):
    """Expects these titles in a list, from top to bottom."""
    expect(scope.locator("carillon-item .title")).to_have_text(
        titles, timeout=PATIENCE * MILLISECONDS
    )


def panel(page):
    return page.locator("carillon-bell carillon-panel")


def open_panel(page):
    page.locator("carillon-bell .bell").click()
    expect(panel(page)).to_be_visible()
    return panel(page)


def toasts(page):
    return page.locator("carillon-toast carillon-item")


def clear_all(scope):
    """Clears a panel or a list by its menu."""
    scope.get_by_role("button", name="More actions").click()
    scope.get_by_role("menuitem", name="Clear all").click()


def screenshot(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
