"""Pages for pictures: the elements with samples in them, the demo and the console in use."""

import contextlib

from playwright.sync_api import expect

from harness.browser import new_context, open_page
from harness.clients import EventClient
from harness.console import sign_in
from harness.elements import bell, connected, open_elements, screenshot, until
from harness.server import ROOT, Server
from harness.socketio_js import CLIENTS
from harness.tokens import publisher_token

DOCUMENTATION = ROOT / "Sources" / "Carillon" / "Carillon.docc" / "Resources"
# README's pictures: their names, and their titles for screen readers.
README = {
    "elements-light-page-light-system": (
        "bell-light",
        "The bell with its panel, a list and toasts",
    ),
    "elements-dark-page-dark-system": ("bell-dark", "The same on a dark page"),
    "phone-panel-light": ("phone", "The panel of the bell on a phone"),
}
DESKTOP = {"viewport": {"width": 1100, "height": 800}}
WIDE = {"viewport": {"width": 1440, "height": 1000}}
PHONE = {
    "viewport": {"width": 390, "height": 780},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
# A window of 1280 by 800 pixels at a zoom of 200 %.
ZOOMED = {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2}
LIGHT = "body { margin: 0; font-family: sans-serif; background: #f3f4f6; color: #222 }"
DARK = "body { margin: 0; font-family: sans-serif; background: #14161a; color: #eee }"
FRAME = """
header { display: flex; align-items: center; justify-content: space-between; padding: 4px 20px;
  background: #8881 }
main { max-width: 760px; margin: 20px auto; padding: 0 12px }
"""
BODY = (
    "<header><b>Acme</b>{bell}</header><main><carillon-list></carillon-list></main>"
    '<carillon-toast timeout="0" position="{position}"></carillon-toast>'
)
SAMPLES = [
    dict(type="csv.import", title="Import completed", message="1,204 rows were imported."),
    dict(type="trade.deleted", title="Trade removed", message="The trade for TSLA was removed."),
    dict(
        type="payment_failed",
        title="Payment failed",
        message="The card ending in 4242 was declined.",
        priority="high",
        entity_url="https://billing.example.com/invoices/77",
        actions=[{"label": "Update card", "url": "/billing"}, {"label": "Retry", "url": "/x"}],
    ),
    dict(type="comment", title="Ada replied", message="“Ship it on Monday.”", group_key="t"),
    dict(type="comment", title="Grace replied", message="“The log is ready.”", group_key="t"),
    dict(
        type="info",
        title="A long title that wraps onto a second line of the row, at least on a phone",
        message="The maintenance window begins at 22:00 UTC and ends two hours later. " * 4,
    ),
    dict(
        type="incident_created",
        title="New incident INC-001",
        message="The database in eu-west does not answer.",
        priority="urgent",
    ),
    dict(type="trade.created", title="Trade created", message="Bought 10 AAPL at 187.42."),
]


# Whether every animation that has an end has ended, also in shadow roots.
SETTLED = """(() => {
  const all = (root) => [...root.querySelectorAll('*')].flatMap((each) =>
    [each, ...each.shadowRoot ? all(each.shadowRoot) : []])
  return !all(document).flatMap((each) => each.getAnimations()).some(({ effect, playState }) =>
    playState === 'running' && effect.getKeyframes().length > 0 &&
    effect.getComputedTiming().endTime !== Infinity)
})()"""


class Studio:
    """A server and a browser, with one profile for each picture."""

    def __init__(self, server, browser, wanted):
        self.server, self.browser, self.wanted = server, browser, wanted
        self.draws = wanted == ["--readme"]
        self.users = 0

    def wants(self, name):
        if self.draws:
            return name in README
        return not self.wanted or any(part in name for part in self.wanted)

    def user(self, unread=8):
        self.users += 1
        user = f"user-{self.users}"
        extra = max(0, unread - len(SAMPLES))
        if extra:
            self.server.publish_many(user, [f"Report {n} is ready" for n in range(extra)], "info")
        for sample in SAMPLES[:unread]:
            self.server.publish(user, **sample)
        return user

    @contextlib.contextmanager
    def page(self, user, *, style=LIGHT, position="bottom-end", route=None, line=None, **options):
        """Opens a page with the elements."""
        page_options = {key: options.pop(key) for key in ("lang", "dir") if key in options}
        context = new_context(self.browser, **{**DESKTOP, **options})
        if route:
            context.route("**/api/v1/notifications?*", route)
        if line:
            context.route_web_socket("**/ws/**", line)
        body = BODY.format(bell=bell(user, href="/all"), position=position)
        yield open_elements(context, self.server, body, style=style + FRAME, **page_options)
        # An unanswered request of the page must not outlive it.
        context.unroute_all(behavior="ignoreErrors")
        context.close()

    @contextlib.contextmanager
    def elements(self, name, user, **options):
        """Opens a page with the elements and takes its picture at the end."""
        with self.page(user, **options) as page:
            yield page
            until(page, SETTLED)
            if self.draws:
                draw(page, *README[name])
            else:
                screenshot(page, name)


def draw(page, name, title):
    """Writes a picture of the page as vectors."""
    page.evaluate((CLIENTS / "vector.js").read_text() + "\nundefined")
    DOCUMENTATION.mkdir(parents=True, exist_ok=True)
    (DOCUMENTATION / f"{name}.svg").write_text(page.evaluate("(title) => vector(title)", title))


def loaded(page):
    """Waits until the page's client is connected and the list has loaded."""
    until(connected(page), "core.notificationStore.value.loaded")
    expect(page.locator("carillon-list .skeleton")).to_be_hidden()
    return page


def refuse(route):
    """Lets a request fail."""
    route.abort()


@contextlib.contextmanager
def demo_server(directory):
    """Runs a server with the demo."""
    server = Server(directory, arguments=["--dev"], environment={"JWT_SECRET": ""}).start()
    try:
        yield server
        server.stop()
    finally:
        server.end()


def own_context(studio, theme=None, **options):
    """Makes a profile for the server's own pages, with the theme that its user may have chosen."""
    context = new_context(studio.browser, **options)
    if theme:
        context.add_init_script(f"localStorage.setItem('carillon-theme', '{theme}')")
    return context


@contextlib.contextmanager
def demo_in_use(studio, server, **options):
    """Opens the demo, publishes three examples to both users and joins the room."""
    context = own_context(studio, **options)
    page = open_page(context, "/", server=server)
    for pane in page.locator(".pane").all():
        pane.locator(".state.connected").wait_for()
    for example in ("Trade", "Incident", "Import"):
        page.get_by_role("button", name=example, exact=True).click()
        page.locator("[name=to]").select_option("users")
        page.get_by_role("button", name="Publish", exact=True).click()
        page.locator("#publish .done").filter(has_text="Published").wait_for()
    for pane in page.locator(".pane").all():
        pane.get_by_role("button", name="Join").click()
    for pane in page.locator(".pane").all():
        expect(pane.locator(".person")).to_have_count(2)
        expect(pane.locator("carillon-list carillon-item").nth(2)).to_be_visible()
    until(page, SETTLED)
    yield page
    context.close()


@contextlib.contextmanager
def console_gate(studio, **options):
    """Opens the console, which asks for a token."""
    context = own_context(studio, **options)
    page = open_page(context, "/console", server=studio.server)
    expect(page.locator("#gate")).to_be_visible()
    yield page
    context.close()


@contextlib.contextmanager
def console_in_use(studio, page, updates=4):
    """Signs in, looks a user up and waits for that many updates of the figures."""
    sign_in(page, publisher_token())
    expect(page.locator("#feed-state")).to_have_text("Live")
    user = studio.user(25)
    with EventClient(studio.server, user, query={"rooms": "lobby"}):
        page.get_by_label("User id").fill(user)
        page.get_by_role("button", name="Look up").click()
        page.locator("#user").wait_for()
        moment = page.get_by_role("slider").first
        for _ in range(updates):
            before = moment.get_attribute("aria-valuetext")
            studio.server.publish_many(user, ["a title"] * 20)
            # The next figures come within a second.
            expect(moment).not_to_have_attribute("aria-valuetext", before)
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#user-done")).to_contain_text("Sent to")
        until(page, SETTLED)
        yield
