"""The server's own pages in Chromium: opened, watched for errors, kept as pictures."""

import os
import re
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect

from harness.browser import PATIENCE, open_page
from harness.proxy import BackgroundProxy
from harness.server import ROOT
from harness.socketio_js import CLIENTS

# Where a person, or the CI, looks at what was seen.
SCREENSHOTS = Path(os.environ.get("CARILLON_SCREENSHOTS") or ROOT / ".build" / "screenshots")
MILLISECONDS = 1_000
# On a busy machine too.
expect.set_options(timeout=2 * PATIENCE * MILLISECONDS)

# What a page does with a text that it takes for markup, each in its own way.
HOSTILE = [
    "<script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 1">',
    "\u202e<svg onload='window.hacked = 1'>\"'&amp;`${window.hacked = 1}",
]

# Runs before the page's own scripts; holds the questions that tests ask of it.
WATCH = CLIENTS / "own_page.js"


def open_own_page(context, path, server=None, url=None):
    """One of the server's pages, watched from its beginning; see `assert_quiet`."""
    context.add_init_script(path=WATCH)
    said = []

    def hear(message):
        if message.type in ("error", "warning"):
            said.append(message.text)

    context.on("console", hear)
    page = open_page(context, path, server=server, url=url)
    page.said = said
    return page


def assert_quiet(page, unreachable=False):
    """Nothing was thrown, refused by the policy or complained of; nor did a hostile text run.

    A server that is away is complained of by the browser itself: `unreachable` lets that pass.
    """
    assert page.uncaught == [], page.uncaught
    violations, hacked = page.evaluate("[window.violations, window.hacked]")
    assert violations == [] and hacked is None, (violations, hacked)
    said = page.said
    if unreachable:
        said = [each for each in said if not is_about_network(each)]
    assert said == [], said


def is_about_network(text):
    """Whether the browser says that something could not be reached, and nothing else."""
    return bool(
        re.search(r"net::ERR_|WebSocket connection to .* failed|the server responded with", text)
    )


def assert_fit(page):
    """What a reader of the screen, a keyboard and weak eyes need."""
    faults, poor = page.evaluate("faults()"), page.evaluate("poorContrasts()")
    assert faults == [], faults
    assert poor == [], poor


def keep(page, name):
    """Keeps a picture of the whole page for a person to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@contextmanager
def lasting_address(server):
    """An origin that stays while the server behind it ends and begins again on another port."""
    with BackgroundProxy(server) as proxy:
        yield f"http://127.0.0.1:{proxy.address[1]}"


def wait_for(page, expression, value=None):
    """Waits until an expression of the page is true."""
    page.wait_for_function(expression, arg=value, timeout=PATIENCE * MILLISECONDS)
