"""Socket.IO's connection state recovery: a returning client resumes its session repeatedly.

The tests use the official JavaScript client over each transport, and raw packets where that client
cannot do what a test needs. A client is away when the proxy cuts it off and admits it again later.
"""

import contextlib
import json
from pathlib import Path

import pytest

from harness.cuts import SHARDS, cut_all, move_horizon
from harness.engineio import PollingClient
from harness.proxy import BackgroundProxy
from harness.publisher import Publisher
from harness.rooms import send
from harness.server import API_KEY
from harness.socketio_clients import await_final_transport
from harness.socketio_js import WAYS
from harness.socketio_raw import PATH, SOCKET_IO_DIALECTS, SPACE, RawClient, connect_packet
from harness.tokens import user_token
from harness.waiting import wait_until

SCRIPTS = pytest.mark.parametrize("way", [way for way in WAYS if way.recovers], ids=repr)
# The client's errors for a server it cannot reach.
NETWORK_ERRORS = ["xhr poll error", "websocket error"]
ROOM_MESSAGE = {"notification_type": "chat", "title": "t", "message": "m", "payload": {}}


@pytest.fixture
def visit():
    """Opens clients that ask for recovery, each with a proxy of its own: `tab.network`."""
    with contextlib.ExitStack() as stack:

        def open_one(way, server, user, **request):
            proxy = stack.enter_context(BackgroundProxy(server))
            tab = stack.enter_context(way.open(server, user, since="", through=proxy, **request))
            tab.network = proxy
            return tab

        yield open_one


@contextlib.contextmanager
def away(tab):
    """Cuts the client off from the server for as long as the `with` lasts."""
    await_final_transport(tab)
    tab.network.go_down()
    tab.until("disconnect")
    yield
    tab.network.come_up()


@contextlib.contextmanager
def crashed(tab):
    """Kills the server as a power cut would, and starts it again with its stored data."""
    await_final_transport(tab)
    tab.server.kill()
    tab.until("disconnect")
    tab.server.start()
    yield


def titles(tab, count):
    """The titles of the next `count` notifications."""
    return [tab.event("notification")["title"] for _ in range(count)]


def numbered(first, count):
    return [f"n {number}" for number in range(first, first + count)]


# A cut, a restart, and both again.


@SCRIPTS
def test_missed_notifications_come_in_order_and_once(server, fresh_user, visit, way):
    tab = visit(way, server, fresh_user())
    id, recovered = tab.connected()
    assert recovered is False
    server.publish(tab.user, "before")
    assert titles(tab, 1) == ["before"]
    for time in range(2):
        missed = numbered(20 * time, 20)
        with away(tab):
            server.publish_many(tab.user, missed)
        assert tab.connected() == [id, True], "the session is the same"
        server.publish(tab.user, "after")
        assert titles(tab, 21) == [*missed, "after"]
        assert tab.state["recovered"] is True and tab.state["id"] == id
    assert tab.answers() == 43


@SCRIPTS
def test_a_cut_before_the_first_notification(server, fresh_user, visit, way):
    tab = visit(way, server, fresh_user())
    id, _ = tab.connected()
    for missed in (["a"], ["b", "c"], []):
        with away(tab):
            for title in missed:
                server.publish(tab.user, title)
        assert tab.connected() == [id, True]
        assert titles(tab, len(missed)) == missed
    server.publish(tab.user, "at last")
    assert titles(tab, 1) == ["at last"]


@SCRIPTS
def test_a_crash_of_the_server_changes_nothing(make_server, fresh_user, visit, way):
    server = make_server()
    tab = visit(way, server, fresh_user())
    id, _ = tab.connected()
    for time in range(2):
        server.publish(tab.user, f"before {time}")
        assert titles(tab, 1) == [f"before {time}"]
        with crashed(tab):
            # Published before the client is back, or when it is: both arrive, and once.
            server.publish_many(tab.user, numbered(10 * time, 10))
        assert tab.connected(within=20) == [id, True]
        server.publish(tab.user, "after")
        assert titles(tab, 11) == [*numbered(10 * time, 10), "after"]


@SCRIPTS
def test_a_crash_while_it_was_away(make_server, fresh_user, visit, way):
    server = make_server()
    tab = visit(way, server, fresh_user())
    id, _ = tab.connected()
    with away(tab):
        server.publish_many(tab.user, ["a", "b"])
        server.kill()
        server.start()
        server.publish(tab.user, "c")
    assert tab.connected(within=20) == [id, True]
    assert titles(tab, 3) == ["a", "b", "c"]


@SCRIPTS
def test_while_publishing_goes_on(server, fresh_user, visit, chance, way):
    tab = visit(way, server, fresh_user())
    id, _ = tab.connected()
    seen = []

    def read_to(kind):
        """Reads up to the next entry of that kind and collects the notifications before it."""
        while (entry := tab.next())[0] != kind:
            if entry[:2] == ["event", "notification"]:
                seen.append(entry[2]["id"])
        return entry

    with Publisher(server, tab.user) as publisher:
        for _ in range(6):
            seen += [tab.event("notification")["id"] for _ in range(chance.randrange(1, 30))]
            # The network or the client ends the connection, but not during an upgrade. The client
            # would report a packet read at that moment both now and after the recovery.
            await_final_transport(tab)
            if chance.random() < 0.5:
                tab.network.go_down()
            else:
                tab.close_engine()
            read_to("disconnect")
            tab.network.come_up()
            assert read_to("connect") == ["connect", id, True]
    while len(seen) < len(publisher.ids):
        seen.append(tab.event("notification")["id"])
    assert seen == publisher.ids
    server.publish(tab.user, "the end")
    assert titles(tab, 1) == ["the end"], "no notification came twice"


# Other state that recovery keeps, and cases without recovery.


@SCRIPTS
def test_rooms_are_kept(make_server, fresh_user, visit, way):
    server = make_server()
    tab, room = visit(way, server, fresh_user()), fresh_user("room")
    id, _ = tab.connected()
    assert tab.call("join_room", {"room": room}) == [{"success": True}]
    for interruption in (away, crashed, away):
        with interruption(tab):
            pass
        assert tab.connected(within=20) == [id, True]
        send(server, "send/room", {"room": room, **ROOM_MESSAGE})
        assert tab.event("room_notification") == {"room": room, **ROOM_MESSAGE}
    assert tab.call("leave_room", {"room": room}) == [{"success": True}]
    with away(tab):
        pass
    assert tab.connected() == [id, True]
    send(server, "send/room", {"room": room, **ROOM_MESSAGE})
    server.publish(tab.user, "a mark")
    while (entry := tab.until("event"))[0] != "notification":
        assert entry[0] != "room_notification", "the client had left the room"


@SCRIPTS
def test_a_notification_read_elsewhere_is_not_new(server, fresh_user, visit, way):
    tab = visit(way, server, fresh_user())
    tab.connected()
    with away(tab):
        read, unread = (server.publish(tab.user, name)["id"] for name in ("read", "unread"))
        path = f"/api/v1/notifications/{read}/read"
        assert server.request("PUT", path, user_token(tab.user)).status == 200
    tab.connected()
    shown = [tab.event("notification") for _ in range(2)]
    assert [each["id"] for each in shown] == [read, unread]
    assert [each["isNew"] for each in shown] == [False, True]
    assert tab.answers() == 1


@SCRIPTS
def test_the_token_of_another_user_starts_a_new_session(server, fresh_user, visit, way):
    user, other = fresh_user(), fresh_user()
    tab = visit(way, server, user, by="auth")
    id, _ = tab.connected()
    with away(tab):
        server.publish(user, "not for the other one")
        tab.present(token=user_token(other))
    new_id, recovered = tab.connected()
    assert recovered is False and new_id != id
    server.publish(other, "its own")
    assert titles(tab, 1) == ["its own"]


@SCRIPTS
def test_without_a_good_token_no_session_is_recovered(server, fresh_user, visit, way):
    tab = visit(way, server, fresh_user(), by="auth")
    tab.connected()
    with away(tab):
        server.publish(tab.user, "a secret")
        tab.present(token="nonsense")
    while (entry := tab.next())[1] in NETWORK_ERRORS:
        pass
    assert entry == ["connect_error", "unauthorized"]


@SCRIPTS
def test_expired_history_starts_a_new_session(make_server, fresh_user, visit, way):
    server = make_server()
    tab = visit(way, server, fresh_user())
    id, _ = tab.connected()
    server.publish(tab.user, "received")
    assert titles(tab, 1) == ["received"]
    with away(tab):
        server.publish_many(tab.user, ["gone", "kept"])
        server.stop()
        move_horizon(Path(server.data))
        server.start()
    new_id, recovered = tab.connected(within=20)
    assert recovered is False and new_id != id
    server.publish(tab.user, "from now on")
    assert titles(tab, 1) == ["from now on"]


@SCRIPTS
def test_recovery_can_be_turned_off(make_server, fresh_user, visit, way):
    server = make_server(arguments=["--socketio-recovery", "off"])
    tab = visit(way, server, fresh_user())
    id, _ = tab.connected()
    with away(tab):
        server.publish(tab.user, "missed")
    new_id, recovered = tab.connected()
    assert recovered is False and new_id != id
    server.publish(tab.user, "from now on")
    name, *values = tab.until("event")
    while name != "notification":
        name, *values = tab.until("event")
    (data,) = values
    assert data["title"] == "from now on"
    with RawClient(server, tab.user) as raw:
        assert list(raw.answer()) == ["sid"]


# Raw packets, as no official client sends them.


def test_the_answer_and_the_events_carry_the_recovery_fields(server, fresh_user):
    with RawClient(server, fresh_user()) as raw:
        answer = raw.answer()
        assert list(answer) == ["sid", "pid"] and answer["sid"] != answer["pid"]
        assert raw.opening["sid"] not in answer.values(), "no id reveals another one"
        name, data, *_ = raw.event()
        assert (name, data) == ("unread_count", {"count": 0})
        server.publish(raw.user, "It rings")
        name, data, offset = raw.event()
        assert name == "notification" and isinstance(offset, str)


def test_an_offset_sets_the_start_of_the_replay(server, fresh_user):
    user = fresh_user()
    with RawClient(server, user) as raw:
        pid = raw.answer()["pid"]
        server.publish_many(user, numbered(0, 5))
        offsets = []
        while len(offsets) < 5:
            name, _, *offset = raw.event()
            offsets += offset if name == "notification" else []
    for count, offset in enumerate(offsets, 1):
        with RawClient(server, user, {"pid": pid, "offset": offset}) as raw:
            assert raw.answer()["pid"] == pid
            server.publish(user, f"live {count}")
            expected = [*numbered(count, 5 - count), *(f"live {n}" for n in range(1, count + 1))]
            assert [raw.title() for _ in expected] == expected
    with RawClient(server, user, {"pid": pid}) as raw:
        assert raw.answer()["pid"] == pid
        expected = [*numbered(0, 5), *(f"live {n}" for n in range(1, 6))]
        assert [raw.title() for _ in expected] == expected


@pytest.mark.parametrize(
    "offset", ["", "x", "0", "-1", "9" * 400, "9223372036854775807", 5, None, True, [], {"a": 1}]
)
def test_an_unknown_offset_loses_no_order_and_repeats_nothing(server, fresh_user, offset):
    user = fresh_user()
    with RawClient(server, user) as raw:
        pid = raw.answer()["pid"]
        server.publish(user, "one")
        assert raw.title() == "one"
    with RawClient(server, user, {"pid": pid, "offset": offset}) as raw:
        # Recovered or not, notifications come in order and once, and the connection works.
        answer = raw.answer()
        server.publish(user, "two")
        received = [raw.title()]
        while received[-1] != "two":
            received.append(raw.title())
        assert received in (["one", "two"], ["two"])
        assert isinstance(answer["pid"], str)


@pytest.mark.parametrize(
    "pid", ["", "x", "A" * 20, "\0", "../../x", 7, None, [], {"$ne": ""}, "p" * 400], ids=repr
)
def test_an_unknown_session_is_not_recovered(server, fresh_user, pid):
    with RawClient(server, fresh_user(), {"pid": pid, "offset": "0"}) as raw:
        answer = raw.answer()
        assert answer["pid"] != pid and isinstance(answer["pid"], str)
        server.publish(raw.user, "one")
        assert raw.title() == "one"


def test_the_session_of_another_user_is_not_recovered(server, fresh_user):
    victim, thief = fresh_user(), fresh_user()

    def steal():
        with RawClient(server, thief, {"pid": owned["pid"]}) as raw:
            answer = raw.answer()
            assert not set(answer.values()) & set(owned.values())
            server.publish(victim, "a secret")
            server.publish(thief, "its own")
            assert raw.title() == "its own"

    with RawClient(server, victim) as raw:
        owned = raw.answer()
        steal()
        assert raw.title() == "a secret"
    steal()
    with RawClient(server, victim, {"pid": owned["pid"]}) as raw:
        assert raw.answer() == owned
        assert [raw.title(), raw.title()] == ["a secret", "a secret"]


def test_a_new_user_on_a_connection_gets_nothing_of_the_last_one(server, fresh_user):
    # One user leaves while the store still reads its missed ones, and another user connects.
    one, other = fresh_user(), fresh_user()
    with RawClient(server, one) as raw:
        pid = raw.answer()["pid"]
    server.publish_many(one, numbered(0, 150))
    for _ in range(50):
        with RawClient(server, one, {"pid": pid}) as raw:
            raw.send(f"41{SPACE},")
            raw.send(connect_packet(token=user_token(other)))
            while not (said := raw.said()).startswith("40") or f'"{pid}"' in said:
                assert said.startswith(("40", "42")), said
            assert raw.event()[:2] == ["unread_count", {"count": 0}]


def test_a_recovered_session_replaces_its_old_connection(server, fresh_user):
    # The network may have cut the first connection without notifying the server.
    user = fresh_user()
    with RawClient(server, user) as first:
        answer = first.answer()
        with RawClient(server, user, {"pid": answer["pid"]}) as second:
            assert second.answer() == answer
            assert first.close_code() == 1001
            server.publish(user, "one")
            assert second.title() == "one"


def test_many_abandoned_sessions_cost_little(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    pids = set()

    def come_and_go():
        with RawClient(server, user) as raw:
            pids.add(raw.answer()["pid"])

    for _ in range(50):
        come_and_go()
    before = server.anonymous_bytes()
    for _ in range(500):
        come_and_go()
    assert len(pids) == 550
    assert server.anonymous_bytes() - before < 2 << 20
    stats = "/api/notifications/stats"

    def left():
        return server.request("GET", stats, user_token("anyone")).data["total_clients"]

    wait_until("every client has left", lambda: left() == 0)


# Cuts at random.


@pytest.mark.timeout(450)
def test_cuts_lose_nothing_and_double_nothing(make_server, chance):
    cut_all(make_server(arguments=SHARDS), chance, SOCKET_IO_DIALECTS)


def test_two_namespaces_of_one_connection_both_get_all_missed_ones(server, fresh_user):
    # Several pages each, over polls that return a few packets at a time.
    user, count = fresh_user(), 450
    token = user_token(user)

    def connect(client, known):
        for space in ("/notifications,", "/,"):
            asked = {"token": token, "since": "", **known.get(space, {})}
            client.send(f"40{space}" + json.dumps(asked))

    def receive(client, wanted):
        """Reads until both have that many; returns their ids and the titles that each received."""
        known, received = {}, {"/notifications,": [], "/,": []}
        while len(known) < 2 or any(len(entry) < wanted for entry in received.values()):
            packet = client.next()
            space = "/notifications," if packet[2:].startswith("/notifications,") else "/,"
            body = json.loads(packet[2:].removeprefix("/notifications,"))
            if packet[1] == "0":
                known[space] = {"pid": body["pid"]}
            elif body[0] == "notification":
                received[space].append(body[1]["title"])
        return known, received

    with PollingClient(server, PATH) as client:
        connect(client, {})
        before, _ = receive(client, 0)
    text = {"user_id": user, "type": "t", "message": "m" * 400}
    lines = "".join(json.dumps({**text, "title": str(n)}) + "\n" for n in range(count))
    headers = {"Content-Type": "application/x-ndjson"}
    answer = server.request(
        "POST", "/api/v1/notifications/batch", body=lines, key=API_KEY, headers=headers
    )
    assert answer.status == 200
    with PollingClient(server, PATH) as client:
        connect(client, before)
        known, received = receive(client, count)
    assert known == before
    assert received == {space: [str(number) for number in range(count)] for space in received}
