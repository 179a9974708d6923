"""The bell, its panel, items and toasts in real pages: their display and their actions."""

import pytest
from playwright.sync_api import expect

from harness.browser import BLANK, open_page
from harness.elements import (
    asked,
    assert_calm,
    badge,
    bell,
    clear_all,
    close_panel,
    connected,
    expect_badge,
    expect_titles,
    open_elements,
    open_panel,
    panel,
    screenshot,
    toasts,
    until,
)
from harness.server import free_port
from harness.shards import own_connections
from harness.socketio_js import CLIENTS
from harness.tokens import user_token
from harness.waiting import wait_until

INBOX = "/api/v1/notifications"
HOSTILE = [
    "<script>window.hit = 1</script>",
    '<img src="/x" onerror="window.hit = 1">',
    '"><svg onload=window.hit=1>',
    "&lt;b&gt; {{7*7}} ${window.hit=1}",
    "\u202egnp.exe\u202c and \u2066isolated",
]
REFUSED = [
    "javascript:window.hit=1",
    " \tjavascript:window.hit=1",
    "JaVaScRiPt:window.hit=1",
    "data:text/html,<script>window.hit=1</script>",
    "blob:SERVER/4c1e",
    "http://elsewhere.example/",
    "//elsewhere.example/",
    "https://bank.example@elsewhere.example/",
    "https://[",
    "",
]
# Shows one notification in a page without a client.
ALONE = "(given) => showAlone(given)"
EARLY = "<!doctype html><body><carillon-item></carillon-item></body>"


def unread(server, user):
    return server.request("GET", f"{INBOX}/unread-count", user_token(user)).data["count"]


def test_two_pages_count_live_and_share_read_marks(server, make_context, fresh_user):
    user = fresh_user()
    pages = [connected(open_elements(make_context(server), server, bell(user))) for _ in range(2)]
    for page in pages:
        expect(badge(page)).to_be_hidden()
    for count in range(1, 4):
        server.publish(user, f"number {count}")
        for page in pages:
            expect_badge(page, str(count))
    first, second = pages
    open_panel(first)
    open_panel(second)
    panel(first).get_by_text("number 2").click()
    expect_badge(second, "2")
    expect(panel(second).locator("carillon-item[unread]")).to_have_count(2)
    panel(first).get_by_role("button", name="Mark all read").click()
    for page in pages:
        expect(badge(page)).to_be_hidden()
        expect(panel(page).locator("carillon-item[unread]")).to_have_count(0)
    assert unread(server, user) == 0
    for page in pages:
        assert_calm(page)


def test_the_badge_says_no_more_than_99(server, context, fresh_user):
    user = fresh_user()
    server.publish_many(user, [f"n {index}" for index in range(101)])
    page = connected(open_elements(context, server, bell(user)))
    expect_badge(page, "99+")
    expect(page.get_by_role("button", name="Notifications, 101 unread")).to_be_visible()


def test_dismiss_and_clear_go_to_the_server(server, context, fresh_user):
    user = fresh_user()
    for title in ("one", "two", "three"):
        server.publish(user, title)
    page = connected(open_elements(context, server, bell(user)))
    expect_badge(page, "3")
    opened = open_panel(page)
    expect_titles(opened, ["three", "two", "one"])
    opened.get_by_text("two").hover()
    opened.get_by_role("button", name="Dismiss: two").click()
    expect_titles(opened, ["three", "one"])
    wait_until("one is deleted", lambda: len(server.inbox(user)) == 2)
    clear_all(opened)
    expect(opened.get_by_text("You’re all caught up")).to_be_visible()
    expect(badge(page)).to_be_hidden()
    # Nothing is deleted while it can be undone, and it is when the panel is closed.
    assert len(asked(page, "DELETE")) == 1
    close_panel(page)
    wait_until("all are deleted", lambda: server.inbox(user) == [])
    assert_calm(page)


def test_hostile_text_shows_as_plain_text(server, context, fresh_user):
    user = fresh_user()
    body = f"<header>{bell(user)}</header><main><carillon-list></carillon-list></main>"
    page = connected(open_elements(context, server, body + "<carillon-toast></carillon-toast>"))
    long = "<b>4 KB</b> " + "ש\u202eא<i>" * 450
    for title in HOSTILE:
        server.publish(user, title, message=title)
    server.publish(user, "long", message=long[:2_000])
    opened = open_panel(page)
    expected = ["long", *reversed(HOSTILE)]
    for scope in (opened, page.locator("carillon-list")):
        expect(scope.locator("carillon-item")).to_have_count(len(expected))
        shown = scope.locator("carillon-item .title").evaluate_all(
            "(all) => all.map((it) => it.textContent)"
        )
        assert shown == expected
    message = opened.locator("carillon-item .message").first
    assert message.evaluate("(it) => it.textContent") == long[:2_000]
    # A direction override in a text does not affect its surroundings.
    directions = opened.locator(".title, .message").evaluate_all(
        "(all) => all.map((it) => getComputedStyle(it).unicodeBidi)"
    )
    assert set(directions) <= {"isolate", "plaintext"} and directions
    made = page.evaluate("all().map((it) => it.localName)")
    assert not {"script", "img", "b", "i"} & set(made[made.index("body") :])
    assert page.evaluate("window.hit") is None
    assert opened.evaluate("(it) => it.scrollWidth <= it.clientWidth + 2")
    screenshot(page, "elements-hostile")
    assert_calm(page)


@pytest.mark.parametrize("url", REFUSED)
def test_a_link_that_could_run_or_deceive_leads_nowhere(server, context, url):
    page, url = open_elements(context, server, ""), url.replace("SERVER", server.url)
    actions = [{"label": "Do it", "url": url}, {"label": "Go on", "url": "/on"}, None, "x"]
    page.evaluate(ALONE, {"entity_url": url, "actions": actions})
    item = page.locator("carillon-item")
    expect(item.locator(".action")).to_have_text(["Go on"])
    title = item.get_by_role("button", name="It rings", exact=True)
    assert title.get_attribute("href") is None
    title.click()
    assert page.evaluate("window.hit") is None
    assert page.url == server.url + "/a-page"
    assert_calm(page)


def test_a_click_marks_as_read_and_follows(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "Elsewhere", entity_url="https://example.com/a?b=1#c")
    server.publish(user, "Close by", entity_url="/incidents/7")
    page = connected(open_elements(context, server, bell(user)))
    opened = open_panel(page)
    foreign = opened.get_by_role("link", name="Elsewhere")
    expect(foreign).to_have_attribute("href", "https://example.com/a?b=1#c")
    expect(foreign).to_have_attribute("rel", "noopener noreferrer")
    expect(foreign).to_have_attribute("target", "_blank")
    page.route("**/incidents/7", lambda route: route.fulfill(body="there"))
    # A click anywhere on the item counts.
    opened.locator("carillon-item", has_text="Close by").locator("time").click(force=True)
    page.wait_for_url("**/incidents/7")
    wait_until("one is read", lambda: unread(server, user) == 1)


def test_a_page_may_open_links_itself(server, context, fresh_user):
    user = fresh_user()
    server.publish(user, "Here", entity_url="/incidents/7")
    page = connected(open_elements(context, server, bell(user)))
    page.evaluate(
        """() => {
          addEventListener('carillon-open', (event) => event.preventDefault())
          addEventListener('click', (event) => { window.isPrevented = event.defaultPrevented })
        }"""
    )
    open_panel(page).get_by_role("link", name="Here").click()
    until(page, "fired.length")
    ((name, detail),) = page.evaluate("fired")
    assert (name, detail["url"]) == ("open", server.url + "/incidents/7")
    assert page.evaluate("window.isPrevented") is True
    assert asked(page, "PUT", "/read") == []


def test_a_group_collapses_and_is_dismissed_together(server, context, fresh_user):
    user = fresh_user()
    for title, group in (("a", "g"), ("alone", None), ("b", "g"), ("c", "g")):
        server.publish(user, title, group_key=group)
    page = connected(open_elements(context, server, bell(user)))
    opened = open_panel(page)
    expect_titles(opened, ["c", "alone"])
    more = opened.get_by_role("button", name="2 more")
    expect(more).to_have_attribute("aria-expanded", "false")
    more.click()
    expect_titles(opened, ["c", "b", "a", "alone"])
    less = opened.get_by_role("button", name="Show less")
    expect(less).to_have_attribute("aria-expanded", "true")
    less.click()
    expect_titles(opened, ["c", "alone"])
    opened.get_by_role("button", name="c", exact=True).click()
    expect_badge(page, "1")
    opened.get_by_text("alone").hover()
    opened.locator("carillon-item", has_text="2 more").hover()
    opened.get_by_role("button", name="Dismiss all 3: c").click()
    expect_titles(opened, ["alone"])
    assert [each["title"] for each in server.inbox(user)] == ["alone"]
    assert_calm(page)


def test_missed_notifications_appear_once_after_a_server_crash(make_server, make_context):
    server = make_server()
    body = f"{bell('ann')}<carillon-list></carillon-list>"
    body += '<carillon-toast timeout="0"></carillon-toast>'
    page = connected(open_elements(make_context(server), server, body))
    server.publish("ann", "before")
    opened = open_panel(page)
    expect_titles(opened, ["before"])
    status = opened.locator("carillon-status")
    expect(status).to_have_text("Real-time")
    server.kill()
    expect(status).to_have_text("Reconnecting…")
    # On another port first, so that the page is still disconnected when these are published.
    port = server.port
    server.start(free_port())
    for title in ("missed 1", "missed 2"):
        server.publish("ann", title)
    server.stop()
    server.start(port=port)
    expect(status).to_have_text("Real-time")
    expect_badge(page, "3")
    server.publish("ann", "after")
    for scope in (opened, page.locator("carillon-list")):
        expect_titles(scope, ["after", "missed 2", "missed 1", "before"])
    expect_badge(page, "4")
    # There is room for three, and none of them came twice.
    expect(toasts(page).locator(".title")).to_have_text(["after", "missed 2", "missed 1"])
    assert_calm(page)


def test_a_deliberate_disconnect_does_not_show_reconnecting(server, context, fresh_user):
    body = f"{bell(fresh_user())}<carillon-status></carillon-status>"
    page = connected(open_elements(context, server, body))
    status = page.locator("body > carillon-status")
    expect(status).to_have_text("Real-time")
    page.evaluate("core.defaultClient().disconnect()")
    expect(status).to_have_text("Disconnected")
    page.evaluate("core.defaultClient().connect()")
    expect(status).to_have_text("Real-time")


# Toasts.


def test_a_toast_expires_unless_the_pointer_is_on_it(server, context, fresh_user):
    user = fresh_user()
    body = f'{bell(user)}<carillon-toast timeout="700"></carillon-toast>'
    page = connected(open_elements(context, server, body))
    server.publish(user, "stays", priority="urgent")
    expect(toasts(page)).to_have_count(1)
    toasts(page).hover()
    server.publish(user, "passes")
    expect(toasts(page)).to_have_count(2)
    until(page, "areToastsHeld()")
    page.mouse.move(0, 0)
    expect(toasts(page)).to_have_count(1)
    expect(toasts(page).locator(".title")).to_have_text("stays")
    # Dismissing the toast keeps the notification in the inbox.
    toasts(page).hover()
    page.get_by_role("button", name="Dismiss: stays").click()
    expect(page.locator("carillon-toast")).to_be_hidden()
    assert asked(page, "DELETE") == []
    assert_calm(page)


def test_the_newest_and_the_urgent_toasts_are_shown(server, context, fresh_user):
    user = fresh_user()
    body = f'{bell(user)}<carillon-toast timeout="0"></carillon-toast>'
    page = connected(open_elements(context, server, body))
    server.publish(user, "fire", priority="urgent")
    for index in range(4):
        server.publish(user, f"n {index}")
    expect(toasts(page).locator(".title")).to_have_text(["n 3", "n 2", "fire"])
    assert_calm(page)


def test_a_toast_closes_when_its_notification_is_read_elsewhere(server, context, fresh_user):
    user = fresh_user()
    body = f'{bell(user)}<carillon-toast timeout="0"></carillon-toast>'
    page = connected(open_elements(context, server, body))
    made = server.publish(user, "read on the phone")
    expect(toasts(page)).to_have_count(1)
    server.request("PUT", f"{INBOX}/{made['id']}/read", user_token(user))
    expect(page.locator("carillon-toast")).to_be_hidden()


# Times.


def test_times_stay_true(server, context):
    page = open_elements(context, server, "", clock="2026-03-01T12:00:00Z")
    page.evaluate(ALONE, {"created_at": "2026-03-01T12:00:00.000Z"})
    time = page.locator("carillon-item time")
    minute, hour = 60_000, 3_600_000
    for wait, text in (
        (10_000, "now"),
        (5 * minute, "5m ago"),
        (2 * hour, "2h ago"),
        (48 * hour, "2d ago"),
        (144 * hour, "Mar 1, 2026"),
    ):
        page.clock.fast_forward(wait)
        expect(time).to_have_text(text)
    expect(time).to_have_attribute("datetime", "2026-03-01T12:00:00.000Z")


def test_a_clock_that_is_behind_shows_no_future(server, context):
    page = open_elements(context, server, "", clock="2026-03-01T12:00:00Z")
    page.evaluate(ALONE, {"created_at": "2026-03-01T12:03:00.000Z"})
    expect(page.locator("carillon-item time")).to_have_text("now")
    page.evaluate("document.querySelector('carillon-item').remove()")
    page.evaluate(ALONE, {"created_at": "not a time"})
    expect(page.locator("carillon-item time")).to_be_hidden()
    assert_calm(page)


# Sounds.


def test_it_sounds_only_when_asked_and_after_a_gesture(server, context, fresh_user):
    user = fresh_user()
    context.add_init_script(path=CLIENTS / "sounds.js")
    page = connected(open_elements(context, server, bell(user)))
    server.publish(user, "silent: not enabled")
    expect_badge(page, "1")
    set_sound = "(types) => document.querySelector('carillon-bell').setAttribute('sound', types)"
    page.evaluate(set_sound, "")
    server.publish(user, "silent: no gesture")
    expect_badge(page, "2")
    assert page.evaluate("tones") == []
    open_panel(page)
    server.publish(user, "sounds", type="error")
    until(page, "tones.length === 2")
    assert page.evaluate("tones") == [440, 330]
    page.evaluate(set_sound, "success csv.import")
    server.publish(user, "silent: not of these types", type="error")
    server.publish(user, "sounds", type="success")
    until(page, "tones.length > 2")
    assert page.evaluate("tones") == [440, 330, 660, 880]
    assert_calm(page)


# How a page uses them.


def test_elements_without_a_client_share_the_one_of_the_page(server, context, fresh_user):
    user = fresh_user()
    body = "<carillon-status></carillon-status><carillon-panel></carillon-panel>"
    body += "<carillon-toast></carillon-toast>"
    page = open_elements(context, server, body)
    # The elements existed before the login.
    page.evaluate("(token) => core.wsClient.connect(token)", user_token(user))
    connected(page)
    made = server.publish(user, "for the page")
    expect_titles(page.locator("carillon-panel"), ["for the page"])
    expect(toasts(page).locator(".title")).to_have_text(["for the page"])
    expect(page.locator("body > carillon-status")).to_have_text("Real-time")
    page.evaluate("core.wsClient.disconnect()")
    page.evaluate("(token) => core.wsClient.connect(token)", user_token(user))
    connected(page)
    expect_titles(page.locator("carillon-panel"), ["for the page"])
    server.request("DELETE", f"{INBOX}/{made['id']}", user_token(user))
    expect_titles(page.locator("carillon-panel"), [])
    wait_until("one connection", lambda: len(own_connections(server, user)) == 1)


def test_clients_of_their_own_keep_two_users_apart(server, context, fresh_user):
    users = [fresh_user("left"), fresh_user("right")]
    page = open_elements(context, server, "<carillon-bell></carillon-bell>" * 2)
    page.evaluate("(tokens) => connectBells(tokens)", [user_token(user) for user in users])
    badges = page.locator("carillon-bell .badge")
    server.publish(users[0], "left 1")
    server.publish(users[0], "left 2")
    server.publish(users[1], "right 1")
    expect(badges.nth(0)).to_have_text("2")
    expect(badges.nth(1)).to_have_text("1")
    assert_calm(page)


def test_properties_set_before_an_element_is_defined_are_kept(server, context):
    page = open_page(context, BLANK, server=server, text=EARLY)
    page.add_script_tag(path=CLIENTS / "early_page.js", type="module")
    expect(page.locator("carillon-item .title")).to_have_text("Early")
    expect(page.get_by_role("button", name="Weg: Early")).to_be_attached()


def test_a_page_can_set_words_kinds_and_colours(server, context, fresh_user):
    user = fresh_user()
    page = open_elements(context, server, bell(user), lang="de-AT")
    page.evaluate("customize()")
    connected(page)
    server.publish(user, "Ahoy", type="ship")
    expect(page.get_by_role("button", name="Mitteilungen, 1 ungelesen")).to_be_visible()
    opened = open_panel(page)
    expect(opened).to_have_css("background-color", "rgb(245, 245, 220)")
    expect(opened.locator(".icon")).to_have_css("color", "rgb(1, 2, 3)")
    expect(opened.locator(".icon path")).to_have_attribute("d", "M2 12h20")
    # Times use the words of the page's language, too.
    expect(opened.locator("time")).to_have_text("jetzt")
