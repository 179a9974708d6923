"""Socket.IO's connection state recovery: whoever comes back goes on where it was, again and again.

With the official JavaScript client in all its ways, and by hand where that would not say what a
test has to. A client that is away is one that the network cut off and lets in again later.
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
from harness.socketio_clients import is_settled
from harness.socketio_js import WAYS
from harness.socketio_raw import PATH, SOCKET_IO_DIALECTS, SPACE, RawClient, connect_packet
from harness.tokens import user_token
from harness.waiting import wait_until

SCRIPTS = pytest.mark.parametrize("way", [way for way in WAYS if way.recovers], ids=repr)
# What the client says of a server that cannot be reached.
NETWORK_ERRORS = ["xhr poll error", "websocket error"]
ROOM_MESSAGE = {"notification_type": "chat", "title": "t", "message": "m", "payload": {}}


@pytest.fixture
def visit():
    """Opens clients behind a proxy of their own, which is `tab.network`."""
    with contextlib.ExitStack() as stack:

        def open_one(way, server, user, **request):
            proxy = stack.enter_context(BackgroundProxy(server))
            tab = stack.enter_context(way.open(server, user, through=proxy, **request))
            tab.network = proxy
            return tab

        yield open_one


@contextlib.contextmanager
def away(tab):
    """Cuts it off from the server for as long as the `with` goes on."""
    tab.network.go_down()
    tab.until("disconnect")
    yield
    tab.network.come_up()


@contextlib.contextmanager
def crashed(tab):
    """Ends the server as a power cut does, and starts it again on what it had stored."""
    tab.server.kill()
    tab.until("disconnect")
    tab.server.start()
    yield


def titles(tab, count):
    """The titles of the next so many notifications."""
    return [tab.event("notification")["title"] for _ in range(count)]


def numbered(first, count):
    return [f"n {number}" for number in range(first, first + count)]


# A cut, a restart, and both again.


@SCRIPTS
def test_what_was_missed_comes_in_order_and_once(server, fresh_user, visit, way):
    tab = visit(way, server, fresh_user())
    id, recovered = tab.connected()
    assert recovered is False
    server.publish(tab.user, "before")
    assert titles(tab, 1) == ["before"]
    for time in range(2):
        missed = numbered(20 * time, 20)
        with away(tab):
            server.publish_many(tab.user, missed)
        assert tab.connected() == [id, True], "it is who it was"
        server.publish(tab.user, "after")
        assert titles(tab, 21) == [*missed, "after"]
        assert tab.state["recovered"] is True and tab.state["id"] == id
    assert tab.answers() == 43


@SCRIPTS
def test_nothing_was_heard_before_the_first_cut(server, fresh_user, visit, way):
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
            # Published before it is back, or when it is back: both are told, and once.
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
        """Reads on to the next entry of that kind and keeps the notifications before it."""
        while (entry := tab.next())[0] != kind:
            if entry[:2] == ["event", "notification"]:
                seen.append(entry[2]["id"])
        return entry

    with Publisher(server, tab.user) as publisher:
        for _ in range(6):
            seen += [tab.event("notification")["id"] for _ in range(chance.randrange(1, 30))]
            # The network ends it, or the client does; not while it changes over, since what it
            # reads at that moment the client itself would tell now and again when it is back.
            if chance.random() < 0.5:
                tab.network.go_down()
            else:
                wait_until("it has its transport", lambda: is_settled(tab))
                tab.close_engine()
            read_to("disconnect")
            tab.network.come_up()
            assert read_to("connect") == ["connect", id, True]
    while len(seen) < len(publisher.ids):
        seen.append(tab.event("notification")["id"])
    assert seen == publisher.ids
    server.publish(tab.user, "the end")
    assert titles(tab, 1) == ["the end"], "and nothing twice"


# What else is kept, and what is not.


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
    while (told := tab.until("event"))[0] != "notification":
        assert told[0] != "room_notification", "it had left"


@SCRIPTS
def test_what_was_read_elsewhere_is_not_new(server, fresh_user, visit, way):
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
def test_the_token_of_another_user_begins_anew(server, fresh_user, visit, way):
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
def test_without_a_good_token_nobody_comes_back(server, fresh_user, visit, way):
    tab = visit(way, server, fresh_user(), by="auth")
    tab.connected()
    with away(tab):
        server.publish(tab.user, "a secret")
        tab.present(token="nonsense")
    while (told := tab.next())[1] in NETWORK_ERRORS:
        pass
    assert told == ["connect_error", "unauthorized"]


@SCRIPTS
def test_history_that_is_gone_begins_anew(make_server, fresh_user, visit, way):
    server = make_server()
    tab = visit(way, server, fresh_user())
    id, _ = tab.connected()
    server.publish(tab.user, "heard")
    assert titles(tab, 1) == ["heard"]
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
    name, data, *more = tab.until("event")
    while name != "notification":
        name, data, *more = tab.until("event")
    assert data["title"] == "from now on" and more == []
    with RawClient(server, tab.user) as raw:
        assert list(raw.answer()) == ["sid"]


# By hand, what no official client would do.


def test_the_answer_and_the_events_carry_what_is_needed(server, fresh_user):
    with RawClient(server, fresh_user()) as raw:
        answer = raw.answer()
        assert list(answer) == ["sid", "pid"] and answer["sid"] != answer["pid"]
        assert raw.opening["sid"] not in answer.values(), "none of them gives another away"
        name, data, *_ = raw.event()
        assert (name, data) == ("unread_count", {"count": 0})
        server.publish(raw.user, "It rings")
        name, data, offset = raw.event()
        assert name == "notification" and isinstance(offset, str)


def test_an_offset_says_from_where(server, fresh_user):
    user = fresh_user()
    with RawClient(server, user) as raw:
        pid = raw.answer()["pid"]
        server.publish_many(user, numbered(0, 5))
        offsets = []
        while len(offsets) < 5:
            name, _, *offset = raw.event()
            offsets += offset if name == "notification" else []
    for heard, offset in enumerate(offsets, 1):
        with RawClient(server, user, {"pid": pid, "offset": offset}) as raw:
            assert raw.answer()["pid"] == pid
            server.publish(user, f"live {heard}")
            expected = [*numbered(heard, 5 - heard), *(f"live {n}" for n in range(1, heard + 1))]
            assert [raw.title() for _ in expected] == expected
    with RawClient(server, user, {"pid": pid}) as raw:
        assert raw.answer()["pid"] == pid
        expected = [*numbered(0, 5), *(f"live {n}" for n in range(1, 6))]
        assert [raw.title() for _ in expected] == expected


@pytest.mark.parametrize(
    "offset", ["", "x", "0", "-1", "9" * 400, "9223372036854775807", 5, None, True, [], {"a": 1}]
)
def test_an_offset_that_nobody_was_told_leads_nowhere_else(server, fresh_user, offset):
    user = fresh_user()
    with RawClient(server, user) as raw:
        pid = raw.answer()["pid"]
        server.publish(user, "one")
        assert raw.title() == "one"
    with RawClient(server, user, {"pid": pid, "offset": offset}) as raw:
        # Recovered or not, it is told in order and nothing twice; the connection works.
        answer = raw.answer()
        server.publish(user, "two")
        heard = [raw.title()]
        while heard[-1] != "two":
            heard.append(raw.title())
        assert heard in (["one", "two"], ["two"])
        assert isinstance(answer["pid"], str)


@pytest.mark.parametrize(
    "pid", ["", "x", "A" * 20, "\0", "../../x", 7, None, [], {"$ne": ""}, "p" * 400], ids=repr
)
def test_a_session_that_never_was_is_not_recovered(server, fresh_user, pid):
    with RawClient(server, fresh_user(), {"pid": pid, "offset": "0"}) as raw:
        answer = raw.answer()
        assert answer["pid"] != pid and isinstance(answer["pid"], str)
        server.publish(raw.user, "one")
        assert raw.title() == "one"


def test_the_session_of_another_user_is_not_had_by_its_name(server, fresh_user):
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


def test_nothing_of_one_user_is_told_to_the_next_on_its_connection(server, fresh_user):
    # Signs out while the store still reads what it missed, and another user signs in.
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


def test_whoever_comes_back_takes_the_place_of_who_it_was(server, fresh_user):
    # The network may have ended the first connection without a word to the server.
    user = fresh_user()
    with RawClient(server, user) as first:
        answer = first.answer()
        with RawClient(server, user, {"pid": answer["pid"]}) as second:
            assert second.answer() == answer
            assert first.close_code() == 1001
            server.publish(user, "one")
            assert second.title() == "one"


def test_many_sessions_that_nobody_comes_back_to_cost_little(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    pids = set()

    def come_and_go():
        with RawClient(server, user) as raw:
            pids.add(raw.answer()["pid"])

    for _ in range(50):
        come_and_go()
    before = server.resident_bytes()
    for _ in range(500):
        come_and_go()
    assert len(pids) == 550
    assert server.resident_bytes() - before < 2 << 20
    stats = "/api/notifications/stats"

    def left():
        return server.request("GET", stats, user_token("anyone")).data["total_clients"]

    wait_until("nobody is there", lambda: left() == 0)


# Cuts at random.


@pytest.mark.timeout(450)
def test_cuts_lose_nothing_and_double_nothing(make_server, chance):
    cut_all(make_server(arguments=SHARDS), chance, SOCKET_IO_DIALECTS)


def test_two_namespaces_of_one_connection_both_hear_all_that_was_missed(server, fresh_user):
    # Several pages each, through polls that bring a few packets at a time.
    user, count = fresh_user(), 450
    token = user_token(user)

    def connect(client, known):
        for space in ("/notifications,", "/,"):
            client.send(f"40{space}" + json.dumps({"token": token, **known.get(space, {})}))

    def hear(client, wanted):
        """Listens until both have heard so many, and tells their ids and what each heard."""
        known, heard = {}, {"/notifications,": [], "/,": []}
        while len(known) < 2 or any(len(told) < wanted for told in heard.values()):
            packet = client.next()
            space = "/notifications," if packet[2:].startswith("/notifications,") else "/,"
            body = json.loads(packet[2:].removeprefix("/notifications,"))
            if packet[1] == "0":
                known[space] = {"pid": body["pid"]}
            elif body[0] == "notification":
                heard[space].append(body[1]["title"])
        return known, heard

    with PollingClient(server, PATH) as client:
        connect(client, {})
        before, _ = hear(client, 0)
    text = {"user_id": user, "type": "t", "message": "m" * 400}
    lines = "".join(json.dumps({**text, "title": str(n)}) + "\n" for n in range(count))
    headers = {"Content-Type": "application/x-ndjson"}
    answer = server.request(
        "POST", "/api/v1/notifications/batch", body=lines, key=API_KEY, headers=headers
    )
    assert answer.status == 200
    with PollingClient(server, PATH) as client:
        connect(client, before)
        known, heard = hear(client, count)
    assert known == before
    assert heard == {space: [str(number) for number in range(count)] for space in heard}
