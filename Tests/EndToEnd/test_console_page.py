"""The operator's console, as an operator uses it, in Chromium."""

import contextlib
import re

import pytest
from playwright.sync_api import expect
from websockets.exceptions import ConnectionClosed

from harness.clients import EventClient
from harness.console import is_live, look_up, tile
from harness.pages import (
    HOSTILE,
    assert_fit,
    keep,
    lasting_address,
    wait_for,
)
from harness.tokens import publisher_token
from harness.waiting import wait_until

SCHEMES = ["light", "dark"]
TILES = ["Connections", "Users", "Deliveries", "p50", "p99", "Slow consumers"]


def cell(page, column, row="tfoot"):
    """Returns a cell of the table of shards."""
    heads = page.locator("#shards thead th").all_inner_texts()
    return page.locator(f"#shards {row} tr").first.locator("th, td").nth(heads.index(column))


# The figures.


def test_the_figures_are_those_of_the_server(make_server, open_console):
    server = make_server(arguments=["--shards", "2"])
    page = open_console(at=server)
    is_live(page)
    for name in TILES:
        expect(tile(page, name)).to_be_visible()
    with contextlib.ExitStack() as stack:
        for number in range(12):
            stack.enter_context(EventClient(server, f"user-{number % 4}"))
        expect(cell(page, "Sessions")).to_have_text("12")
        expect(tile(page, "Users")).to_have_text("4")
        # The rows of the shards add up to the total in the footer.
        rows = page.locator("#shards tbody tr")
        expect(rows).to_have_count(2)
        wait_for(page, "() => sessionsOfShards() === 12")
        assert tile(page, "p99").inner_text() == "–"
        # Deliveries show as a rate and as a latency during the second in which they happen.
        wait_until("the deliveries show", lambda: publish_and_look(server, page), within=30)
        expect(page.locator(".plot").nth(2).locator(".unseen")).to_contain_text(
            re.compile(r"p99: now .*highest [\d.]+ (µs|ms|s)")
        )
    expect(cell(page, "Sessions")).to_have_text("0")


def publish_and_look(server, page, users=("user-0", "user-1")):
    """Publishes to the users; returns whether the deliveries of the last second show."""
    for user in users:
        server.publish_many(user, ["a title"] * 10)
    delivered, p99 = tile(page, "Deliveries").inner_text(), tile(page, "p99").inner_text()
    return re.match(r"[1-9].*/s$", delivered) and re.match(r"[\d.]+ (µs|ms|s)$", p99)


LINES_ARE_DRAWN = "(index) => areLinesDrawn(index)"


def test_plots_are_drawn_crisp_and_split_by_shard(make_server, open_console):
    server = make_server(arguments=["--shards", "2"])
    page = open_console(at=server, device_scale_factor=2)
    is_live(page)
    plots = page.locator(".plot")
    expect(plots).to_have_count(6)
    with EventClient(server, "alice"):
        wait_for(page, LINES_ARE_DRAWN, 0)
        wait_for(page, LINES_ARE_DRAWN, 1)
        expect(plots.first.locator(".legend li")).to_have_text(
            [re.compile("^connections"), re.compile("^users")]
        )
        page.get_by_text("Per shard").click()
        for plot in plots.all():
            expect(plot.locator(".legend li")).to_have_count(2)
            expect(plot.locator(".legend li").nth(1)).to_contain_text("shard 1")
        page.get_by_text("Total", exact=True).first.click()
        expect(plots.first.locator(".legend li").first).to_contain_text("connections")


def test_a_plot_is_read_by_pointer_and_by_keyboard(open_console):
    page = open_console()
    is_live(page)
    plot = page.locator(".plot").first
    area = plot.get_by_role("slider")
    expect(plot.locator(".tip")).to_be_hidden()
    # Waits for a first figure, so that the plot can have older ones to its left.
    wait_for(page, "() => /now \\d/.test(document.querySelector('.plot .unseen').textContent)")
    values = re.compile(r"\d.*: connections [\d,]+, users \d")
    expect(area).to_have_attribute("aria-valuetext", values)
    area.focus()
    wait_until("an older moment is read", lambda: older(page, area), within=30)
    expect(plot.locator(".tip")).to_be_visible()
    expect(plot.locator(".tip")).to_contain_text("users")
    page.keyboard.press("Home")
    page.keyboard.press("Escape")
    expect(plot.locator(".tip")).to_be_hidden()
    box = area.bounding_box()
    area.hover(position={"x": box["width"] - 14, "y": box["height"] / 2})
    expect(plot.locator(".tip")).to_be_visible()
    # The other plots mark the same moment, but show no values over their lines.
    expect(page.locator(".tip:visible")).to_have_count(1)
    page.mouse.move(0, 0)
    expect(plot.locator(".tip")).to_be_hidden()


def older(page, area):
    page.keyboard.press("ArrowLeft")
    return int(area.get_attribute("aria-valuenow")) < 0


# Users.


def test_a_user_is_looked_up_notified_and_disconnected(open_console, server, fresh_user):
    user = fresh_user("looked-up")
    for number in range(13):
        server.publish(user, f"n {number}", type="trade.created", message="ten AAPL")
    page = open_console()
    look_up(page, user)
    expect(page.locator("#user-name")).to_have_text(user)
    expect(page.locator("#user-presence")).to_have_text("offline")
    expect(page.locator("#connections")).to_have_text("None.")
    titles = page.locator("#inbox td:nth-child(4)")
    expect(titles).to_have_text([f"n {number}" for number in range(12, 2, -1)])
    expect(page.locator("#inbox-counts")).to_have_text("13 unread of 13")
    expect(page.get_by_role("button", name="Newest")).to_be_disabled()
    page.get_by_role("button", name="Older").click()
    expect(titles).to_have_text(["n 2", "n 1", "n 0"])
    expect(page.get_by_role("button", name="Older")).to_be_disabled()
    page.get_by_role("button", name="Newest").click()
    expect(titles).to_have_count(10)
    with EventClient(server, user, query={"rooms": "lobby"}) as client:
        # The server joins the room later than it greets the client.
        read_until(client, "room:joined")
        page.locator("#user-refresh").click()
        expect(page.locator("#user-presence")).to_have_text("online, 1 connection")
        expect(page.locator("#connections tr")).to_have_count(1)
        for text in ("event", "127.0.0.1", "lobby"):
            expect(page.locator("#connections")).to_contain_text(text)
        page.locator("#test [name=title]").fill("Is this on?")
        page.locator("#test [name=priority]").select_option("urgent")
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#user-done")).to_have_text(f"Sent to {user}.")
        is_beside(page, "#test .primary")
        expect(titles.first).to_have_text("Is this on?")
        shown = read_until(client, "notification:new")
        assert (shown["title"], shown["priority"]) == ("Is this on?", "urgent")
        # Escape cancels the dialog.
        page.locator("#disconnect").click()
        expect(page.get_by_role("dialog")).to_contain_text(f"Disconnect {user}?")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.locator("#user-presence")).to_have_text("online, 1 connection")
        page.locator("#disconnect").click()
        page.get_by_role("button", name="Keep").click()
        page.locator("#disconnect").click()
        page.get_by_label("Reason").fill("the account was closed")
        page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
        expect(page.locator("#user-done")).to_have_text(f"Ended 1 session of {user}.")
        is_beside(page, "#disconnect")
        with pytest.raises(ConnectionClosed) as ended:
            read_to_the_end(client)
        assert ended.value.rcvd.reason == "the account was closed"
        expect(page.locator("#connections")).to_have_text("None.")
    # The page shows the server's own error message.
    page.locator("#test [name=type]").fill("not a type")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#user-error")).to_contain_text("type")
    page.said[:] = [each for each in page.said if "422" not in each]


def is_beside(page, button):
    """Expects the confirmation within the height of a line of the button."""
    wait_for(
        page,
        """(button) => {
          const [one, other] = [button, '#user-done'].map((each) =>
            document.querySelector(each).getBoundingClientRect());
          return other.top - one.bottom < 24 && one.top - other.bottom < 24;
        }""",
        button,
    )


@pytest.mark.parametrize("width", [320, 390])
def test_the_dialog_fits_a_phone(open_console, server, fresh_user, width):
    user = "u" * 128
    page = open_console(viewport={"width": width, "height": 480})
    look_up(page, user)
    expect(page.locator("#user")).to_be_visible()
    page.locator("#disconnect").click()
    box = page.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert box["y"] >= 0 and box["y"] + box["height"] <= 480
    for name in ("Keep", "Disconnect"):
        page.get_by_role("dialog").get_by_role("button", name=name).scroll_into_view_if_needed()
        expect(page.get_by_role("dialog").get_by_role("button", name=name)).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 375])
def test_the_console_fits_a_phone(open_console, server, fresh_user, width):
    page = open_console(viewport={"width": width, "height": 700})
    is_live(page)
    look_up(page, fresh_user())
    expect(page.locator("#user")).to_be_visible()
    # Buttons that move to a row of their own stay at the end of it.
    for head, last in (("header.top", "#theme"), (".user-head", "#disconnect")):
        around, button = (page.locator(each).bounding_box() for each in (head, last))
        gap = around["x"] + around["width"] - button["x"] - button["width"]
        assert 0 <= gap <= 20, (head, gap)
    boxes = [each.bounding_box() for each in page.locator(".segments span").all()]
    assert len({box["height"] for box in boxes}) == 1, "neither choice wraps"
    segments = page.locator(".segments").bounding_box()
    last = boxes[-1]["x"] + boxes[-1]["width"]
    assert last <= segments["x"] + segments["width"], "neither choice is cut"
    tiles = [each.bounding_box() for each in page.locator(".tile").all()]
    assert tiles[0]["y"] == tiles[1]["y"], "two tiles side by side"
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def read_until(client, event):
    while (frame := client.next())["event"] != event:
        pass
    return frame["data"]


def read_to_the_end(client):
    while True:
        client.next()


def test_online_users_are_listed_in_pages(make_server, open_console):
    server = make_server()
    users = sorted(f"u{number:02}" for number in range(30))
    with contextlib.ExitStack() as stack:
        for user in users:
            stack.enter_context(EventClient(server, user))
        page = open_console(at=server)
        names = page.locator("#online-users li")
        expect(names).to_have_text(users[:25])
        expect(page.locator("#online-total")).to_have_text("30")
        page.get_by_role("button", name="Next page").click()
        expect(names).to_have_text(users[25:])
        expect(page.get_by_role("button", name="Next page")).to_be_disabled()
        page.get_by_role("button", name="u27").click()
        expect(page.locator("#user-name")).to_have_text("u27")
        expect(page.locator("#user-presence")).to_have_text("online, 1 connection")
        page.get_by_role("button", name="First page").click()
        expect(names).to_have_text(users[:25])


def test_a_late_answer_for_another_user_is_not_shown(open_console, server, fresh_user):
    slow, quick = fresh_user("slow"), fresh_user("quick")
    server.publish(slow, "of the slow one")
    server.publish(quick, "of the quick one")
    page = open_console()
    page.evaluate("recordAnswers()")
    held = []
    page.route(f"**/users/{slow}/**", lambda route: held.append(route))
    look_up(page, slow)
    wait_until("the page has sent its requests", lambda: page.evaluate("1") and len(held) == 3)
    look_up(page, quick)
    expect(page.locator("#inbox td:nth-child(4)")).to_have_text(["of the quick one"])
    for route in held:
        route.fallback()
    wait_for(page, "(user) => answers.filter((each) => each.includes(user)).length === 3", slow)
    expect(page.locator("#user-name")).to_have_text(quick)
    expect(page.locator("#inbox td:nth-child(4)")).to_have_text(["of the quick one"])


def test_hostile_texts_show_as_plain_text(open_console, server):
    with contextlib.ExitStack() as stack:
        for text in HOSTILE:
            user = text[:100]
            stack.enter_context(
                EventClient(server, user, user_agent_header=text.encode("ascii", "ignore").decode())
            )
            server.publish(user, text, message=text, type="x")
        page = open_console()
        for text in HOSTILE:
            look_up(page, text)
            expect(page.locator("#user-name")).to_have_text(text)
            expect(page.locator("#inbox td:nth-child(4)")).to_have_text([text])
            expect(page.locator("#inbox td:nth-child(5)")).to_have_text([text])
            page.locator("#disconnect").click()
            expect(page.locator("#disconnect-user")).to_have_text(text)
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_be_hidden()
            expect(page.locator("#online-users")).to_contain_text(text)
        assert page.locator("main script, main img, main svg").count() == 0


# Failures.


def test_an_outage_shows_stale_figures_and_a_restart_resumes(make_server, open_console):
    server = make_server()
    with lasting_address(server) as url:
        page = open_console(at=server, url=url, unreachable=True)
        is_live(page)
        server.kill()
        expect(page.locator("#feed-state")).to_have_text("Stale")
        expect(page.locator("#feed-age")).to_have_text(re.compile(r"last figures \d+ s ago"))
        expect(page.locator("#board")).to_have_class(re.compile("stale"))
        page.get_by_role("button", name="Refresh").first.click()
        expect(page.locator("#online-error")).to_have_text("The server cannot be reached.")
        server.start()
        is_live(page)
        expect(page.locator("#board")).not_to_have_class(re.compile("stale"))
        expect(page.locator("#online-error")).to_have_text("")
        with EventClient(server, "alice"):
            expect(cell(page, "Sessions")).to_have_text("1")
        # The restart of the totals at zero does not lead to a negative rate.
        assert "-" not in page.locator("#tiles").inner_text()


def test_a_token_refused_after_a_restart_is_asked_for_again(make_server, open_console):
    server = make_server()
    with lasting_address(server) as url:
        page = open_console(at=server, url=url, unreachable=True)
        is_live(page)
        server.kill()
        server.environment["JWT_SECRET"] = "another secret of more than thirty-two bytes"
        server.start()
        expect(page.locator("#gate")).to_be_visible()
        expect(page.locator("#sign-in-error")).to_contain_text("does not accept this token")
        assert page.evaluate("sessionStorage.length") == 0


# Appearance.


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_console_is_accessible_in_both_colour_schemes(make_server, open_console, scheme):
    server = make_server(arguments=["--shards", "2"])
    with EventClient(server, "alice", query={"rooms": "lobby"}), EventClient(server, "bob"):
        for number in range(12):
            server.publish("alice", f"Trade {number}", type="trade.created", message="10 AAPL")
        page = open_console(at=server, color_scheme=scheme)
        is_live(page)
        look_up(page, "alice")
        expect(page.locator("#inbox tr")).to_have_count(10)
        users = ["alice", "bob"]
        wait_until("the deliveries show", lambda: publish_and_look(server, page, users), within=30)
        assert_fit(page)
        keep(page, f"console-{scheme}")
        other = "light" if scheme == "dark" else "dark"
        page.get_by_role("button", name=f"Switch to {other} mode").click()
        wait_for(
            page,
            "(scheme) => getComputedStyle(document.documentElement).colorScheme === scheme",
            other,
        )
        assert_fit(page)


def test_the_console_works_from_the_keyboard_alone(open_console, server, fresh_user):
    user = fresh_user("keyboard")
    server.publish(user, "hello")
    page = open_console(signs_in=False)
    expect(page.locator("#token")).to_be_focused()
    page.keyboard.insert_text(publisher_token())
    page.keyboard.press("Enter")
    expect(page.locator("#board")).to_be_visible()
    tab_to(page, "#user-id")
    page.keyboard.insert_text(user)
    page.keyboard.press("Enter")
    expect(page.locator("#user-name")).to_have_text(user)
    tab_to(page, "#disconnect")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "disconnect-reason"
    page.keyboard.press("Escape")
    # The focus returns to the button.
    wait_for(page, "() => document.activeElement.id === 'disconnect'")
    tab_to(page, "#test button")
    page.keyboard.press("Enter")
    expect(page.locator("#user-done")).to_have_text(f"Sent to {user}.")


def tab_to(page, selector, most=80):
    for _ in range(most):
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{most} presses of Tab do not reach {selector}")
