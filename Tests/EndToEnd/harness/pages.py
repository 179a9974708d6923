"""The server's own pages in Chromium: opening them, checking for errors, taking screenshots."""

import os
import re
from contextlib import contextmanager
from pathlib import Path

from harness.browser import MILLISECONDS, PATIENCE, RECORD_ANSWERS, open_page
from harness.proxy import BackgroundProxy
from harness.server import ROOT
from harness.socketio_js import CLIENTS

# The screenshots are for a person to review; CI keeps them.
SCREENSHOTS = Path(os.environ.get("CARILLON_SCREENSHOTS") or ROOT / ".build" / "screenshots")

# Texts that run a script if a page treats them as markup, each by another construct.
HOSTILE = [
    "<script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 1">',
    "\u202e<svg onload='window.hacked = 1'>\"'&amp;`${window.hacked = 1}",
]

# Runs before the page's own scripts; defines the functions that the tests call.
WATCH = CLIENTS / "own_page.js"


def open_own_page(context, path, server=None, url=None):
    """Opens one of the server's pages and records its errors from the start for `assert_quiet`."""
    context.add_init_script(path=WATCH)
    context.add_init_script(path=RECORD_ANSWERS)
    said = []

    def record(message):
        if message.type in ("error", "warning"):
            said.append(message.text)

    context.on("console", record)
    page = open_page(context, path, server=server, url=url)
    page.said = said
    return page


def assert_quiet(page, unreachable=False):
    """Asserts no uncaught error, policy violation, console warning or executed hostile text.

    The browser itself logs an error when the server is unreachable; `unreachable` allows that.
    """
    assert page.uncaught == [], page.uncaught
    violations, hacked = page.evaluate("[window.violations, window.hacked]")
    assert violations == [] and hacked is None, (violations, hacked)
    said = page.said
    if unreachable:
        said = [each for each in said if not is_about_network(each)]
    assert said == [], said


def is_about_network(text):
    """Whether a console message only reports a failed network request."""
    return bool(
        re.search(r"net::ERR_|WebSocket connection to .* failed|the server responded with", text)
    )


def assert_fit(page):
    """Asserts that a page suits screen readers and keyboards and has sufficient contrast."""
    faults, poor = page.evaluate("faults()"), page.evaluate("poorContrasts()")
    assert faults == [], faults
    assert poor == [], poor


def keep(page, name):
    """Saves a screenshot of the whole page for a person to review."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@contextmanager
def lasting_address(server):
    """Yields an origin that stays the same while its server restarts on another port."""
    with BackgroundProxy(server) as proxy:
        yield f"http://127.0.0.1:{proxy.address[1]}"


def wait_for(page, expression, value=None):
    """Waits until an expression is true in the page."""
    page.wait_for_function(expression, arg=value, timeout=PATIENCE * MILLISECONDS)
