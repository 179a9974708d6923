"""Recovery is for clients that ask for it; the others see Socket.IO as its documents show it.

The clients are the official ones as they come, with handlers as users write them.
"""

import json
import queue

import pytest
import socketio

from harness.proxy import BackgroundProxy
from harness.socketio_clients import PATIENCE, await_final_transport
from harness.socketio_js import WAYS
from harness.socketio_raw import RawClient
from harness.tokens import user_token

SCRIPTS = pytest.mark.parametrize("way", [way for way in WAYS if way.recovers], ids=repr)
SHORT_INTERVAL = ["--socketio-ping-interval", "300"]
NOTIFICATION = ["id", "type", "user_id", "title", "message", "data", "timestamp", "isNew"]


def pings(tab, count):
    """Reads on until so many application keep-alives have come."""
    while count > 0:
        count -= tab.entry()[:2] == ["event", "ping"]


def titles(tab, count):
    return [tab.event("notification")["title"] for _ in range(count)]


# Clients that do not ask.


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_python_handlers_of_one_parameter_get_every_event(make_server, fresh_user, transport):
    server, user = make_server(arguments=SHORT_INTERVAL), fresh_user()
    received = queue.Queue()
    client = socketio.Client()

    @client.on("notification", namespace="/notifications")
    def notification(data):
        received.put(data["title"])

    @client.on("unread_count", namespace="/notifications")
    def unread_count(data):
        received.put(data)

    @client.on("ping", namespace="/notifications")
    def ping():
        received.put("ping")

    host, port = server.address
    url = f"http://{host}:{port}?token={user_token(user)}"
    client.connect(
        url, namespaces=["/notifications"], transports=[transport], wait_timeout=PATIENCE
    )
    seen = []
    try:
        # The count is read after the client has connected.
        while {"count": 0} not in seen:
            seen.append(received.get(timeout=PATIENCE))
        server.publish_many(user, ["one", "two"])
        while seen.count("ping") < 2 or {"count": 2} not in seen:
            seen.append(received.get(timeout=PATIENCE))
    finally:
        client.disconnect()
    assert [each for each in seen if each != "ping"] == [
        {"count": 0},
        "one",
        {"count": 1},
        "two",
        {"count": 2},
    ]


@pytest.mark.parametrize("arguments", [[], ["--socketio-recovery", "off"]], ids=["asked", "off"])
def test_a_client_that_did_not_ask_sees_no_further_field_or_argument(
    make_server, fresh_user, arguments
):
    server, user = make_server(arguments=[*SHORT_INTERVAL, *arguments]), fresh_user()
    asks = {"since": "", "query": {"since": ""}} if arguments else {"since": None}
    with RawClient(server, user, **asks) as raw:
        assert list(raw.answer()) == ["sid"]
        assert raw.event_but_ping() == ["unread_count", {"count": 0}]
        raw.send('42/notifications,["ping"]')
        assert raw.event_but_ping() == ["pong"]
        server.publish(user, "It rings")
        name, *values = raw.event_but_ping()
        (shown,) = values
        assert name == "notification" and list(shown) == NOTIFICATION
        assert raw.event_but_ping() == ["unread_count", {"count": 1}]
        while (event := raw.event()) != ["ping"]:
            assert event[0] != "ping", event
    with RawClient(server, user, {"pid": "unknown", "offset": "x"}, since=None) as raw:
        assert list(raw.answer()) == ["sid"]


# Clients that ask.


@pytest.mark.parametrize("place", ["auth", "query"])
def test_each_event_of_a_client_that_asked_ends_with_a_position(make_server, fresh_user, place):
    server, user = make_server(arguments=SHORT_INTERVAL), fresh_user()
    asks = {"since": "", "query": None} if place == "auth" else {"query": {"since": ""}}
    with RawClient(server, user, **{"since": None, **asks}) as raw:
        answer = raw.answer()
        assert list(answer) == ["sid", "pid"]
        start = answer["pid"].partition(".")[2].partition(".")[2]
        # The counts end with an object, which the official client does not take for its offset.
        assert raw.event_but_ping() == ["unread_count", {"count": 0}]
        while (event := raw.event())[0] != "ping":
            pass
        assert event == ["ping", start], "nothing was sent yet, so it is the session's start"
        server.publish(user, "It rings")
        server.publish("another user", "meanwhile")
        name, _, cursor = raw.event_but_ping()
        assert name == "notification" and cursor != start
        for _ in range(2):
            while (event := raw.event())[0] != "ping":
                pass
            assert event == ["ping", cursor]
        raw.send('42/notifications,["ping"]')
        while (event := raw.event())[0] != "pong":
            pass
        assert event == ["pong", cursor]


def test_recovery_for_every_client_can_be_turned_on(make_server, fresh_user):
    server = make_server(arguments=["--socketio-recovery", "on"])
    with RawClient(server, fresh_user(), since=None) as raw:
        answer = raw.answer()
        assert list(answer) == ["sid", "pid"]
        server.publish(raw.user, "one")
        assert raw.title() == "one"
    with RawClient(server, raw.user, {"pid": answer["pid"]}, since=None) as raw:
        assert raw.answer() == answer
        assert raw.title() == "one"


@SCRIPTS
def test_the_javascript_client_recovers_after_two_keep_alives(make_server, fresh_user, way):
    server, user = make_server(arguments=SHORT_INTERVAL), fresh_user()
    with (
        BackgroundProxy(server) as proxy,
        way.open(server, user, since="", through=proxy) as tab,
    ):
        id, recovered = tab.connected()
        assert recovered is False
        for time in range(3):
            pings(tab, 2)
            assert tab.call("ping") == [{"success": True}]
            await_final_transport(tab)
            proxy.go_down()
            tab.until("disconnect")
            missed = [f"{time}: {number}" for number in range(3)]
            server.publish_many(user, missed)
            proxy.come_up()
            assert tab.connected() == [id, True]
            assert titles(tab, 3) == missed
        assert tab.answers() == 9


# Positions.


def test_since_replays_what_a_new_page_has_not_seen(server, fresh_user):
    user = fresh_user()
    with RawClient(server, user) as raw:
        raw.answer()
        server.publish_many(user, ["one", "two"])
        while (event := raw.event())[0] != "notification":
            pass
        cursor = event[2]
    for since, expected in [(cursor, ["two"]), ("0", ["one", "two"])]:
        with RawClient(server, user, since=since) as raw:
            assert list(raw.answer()) == ["sid", "pid"]
            assert [raw.title() for _ in expected] == expected
            assert raw.event() == ["unread_count", {"count": 2}]


def test_a_since_that_proves_no_continuity_gets_one_resync(server, fresh_user):
    with RawClient(server, fresh_user(), since="nonsense") as raw:
        assert list(raw.answer()) == ["sid", "pid"]
        seen = [raw.event(), raw.event()]
        assert ["unread_count", {"count": 0}] in seen
        seen.remove(["unread_count", {"count": 0}])
        ((name, data, cursor),) = seen
        assert name == "resync" and data == {"cursor": cursor}
        server.publish(raw.user, "one")
        assert raw.title() == "one"


@pytest.mark.parametrize("offset", ["ping", "", "x.5", "0", 5, None, {"a": 1}], ids=repr)
def test_a_malformed_offset_counts_as_absent(server, fresh_user, offset):
    user = fresh_user()
    with RawClient(server, user) as raw:
        answer = raw.answer()
        server.publish(user, "one")
        assert raw.title() == "one"
    with RawClient(server, user, {"pid": answer["pid"], "offset": offset}) as raw:
        assert raw.answer() == answer, "recovered, at the position in the pid"
        server.publish(user, "two")
        assert [raw.title(), raw.title()] == ["one", "two"]


def test_a_pid_wins_over_since(server, fresh_user):
    user = fresh_user()
    server.publish(user, "old")
    with RawClient(server, user) as raw:
        answer = raw.answer()
    server.publish(user, "missed")
    with RawClient(server, user, {"pid": answer["pid"]}, since="0") as raw:
        assert raw.answer() == answer
        assert raw.title() == "missed"


def test_an_offset_from_before_the_session_counts_as_absent(server, fresh_user):
    # The official client keeps its offset when its session could not be recovered.
    user = fresh_user()
    with RawClient(server, user) as raw:
        raw.answer()
        server.publish_many(user, ["one", "two"])
        while (event := raw.event())[0] != "notification":
            pass
        stale = event[2]
    with RawClient(server, user) as raw:
        answer = raw.answer()
    server.publish(user, "three")
    with RawClient(server, user, {"pid": answer["pid"], "offset": stale}) as raw:
        assert raw.answer() == answer
        assert raw.title() == "three"


def test_the_answer_to_connect_is_json_of_the_documented_keys(server, fresh_user):
    with RawClient(server, fresh_user(), since=None) as raw:
        text = raw.packet("40/notifications,")
        assert text == json.dumps({"sid": json.loads(text)["sid"]}, separators=(",", ":"))
