"""Engine.IO 4, case by case: heartbeat, the end of a session, and its upgrade to WebSocket."""

# Case 41.

import select
import time

import pytest

from harness.engineio import (
    ENGINE_PATH,
    TRANSPORTS,
    PollingClient,
    WebSocketClient,
    ask,
    expect_answer,
    expect_error,
    expect_refused,
    expect_upgrade,
    open_client,
    target,
)
from harness.raw import CLOSE
from harness.sizes import size
from harness.waiting import is_ready, wait_until

ROUNDS = size(1, full=100)


# Heartbeat.


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_ping_comes_every_interval_and_one_at_a_time(make_engine, path, transport):
    times = {"ping_interval": 150, "ping_timeout": 60_000, "connect_timeout": 60_000}
    engine, start = make_engine(**times), time.monotonic()
    with begin(transport, engine, path) as client:
        for number in range(1, 4):
            assert next_beat(client) == ["2"]
            # The clock of this test started before the server's.
            assert time.monotonic() - start >= 0.15 * number - 0.01
            client.send("3")


def next_beat(client):
    """The packets of one poll, or of one frame."""
    return client.poll() if isinstance(client, PollingClient) else [client.read()]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_session_that_does_not_answer_is_closed(make_engine, path, transport):
    # An upgrade takes several round trips before the first ping, also on a busy machine.
    timeout = 2_000 if transport == "upgraded" else 200
    engine = make_engine(ping_interval=300, ping_timeout=timeout, connect_timeout=60_000)
    start = time.monotonic()
    with begin(transport, engine, path) as client:
        assert client.expect_closed() == []
        assert time.monotonic() - start >= 0.29 + timeout / 1_000
        if transport != "polling":
            expect_error(ask(engine, path=path, sid=client.sid), 1)


def test_a_session_without_a_poll_is_closed_too(make_engine, path):
    engine = make_engine(shards=1, connect_timeout=60_000)
    with PollingClient(engine, path) as client, PollingClient(engine, path) as younger:
        # The older session times out first: once the younger is closed, the older is, too.
        younger.expect_closed()
        expect_error(ask(engine, path=path, sid=client.sid), 1)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_session_that_answers_stays(make_engine, transport):
    engine = make_engine(ping_interval=150, ping_timeout=2_000)
    with begin(transport, engine) as client, WebSocketClient(engine) as silent:
        beats, start = 0, time.monotonic()
        # The silent session is the younger one, so the other would have ended before it.
        while not is_ready(silent.socket.socket, select.POLLRDHUP):
            assert next_beat(client) == ["2"]
            client.send("3")
            beats += 1
        assert 2 <= beats <= (time.monotonic() - start) / 0.14 + 1
        client.send("4alive")
        assert client.next() == "4alive"


def begin(transport, engine, path=ENGINE_PATH):
    """A client that, when it upgrades, upgrades to WebSocket before its first poll.

    No heartbeat then goes to the polling transport that the client left.
    """
    if transport != "upgraded":
        return open_client(transport, engine, path)
    with PollingClient(engine, path) as polling:
        client = WebSocketClient(engine, path, polling.sid)
    client.send("2probe", "5")
    assert client.read() == "3probe"
    return client


# The end of a session.


def test_a_close_packet_by_polling_ends_the_session(engine, path):
    with PollingClient(engine, path) as client:
        client.begin_poll()
        client.send("1")
        assert client.poll() == ["6"]
        expect_error(ask(engine, path=path, sid=client.sid), 1)
        expect_error(client.post(b"4hello"), 1)


def test_a_close_packet_by_websocket_ends_the_session(engine, path):
    with WebSocketClient(engine, path) as client:
        client.send("1")
        assert client.expect_closed() == []
        expect_error(ask(engine, path=path, sid=client.sid), 1)


def test_messages_before_a_close_packet_are_delivered(engine):
    # Packets waiting for a poll are lost with the session; a WebSocket sends them before its end.
    with WebSocketClient(engine) as client:
        client.send("4last", "1")
        assert client.expect_closed() == ["4last"]


@pytest.mark.parametrize("how", ["close frame", "end", "reset"])
def test_the_end_of_a_websocket_ends_the_session(engine, how):
    with WebSocketClient(engine) as client:
        if how == "close frame":
            client.socket.send_frame(CLOSE, b"\x03\xe8")
            client.expect_closed()
        elif how == "end":
            client.close()
        else:
            client.socket.reset()
        # The server refuses the transport of an open session, and reports a closed one as unknown.
        wait_until(
            "the session is gone",
            lambda: ask(engine, sid=client.sid).json["code"] == 1,
        )


# The upgrade.


@pytest.mark.parametrize("first", ["poll", "probe"])
def test_a_session_upgrades_to_websocket(engine, path, first):
    with PollingClient(engine, path) as polling:
        expect_answer(polling)
        if first == "poll":
            polling.begin_poll()
        with WebSocketClient(engine, path, polling.sid) as client:
            client.probe()
            assert polling.poll() == ["6"]
            client.send("5")
            expect_answer(client)


def test_binary_is_raw_after_an_upgrade(engine):
    with open_client("upgraded", engine) as client:
        client.send("4by websocket", b"\x00")
        assert [client.read(), client.read()] == ["4by websocket", b"\x00"]


def test_polls_go_on_until_the_upgrade_is_done(engine):
    """A client stops polling when its poll returns, and may have begun another one by then."""
    with PollingClient(engine) as polling, WebSocketClient(engine, sid=polling.sid) as client:
        client.probe()
        polling.send("4still by polling")
        assert polling.next() == "4still by polling"
        polling.begin_poll()
        assert polling.poll() == ["6"]
        client.send("5", "4done")
        assert client.read() == "4done"


def test_packets_waiting_for_a_poll_come_over_the_websocket(engine):
    with PollingClient(engine) as polling:
        polling.send("4one", b"two", "4three")
        with WebSocketClient(engine, sid=polling.sid) as client:
            client.send("2probe", "5")
            assert [client.read() for _ in range(4)] == ["3probe", "4one", b"two", "4three"]


def test_the_upgrade_releases_a_waiting_poll(engine):
    with PollingClient(engine) as polling:
        polling.begin_poll()
        with WebSocketClient(engine, sid=polling.sid) as client:
            client.send("2probe", "5", "4done")
            assert [client.read(), client.read()] == ["3probe", "4done"]
            assert polling.poll() == ["6"]


def test_requests_of_an_upgraded_session_are_refused(engine, path):
    with open_client("upgraded", engine, path) as client:
        for _ in range(3):
            expect_error(ask(engine, path=path, sid=client.sid), 3)
            expect_error(ask(engine, "POST", body=b"4stray", path=path, sid=client.sid), 3)
            expect_answer(client)


@pytest.mark.parametrize("transport", ["websocket", "upgraded"])
def test_a_second_websocket_for_a_session_is_closed(engine, path, transport):
    # Case 42.
    with open_client(transport, engine, path) as client:
        for _ in range(3):
            expect_refused(engine, target(path, "websocket", client.sid))
            expect_answer(client)


def test_a_second_websocket_while_the_first_one_probes_is_closed(engine):
    # Case 42.
    with PollingClient(engine) as polling, WebSocketClient(engine, sid=polling.sid) as client:
        client.probe()
        expect_refused(engine, target(ENGINE_PATH, "websocket", polling.sid))
        client.send("5", "4mine")
        assert client.read() == "4mine"


@pytest.mark.parametrize("packet", ["4hello", "2", "2probes", "3probe", "1", "6", "abc", "", b"5"])
def test_a_wrong_probe_ends_the_websocket_and_not_the_session(engine, packet):
    with PollingClient(engine) as polling:
        with WebSocketClient(engine, sid=polling.sid) as client:
            client.send(packet)
            assert client.expect_closed() == []
        expect_upgrade(polling)


@pytest.mark.parametrize("packet", [None, "2probe"], ids=["silent", "probed"])
def test_a_websocket_that_ends_before_the_upgrade_changes_nothing(engine, packet):
    with PollingClient(engine) as polling:
        with WebSocketClient(engine, sid=polling.sid) as client:
            if packet is not None:
                client.send(packet)
                assert client.read() == "3probe"
            client.socket.send_frame(CLOSE, b"\x03\xe8")
            client.expect_closed()
        expect_upgrade(polling)
