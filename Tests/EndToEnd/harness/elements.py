"""Pages with the custom elements, under the Content-Security-Policy of the server's own pages."""

import os
from pathlib import Path

from playwright.sync_api import expect

from harness.browser import RECORD_ANSWERS
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
<html{attributes}><meta charset="utf-8"><title>A page</title>
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
    return f'<carillon-bell token="{user_token(user)}"{markup(attributes)}></carillon-bell>'


def markup(attributes):
    return "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())


def open_elements(context, server, body, *, clock=None, style=STYLE, **attributes):
    """Opens a page with `body` in it and waits until the elements are defined.

    The attributes are those of `html`; the page's client connects and loads again after about
    `data_interval` milliseconds.
    """
    page = context.new_page()
    page.uncaught = []
    page.on("pageerror", lambda error: page.uncaught.append(str(error)))
    if clock is not None:
        page.clock.install(time=clock)
    attributes = {"lang": "en", "dir": "ltr", "data_interval": 100, **attributes}
    text = PAGE.format(body=body, attributes=markup(attributes))
    headers = {"Content-Security-Policy": POLICY}
    answers = {
        "/a-page": (text, "text/html", headers),
        "/page.js": (SCRIPT.read_text() + RECORD_ANSWERS.read_text(), "text/javascript", {}),
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
    return wait_until(condition, lambda: page.evaluate(condition))


def connected(page):
    """Waits until the page's own client is connected."""
    until(page, "core.wsClient.isConnected()")
    return page


def drawn(page):
    """Waits until the elements have drawn all that they know now; they draw once per frame."""
    page.evaluate("new Promise((end) => requestAnimationFrame(() => end()))")


def assert_calm(page):
    """Asserts that the page had no uncaught error and no policy violation."""
    assert page.uncaught == []
    assert page.evaluate("violations") == []


def badge(page):
    return page.locator("carillon-bell .badge").first


def expect_badge(page, text):
    expect(badge(page)).to_have_text(text)


def expect_titles(scope, titles):
    """Expects these titles in a list, from top to bottom."""
    expect(scope.locator("carillon-item .title")).to_have_text(titles)


def panel(page):
    return page.locator("carillon-bell carillon-panel")


def open_panel(page):
    """Opens the bell's panel, and waits until it has its place and the focus."""
    page.evaluate("watchPanel()")
    page.locator("carillon-bell .bell").click()
    until(page, "panelState === 'open'")
    expect(panel(page)).to_be_visible()
    return panel(page)


def close_panel(page):
    """Closes the bell's panel, and waits until the bell has handled that."""
    page.keyboard.press("Escape")
    until(page, "panelState === 'closed'")
    expect(panel(page)).to_be_hidden()


def asked(page, method, path=""):
    """Returns the paths of the page's requests so far with this method and this end of the path."""
    requests = page.evaluate("asked")
    return [each for name, each in requests if name == method and each.endswith(path)]


def toasts(page):
    return page.locator("carillon-toast carillon-item")


def clear_all(scope):
    """Clears a panel or a list by its menu."""
    scope.get_by_role("button", name="More actions").click()
    scope.get_by_role("menuitem", name="Clear all").click()


def screenshot(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
