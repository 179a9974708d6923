"""Each transport reports an exceeded limit in its own way; limits count over all shards.

The servers here get explicit limits: a default does not count clients of this machine.
"""

import json
import time

import pytest

from harness.clients import (
    EVENT_PATH,
    FLAT_PATH,
    INBOX_PATH,
    PATIENCE,
    EventClient,
    FlatClient,
)
from harness.raw import PING, TEXT, RawConnection, RawWebSocket, frame, upgrade_request
from harness.server import API_KEY, run_carillon
from harness.tokens import SECRET, publisher_token, user_token
from harness.waiting import wait_until

INBOX = "/api/v1/notifications"
STREAM = "/notifications/events"
POLL = f"{INBOX}/poll?since=0&wait=60"
TYPED_PATH = "/ws/connect"
SOCKETS = [FLAT_PATH, EVENT_PATH, TYPED_PATH, INBOX_PATH]


@pytest.fixture
def limited(make_server):
    """Starts a server of two shards with these flags."""

    def make(*flags):
        return make_server(arguments=["--shards", "2", *flags])

    return make


def refused_at_admission(connection):
    """The 429 or 503 that the server answers to a new connection; None if it admits it."""
    connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = connection.read_answer()
    if answer.status == 200:
        return None
    assert answer.headers["connection"] == "close"
    assert int(answer.headers["retry-after"]) >= 1
    connection.expect_end()
    return answer


def asked(server, path, user):
    connection = RawConnection(server)
    connection.send(
        f"GET {path} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {user_token(user)}\r\n\r\n".encode()
    )
    return connection


def upgrade(server, path, user):
    connection = RawConnection(server)
    connection.send(upgrade_request(f"{path}?token={user_token(user)}"))
    return connection


# Case 63: connections.


def test_an_address_is_limited_over_all_shards(limited):
    # Case 63.
    server = limited("--connections-per-address", "20")
    watcher = server.connection()
    wait_until("the watcher is alone", lambda: server.total("connections", over=watcher) == 1)
    kept = []
    for _ in range(19):
        kept.append(RawConnection(server))
        assert refused_at_admission(kept[-1]) is None
    for _ in range(5):
        with RawConnection(server) as one:
            answer = refused_at_admission(one)
            assert answer.status == 429, answer
            assert answer.error["code"] == "too_many_connections"
            assert answer.error["message"] == "an address has at most 20 connections"
    assert server.total("connections_refused_address_total", over=watcher) == 5
    for shard in (0, 1):
        wait_until(
            "each shard has some of the connections",
            lambda shard=shard: server.total("connections", shard=shard, over=watcher) >= 1,
        )
    # A closed connection makes room for a new one.
    kept.pop().close()
    wait_until("there is room", lambda: can_connect(server))
    for connection in kept:
        connection.close()
    wait_until("all are closed", lambda: server.total("connections", over=watcher) == 1)
    assert server.total("quota_addresses", over=watcher) == 1
    watcher.close()


def can_connect(server):
    with RawConnection(server) as connection:
        return refused_at_admission(connection) is None


def test_an_address_over_its_connect_rate_is_admitted_after_retry_after(limited):
    # Case 63.
    server = limited("--connect-rate", "2/10")
    answer = None
    for _ in range(1_000):
        with RawConnection(server) as connection:
            answer = refused_at_admission(connection)
        if answer is not None:
            break
    assert answer is not None, "no connection was refused"
    assert answer.status == 429 and answer.error["code"] == "rate_limited"
    time.sleep(int(answer.headers["retry-after"]))  # As the answer says.
    with RawConnection(server) as connection:
        assert refused_at_admission(connection) is None


def test_two_thousand_connections_leave_no_count(limited):
    # Case 63.
    server = limited("--connections-per-address", "1000", "--connect-rate", "100000")
    watcher = server.connection()
    for _ in range(20):
        several = [RawConnection(server) for _ in range(100)]
        for number, connection in enumerate(several):
            if number % 3 == 0:
                connection.reset()
            elif number % 3 == 1:
                connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                connection.close()
            else:
                connection.close()
        # A server that falls back by ten rounds would refuse the next ones.
        wait_until("all are closed", lambda: server.total("connections", over=watcher) == 1)
    assert server.total("quota_addresses", over=watcher) == 1
    watcher.close()


# Case 63: sessions of a user.


@pytest.mark.parametrize("path", SOCKETS)
def test_a_socket_past_its_users_limit_is_429_before_the_upgrade(limited, path):
    # Case 63.
    server = limited("--connections-per-user", "3")
    kept = [upgrade(server, path, "u") for _ in range(3)]
    for connection in kept:
        assert connection.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    with upgrade(server, path, "u") as one:
        answer = one.read_answer()
        assert answer.status == 429 and answer.error["code"] == "too_many_connections"
        assert answer.error["message"] == "a user has at most 3 connections"
        assert int(answer.headers["retry-after"]) >= 1
        one.expect_end()
    with upgrade(server, path, "another") as other:
        assert other.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    kept.pop().close()

    def is_admitted():
        with upgrade(server, path, "u") as one:
            return one.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")

    wait_until("there is room", is_admitted)
    for connection in kept:
        connection.close()
    wait_until("no user is counted", lambda: server.total("quota_users") == 0)


@pytest.mark.parametrize("path", [STREAM, POLL])
def test_a_stream_and_a_poll_past_the_users_limit_are_429(limited, path):
    server = limited("--connections-per-user", "1")
    with FlatClient(server, "u"), asked(server, path, "u") as one:
        answer = one.read_answer()
        assert answer.status == 429 and answer.error["code"] == "too_many_connections"
        # Only the request was refused: the connection serves another one.
        one.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one.read_answer().status == 200
    wait_until("no user is counted", lambda: server.total("quota_users") == 0)


def test_a_token_in_a_message_past_the_users_limit_closes(limited):
    server = limited("--connections-per-user", "1")
    with FlatClient(server, "u"), RawWebSocket(server, INBOX_PATH) as socket:
        socket.send_frame(TEXT, f'{{"type":"auth","token":"{user_token("u")}"}}'.encode())
        socket.expect_close(1008)


def test_the_newest_replaces_the_oldest_on_any_shard(limited):
    server = limited("--connections-per-user", "2", "--when-user-full", "replace")
    clients = [EventClient(server, "u") for _ in range(2)]
    for _ in range(20):
        clients.append(EventClient(server, "u"))
        assert clients.pop(0).close_code() == 1008
    server.publish("u", "to both")
    for client in clients:
        assert client.expect("notification:new")["title"] == "to both"
    # A stream has no close code: it just ends.
    with asked(server, STREAM, "u") as stream:
        stream.read_until(b"retry: 5000")
        assert clients.pop(0).close_code() == 1008
        third = EventClient(server, "u")
        assert clients.pop(0).close_code() == 1008
        fourth = EventClient(server, "u")
        stream.drain()
        third.close()
        fourth.close()
    wait_until("no user is counted", lambda: server.total("quota_users") == 0)
    assert server.total("sessions_replaced_total") == 23


def test_a_replaced_poll_is_answered(limited):
    server = limited("--connections-per-user", "1", "--when-user-full", "replace")
    cursor = server.request("GET", f"{INBOX}/poll", user_token("u")).data["cursor"]
    with asked(server, f"{INBOX}/poll?since={cursor}&wait=60", "u") as waiting:
        wait_until("the poll waits", lambda: server.total("quota_users") == 1)
        with EventClient(server, "u"):
            answer = waiting.read_answer()
            assert answer.status == 200
            assert answer.data == {"notifications": [], "cursor": cursor}


# Rates.


@pytest.mark.parametrize("path", [FLAT_PATH, EVENT_PATH, INBOX_PATH])
@pytest.mark.parametrize("opcode", [TEXT, PING])
def test_too_many_messages_close_with_1008(limited, path, opcode):
    server = limited("--message-rate", "1/20")
    with RawWebSocket(server, f"{path}?token={user_token('u')}") as socket:
        for _ in range(60):
            socket.send_if_open(frame(opcode, b"{}"))
        socket.expect_close(1008)
    assert server.total("disconnects_message_rate_total") == 1


def test_typed_gets_an_error_and_is_closed_only_for_a_flood(limited):
    server = limited("--message-rate", "1/20")
    with RawWebSocket(server, f"{TYPED_PATH}?token={user_token('u')}") as socket:
        for _ in range(60):
            socket.send_frame(TEXT, b'{"type":"nothing"}')
        errors = 0
        while errors < 30:
            opcode, payload = socket.read_frame()
            assert opcode == TEXT
            errors += payload.count(b'"code":"rate_limited"')
        server.publish("u", "still here")
        while b"still here" not in payload:
            opcode, payload = socket.read_frame()
            assert opcode == TEXT
        for _ in range(300):
            socket.send_if_open(frame(TEXT, b"{}"))
        assert socket.expect_close(1008) == "at most 1 messages a second"


@pytest.mark.parametrize("by", ["key", "token"])
def test_a_publisher_over_its_rate_is_served_after_retry_after(limited, by):
    server = limited("--publish-rate", "2/5")
    credentials = {"key": API_KEY} if by == "key" else {"token": publisher_token()}
    body = {"user_id": "u", "type": "info", "title": "t"}

    def publish():
        return server.request("POST", INBOX, body=body, **credentials)

    accepted = 0
    while (answer := publish()).status == 201:
        accepted += 1
        assert accepted < 1_000
    assert accepted >= 5
    assert answer.status == 429 and answer.error["code"] == "rate_limited"
    assert answer.error["message"] == "at most 2 publishes a second"
    time.sleep(int(answer.headers["retry-after"]))  # As the answer says.
    assert publish().status == 201
    # Another publisher has a rate of its own.
    other = {"token": publisher_token("another")}
    assert server.request("POST", INBOX, body=body, **other).status == 201
    assert len(server.inbox("u")) == accepted + 2


def test_a_user_over_its_request_rate_is_served_after_retry_after(limited):
    server = limited("--request-rate", "2/5")
    with FlatClient(server, "u") as session:
        accepted = 0
        while (answer := server.request("GET", INBOX, token=user_token("u"))).status == 200:
            accepted += 1
            assert accepted < 1_000
        assert accepted >= 5
        assert answer.status == 429 and answer.error["code"] == "rate_limited"
        assert answer.error["message"] == "a user makes at most 2 requests a second"
        # Others have rates of their own, and the user's sessions stay.
        assert server.request("GET", INBOX, token=user_token("other")).status == 200
        server.publish("u", "still here")
        assert session.next()["title"] == "still here"
        time.sleep(int(answer.headers["retry-after"]))  # As the answer says.
        assert server.request("GET", INBOX, token=user_token("u")).status == 200
    assert server.total("http_requests_refused_rate_total") > 0


# Defaults.


def test_a_default_does_not_count_this_machine(limited):
    server = limited()
    kept = [FlatClient(server, "u") for _ in range(30)]
    several = [RawConnection(server) for _ in range(150)]
    for connection in several:
        assert refused_at_admission(connection) is None
    for _ in range(300):
        kept[0].send("a message")
    assert kept[0].socket.ping().wait(PATIENCE)
    assert server.total("connections_refused_total") == 0
    for one in [*kept, *several]:
        one.close()


# The flags.

STANDARD = {
    "connections-per-address": (100, "remote clients only"),
    "connections-per-user": (20, "remote clients only"),
    "when-user-full": ("reject", None),
    "rooms-per-user": (500, "remote clients only"),
    "connect-rate": ("20/100", "remote clients only"),
    "message-rate": ("50/200", "remote clients only"),
    "request-rate": ("100/500", "remote clients only"),
    "bad-token-rate": ("20/40", "remote clients only"),
    "publish-rate": ("0", None),
}


def settings(*flags, environment=None):
    secret = {"JWT_SECRET": SECRET, **(environment or {})}
    done = run_carillon("check", "--json", *flags, environment=secret)
    assert done.returncode == 0, done
    return json.loads(done.stdout)["settings"]


def test_check_shows_each_limit_and_its_source():
    shown = settings()
    assert {name: (shown[name]["value"], shown[name].get("note")) for name in STANDARD} == STANDARD
    for name, value in zip(
        STANDARD, [7, 0, "replace", 50, "5/9", "5", "8/9", "6/7", "0"], strict=True
    ):
        assert settings(f"--{name}", str(value))[name] == {"value": value, "source": f"--{name}"}
        variable = "CARILLON_" + name.upper().replace("-", "_")
        by_environment = settings(environment={variable: str(value)})[name]
        assert by_environment == {"value": value, "source": variable}


@pytest.mark.parametrize(
    "flag, value",
    [
        ("connections-per-address", "-1"),
        ("connections-per-user", "many"),
        ("when-user-full", "wait"),
        ("connect-rate", "5/0"),
        ("connect-rate", "5/"),
        ("message-rate", "1/2/3"),
        ("message-rate", "1000001"),
        ("publish-rate", "/5"),
        ("publish-rate", "1.5"),
    ],
)
def test_an_invalid_limit_is_refused(flag, value):
    done = run_carillon("check", f"--{flag}={value}", environment={"JWT_SECRET": SECRET})
    assert done.returncode == 2 and f"--{flag} must be" in done.stderr, done
