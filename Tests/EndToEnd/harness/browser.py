"""Pages in a real Chromium, which import the browser client as a site would.

Each page is of a server's own origin. Its client's files come from the server; a server that does
not have them, because it was built before they were, is helped out from the sources.
"""

import mimetypes
import re
import shutil
from pathlib import Path

from harness.server import ROOT
from harness.socketio_js import CHROMIUMS, SWITCHES
from playwright.sync_api import sync_playwright

WEB_CLIENT = ROOT / "Sources" / "WebClient"
BLANK = "/a-page"
BLANK_TEXT = "<!doctype html><meta charset=utf-8><title>A page</title><body></body>"
# What a page and a test may wait for.
PATIENCE = 15
MILLISECONDS = 1_000
CLIENT_FILE = re.compile(r"/client/(?:~/|[0-9a-f]{16,}/)?([\w./-]+)$")


class Chromium:
    """One headless Chromium for all tests; it starts with the first."""

    def __init__(self):
        self.playwright = self.browser = None

    def launch(self):
        if self.browser is None:
            path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
            assert path, f"none of {CHROMIUMS} is on the PATH"
            self.playwright = sync_playwright().start()
            # Notifications of its own are of no use without a screen; see `grant` in the contexts.
            self.browser = self.playwright.chromium.launch(executable_path=path, args=SWITCHES)
        return self.browser

    def close(self):
        if self.browser is not None:
            self.browser.close()
            self.playwright.stop()
            self.browser = self.playwright = None


def client_file(url):
    """The client's file that a URL names; none if there is none."""
    found = CLIENT_FILE.search(url.split("?")[0])
    if not found:
        return None
    folder = "" if found[1].startswith("pages/") else "client/"
    path = (WEB_CLIENT / (folder + found[1])).resolve()
    return path if path.is_file() and WEB_CLIENT in path.parents else None


def serve_client(context, server):
    """Helps a server out with the client's files, if it has none."""
    if server.request("GET", "/client/carillon.js").status != 404:
        return

    def fulfill(route):
        path = client_file(route.request.url)
        if path is None:
            return route.fulfill(status=404)
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        # Pages of other origins may use it too.
        headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"}
        return route.fulfill(body=path.read_bytes(), content_type=kind, headers=headers)

    context.route(lambda url: "/client/" in url, fulfill)


def new_context(browser, server, **options):
    """A profile of its own, whose pages find the client at the server's origin."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE * MILLISECONDS)
    serve_client(context, server)
    return context


def open_page(context, path, *, server=None, url=None, text=BLANK_TEXT, wait_until="load"):
    """Opens a page; an error that nobody catches in it fails the test, by `assert_no_errors`.

    The path `BLANK` is a page that no server has; what it holds is `text`.
    """
    page = context.new_page()
    page.uncaught = []
    page.on("pageerror", lambda error: page.uncaught.append(str(error)))
    address = (url or server.url) + path
    if path.split("?")[0] == BLANK:
        page.route(address, lambda route: route.fulfill(body=text, content_type="text/html"))
    page.goto(address, wait_until=wait_until)
    return page


def assert_no_errors(page):
    assert page.uncaught == [], page.uncaught
