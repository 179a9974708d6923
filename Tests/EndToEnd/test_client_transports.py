"""WebSocket first, then an event stream, then long polling: all three deliver the same events."""

import pytest

from harness.browser import Tab, assert_no_errors
from harness.proxy import BackgroundProxy, Firewall
from harness.shards import own_connections
from harness.tokens import user_token
from harness.waiting import wait_until

SOCKETS = b"Upgrade: websocket"
STREAMS = b"GET /notifications/events"
# Proxies log the URL of each request.
TOKEN_IN_URL = b"token="
REFUSED = {"websocket": [], "sse": [SOCKETS], "poll": [SOCKETS, STREAMS]}
WAYS = pytest.mark.parametrize("way", REFUSED)
DIALECTS = {"websocket": "event", "sse": "sse", "poll": "poll"}
FIELDS = {
    "id", "type", "priority", "title", "message", "entity_type", "entity_id", "entity_url",
    "group_key", "is_read", "created_at", "actions", "data",
}  # fmt: skip


@pytest.fixture
def open_tab(make_server, make_context, fresh_user):
    """Opens a tab through a firewall that permits one transport, and no token in a URL."""
    server, proxies = make_server(), []

    def open_one(way, **options):
        firewall = Firewall(server, [TOKEN_IN_URL, *REFUSED[way]])
        proxies.append(BackgroundProxy(server, firewall).__enter__())
        url = proxies[-1].url
        tab = Tab(make_context(server), server, fresh_user(), page_url=url, **options).connected()
        tab.proxy, tab.firewall = proxies[-1], firewall
        return tab

    yield open_one
    for proxy in proxies:
        proxy.__exit__(None, None, None)


def takes(tab, way):
    """Whether the server lists one connection of the tab, over that transport."""
    dialects = [each["dialect"] for each in own_connections(tab.server, tab.user)]
    return dialects == [DIALECTS[way]]


@WAYS
def test_a_blocked_transport_falls_back_to_the_next(open_tab, way):
    tab = open_tab(way)
    wait_until(f"the transport is {way}", lambda: takes(tab, way))
    assert tab.states == ["connecting", "connected"]
    tab.server.publish(tab.user, "hello")
    tab.until("titles().length === 1 && store.value.unreadCount === 1")
    assert_no_errors(tab.page)


@WAYS
def test_every_transport_delivers_the_same_events(open_tab, way):
    tab = open_tab(way)
    full = {
        "message": "m", "type": "trade.created", "priority": "urgent", "entity_type": "trade",
        "entity_id": "7", "entity_url": "/trades/7", "data": {"pnl": 125.5},
        "actions": [{"label": "See", "url": "/see"}], "group_key": "g",
    }  # fmt: skip
    made = tab.server.publish(tab.user, "full", **full)
    tab.until("titles().length === 1 && details('stats').at(-1)?.unread === 1")
    (shown,) = tab.details("notification")
    assert set(shown) == FIELDS
    fields = set(full) | {"id", "title", "is_read", "created_at"}
    if way == "websocket":
        # A WebSocket gets these fields only when it resumes, or with the list.
        fields -= {"actions", "group_key"}
    assert {name: shown[name] for name in fields} == {name: made[name] for name in fields}
    stats = {"total": 1, "unread": 1, "unseen": 1}
    assert tab.details("stats")[-1] == {
        **stats,
        "by_priority": {"low": 0, "normal": 0, "high": 0, "urgent": 1},
    }


@WAYS
def test_changes_by_another_device_show(open_tab, way):
    tab = open_tab(way)
    token = user_token(tab.user)
    ids = [tab.server.publish(tab.user, title)["id"] for title in "abcd"]
    tab.until("store.value.unreadCount === 4 && listed().length === 4")

    def does(method, path, condition):
        answer = tab.server.request(method, f"/api/v1/notifications{path}", token)
        assert answer.status == 200, answer
        # Only notifications end a poll, so it sees other changes with the next notification.
        if way == "poll":
            tab.server.publish(tab.user, "wakes it")
            tab.until("listed()[0] === 'wakes it'")
            tab.evaluate("void store.remove(store.value.notifications[0].id)")
        tab.until(condition)

    of = "store.value.notifications.find((n) => n.title === '{}')"
    does("PUT", f"/{ids[0]}/read", of.format("a") + ".is_read && store.value.unreadCount === 3")
    does("PUT", f"/{ids[0]}/unread", "!" + of.format("a") + ".is_read")
    does("DELETE", f"/{ids[3]}", "listed().join() === 'c,b,a' && store.value.unreadCount === 3")
    does("PUT", "/read-all", "store.value.unreadCount === 0 && " + of.format("b") + ".is_read")
    does("DELETE", "", "listed().length === 0")


@WAYS
def test_every_transport_resumes_after_a_restart(open_tab, way):
    tab = open_tab(way)
    expected = []

    def publish(title):
        expected.append(title)
        tab.server.publish(tab.user, title)

    publish("live")
    tab.until("titles().length === 1")
    for number in range(3):
        tab.server.kill()
        tab.until("client.state !== 'connected'")
        tab.server.start(tab.server.port)
        for each in range(5):
            publish(f"{number}/{each}")
        tab.until("(last) => titles().includes(last)", expected[-1])
        tab.connected()
        publish(f"{number} live")
        tab.until("(last) => titles().includes(last)", expected[-1])
    assert tab.titles == expected
    tab.until("(count) => store.value.unreadCount === count", len(expected))
    tab.until("(titles) => listed().join() === titles", ",".join(expected[::-1]))
    wait_until(f"the transport is still {way}", lambda: takes(tab, way))
    assert_no_errors(tab.page)


def test_an_outage_is_not_mistaken_for_a_blocked_transport(open_tab):
    stable = 100
    tab = open_tab("websocket", reconnectInterval=stable)
    for _ in range(3):
        # A connection that has lasted for this time resets the pauses between the attempts.
        tab.evaluate("(time) => new Promise((done) => setTimeout(done, time))", stable)
        before = len(tab.states)
        tab.server.kill()
        lost = "details('state').slice(before).filter((each) => each === 'disconnected')"
        tab.until(f"(before) => {lost}.length > 2", before)
        tab.server.start(tab.server.port)
        tab.connected()
        assert takes(tab, "websocket")


def test_a_network_change_retries_the_first_transport(open_tab):
    tab = open_tab("poll")
    tab.firewall.refused.clear()
    tab.evaluate("dispatchEvent(new Event('online'))")
    wait_until("the client has a WebSocket", lambda: takes(tab, "websocket"))


@pytest.mark.parametrize("way", ["sse", "poll"])
def test_room_changes_keep_a_fallback_transport_connected(open_tab, way, fresh_user):
    tab, room = open_tab(way), fresh_user("room")
    tab.evaluate("(room) => client.join(room)", room)
    if way == "sse":
        wait_until("the client is in the room", lambda: own_rooms(tab) == [room])
        tab.evaluate("(room) => client.leave(room)", room)
        wait_until("the client has left the room", lambda: own_rooms(tab) == [])
    # Each change opens the transport again, which then delivers this.
    tab.server.publish(tab.user, "after that")
    tab.until("titles().length === 1")
    assert tab.states == ["connecting", "connected"]


def own_rooms(tab):
    found = own_connections(tab.server, tab.user)
    return found[0]["rooms"] if len(found) == 1 else None
