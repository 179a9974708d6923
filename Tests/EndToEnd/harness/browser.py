"""Pages in a real Chromium that import the browser client from the server, as a site does."""

import contextlib

from playwright.sync_api import TimeoutError, expect, sync_playwright

from harness.server import ROOT
from harness.socketio_js import CLIENTS, SWITCHES, chromium
from harness.tokens import user_token
from harness.waiting import PATIENCE

WEB_CLIENT = ROOT / "Sources" / "WebClient"
TAB = CLIENTS / "tab.js"
# Defines `recordAnswers` for pages whose tests wait until an answer has been acted on.
RECORD_ANSWERS = CLIENTS / "record_answers.js"
BLANK = "/a-page"
BLANK_TEXT = "<!doctype html><meta charset=utf-8><title>A page</title><body></body>"
MILLISECONDS = 1_000
# Twice the usual patience: an expectation may wait for the load of a page as well.
expect.set_options(timeout=2 * PATIENCE * MILLISECONDS)


@contextlib.contextmanager
def launched(*switches):
    """Runs one headless Chromium for the duration of the `with` block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=[*SWITCHES, *switches]
        )
        yield browser
        browser.close()


def new_context(browser, **options):
    """Makes a separate browser profile."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE * MILLISECONDS)
    return context


def open_page(context, path, *, server=None, url=None, text=BLANK_TEXT, wait_until="load"):
    """Opens a page and records its uncaught errors, which `assert_no_errors` checks.

    No server has a page at `BLANK`: the request is intercepted and answered with `text`.
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
    """A page with a browser client in it, created by `clients/tab.js`."""

    def __init__(
        self, context, server, user=None, *, path=BLANK, page_url=None, opens=True, **options
    ):
        self.server, self.user = server, user
        self.page = open_page(context, path, server=server, url=page_url)
        self.page.add_script_tag(path=TAB)
        # Loads the client first, so that a short token does not expire while the page loads.
        self.page.evaluate("loadClient()")
        if opens:
            self.open(**options)

    def open(self, **options):
        """Creates a client and connects it; `token=None` creates one without a token."""
        if "token" not in options and self.user is not None:
            options["token"] = user_token(self.user)
        self.page.evaluate("(options) => openClient(options)", options)

    def evaluate(self, code, value=None):
        return self.page.evaluate(code, value)

    def until(self, condition, value=None, within=PATIENCE):
        """Waits until an expression is true in the page, and returns its value."""
        try:
            handle = self.page.wait_for_function(condition, arg=value, timeout=within * 1_000)
            return handle.json_value()
        except TimeoutError:
            state = self.page.evaluate("[client.state, log.slice(-20)]")
            raise AssertionError(f"not within {within} s: {condition} ({state})") from None

    def connected(self):
        self.until("client.state === 'connected'")
        return self

    def details(self, name):
        """Returns the details of all events of that name so far."""
        return self.evaluate("(name) => details(name)", name)

    @property
    def titles(self):
        """The titles of all announced notifications, in order."""
        return self.evaluate("titles()")

    @property
    def listed(self):
        return self.evaluate("listed()")

    @property
    def states(self):
        return self.details("state")

    def close(self):
        assert_no_errors(self.page)
        self.page.close()


def assert_no_errors(page):
    """Asserts that the page had no uncaught error."""
    assert page.uncaught == [], page.uncaught
