"""The browser client's connection: connecting, losing it, reconnecting, and the token.

Tests/WebClient/reconnect.test.js tests the waits between attempts.
"""

import json

import pytest
from playwright.sync_api import expect

from harness.browser import BLANK, Tab, assert_no_errors, open_page
from harness.proxy import BackgroundProxy
from harness.rooms import TypedClient, send
from harness.server import API_KEY, free_port
from harness.shards import own_connections
from harness.tokens import user_token
from harness.waiting import wait_until

UNREAD = "/api/v1/notifications/unread-count"
BAD = user_token("forged")[:-4] + "AAAA"


@pytest.fixture
def own(make_server):
    """A server that tests can kill and restart at the same address."""
    return make_server(environment={"JWT_LEEWAY": "0"})


def cut_off(tab, server):
    server.kill()
    tab.until("client.state !== 'connected'")


# States and missed notifications.


def test_states_are_reported_in_order(own, make_context, fresh_user):
    tab = Tab(make_context(own), own, fresh_user()).connected()
    assert tab.states == ["connecting", "connected"]
    cut_off(tab, own)
    tab.until("details('state').length >= 5")
    again = ["disconnected", "connecting"]
    assert tab.states[:5] == ["connecting", "connected", *again, "disconnected"]
    own.start(own.port)
    tab.connected()
    assert tab.states[-2:] == ["connecting", "connected"]
    assert "error" not in tab.states
    tab.evaluate("client.disconnect()")
    assert tab.states[-1] == "disconnected"
    wait_until("the connection is closed", lambda: own_connections(own, tab.user) == [])
    tab.evaluate("client.connect()")
    tab.connected()
    assert tab.states[-3:] == ["disconnected", "connecting", "connected"]
    assert_no_errors(tab.page)


@pytest.mark.parametrize("missed", [3, 60], ids=["within the list", "beyond the list"])
def test_missed_notifications_are_announced_once_in_order(own, make_context, fresh_user, missed):
    tab = Tab(make_context(own), own, fresh_user()).connected()
    own.publish(tab.user, "live")
    tab.until("titles().length === 1")
    expected = ["live"]
    for number in range(2):
        cut_off(tab, own)
        own.start(own.port)
        titles = [f"{number}/{each}" for each in range(missed)]
        own.publish_many(tab.user, titles)
        expected += titles
        tab.until("(last) => titles().includes(last)", titles[-1])
    tab.connected()
    assert tab.titles == expected
    tab.until("(count) => store.value.unreadCount === count", len(expected))
    tab.until("(titles) => listed().join() === titles", ",".join(expected[:-51:-1]))


def test_changes_made_while_disconnected_show_after_reconnecting(own, make_context, fresh_user):
    user = fresh_user()
    a, b, _ = (own.publish(user, title)["id"] for title in "abc")
    own.request("PUT", f"/api/v1/notifications/{a}/read", user_token(user))
    tab = Tab(make_context(own), own, user).connected()
    tab.until("store.value.unreadCount === 2")
    cut_off(tab, own)
    own.start(own.port)
    # The counts are the same as before, but the inbox differs.
    for path in (f"{a}/unread", f"{b}/read"):
        answer = own.request("PUT", f"/api/v1/notifications/{path}", user_token(user))
        assert answer.status == 200
    tab.until(
        "(ids) => store.value.notifications.map((n) => n.is_read).join() === 'false,true,false'"
    )
    own.publish(user, "live")
    tab.until("titles().length > 0")
    assert tab.titles == ["live"]


def test_lost_continuity_reloads_the_list_once(own, make_context, fresh_user):
    tab = Tab(make_context(own), own, fresh_user()).connected()
    own.publish(tab.user, "in the old store")
    tab.until("titles().length === 1")
    cut_off(tab, own)
    # On another port first, so that the client does not connect before the publish.
    port, own.data = own.port, own.data + "-new"
    own.start(free_port())
    own.publish(tab.user, "in the new store")
    own.stop()
    own.start(port)
    tab.until("details('resync').length === 1 && listed().join() === 'in the new store'")
    own.publish(tab.user, "live again")
    tab.until("titles().join() === 'in the old store,live again'")
    assert tab.listed == ["live again", "in the new store"]
    cut_off(tab, own)
    own.start(own.port)
    own.publish(tab.user, "missed")
    tab.until("titles().length === 3")
    assert len(tab.details("resync")) == 1


def test_a_disconnect_while_it_connects_leaves_nothing(own, make_context, fresh_user):
    tab = Tab(make_context(own), own, fresh_user()).connected()
    for _ in range(5):
        tab.evaluate("client.disconnect(); client.connect(); client.disconnect()")
    assert tab.evaluate("client.state") == "disconnected"
    wait_until("no connection", lambda: own_connections(own, tab.user) == [])
    tab.evaluate("client.connect(); client.disconnect(); client.connect(); client.connect()")
    tab.connected()
    wait_until("one connection", lambda: len(own_connections(own, tab.user)) == 1)
    tab.evaluate("client.close(); client.connect()")
    wait_until("closed for good", lambda: own_connections(own, tab.user) == [])
    assert tab.evaluate("client.state") == "disconnected"
    assert_no_errors(tab.page)


def test_a_publisher_that_disconnects_the_user(server, context, fresh_user):
    user = fresh_user()
    # A client with a fixed token has no other token to reconnect with.
    tab = Tab(context, server, user).connected()
    asks = Tab(context, server, user, shared=False, token=[user_token(user)]).connected()
    body = {"user_id": user, "reason": "out"}
    assert server.request("POST", "/api/v1/disconnect", key=API_KEY, body=body).status == 200
    tab.until("client.state === 'error'")
    asks.until("tokensAsked() === 2 && client.state === 'connected'")
    assert tab.details("error")[-1]["status"] == 1008


# The network.


def test_the_online_event_reconnects_at_once(own, make_context, fresh_user):
    context = make_context(own)
    with BackgroundProxy(own) as proxy:
        # Only the browser's `online` event reconnects within the test's time.
        options = {"url": proxy.url, "reconnectInterval": 120_000}
        tab = Tab(context, own, fresh_user(), **options).connected()
        context.set_offline(True)
        proxy.go_down()
        tab.until("client.state === 'disconnected'")
        own.publish(tab.user, "meanwhile")
        proxy.come_up()
        context.set_offline(False)
        tab.connected()
        tab.until("titles().join() === 'meanwhile'")


def test_a_page_restored_from_the_back_forward_cache_reconnects(own, make_context, fresh_user):
    """Simulates a browser's back/forward cache, which does not freeze pages with a connection."""
    context, user = make_context(own), fresh_user()
    first, second = (Tab(context, own, user).connected() for _ in range(2))
    first.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    assert first.evaluate("[client.state, client.isLeader]") == ["disconnected", False]
    second.until("client.isLeader && client.state === 'connected'")
    own.publish(user, "meanwhile")
    second.until("titles().length === 1")
    first.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    first.until("client.state === 'connected' && listed().join() === 'meanwhile'")
    assert len(own_connections(own, user)) == 1


def test_a_page_of_another_origin(own, make_context, fresh_user):
    other = own.url.replace("127.0.0.1", "localhost")
    tab = Tab(make_context(own), own, fresh_user(), page_url=other, url=own.url).connected()
    assert tab.evaluate("location.origin !== new URL(client.url).origin")
    own.publish(tab.user, "across")
    tab.until("titles().length === 1")
    assert tab.evaluate("store.markAllAsRead()") is True
    assert own.inbox(tab.user)[0]["is_read"]


def test_the_snippet_on_a_page_of_another_origin_needs_no_address(own, make_context, fresh_user):
    other, user = own.url.replace("127.0.0.1", "localhost"), fresh_user()
    page = open_page(make_context(own), BLANK, url=other)
    own.publish(user, "across")
    page.evaluate(
        """([token, source]) => {
          document.body.innerHTML = `<carillon-bell token="${token}"></carillon-bell>`
          const script = Object.assign(document.createElement('script'), { type: 'module' })
          script.src = source
          document.head.append(script)
        }""",
        [user_token(user), f"{own.url}/client/elements.js"],
    )
    expect(page.locator("carillon-bell .badge")).to_have_text("1")
    assert_no_errors(page)


def test_a_page_that_names_a_wrong_server_says_so_in_the_console(own, make_context, fresh_user):
    warnings, wrong, user = [], f"{own.url}/nowhere", fresh_user()
    tab = Tab(make_context(own), own, user, opens=False)
    tab.page.on("console", lambda it: it.type == "warning" and warnings.append(it.text))
    tab.open(url=wrong, token=user_token(user))
    tab.until("details('state').filter((each) => each === 'disconnected').length > 2")
    wait_until("it warns", lambda: tab.evaluate("1") and warnings)
    (warning,) = warnings
    assert warning.startswith(f"Carillon: {wrong}/api/v1/") and ": 404: " in warning
    assert "configure({ url })" in warning


# The token.


def test_a_fresh_token_is_sent_on_the_live_connection(own, make_context, fresh_user):
    user = fresh_user()
    tab = Tab(make_context(own), own, user, opens=False)
    old, new = user_token(user, ttl=3), user_token(user)
    tab.open(token=old)
    tab.connected()
    (before,) = own_connections(own, user)
    tab.evaluate("(token) => client.setToken(token)", new)
    wait_until("the old token has expired", lambda: is_over(own, old))
    own.publish(user, "after that")
    tab.until("titles().length === 1")
    (after,) = own_connections(own, user)
    assert after["id"] == before["id"]
    assert tab.states == ["connecting", "connected"]
    frames = json.dumps(tab.details("frame"))
    assert '\\"auth\\"' in frames and new not in frames, "no event may show a token"


def is_over(server, token):
    return server.request("GET", UNREAD, token).status == 401


@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
def test_a_fetched_token_is_renewed_in_time(make_server, make_context, fresh_user, transport):
    # The client renews a tenth of the token's time before its end; a slow machine takes longer, so
    # the server accepts the token for some seconds after its end.
    own, user = make_server(environment={"JWT_LEEWAY": "4"}), fresh_user()
    tab = Tab(make_context(own), own, user, opens=False)
    short = user_token(user, ttl=4)
    tab.open(token=[short, user_token(user)], transports=[transport])
    tab.connected()
    tab.until("tokensAsked() === 2")
    wait_until("the first token has expired", lambda: is_over(own, short))
    own.publish(user, "after that")
    tab.until("titles().length === 1")
    assert tab.states == ["connecting", "connected"]
    assert tab.evaluate("tokensAsked()") == 2


@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
@pytest.mark.parametrize("fault", ["forged", "ended", "nonsense"])
def test_a_refused_token_is_fetched_again(server, context, fresh_user, transport, fault):
    user = fresh_user()
    bad = {
        "forged": user_token(user)[:-4] + "AAAA",
        "ended": user_token(user, ttl=-60),
        "nonsense": "nonsense",
    }
    options = {"token": [bad[fault], user_token(user)], "transports": [transport]}
    tab = Tab(context, server, user, **options).connected()
    assert tab.states == ["connecting", "connected"]
    assert tab.evaluate("[tokensAsked(), client.user]") == [2, user]
    server.publish(user, "hello")
    tab.until("titles().length === 1")


@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
def test_an_expired_token_is_an_error_until_a_new_one_is_set(
    own, make_context, fresh_user, transport
):
    user = fresh_user()
    tab = Tab(make_context(own), own, user, opens=False)
    tab.open(token=user_token(user, ttl=3), transports=[transport])
    tab.connected()
    tab.until("client.state === 'error'")
    assert tab.states[-1] == "error"
    assert tab.details("error")[-1]["status"] in (4002, 401)
    own.publish(user, "missed")
    tab.evaluate("(token) => client.setToken(token)", user_token(user))
    tab.connected()
    tab.until("titles().join() === 'missed'")


def test_a_forged_token_stops_the_client(server, context):
    tab = Tab(context, server, token=BAD)
    tab.until("client.state === 'error'")
    assert tab.states == ["connecting", "error"]
    assert len(tab.details("error")) == 1
    tab.evaluate("client.disconnect()")
    # While the client is disconnected, it only stores a token.
    tab.evaluate("(token) => client.setToken(token)", user_token("valid"))
    assert tab.evaluate("client.state") == "disconnected"
    tab.evaluate("client.connect()")
    tab.connected()


def test_the_token_of_another_user_leaves_nothing_of_the_first(server, context, fresh_user):
    one, other = fresh_user(), fresh_user()
    server.publish(one, "the first one's")
    server.publish(other, "the other one's")
    tab = Tab(context, server, one).connected()
    tab.until('listed().join() === "the first one\'s"')
    tab.evaluate("(token) => client.setToken(token)", user_token(other))
    tab.until("client.state === 'connected' && listed().join() === \"the other one's\"")
    assert tab.evaluate("[client.user, store.value.unreadCount]") == [other, 1]
    wait_until("the first user is disconnected", lambda: own_connections(server, one) == [])
    server.publish(one, "not for this page")
    server.publish(other, "for this page")
    tab.until("titles().length > 0")
    assert tab.titles == ["for this page"]


# Other events of the server.


def test_rooms_typing_and_presence(server, context, fresh_user):
    room = fresh_user("room")
    tab = Tab(context, server, fresh_user(), rooms=[room]).connected()
    messages = "JSON.stringify(details('message'))"
    with TypedClient(server, fresh_user("hub")) as hub:
        hub.join(room)
        tab.until("(user) => " + messages + ".includes(user)", hub.user)
        tab.evaluate("(room) => client.typing(room)", room)
        typing = {"room": room, "user_id": tab.user, "is_typing": True}
        assert hub.until("typing_indicator") == typing
        tab.evaluate("client.presence('busy')")
        assert hub.until("presence_update") == {"user_id": tab.user, "status": "busy"}
        hub.say("typing_indicator", room=room, is_typing=True)
        tab.until("details('message').some(({event}) => event === 'typing')")
        body = {"room": room, "notification_type": "chat", "title": "t", "message": "m"}
        send(server, "send/room", {**body, "payload": {"a": 1}})
        tab.until("details('message').some(({event}) => event === 'room:message')")
        tab.evaluate("(room) => client.leave(room)", room)

    def rooms():
        return [each["rooms"] for each in own_connections(server, tab.user)]

    wait_until("the client has left the room", lambda: rooms() == [[]])
    tab.until("client.rooms.length === 0 && client.state === 'connected'")


@pytest.mark.parametrize("transport", ["websocket", "sse"])
def test_system_messages_and_live_updates_are_dispatched(server, context, fresh_user, transport):
    tab = Tab(context, server, fresh_user(), transports=[transport]).connected()
    system = {"message_type": "maintenance", "title": "t", "message": "m", "payload": {"x": 1}}
    update = {"update_type": "price", "payload": {"y": [2]}}
    send(server, "send/system", system)
    send(server, "live/update", {"user_id": tab.user, **update})
    send(server, "live/data", {"user_id": tab.user, **update})
    tab.until("details('message').length >= 3")
    assert tab.details("message")[:3] == [
        {"event": "system:message", "data": system},
        {"event": "live:update", "data": update},
        {"event": "data:update", "data": update},
    ]
    # incident-api's hook receives them among all other events.
    names = [each["event"] for each in tab.details("event")]
    assert [each for each in names if each in NAMES] == NAMES


NAMES = ["system:message", "live:update", "data:update"]
