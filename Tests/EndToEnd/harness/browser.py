"""Pages in a real Chromium, which import the browser client as a site would: from the server."""

import contextlib
import shutil

from playwright.sync_api import TimeoutError, sync_playwright

from harness.server import ROOT
from harness.socketio_js import CHROMIUMS, CLIENTS, SWITCHES
from harness.tokens import user_token

WEB_CLIENT = ROOT / "Sources" / "WebClient"
TAB = CLIENTS / "tab.js"
BLANK = "/a-page"
BLANK_TEXT = "<!doctype html><meta charset=utf-8><title>A page</title><body></body>"
# What a page and a test may wait for.
PATIENCE = 15
MILLISECONDS = 1_000


@contextlib.contextmanager
def launched():
    """One headless Chromium, as long as the `with` lasts."""
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    assert path, f"none of {CHROMIUMS} is on the PATH"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield browser
        browser.close()


def new_context(browser, **options):
    """A profile of its own."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE * MILLISECONDS)
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


class Tab:
    """A page with a client in it, made by `clients/tab.js`."""

    def __init__(self, context, server, user=None, *, path=BLANK, page_url=None, **options):
        self.server, self.user = server, user
        self.page = open_page(context, path, server=server, url=page_url)
        self.page.add_script_tag(path=TAB)
        self.open(**options)

    def open(self, **options):
        """Makes a client that connects; `token=None` for one that has no token."""
        if "token" not in options and self.user is not None:
            options["token"] = user_token(self.user)
        self.page.evaluate("(options) => openClient(options)", options)

    def evaluate(self, code, value=None):
        return self.page.evaluate(code, value)

    def until(self, condition, value=None, within=PATIENCE):
        """Waits until an expression is true in the page, and returns what it is then."""
        try:
            handle = self.page.wait_for_function(condition, arg=value, timeout=within * 1_000)
            return handle.json_value()
        except TimeoutError:
            state = self.page.evaluate("[client.state, log.slice(-20)]")
            raise AssertionError(f"not within {within} s: {condition} ({state})") from None

    def connected(self):
        self.until("client.state === 'connected'")
        return self

    def told(self, name):
        """The details of the events of that name so far."""
        return self.evaluate("(name) => told(name)", name)

    @property
    def titles(self):
        """Of all notifications that were announced, in order."""
        return self.evaluate("titles()")

    @property
    def listed(self):
        return self.evaluate("listed()")

    @property
    def states(self):
        return self.told("state")

    def close(self):
        assert_no_errors(self.page)
        self.page.close()


def assert_no_errors(page):
    """Nothing in the page threw what nobody caught."""
    assert page.uncaught == [], page.uncaught
