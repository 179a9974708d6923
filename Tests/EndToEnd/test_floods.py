"""Clients that send as fast as they can: the processor time and memory they cost the server."""

import itertools
import time

import pytest

from harness.clients import EVENT_PATH, FLAT_PATH, EventClient
from harness.cost import expect_cost
from harness.crowd import Crowd
from harness.raw import PING, PONG, TEXT, RawConnection, frame, upgrade_request
from harness.sizes import size
from harness.tokens import assemble, base64url, user_token
from harness.waiting import wait_until

INBOX = "/api/v1/notifications"
MEBIBYTE = 1 << 20


def at_rest(server, before):
    """Whether memory is back to its level before: within 5% and 4 MiB."""
    return server.anonymous_bytes() <= before * 1.05 + 4 * MEBIBYTE


# Case 9.


def test_a_million_pings_of_a_zero_window_client_cost_no_memory(make_server, fresh_user):
    # One shard, so that all connections share one thread's memory.
    server, user = make_server(arguments=["--shards", "1"]), fresh_user()
    pings = frame(PING, b"p" * 125, mask=b"abcd") * 1_000
    request = upgrade_request(f"{FLAT_PATH}?token={user_token(user)}")
    with EventClient(server, user) as bystander, Crowd(server) as crowd:
        # A first client reads, so that memory shared by all connections is allocated beforehand.
        (reader,) = crowd.connect(data=request)
        # The server answers only some of its pings: it drops pongs while the client lags.
        crowd.keep_sending(reader, pings, until=lambda: len(reader.received) > 5_000 * 127)
        # Wait until the client has caught up: its unsent pongs are memory, too.
        last, answer = frame(PING, b"last"), b"\x8a\x04last"
        crowd.keep_sending(reader, last, until=lambda: reader.received.endswith(answer))
        (stalled,) = crowd.connect(data=request, receive_buffer=4_096)
        crowd.until("it is upgraded", lambda: b"\r\n\r\n" in stalled.received)
        stalled.stop_reading()
        before = largest = server.anonymous_bytes()
        for number in range(size(200, full=1_000)):
            stalled.send(pings)
            while stalled.waiting and not stalled.ended:
                crowd.turn()
            largest = max(largest, server.anonymous_bytes())
            if number % 50 == 0:
                bystander.answers()
        assert largest - before <= 64 * 1_024, largest - before
    # The pongs are dropped; the client is not cut off for them.
    assert server.total("pongs_dropped_total") > 0
    wait_until("the server's memory is back", lambda: at_rest(server, before))


# Case 15.


def test_a_small_frame_of_a_flood_costs_less_than_one_that_comes_alone(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    pongs, ping = frame(PONG, b"", mask=b"abcd") * 50_000, frame(PING, b"last")
    published = itertools.count()
    with EventClient(server, user) as bystander, Crowd(server) as crowd:
        (attacker,) = crowd.connect(data=upgrade_request(f"{FLAT_PATH}?token={user_token('c')}"))
        crowd.until("it is upgraded", lambda: b"\r\n\r\n" in attacker.received)

        def send_beside_a_publish(*pieces):
            title = f"n {next(published)}"
            server.publish(user, title)
            for data in pieces:
                attacker.received = b""
                attacker.send(data)
                crowd.until("all is read", lambda: attacker.received == b"\x8a\x04last")
            assert bystander.until("notification:new")["title"] == title

        expect_cost(
            server,
            lambda: send_beside_a_publish(pongs + ping),
            lambda: send_beside_a_publish(*[ping] * 1_000),
            factor=8,
            rounds=size(500_000, full=10_000_000) // 50_000,
        )


# Case 25.


def test_a_long_head_by_the_byte_costs_no_more_a_byte_than_a_short_one(server):
    def drip(length, heads):
        head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: "
        head += b"v" * (length - len(head) - 4) + b"\r\n\r\n"
        with RawConnection(server) as connection:
            for _ in range(heads):
                for at in range(len(head)):
                    connection.send(head[at : at + 1])
                assert connection.read_answer().status == 200

    # Both send the same bytes in the same number of calls; only re-reading the head could differ.
    expect_cost(server, lambda: drip(8_192, heads=1), lambda: drip(512, heads=16), factor=3)


# Cases 20 and 26.


LISTS = [
    ("Sec-WebSocket-Protocol", b"b", b" ", b"x"),
    ("Sec-WebSocket-Protocol", b"b", b",", b"x"),
    ("Sec-WebSocket-Extensions", b'a; b="', b"\\", b""),
    ("Sec-WebSocket-Extensions", b"a", b";,", b'"'),
    ("Connection", b"Upgrade", b", ", b"x"),
    ("Connection", b"b", b" ", b"x, Upgrade"),
    ("Cookie", b"a", b'="; ', b"x"),
    ("Origin", b"http://", b"localhost:", b"x"),
    ("Authorization", b"Bearer ", b".", b"x"),
]


@pytest.mark.parametrize("name, start, filler, end", LISTS)
def test_a_list_of_eight_kibibytes_costs_eight_times_one_of_one(server, name, start, filler, end):
    def ask(length):
        value = (start + filler * length)[: length - len(end)] + end
        request = upgrade_request(EVENT_PATH, [(name, value.decode())])
        for _ in range(20):
            with RawConnection(server) as connection:
                connection.send(request)
                connection.read_until(b"\r\n\r\n")

    expect_cost(server, lambda: ask(8_000), lambda: ask(1_000), factor=10)


# Case 35.


def test_no_path_user_or_agent_leaves_a_series_or_memory(make_server):
    server = make_server()

    def series():
        return {line.split(" ")[0] for line in server.metrics().splitlines() if line[:1] != "#"}

    def flood(first, count):
        with RawConnection(server) as connection:
            for start in range(first, first + count, 500):
                batch = range(start, start + 500)
                lines = []
                for number in batch:
                    token = user_token(f"user-{number}")
                    path = f"/{number:x}/path-{number}" if number % 2 else INBOX + "/unread-count"
                    lines.append(
                        f"GET {path}?n={number} HTTP/1.1\r\nHost: h{number}\r\n"
                        f"User-Agent: agent-{number}\r\nAuthorization: Bearer {token}\r\n\r\n"
                    )
                connection.send("".join(lines).encode())
                for number in batch:
                    assert connection.read_answer().status == (404 if number % 2 else 200)

    flood(0, 2_000)
    before, memory = series(), server.anonymous_bytes()
    assert len(before) <= 500
    flood(2_000, size(20_000, full=1_000_000))
    assert series() == before
    wait_until("the server's memory is back", lambda: at_rest(server, memory), within=30)


# Cases 38 and 54: the limits of a token, a list and a query, and the cost of a refusal.


def names(count):
    return [f"n{number}" for number in range(count)]


def claims(members):
    return f'{{"sub":"u","exp":{int(time.time()) + 600},{members}}}'.encode()


def nested(depth):
    return '"a":' + "[" * depth + "]" * depth


def listed(name, count):
    return f'"{name}":[{",".join(chr(34) + each + chr(34) for each in names(count))}]'


def padded(count):
    """A good token of exactly that many bytes."""
    for filler in range(count * 3 // 4 - 200, count):
        token = assemble(b'{"alg":"HS256"}', claims('"a":"%s"' % ("x" * filler)))
        if len(token) == count:
            return token
    raise AssertionError("no such token")


HEADER = b'{"alg":"HS256"}'
TOKENS = {
    "one scope": (lambda: assemble(HEADER, claims(listed("scopes", 1))), 200),
    "64 scopes": (lambda: assemble(HEADER, claims(listed("scopes", 64))), 200),
    "65 scopes": (lambda: assemble(HEADER, claims(listed("scopes", 65))), 401),
    "129 roles": (lambda: assemble(HEADER, claims(listed("roles", 129))), 401),
    "800 roles": (lambda: assemble(HEADER, claims(listed("roles", 800))), 401),
    "100,000 roles": (lambda: assemble(HEADER, claims(listed("roles", 100_000))), 414),
    "500 channels": (lambda: assemble(HEADER, claims(listed("channels", 500))), 200),
    "500 names": (
        lambda: assemble(HEADER, claims(",".join(f'"{name}":1' for name in names(500)))),
        200,
    ),
    "8 KiB": (lambda: padded(8_192), 200),
    "8 KiB and one": (lambda: padded(8_193), 401),
    "depth 30": (lambda: assemble(HEADER, claims(nested(30))), 200),
    "depth 100": (lambda: assemble(HEADER, claims(nested(100))), 401),
    "depth 2,500": (lambda: assemble(HEADER, claims(nested(2_500))), 401),
    "a header of depth 2,500": (
        lambda: assemble(b'{"alg":"HS256",%s}' % nested(2_500).encode(), claims('"a":1')),
        401,
    ),
    "a million dots": (lambda: "." * 8_000, 401),
    "an unsigned 8 KiB": (lambda: f"{base64url(HEADER)}.{'A' * 8_000}.AAAA", 401),
}


@pytest.mark.parametrize("kind", TOKENS)
def test_a_bloated_token_costs_no_more_than_its_bytes(server, kind):
    # Case 54.
    make, status = TOKENS[kind]

    def ask(token, expected):
        path = f"{INBOX}/unread-count?token={token}"
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        # A target over the limit ends the connection.
        for _ in range(10):
            with RawConnection(server) as connection:
                for _ in range(1 if status == 414 else 10):
                    connection.send_if_open(request)
                    assert connection.read_answer().status == expected

    bloated, plain, short = make(), padded(8_192), padded(1_024)
    # A token of the same length, or of an eighth of it, that holds one string.
    ordinary, factor = (short, 10) if kind == "8 KiB" else (plain, 5)
    expect_cost(server, lambda: ask(bloated, status), lambda: ask(ordinary, 200), factor)


@pytest.mark.parametrize("count", [1, 32, 33, 129, 2_000])
def test_subprotocols_over_the_limit_are_refused(server, count):
    # Case 38.
    protocols = ",".join(["bearer", user_token("u"), *names(count - 2)][:count])
    query = f"?token={user_token('u')}" if count == 1 else ""
    expected = 101 if count <= 32 else 431 if len(protocols) > 8_192 else 400

    def upgrade(query, fields, status):
        for _ in range(20):
            with RawConnection(server) as connection:
                connection.send_if_open(upgrade_request(FLAT_PATH + query, fields))
                head = connection.read_until(b"\r\n\r\n")
                assert head.startswith(f"HTTP/1.1 {status}".encode()), head

    # As many bytes in a field that nothing parses.
    padding = [("X-Padding", "x" * min(8_000, len(protocols)))]
    expect_cost(
        server,
        lambda: upgrade(query, [("Sec-WebSocket-Protocol", protocols)], expected),
        lambda: upgrade(f"?token={user_token('u')}", padding, 101),
        factor=5,
    )


@pytest.mark.parametrize("count", [1, 64, 65, 129, 1_000])
def test_parameters_over_the_limit_are_refused(server, count):
    # Case 38.
    def ask(count):
        parameters = "&".join(f"{name}=1" for name in names(count))
        request = (
            f"GET {INBOX}/unread-count?{parameters} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {user_token('u')}\r\n\r\n"
        ).encode()
        with RawConnection(server) as connection:
            for _ in range(20):
                connection.send(request)
                assert connection.read_answer().status == (200 if count <= 64 else 400)

    # The parameters over the limit are not parsed.
    expect_cost(server, lambda: ask(count), lambda: ask(64), factor=5)


@pytest.mark.parametrize("count, status", [(1, 200), (1_000, 200), (1_001, 422), (100_000, 413)])
def test_ids_over_the_limit_are_refused(server, count, status):
    # Case 38.
    def mark(count, status):
        for _ in range(10):
            ids = {"ids": names(count)}
            answer = server.request("POST", f"{INBOX}/read", user_token("u"), ids)
            assert answer.status == status, answer

    # The most ids that are allowed are ten times as many.
    expect_cost(server, lambda: mark(count, status), lambda: mark(100, 200), factor=10)


def test_a_flood_of_messages_is_answered_or_cut(make_server, fresh_user):
    # Case 9, for messages: the answers to a client that does not read are bounded like pongs.
    server, user = make_server(arguments=["--shards", "1"]), fresh_user()
    asks = frame(TEXT, b'{"type":"ping"}', mask=b"abcd") * 2_000
    with EventClient(server, user) as bystander, Crowd(server) as crowd:
        upgrade = upgrade_request(f"{EVENT_PATH}?token={user_token(user)}")

        def growth():
            """Floods a client that does not read; returns by how much the memory grows."""
            (stalled,) = crowd.connect(data=upgrade, receive_buffer=4_096)
            crowd.until("it is upgraded", lambda: b"\r\n\r\n" in stalled.received)
            stalled.stop_reading()
            before = largest = server.anonymous_bytes()
            for _ in range(100):
                stalled.send(asks)
                while stalled.waiting and not stalled.ended:
                    crowd.turn()
                largest = max(largest, server.anonymous_bytes())
            return largest - before

        (reader,) = crowd.connect(data=upgrade)
        for _ in range(10):
            reader.send(asks)
        crowd.until("it is answered", lambda: reader.received.count(b'"pong"') >= 20_000)
        # The first one fills the frame log: its MiB is in memory from then on.
        assert growth() <= 1_536 * 1_024
        assert growth() <= 512 * 1_024
        bystander.answers()
