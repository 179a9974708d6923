"""ghostpay's document line by line, with the official Socket.IO clients over each transport.

`test_sse.py` tests its event stream, `test_socketio_recovery.py` the notifications that a client
missed while away.
"""

import contextlib

import pytest

from harness.engineio import EngineServer
from harness.proxy import BackgroundProxy
from harness.rooms import TypedClient, send
from harness.shards import own_connections
from harness.socketio_clients import PythonClient, await_final_transport
from harness.socketio_js import WAYS, ChromiumClient, NodeClient
from harness.times import is_timestamp
from harness.tokens import publisher_token, user_token
from harness.waiting import wait_until

EACH = pytest.mark.parametrize("way", WAYS, ids=repr)
SCRIPTS = pytest.mark.parametrize("way", [way for way in WAYS if way.recovers], ids=repr)
PAGES = pytest.mark.parametrize("way", [w for w in WAYS if w.kind is ChromiumClient], ids=repr)
PLACES = [(way, by) for way in WAYS for by in ("header", "query", "auth") if way.can_send(by)]
EACH_PLACE = pytest.mark.parametrize("way, by", PLACES, ids=str)
KEYS = ["id", "type", "user_id", "title", "message", "data", "timestamp", "isNew"]
SUCCESS = [{"success": True}]
STATS = "/api/notifications/stats"


def joined(tab, count=0):
    """Reads the two events that the server sends first."""
    id, recovered = tab.connected()
    assert id and recovered is False
    assert tab.expect("unread_count") == {"count": count}
    return tab


def total_clients(server):
    return server.request("GET", STATS, user_token("anyone")).data["total_clients"]


# Authentication.


@EACH_PLACE
def test_a_token_in_each_place_the_document_names(server, fresh_user, way, by):
    with way.open(server, fresh_user(), by=by) as tab:
        joined(tab)
        server.publish(tab.user, "It rings")
        assert tab.expect("notification")["title"] == "It rings"


@EACH_PLACE
@pytest.mark.parametrize(
    "token",
    [None, "nonsense", user_token("late", ttl=-3_600), user_token("forged")[:-4] + "AAAA"],
    ids=["none", "nonsense", "expired", "forged"],
)
def test_without_a_good_token_the_connection_is_refused(server, way, by, token):
    with way.open(server, token=token, by=by) as tab:
        assert tab.refusal() == "unauthorized"


@EACH
def test_an_unknown_namespace_is_refused(server, fresh_user, way):
    with way.open(server, fresh_user(), namespace="/other") as tab:
        assert tab.refusal() == "Invalid namespace"


@EACH
def test_the_connection_ends_with_its_token(make_server, fresh_user, way):
    server, user = make_server(environment={"JWT_LEEWAY": "0"}), fresh_user()
    with way.open(server, user, token=lambda: user_token(user, ttl=3)) as tab:
        joined(tab)
        (reason,) = tab.until("disconnect")
        assert reason in ("io server disconnect", "server disconnect")


@PAGES
def test_a_page_of_an_allowed_origin_may_connect_and_no_other(make_server, fresh_user, way):
    ours = "https://app.ghostpay.example"
    server = make_server(environment={"WEBSOCKET_CORS_ORIGINS": ours})
    with way.open(server, fresh_user(), origin=ours, by="auth") as tab:
        joined(tab)
        await_final_transport(tab)
        if way.transports[0] == "polling":
            # A custom header makes the browser send a preflight request.
            with way.open(server, fresh_user(), origin=ours, by="header") as other:
                joined(other)
    for evil in ("https://evil.example", f"{ours}.evil.example"):
        with way.open(server, fresh_user(), origin=evil) as tab:
            assert tab.refusal() in ("xhr poll error", "websocket error")


# The table of messages, and the handlers of the document.


@EACH
def test_the_document_from_the_connection_to_the_badge(server, fresh_user, way):
    user = fresh_user()
    with way.open(server, user, by="header" if way.can_send("header") else "query") as tab:
        joined(tab)
        assert tab.call("subscribe_notifications", {}) == SUCCESS
        assert tab.expect("unread_count") == {"count": 0}
        data = {"escrow": {"id": "e-1", "amounts": [1, 2.5, None]}, "ü": "\U0001f514"}
        made = server.publish(user, "Released", type="escrow.released", message="5", data=data)
        shown = tab.expect("notification")
        assert list(shown) == KEYS
        assert shown == {
            "id": made["id"],
            "type": "escrow.released",
            "user_id": user,
            "title": "Released",
            "message": "5",
            "data": data,
            "timestamp": made["created_at"],
            "isNew": True,
        }
        assert is_timestamp(shown["timestamp"])
        assert tab.expect("unread_count") == {"count": 1}
        await_final_transport(tab)
        assert tab.state["id"] and tab.state["connected"]
        assert tab.answers() == 1


@pytest.mark.parametrize("kind", [NodeClient, ChromiumClient], ids=lambda kind: kind.name)
def test_the_documents_code_runs_unchanged(make_server, fresh_user, kind):
    server, user = make_server(arguments=["--socketio-ping-interval", "300"]), fresh_user()
    with kind(server, user, runs_page=True) as page:

        def shown_until(*last):
            shown = []
            while shown[-1:] != [list(last)]:
                shown.append(page.entry())
            return shown

        shown = shown_until("log", "Successfully subscribed to notifications")
        assert shown.count(["log", "Connected to notification system"]) == 1
        made = server.publish(user, "Released", type="escrow.released")
        shown = shown_until("badge", 1)
        assert ["alert", "Released"] in shown
        assert [each[2]["id"] for each in shown if each[1] == "New notification received:"] == [
            made["id"]
        ]
        assert ["log", "Unread count updated:", 1] in shown
        shown_until("log", "Ping received from server")
        server.stop()
        shown_until("log", "Disconnected from notification system")


@EACH
def test_subscribing_needs_no_acknowledgement_and_may_be_done_again(server, fresh_user, way):
    with way.open(server, fresh_user()) as tab:
        joined(tab)
        server.publish(tab.user, "one")
        assert tab.event("unread_count") == {"count": 1}
        for values in ([], [{}], [None]):
            tab.emit("subscribe_notifications", *values)
            assert tab.expect("unread_count") == {"count": 1}


@EACH
def test_earlier_notifications_are_counted(server, fresh_user, way):
    user = fresh_user()
    server.publish_many(user, ["a", "b", "c"])
    with way.open(server, user) as tab:
        joined(tab, 3)
        server.publish(user, "d")
        assert tab.expect("notification")["title"] == "d"
        assert tab.expect("unread_count") == {"count": 4}


@EACH
def test_a_burst_comes_whole_and_in_order_also_during_the_upgrade(server, fresh_user, way):
    with way.open(server, fresh_user()) as tab:
        joined(tab)
        titles = [f"n {number}" for number in range(300)]
        for start in range(0, len(titles), 20):
            server.publish_many(tab.user, titles[start : start + 20])
        assert [tab.event("notification")["title"] for _ in titles] == titles
        assert tab.answers() == len(titles)


@EACH
def test_users_receive_only_their_own(server, fresh_user, way):
    with contextlib.ExitStack() as stack:
        tabs = [stack.enter_context(way.open(server, fresh_user())) for _ in range(3)]
        for tab in tabs:
            joined(tab)
        for tab in tabs:
            server.publish(tab.user, f"for {tab.user}")
        for tab in tabs:
            assert tab.expect("notification")["title"] == f"for {tab.user}"
            assert tab.expect("unread_count") == {"count": 1}


@EACH
def test_a_read_is_sent_to_every_device(server, fresh_user, way):
    user = fresh_user()
    ids = [server.publish(user, f"n {number}")["id"] for number in range(6)]
    with way.open(server, user) as tab, PythonClient(server, user) as phone:
        for device in (tab, phone):
            joined(device, 6)
        for change, left in [
            ({"id": ids[0]}, 5),
            ({"ids": ids[1:3]}, 3),
            ({"all": True}, 0),
        ]:
            assert tab.call("mark_as_read", change) == SUCCESS
            for device in (tab, phone):
                assert device.expect("unread_count") == {"count": left}
        path = f"/api/v1/notifications/{ids[0]}/unread"
        assert server.request("PUT", path, user_token(user)).status == 200
        assert tab.expect("unread_count") == {"count": 1}
    assert [each["is_read"] for each in server.inbox(user)] == [False] + [True] * 5


@EACH
def test_an_invalid_read_is_refused_and_changes_nothing(server, fresh_user, way):
    user, other = fresh_user(), fresh_user()
    foreign = server.publish(other, "not yours")["id"]
    with way.open(server, user) as tab:
        joined(tab)
        server.publish(user, "yours")
        assert tab.event("unread_count") == {"count": 1}
        for values in (
            [],
            [None],
            ["all"],
            [{}],
            [{"id": 5}],
            [{"id": ["a"]}],
            [{"ids": "a"}],
            [{"id": b"\0\1"}],
            [{"id": foreign}],
            [{"id": "no such id"}],
        ):
            assert is_error(tab.call("mark_as_read", *values)), values
        # Of several ids the server reads the known ones and ignores the rest, as over HTTP.
        assert tab.call("mark_as_read", {"ids": [foreign, "no such id"]}) == SUCCESS
        assert tab.answers() == 1
    assert server.inbox(other)[0]["is_read"] is False


def is_error(answer):
    (said,) = answer
    assert list(said) == ["success", "error"] and said["success"] is False, said
    return is_explained(said["error"])


def is_explained(error):
    return list(error) == ["code", "message"] and all(isinstance(x, str) for x in error.values())


@EACH
def test_the_connection_is_kept_alive(make_server, fresh_user, way):
    server = make_server(arguments=["--socketio-ping-interval", "300"])
    with way.open(server, fresh_user()) as tab:
        joined(tab)
        pings = 0
        while pings < 4:
            kind, name, *_ = tab.entry()
            assert (kind, name) == ("event", "ping")
            pings += 1
        assert tab.answers() == 0


# Rooms, typing, presence and broadcasts: as in rooms-hub, under the same names.


@EACH
def test_rooms_typing_and_presence(server, fresh_user, way):
    room, hub_user = fresh_user("room"), fresh_user("hub")
    with way.open(server, fresh_user()) as tab, TypedClient(server, hub_user) as hub:
        joined(tab)
        assert tab.call("join_room", {"room": room}) == SUCCESS
        assert tab.expect("room_joined") == {"room": room, "members": [tab.user]}
        assert hub.join(room) == [tab.user, hub_user]
        assert tab.expect("presence_update") == {"user_id": hub_user, "status": "online"}
        assert tab.call("typing_indicator", {"room": room, "is_typing": True}) == SUCCESS
        typing = {"room": room, "user_id": tab.user, "is_typing": True}
        assert hub.frame() == ("typing_indicator", typing)
        assert tab.call("presence_update", {"status": "busy"}) == SUCCESS
        assert hub.frame() == ("presence_update", {"user_id": tab.user, "status": "busy"})
        hub.say("typing_indicator", room=room, is_typing=True)
        assert tab.expect("typing_indicator") == {**typing, "user_id": hub_user}
        body = {"notification_type": "chat", "title": "t", "message": "m", "payload": {"a": 1}}
        send(server, "send/room", {"room": room, **body})
        assert tab.expect("room_notification") == {"room": room, **body}
        assert hub.until("room_notification") == {"room": room, **body}
        assert tab.call("leave_room", {"room": room}) == SUCCESS
        assert tab.event("room_left") == {"room": room, "members": [hub_user]}


@EACH
def test_broadcasts_and_updates_for_one_user(server, fresh_user, way):
    with way.open(server, fresh_user()) as tab:
        joined(tab)
        system = {"message_type": "maintenance", "title": "t", "message": "m", "payload": {"x": 1}}
        send(server, "send/system", system)
        assert tab.expect("system_message") == system
        update = {"update_type": "price", "payload": {"y": [2]}}
        send(server, "live/broadcast", update)
        assert tab.expect("data_update") == update
        send(server, "live/update", {"user_id": tab.user, **update})
        assert tab.expect("live_update") == update
        send(server, "live/data", {"user_id": tab.user, **update})
        assert tab.expect("data_update") == update


@EACH
def test_an_invalid_event_gets_an_error_and_the_connection_stays(server, fresh_user, way):
    with way.open(server, fresh_user()) as tab:
        joined(tab)
        for event, *values in [
            ("no_such_event",),
            ("join_room",),
            ("join_room", {"room": 5}),
            ("join_room", {"room": ""}),
            ("leave_room", "lobby"),
            ("typing_indicator", {"room": "lobby", "is_typing": "yes"}),
            ("typing_indicator", {"room": "never joined", "is_typing": True}),
            ("presence_update", {"status": "asleep"}),
            ("notification", {"title": "forged"}),
        ]:
            assert is_error(tab.call(event, *values)), event
            tab.emit(event, *values)
            assert is_explained(tab.expect("error")), event
        assert tab.answers() == 0


# Binary.


@EACH
def test_bytes_are_refused_and_the_connection_stays(server, fresh_user, way):
    with way.open(server, fresh_user()) as tab:
        joined(tab)
        for event, *values in [
            ("join_room", {"room": b"\0\1\2"}),
            ("subscribe_notification", b"\0", {"deep": [b"\1" * 100]}),
        ]:
            assert is_error(tab.call(event, *values)), event
            tab.emit(event, *values)
            assert is_explained(tab.expect("error")), event
        assert tab.answers() == 0


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    # A client that a busy machine delays must not miss a heartbeat.
    times = {"ping_interval": 60_000, "ping_timeout": 60_000, "connect_timeout": 60_000}
    server = EngineServer(tmp_path_factory.mktemp("echo"), **times).start()
    try:
        yield server
        server.stop()
    finally:
        server.end()


@EACH
def test_bytes_and_every_json_type_go_both_ways(echo, way):
    every_byte = bytes(range(256))
    values = [
        [],
        ["text", 1, -2.5, True, None, {"a": [{}]}],
        [every_byte],
        [b""],
        [{"deep": [every_byte, {"er": b"\0"}], "and": "\U0001f514 \0 \u2028"}, b"\xff\x1e", 7],
    ]
    with way.open(echo, namespace="/", by=None) as tab:
        tab.connected()
        for each in values:
            tab.emit("message", *each)
            while (received := tab.next())[:2] != ["event", "message-back"]:
                assert received[:2] == ["event", "auth"], received
            assert received[2:] == each
            assert tab.call("message-with-ack", *each) == each


# The connection's life.


@EACH
def test_it_reconnects_by_itself(server, fresh_user, way):
    with BackgroundProxy(server) as proxy, way.open(server, fresh_user(), through=proxy) as tab:
        joined(tab)
        for number in range(3):
            await_final_transport(tab)
            proxy.go_down()
            tab.until("disconnect")
            proxy.come_up()
            tab.connected()
            server.publish(tab.user, f"n {number}")
            while tab.event("notification")["title"] != f"n {number}":
                pass


@EACH
def test_a_disconnected_client_is_notified_and_leaves_the_count(make_server, fresh_user, way):
    server, user = make_server(), fresh_user()
    with way.open(server, user) as tab:
        joined(tab)
        wait_until("the client is counted", lambda: total_clients(server) == 1)
        (connection,) = own_connections(server, user)
        assert connection["dialect"] == "socketio"
        body = {"user_id": user}
        answer = server.request("POST", "/api/v1/disconnect", publisher_token(), body)
        assert answer.status == 200, answer
        (reason,) = tab.until("disconnect")
        assert reason in ("io server disconnect", "server disconnect")
        wait_until("the client is gone", lambda: total_clients(server) == 0)
    with way.open(server, user) as tab:
        joined(tab)
        wait_until("the client is counted", lambda: total_clients(server) == 1)
        tab.disconnect()
        wait_until("the client is gone", lambda: total_clients(server) == 0)


@SCRIPTS
def test_two_namespaces_share_a_connection(server, fresh_user, way):
    with way.open(server, fresh_user(), by="auth") as tab:
        joined(tab)
        other = tab.beside("/")
        joined(other)
        # While the client upgrades, the two states could be of different moments.
        await_final_transport(tab)
        assert other.state["transport"] == tab.state["transport"]
        server.publish(tab.user, "for both")
        for each in (tab, other):
            assert each.expect("notification")["title"] == "for both"
            assert each.expect("unread_count") == {"count": 1}
        # The client leaves one namespace and stays in the other.
        tab.disconnect()
        server.publish(tab.user, "for one")
        assert other.expect("notification")["title"] == "for one"
        assert tab.next() == ["disconnect", "io client disconnect"]


@EACH
def test_a_draining_server_disconnects_its_clients(make_server, fresh_user, way):
    server = make_server()
    with way.open(server, fresh_user()) as tab:
        joined(tab)
        server.stop()
        tab.until("disconnect")
