"""Hostile HTTP: refused with the right status, closed once the framing is in doubt, no trap."""

import json

import pytest

from harness.clients import EVENT_PATH, FLAT_PATH
from harness.cost import expect_cost
from harness.raw import PING, TEXT, RawConnection, RawWebSocket, exchange, frame, upgrade_request
from harness.server import API_KEY
from harness.tokens import user_token
from harness.waiting import wait_until

INBOX = "/api/v1/notifications"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


def refused_and_closed(server, data, statuses):
    """The answer is one of `statuses`, and the request sent after it is not executed."""
    with RawConnection(server) as connection:
        connection.send_if_open(data)
        answer = connection.read_answer()
        assert answer.status in statuses, (data[:200], answer)
        connection.expect_end()
        return answer


# Case 24: the number and the length of fields.


def test_sixty_four_fields_are_accepted_and_more_are_not(server):
    def with_fields(count):  # One of them is Host.
        return GET + b"".join(b"X-%d: v\r\n" % number for number in range(count - 1)) + b"\r\n"

    assert exchange(server, with_fields(64)).status == 200
    for count in (65, 2_000):
        refused_and_closed(server, with_fields(count), (431, 400))


def test_eight_kibibytes_of_value_are_accepted_and_more_are_not(server):
    def with_value(length):
        return GET + b"X-Long: " + b"v" * length + b"\r\n\r\n"

    assert exchange(server, with_value(8_192)).status == 200
    refused_and_closed(server, with_value(8_193), (431, 400))


def test_a_field_of_twenty_megabytes_is_refused_at_the_limit(server):
    with RawConnection(server) as connection:
        # The answer must come while the field is still being sent.
        connection.send(GET + b"X-Long: " + b"v" * 8_193)
        assert connection.read_answer().status in (431, 400)
        connection.expect_end()


def test_little_of_a_field_of_twenty_megabytes_is_read(server):
    head, rounds = GET + b"X-Long: " + b"v" * 20_000_000, 6

    def flood():
        with RawConnection(server) as connection:
            sent = connection.send_until_full(head)
            assert connection.read_answer().status in (431, 400)
            assert sent < len(head), "the server read all of it"

    def overrun():
        with RawConnection(server) as connection:
            connection.send(head[:16_384])
            assert connection.read_answer().status in (431, 400)

    received = server.total("bytes_received_total")
    # The bytes that wait in the socket do not wake the server either.
    expect_cost(server, flood, overrun, factor=10, rounds=rounds)
    received = server.total("bytes_received_total") - received
    # Each time the server reads at most a whole head, plus the request for the metrics.
    assert 2 * rounds * 8_192 < received < 2 * rounds * 16_384 + 1_024


def test_a_target_over_the_limit_is_refused(server):
    refused_and_closed(
        server, b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (414, 431, 400)
    )


# Case 27: each byte in each part of a head. RFC 9110 and RFC 3986 say which are legal.

TOKEN = set(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
FIELD = {0x09, *range(0x20, 0x7F), *range(0x80, 0x100)}
VISIBLE = set(range(0x21, 0x7F)) - {0x23}
UPGRADED = upgrade_request(f"{FLAT_PATH}?token={user_token('bytes')}", [("Cookie", "a=1")])


def in_a_name(byte):
    # A colon ends the name; the rest of the name is then part of the value.
    return GET + b"X" + byte + b"Y: v\r\n\r\n", 200 if byte[0] in TOKEN | {0x3A} else 400


def in_a_value(byte):
    return GET + b"X: a" + byte + b"b\r\n\r\n", 200 if byte[0] in FIELD else 400


def in_a_path(byte):
    # None of these paths exists, so the test does not depend on the meaning of an escape.
    status = 404 if byte[0] in VISIBLE else 400
    return b"GET /a" + byte + b"b HTTP/1.1\r\nHost: x\r\n\r\n", status


def in_a_query(byte):
    # A percent sign without its two digits is invalid.
    status = 200 if byte[0] in VISIBLE - {0x25} else 400
    fields = f"Host: x\r\nX-API-Key: {API_KEY}\r\n\r\n".encode()
    return b"GET /api/v1/me?a=" + byte + b"z HTTP/1.1\r\n" + fields, status


def in_a_subprotocol(byte):
    field = b"Sec-WebSocket-Protocol: a" + byte + b"b\r\n\r\n"
    return UPGRADED[:-2] + field, 101 if byte[0] in TOKEN | {0x2C} else 400


def in_a_cookie(byte):
    request = UPGRADED.replace(b"Cookie: a=1", b"Cookie: a=" + byte + b"1")
    return request, 101 if byte[0] in FIELD else 400


@pytest.mark.parametrize(
    "part",
    [in_a_name, in_a_value, in_a_path, in_a_query, in_a_subprotocol, in_a_cookie],
    ids=lambda part: part.__name__,
)
def test_each_byte_is_accepted_or_refused_by_the_grammar(server, part):
    for byte in range(256):
        request, expected = part(bytes([byte]))
        with RawConnection(server) as connection:
            connection.send_if_open(request)
            head = connection.read_until(b"\r\n\r\n")
            status = int(head.split(b" ")[1])
            assert status == expected, (part.__name__, hex(byte), head)
            # The head repeats no bytes of the client, except a subprotocol that it offered, and
            # has only fields the server writes.
            for line in head.split(b"\r\n")[1:-2]:
                name, colon, value = line.partition(b": ")
                assert colon and value.decode("ascii").isprintable(), line
                if part is in_a_subprotocol and name == b"Sec-WebSocket-Protocol":
                    assert value == (b"a" if byte == ord(",") else b"a%cb" % byte)
                    continue
                assert name in ANSWERED, line
            if expected == 400:
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = connection.read_exactly(length)
                assert all(0x20 <= each < 0x7F for each in body), body
                # After a query with a bad escape it is still certain where the request ends.
                if part is not in_a_query or byte != 0x25:
                    connection.expect_end()


ANSWERED = {
    b"Access-Control-Allow-Origin",
    b"Cache-Control",
    b"Connection",
    b"Content-Length",
    b"Content-Type",
    b"Date",
    b"Sec-WebSocket-Accept",
    b"Upgrade",
}


# Case 29, the classic ones.


@pytest.mark.parametrize(
    "head",
    [
        (
            b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\nhello!",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        (
            b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        b"POST /x HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        b"GET /x HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /x HTTP/1.1\r\n\r\n",
        b"GET /x HTTP/1.1\nHost: x\n\n",
        b"GET /x  HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\nnocolon\r\n\r\n",
        b"GET /x HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /x HTTP/1.1 \r\nHost: x\r\n\r\n",
        b"GET x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_an_ambiguous_request_is_refused(server, fresh_user, head):
    user = fresh_user()
    body = json.dumps({"user_id": user, "type": "info", "title": "smuggled"}).encode()
    smuggled = (
        f"POST {INBOX} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    refused_and_closed(server, head + smuggled, (400, 501, 505))
    assert server.inbox(user) == []


# Case 30: chunks.


CHUNKED = (
    f"POST {INBOX} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n"
    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
).encode()


@pytest.mark.parametrize(
    "chunk, status",
    [
        (b"0x1\r\na\r\n0\r\n\r\n", 400),
        (b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n", 400),
        (b" 1\r\na\r\n0\r\n\r\n", 400),
        (b"+1\r\na\r\n0\r\n\r\n", 400),
        (b"-1\r\na\r\n0\r\n\r\n", 400),
        (b"\r\na\r\n0\r\n\r\n", 400),
        (b"g\r\na\r\n0\r\n\r\n", 400),
        (b"00000000000000001\r\na\r\n0\r\n\r\n", 400),
        (b"10000000000000000\r\na\r\n0\r\n\r\n", 400),
        (b"ffffffffffffffff\r\na\r\n0\r\n\r\n", 413),
        (b"7fffffffffffffff\r\na\r\n0\r\n\r\n", 413),
        (b"1\na\r\n0\r\n\r\n", 400),
        (b"1\r\na\n0\r\n\r\n", 400),
        (b"1\r\naXX0\r\n\r\n", 400),
        (b"1\r\nab\r\n0\r\n\r\n", 400),
        (b"1;" + b"x" * 65_536 + b"\r\na\r\n0\r\n\r\n", 400),
        (b"1;a\0b\r\na\r\n0\r\n\r\n", 400),
        (b"1\r\na\r\n0\r\n\x00: v\r\n\r\n", 400),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else str(value),
)
def test_a_chunk_against_the_grammar_is_refused(server, fresh_user, chunk, status):
    user = fresh_user()
    body = json.dumps({"user_id": user, "type": "info", "title": "behind"}).encode()
    following = CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    refused_and_closed(server, CHUNKED + chunk + following, (status,))
    assert server.inbox(user) == []


def test_chunks_over_the_limit_are_refused_by_their_sum(server):
    with RawConnection(server) as connection:
        connection.send(CHUNKED)
        for _ in range(40):
            connection.send_if_open(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        assert connection.read_answer().status == 413


# Case 32: requests that may be upgraded.


def path_of(user="upgrader"):
    return f"{FLAT_PATH}?token={user_token(user)}"


@pytest.mark.parametrize(
    "options, status",
    [
        ({"method": "POST"}, 405),
        ({"method": "HEAD"}, 405),
        ({"method": "PUT"}, 405),
        ({"version": "HTTP/1.0"}, 400),
        ({"drop": ("Connection",)}, 400),
        ({"drop": ("Connection",), "headers": [("Connection", "keep-alive")]}, 400),
        ({"drop": ("Upgrade",)}, 400),
        ({"drop": ("Upgrade",), "headers": [("Upgrade", "h2c")]}, 400),
        ({"drop": ("Sec-WebSocket-Key",)}, 400),
        ({"drop": ("Sec-WebSocket-Version",)}, 426),
        ({"drop": ("Host",)}, 400),
        ({"key": "AAAAAAAAAAAAAAAAAAAA"}, 400),
        ({"key": "AAAAAAAAAAAAAAAAAAAAAAA="}, 400),
        ({"key": "not base64 at all ====!"}, 400),
        ({"headers": [("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")]}, 400),
        ({"headers": [("Content-Length", "6")]}, 400),
    ],
    ids=[
        "POST",
        "HEAD",
        "PUT",
        "HTTP/1.0",
        "no Connection",
        "another Connection",
        "no Upgrade",
        "another Upgrade",
        "no key",
        "no version",
        "no Host",
        "a key of 15",
        "a key of 17",
        "a key of nonsense",
        "two keys",
        "a body",
    ],
)
def test_an_upgrade_that_breaks_a_rule_is_refused(server, options, status):
    with RawConnection(server) as raw:
        # The server neither answers the frame after the request nor parses it as a request.
        raw.send(upgrade_request(path_of(), **options) + frame(PING, b"eager"))
        answer = raw.read_answer(is_head=options.get("method") == "HEAD")
        assert answer.status == status, answer
        assert status != 405 or answer.headers["allow"] == "GET, OPTIONS"
        assert status != 426 or answer.headers["sec-websocket-version"] == "13"
        raw.expect_end()


@pytest.mark.parametrize("version", ["8", "12", "99", "0", "-13", "13.0", "1" * 400, "", "13, 8"])
def test_another_version_gets_426_and_the_supported_one(server, version):
    request = upgrade_request(
        path_of(), drop=("Sec-WebSocket-Version",), headers=[("Sec-WebSocket-Version", version)]
    )
    answer = exchange(server, request)
    assert answer.status == 426, answer
    assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("connection", ["upgrade", "keep-alive, Upgrade", "UPGRADE , x"])
def test_the_connection_field_is_a_list(server, connection):
    request = upgrade_request(path_of(), drop=("Connection",), headers=[("Connection", connection)])
    with RawConnection(server) as raw:
        raw.send(request)
        assert raw.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


def test_the_accept_value_is_that_of_the_rfc(server):
    # RFC 6455, 1.3, gives this pair as its example.
    with RawConnection(server) as raw:
        raw.send(upgrade_request(path_of(), key="dGhlIHNhbXBsZSBub25jZQ=="))
        head = raw.read_until(b"\r\n\r\n").decode().lower()
    assert "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head
    assert "sec-websocket-extensions" not in head and "sec-websocket-protocol" not in head


def eager(server, path, data):
    """An upgrade request and data right after it, in one segment."""
    raw = RawWebSocket.__new__(RawWebSocket)
    RawConnection.__init__(raw, server)
    raw.send(upgrade_request(path) + data)
    raw.read_upgrade()
    return raw


def test_a_frame_sent_with_the_upgrade_request_is_not_lost(server):
    ping = frame(PING, b"eager")
    for count in range(4):
        with eager(server, path_of(), ping * count) as raw:
            for _ in range(count):
                raw.expect_pong(b"eager")
            raw.answers()
    # The frame is cut at each byte: the rest follows the answer to the request.
    for at in range(1, len(ping)):
        with eager(server, path_of(), ping[:at]) as raw:
            raw.send(ping[at:])
            raw.expect_pong(b"eager")
    # A message, answered after the greeting; and an invalid frame, refused after the upgrade.
    token = user_token("upgrader")
    with eager(server, f"{EVENT_PATH}?token={token}", frame(TEXT, b'{"type":"ping"}')) as raw:
        assert json.loads(raw.read_frame()[1])["event"] == "connection:established"
        assert json.loads(raw.read_frame()[1])["event"] == "pong"
    with eager(server, path_of(), frame(PING, b"unmasked", mask=False)) as raw:
        raw.expect_close(1002)


def test_random_bytes_are_answered_or_cut(server, chance):
    before = server.open_file_count()
    for _ in range(300):
        with RawConnection(server) as connection:
            connection.send_if_open(chance.randbytes(chance.randrange(1, 4_000)) + b"\r\n\r\n")
            connection.half_close()
            connection.drain()
    wait_until("the files are closed", lambda: server.open_file_count() <= before)
