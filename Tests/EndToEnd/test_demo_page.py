"""The demo page in Chromium, used as a person evaluating Carillon would use it.

It is the manual test of two references in one, ghostpay's and inbox-watch's view of arriving
notifications. test_demo_rooms.py is that of rooms-hub's HTML client.
"""

import contextlib
import json
import re
import subprocess

import pytest
from playwright.sync_api import expect

from harness.browser import new_context
from harness.demo import (
    ALICE,
    BOB,
    BOTH,
    badge,
    frame,
    frames,
    is_connected,
    pane,
    plug,
    publish,
    shows,
    state,
    titles,
    whole_frame,
)
from harness.pages import (
    HOSTILE,
    assert_fit,
    keep,
    lasting_address,
    open_own_page,
    wait_for,
)
from harness.server import API_KEY
from harness.waiting import wait_until

# Publishing.


def test_a_notification_rings_for_its_recipients(open_demo):
    page = open_demo()
    publish(page, "user:alice", "for alice")
    shows(page, ALICE, ["for alice"])
    expect(badge(page, ALICE)).to_have_text("1")
    publish(page, "user:bob", "for bob")
    shows(page, BOB, ["for bob"])
    publish(page, "users", "for both")
    publish(page, "everyone", "for everyone")
    shows(page, ALICE, ["for everyone", "for both", "for alice"])
    shows(page, BOB, ["for everyone", "for both", "for bob"])
    expect(badge(page, BOB)).to_have_text("3")
    # It is stored: another page of the same users shows it.
    other = open_demo()
    shows(other, ALICE, ["for everyone", "for both", "for alice"])


def test_all_fields_arrive(open_demo):
    page = open_demo()
    page.get_by_role("button", name="Incident").click()
    publish(page, "user:alice", group_key="incidents", data='{"a": [1]}')
    item = pane(page, ALICE).locator("carillon-list carillon-item").first
    expect(item).to_contain_text("Incident INC-2024-001")
    expect(item).to_contain_text("The database in eu-west does not answer.")
    shown = whole_frame(frame(page, ALICE, '"notification:new"'))["data"]
    assert shown["type"] == "incident_created" and shown["priority"] == "urgent"
    assert shown["entity_url"] == "/incidents/1" and shown["data"] == {"a": [1]}
    assert [each["label"] for each in shown["actions"]] == ["Acknowledge", "Runbook"]
    assert shown["group_key"] == "incidents"


def test_publishing_a_series_and_stopping_it(demo_server, open_demo):
    page = open_demo()
    publish(page, "user:alice", "n", count=5, interval=0.05)
    shows(page, ALICE, [f"n ({number}/5)" for number in (5, 4, 3, 2, 1)])
    form = page.locator("#publish")
    form.locator("[name=count]").fill("1000")
    form.locator("[name=interval]").fill("0.01")
    form.get_by_role("button", name="Publish", exact=True).click()
    expect(form.locator(".done")).to_contain_text(re.compile(r"Published \d+ of 1000"))
    form.get_by_role("button", name="Stop").click()
    expect(form.get_by_role("button", name="Stop")).to_be_hidden()
    said = form.locator(".done").inner_text()
    published = int(re.match(r"Published (\d+) of 1000", said)[1])
    # Nothing is published after the stop: the next one is the newest.
    publish(page, "user:alice", "the last", count=1)
    expect(titles(page, ALICE).first).to_have_text("the last")
    path = "/api/v1/users/alice/notifications"
    assert demo_server.request("GET", path, key=API_KEY).data["total"] == 5 + published + 1


def test_four_three_seconds_apart_each_within_a_second(open_demo):
    page = open_demo()
    page.clock.install()
    page.reload()
    for each in BOTH:
        is_connected(page, each)
    # From here on only the test advances the clock, however busy the machine is.
    page.clock.pause_at(page.evaluate("Date.now() + 10_000"))
    page.evaluate("countPosts()")
    page.locator("#publish [name=to]").select_option("users")
    page.get_by_role("button", name="Four, three seconds apart").click()
    for number in range(1, 5):
        expected = [f"Trade created ({each}/4)" for each in range(number, 0, -1)]
        # The network takes its time, in which the page's clock stands still.
        wait_until("both received it", lambda: page.evaluate("newestTitles()") == expected[:1] * 2)
        expect(page.locator("#publish .done")).to_contain_text(f"Published {number} of 4")
        # It is drawn without a further second, and the next one is not published too soon.
        page.clock.run_for(1_000)
        assert [titles(page, each).all_inner_texts() for each in BOTH] == [expected, expected]
        page.clock.run_for(1_900)
        assert page.evaluate("posts") == number
        page.clock.run_for(100)


def test_a_refusal_by_the_server_is_shown(open_demo):
    page = open_demo()
    form = page.locator("#publish")
    page.get_by_text("Link, actions, group, data").click()
    for name, value, words in [
        ("type", "not a type", "type"),
        ("entity_url", "javascript:alert(1)", "entity_url"),
        ("data", "{broken", "Data is not valid JSON"),
        ("data", "[]", "data"),
    ]:
        field = form.locator(f"[name={name}]")
        before = field.input_value()
        field.fill(value)
        form.get_by_role("button", name="Publish", exact=True).click()
        expect(form.locator("p.error")).to_contain_text(words)
        field.fill(before)
    page.said[:] = [each for each in page.said if "the server responded with" not in each]
    publish(page, "user:alice", "and now it works")
    expect(form.locator("p.error")).to_have_text("")
    shows(page, ALICE, ["and now it works"])


def test_hostile_text_is_shown_as_text(open_demo):
    page = open_demo()
    page.locator(".room-enter").nth(ALICE).click()
    expect(pane(page, ALICE).locator(".person")).to_have_count(1)
    for text in HOSTILE:
        publish(page, "users", text, message=text)
        publish(page, "system", text)
        expect(pane(page, BOB).locator(".notice")).to_contain_text(text)
        page.locator("#publish [name=room]").evaluate("(each) => { each.value = 'lobby' }")
        publish(page, "room", text, message=text)
        expect(pane(page, ALICE).locator(".said").last).to_have_text(text)
    for each in BOTH:
        shows(page, each, HOSTILE[::-1])
        assert pane(page, each).locator("script, img").count() == 0


# The cable, and the server.


@pytest.mark.parametrize("transport", ["automatic", "websocket", "sse", "poll"])
def test_a_pulled_cable_loses_nothing(open_demo, transport):
    page = open_demo()
    pane(page, ALICE).get_by_label("Transport").select_option(transport)
    is_connected(page, ALICE)
    publish(page, "users", "before")
    shows(page, ALICE, ["before"])
    plug(page, ALICE)
    # The cable cuts the connection at once: a waiting poll would otherwise end only after 25 s.
    away = re.compile("Reconnecting|Connecting")
    expect(state(page, ALICE)).to_have_text(away, timeout=15_000)
    expect(pane(page, ALICE).locator(".cable-text")).to_have_text("Cable out")
    publish(page, "users", "missed", count=3, interval=0)
    shows(page, BOB, [f"missed ({number}/3)" for number in (3, 2, 1)] + ["before"])
    shows(page, ALICE, ["before"])
    plug(page, ALICE)
    is_connected(page, ALICE)
    shows(page, ALICE, [f"missed ({number}/3)" for number in (3, 2, 1)] + ["before"])
    publish(page, "users", "after", count=1)
    expect(titles(page, ALICE).first).to_have_text("after")
    expect(titles(page, ALICE)).to_have_count(5)
    expect(badge(page, ALICE)).to_have_text("5")


def test_a_cable_plugged_in_again_is_noticed_at_once(open_demo):
    # The test skips ten minutes at once, in which the other user's client may time out and log it.
    page = open_demo(unreachable=True)
    page.clock.install()
    page.reload()
    is_connected(page, ALICE)
    plug(page, ALICE)
    expect(state(page, ALICE)).to_have_text("Reconnecting…")
    # By then the client retries once a minute.
    page.clock.run_for(600_000)
    plug(page, ALICE)
    expect(state(page, ALICE)).to_have_text("Connected", timeout=15_000)


def test_the_server_is_killed_and_comes_back_with_another_secret(demo_server, open_demo):
    with lasting_address(demo_server) as url:
        page = open_demo(url=url, unreachable=True)
        publish(page, "users", "before")
        demo_server.kill()
        for each in BOTH:
            expect(state(page, each)).not_to_have_text("Connected")
        page.get_by_role("button", name="Publish", exact=True).click()
        expect(page.locator("#publish p.error")).to_have_text("The server cannot be reached.")
        demo_server.start()
        for each in BOTH:
            is_connected(page, each)
        # The page's tokens had the old secret; it fetches new ones, and nothing is lost.
        publish(page, "users", "after")
        for each in BOTH:
            shows(page, each, ["after", "before"])


# The frames.


def test_the_raw_frames_of_each(open_demo):
    page = open_demo()
    alice = pane(page, ALICE)
    publish(page, "user:alice", "seen raw")
    seen = frame(page, ALICE, "seen raw")
    publish(page, "user:bob", "later than that")
    frame(page, BOB, "later than that")
    assert not any("seen raw" in text for text in frames(page, BOB))
    expect(seen.get_by_role("img", name="received")).to_be_visible()
    expect(seen.locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    whole = whole_frame(seen)
    assert whole["event"] == "notification:new" and whole["data"]["title"] == "seen raw"
    # Paused first: the server may send a frame at any time.
    alice.get_by_role("button", name="Pause").click()
    alice.get_by_role("button", name="Clear", exact=True).click()
    expect(alice.locator(".frames li")).to_have_count(0)
    publish(page, "user:alice", "unseen")
    shows(page, ALICE, ["unseen", "seen raw"])
    expect(alice.locator(".frames-note")).to_contain_text("not shown")
    expect(alice.locator(".frames li")).to_have_count(0)
    alice.get_by_role("button", name="Resume").click()
    publish(page, "user:alice", "again")
    expect(alice.locator(".frames code").filter(has_text="again")).to_have_count(1)


def test_sent_frames_are_listed_and_old_frames_removed(demo_server, open_demo):
    page = open_demo()
    alice = pane(page, ALICE)
    # The client checks its connection when the page reports that the network is gone.
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(alice.get_by_role("img", name="sent").first).to_be_visible()
    demo_server.publish_many("alice", [f"n {number}" for number in range(250)])
    expect(alice.locator(".frames code").first).to_contain_text("stats:updated")
    expect(alice.locator(".frames code").filter(has_text='"n 249"')).to_have_count(1)
    expect(alice.locator(".frames li")).to_have_count(200)


# Toasts and desktop notifications.


def test_each_area_has_a_label(open_demo):
    page = open_demo()
    labels = ["Connection", "Notifications", "Room", "Raw frames"]
    for user in BOTH:
        areas = pane(page, user).locator(".area")
        expect(areas).to_have_count(len(labels))
        expect(areas.locator("h3")).to_have_text(labels)


def test_toasts_appear_until_they_are_switched_off(open_demo):
    page = open_demo()
    publish(page, "users", "with a toast")
    expect(page.locator("carillon-toast carillon-item")).to_have_count(2)
    for each in BOTH:
        pane(page, each).get_by_label("Toasts").uncheck()
    assert page.locator("carillon-toast").count() == 0
    publish(page, "users", "without a toast")
    shows(page, ALICE, ["without a toast", "with a toast"])


def test_the_request_is_copied_as_a_command_that_runs(demo_server, open_demo):
    page = open_demo(permissions=["clipboard-read", "clipboard-write"])
    title = 'it\'s "quoted" $HOME `id` \\ <b>'
    page.locator("#publish [name=title]").fill(title)
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#publish .done")).to_contain_text("Copied")
    command = page.evaluate("navigator.clipboard.readText()")
    assert command.startswith(f"curl -X POST '{demo_server.url}/api/v1/notifications' \\\n")
    answer = subprocess.run(["bash", "-c", f"{command} -s"], capture_output=True, check=True)
    assert json.loads(answer.stdout)["data"]["title"] == title
    shows(page, ALICE, [title])
    # Without access to the clipboard it is shown and selected.
    page.evaluate("delete Navigator.prototype.clipboard")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#publish p.error")).to_contain_text("clipboard")
    assert page.evaluate("getSelection().toString()").startswith("curl -X POST")


def test_one_sign_shows_the_state_of_the_connection(open_demo):
    alice = pane(open_demo(), ALICE)
    for status in alice.locator("carillon-status").all():
        expect(status).to_be_hidden()
    expect(alice.locator("h3")).to_have_text(["Connection", "Notifications", "Room", "Raw frames"])


def test_desktop_permission_is_asked_for_only_on_a_click(open_demo):
    page = open_demo()
    page.evaluate("fakeDesktop()")
    for answer, words in [("denied", "denied"), ("granted", "Shown on the desktop")]:
        page.evaluate(
            "(answer) => { Notification.permission = 'default'; window.answer = answer }", answer
        )
        pane(page, ALICE).get_by_label("Desktop").click()
        expect(pane(page, ALICE).locator(".notice")).to_contain_text(words)
    expect(pane(page, ALICE).get_by_label("Desktop")).to_be_checked()
    publish(page, "users", "looked at")
    shows(page, ALICE, ["looked at"])
    page.evaluate("window.isAway = true")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    publish(page, "users", "not looked at")
    # Only one of the two users has them enabled.
    wait_for(page, "() => window.shown.join() === 'not looked at'")
    expect(badge(page, BOB)).to_have_text("2")
    assert page.evaluate("window.shown") == ["not looked at"]


# The page itself.


def test_the_console_opens_with_the_demos_publisher(demo_server, open_demo):
    page = open_demo()
    # Another page of the same users, so that both stay online when this one leaves.
    open_demo()
    page.get_by_role("link", name="console").click()
    expect(page.locator("#board")).to_be_visible()
    expect(page.locator("#online-users li")).to_have_text(["alice", "bob"])
    expect(page).to_have_url(f"{demo_server.url}/console")


def test_a_server_that_issues_no_tokens_is_reported(browser, demo_server):
    with contextlib.closing(new_context(browser)) as context:
        context.route("**/demo/tokens", lambda route: route.abort())
        page = open_own_page(context, "/", server=demo_server)
        expect(page.locator("#page-error")).to_contain_text("The demo cannot start")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_in_light_and_dark(open_demo, scheme):
    page = open_demo(color_scheme=scheme, viewport={"width": 1440, "height": 1000})
    for name in ("Trade", "Incident", "Payment", "Import", "Hostile"):
        page.get_by_role("button", name=name).click()
        publish(page, "users")
    for each, text in zip(BOTH, ("Good morning, bob.", "Hello alice!"), strict=True):
        pane(page, each).get_by_role("button", name="Join").click()
        expect(pane(page, each).get_by_role("button", name="Leave")).to_be_visible()
        is_connected(page, each)
        expect(pane(page, each).locator(".person").first).to_be_visible()
        pane(page, each).get_by_label("Say in the room").fill(text)
        pane(page, each).get_by_label("Say in the room").press("Enter")
        expect(pane(page, each).locator(".said").last).to_have_text(text)
    expect(titles(page, BOB)).to_have_count(5)
    assert_fit(page)
    keep(page, f"demo-{scheme}")
    plug(page, BOB)
    expect(state(page, BOB)).to_have_text("Reconnecting…")
    pane(page, ALICE).locator("carillon-bell").click()
    expect(pane(page, ALICE).get_by_role("dialog")).to_be_visible()
    assert_fit(page)
    keep(page, f"demo-bell-{scheme}")
    other = "light" if scheme == "dark" else "dark"
    page.get_by_role("button", name=f"Switch to {other} mode").click()
    # The elements follow the page.
    for element in page.locator("carillon-list, carillon-bell").all():
        expect(element).to_have_css("color-scheme", other)
    assert_fit(page)


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_small_screen(open_demo, width):
    page = open_demo(viewport={"width": width, "height": 844}, device_scale_factor=2)
    publish(page, "users", "W" * 200)
    expect(titles(page, BOB)).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Nor does an area go beyond its pane, which the page's width does not show.
    for index in BOTH:
        box = pane(page, index).bounding_box()
        for area in pane(page, index).locator(".area").all():
            inner = area.bounding_box()
            assert inner["x"] + inner["width"] <= box["x"] + box["width"]
    if width == 390:
        keep(page, "demo-small")
