"""Numbers and nesting in input: none of them traps, and none costs more than its bytes.

A Swift trap ends the process, so the fixture checks after each test that the same server is alive.
`NumericFields.swift` in the tidy tests keeps the list of the numeric fields complete.
"""

import contextlib
import json
import struct
import urllib.parse

import pytest

from harness.clients import EVENT_PATH, FLAT_PATH, INBOX_PATH, EventClient, InboxClient
from harness.cost import expect_cost
from harness.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    TEXT,
    Closed,
    RawConnection,
    RawWebSocket,
    exchange,
    frame_header,
    upgrade_request,
)
from harness.server import API_KEY, run_carillon
from harness.tokens import SECRET, assemble, user_token

INBOX = "/api/v1/notifications"
CHUNKED = (
    f"POST {INBOX} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n"
    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
).encode()


def trapper():
    return f"{FLAT_PATH}?token={user_token('trap-hunter')}"


# Case 33: the trap hunt. Every number of this list in every numeric field of the server.


NUMBERS = [
    "0",
    "1",
    "-1",
    "+1",
    "00",
    "01",
    "1e308",
    "-1e308",
    "1e400",
    "1.5",
    "0x10",
    "NaN",
    "Infinity",
    "9" * 400,
    "-" + "9" * 400,
    " 1",
    "1 ",
    "",
    "\u0661",
    *[str(2**power + off) for power in (15, 16, 31, 32, 53, 63, 64) for off in (-1, 0, 1)],
    *[str(-(2**power) + off) for power in (31, 63) for off in (-1, 0, 1)],
]


@pytest.mark.parametrize("name", ["limit", "before", "since", "wait", "unread", "type", "offset"])
def test_no_number_in_a_query_is_a_trap(server, fresh_user, name):
    token, over = user_token(fresh_user()), server.connection()
    for number in NUMBERS:
        path = f"{INBOX}?{urllib.parse.urlencode({name: number})}"
        answer = server.request("GET", path, token, over=over)
        assert answer.status in (200, 400, 422), (number, answer)
    over.close()


@pytest.mark.parametrize("path", [EVENT_PATH, FLAT_PATH, INBOX_PATH])
def test_no_number_in_a_cursor_is_a_trap(server, path):
    token = user_token("trap-hunter")
    for number in NUMBERS:
        for since in (number, f"abc.{number}", f"{number}.{number}"):
            query = urllib.parse.urlencode({"token": token, "since": since})
            with RawConnection(server) as connection:
                connection.send(upgrade_request(f"{path}?{query}"))
                head = connection.read_until(b"\r\n\r\n")
                assert head.split(b" ")[1] in (b"101", b"400"), (since, head)


@pytest.mark.parametrize(
    "field",
    [
        "Content-Length",
        "Range",
        "Last-Event-ID",
        "Keep-Alive",
        "Max-Forwards",
        "Age",
        "Sec-WebSocket-Version",
        "Retry-After",
        "Idempotency-Key",
    ],
)
def test_no_number_in_a_field_is_a_trap(server, field):
    for number in NUMBERS:
        data = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + (
            f"{field}: {number}\r\n\r\n".encode()
        )
        with RawConnection(server) as connection:
            connection.send_if_open(data)
            connection.half_close()
            try:
                status = connection.read_answer().status
                assert status == 200 or 400 <= status < 500, (number, status)
            except Closed:
                # The request announced a body and never sent it.
                assert field == "Content-Length", number


def test_no_number_in_a_chunk_size_is_a_trap(server):
    for number in NUMBERS:
        with RawConnection(server) as connection:
            connection.send_if_open(CHUNKED + f"{number}\r\n".encode())
            connection.half_close()
            with contextlib.suppress(Closed):
                assert 400 <= connection.read_answer().status < 500, number


@pytest.mark.parametrize(
    "name",
    [
        "user_id",
        "type",
        "priority",
        "title",
        "message",
        "data",
        "entity_id",
        "actions",
        "group_key",
        "expires_at",
        "is_read",
        "created_at",
        "offset",
        "user_ids",
    ],
)
def test_no_number_in_a_notification_is_a_trap(server, fresh_user, name):
    over = server.connection()
    for number in NUMBERS:
        fields = {"user_id": fresh_user(), "type": "info", "title": "t"}
        fields.pop(name, None)
        rest = json.dumps(fields)[1:]
        for value in (number, f'"{number}"', f'{{"n":{number}}}', f"[{number}]"):
            body = f'{{"{name}":{value},{rest}'.encode()
            answer = server.request("POST", INBOX, body=body, key=API_KEY, over=over)
            assert answer.status in (201, 400, 422), (value, answer)
    over.close()


def test_no_number_in_a_token_is_a_trap(server):
    over = server.connection()
    for claim in ("exp", "nbf", "iat", "sub", "scope"):
        for number in NUMBERS:
            payload = f'{{"sub":"trap","exp":{2**33},"{claim}":{number}}}'.encode()
            if claim in ("sub", "exp"):
                other = f'"exp":{2**33}' if claim == "sub" else '"sub":"trap"'
                payload = f'{{{other},"{claim}":{number}}}'.encode()
            token = assemble(b'{"alg":"HS256"}', payload)
            answer = server.request("GET", INBOX, token, over=over)
            # 403: a valid token without a user.
            refusals = (401, 403) if claim == "sub" else (401,)
            assert answer.status in (200, *refusals), (claim, number, answer)
    over.close()


def test_no_number_in_a_path_or_a_list_of_ids_is_a_trap(server, fresh_user):
    token, over = user_token(fresh_user()), server.connection()
    for number in NUMBERS:
        path_id = urllib.parse.quote(number, safe="") or "%20"
        for method, path in (
            ("PUT", f"{INBOX}/{path_id}/read"),
            ("PUT", f"{INBOX}/{path_id}/unread"),
            ("DELETE", f"{INBOX}/{path_id}"),
        ):
            assert server.request(method, path, token, over=over).status in (400, 404), number
        for value in (number, f'"{number}"', f"[{number}]"):
            body = f'{{"ids":[{value}]}}'.encode()
            answer = server.request("POST", f"{INBOX}/read", token, body=body, over=over)
            assert answer.status in (200, 400, 404, 422), (value, answer)
    over.close()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/disconnect",
        *(
            f"/api/v1/websocket/{path}"
            for path in (
                "live/broadcast",
                "live/data",
                "live/payment",
                "live/update",
                "send/notification",
                "send/room",
                "send/system",
            )
        ),
    ],
)
def test_no_number_in_a_broadcast_is_a_trap(server, path):
    over = server.connection()
    good = {"update_type": "t", "notification_type": "t", "title": "t", "user_id": "u", "room": "r"}
    if path.endswith("/payment"):
        good = {"user_id": "u", "payment_id": 1, "amount": 1, "currency": "usd", "status": "s"}
    for name in (*good, "message_type", "message", "payload", "reason"):
        rest = json.dumps({other: value for other, value in good.items() if other != name})[1:]
        for number in NUMBERS:
            for value in (number, f'"{number}"', f"[{number}]"):
                body = f'{{"{name}":{value},{rest}'.encode()
                answer = server.request("POST", path, body=body, key=API_KEY, over=over)
                assert answer.status in (200, 201, 400, 422), (name, value, answer)
    over.close()


@pytest.mark.parametrize("name", ["limit", "after"])
def test_no_number_in_an_online_query_is_a_trap(server, name):
    over = server.connection()
    for number in NUMBERS:
        path = f"/api/v1/users/online?{urllib.parse.urlencode({name: number})}"
        answer = server.request("GET", path, key=API_KEY, over=over)
        assert answer.status in ((200,) if name == "after" else (200, 422)), (number, answer)
        path = f"/api/v1/users/{urllib.parse.quote(number, safe='') or 'x'}/online"
        answer = server.request("GET", path, key=API_KEY, over=over)
        assert answer.status in (200, 422), (number, answer)
    over.close()


def test_no_number_in_a_host_or_an_escape_is_a_trap(server):
    for number in NUMBERS:
        digits = number.encode()
        for data in (
            b"GET /healthz HTTP/1.1\r\nHost: x:" + digits + b"\r\n\r\n",
            b"GET http://x:" + digits + b"/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /healthz HTTP/" + digits + b"\r\nHost: x\r\n\r\n",
            b"GET /%" + digits.replace(b" ", b"") + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /healthz?a=%" + digits.replace(b" ", b"") + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            status = exchange(server, data).status
            assert status == 200 or 400 <= status < 600, data
        body = b'{"user_id":"u","type":"info","title":"\\u' + digits + b'"}'
        assert server.request("POST", INBOX, body=body, key=API_KEY).status in (201, 400, 422)


def test_no_close_code_is_a_trap(server):
    edges = [0, 1, *(2**power + off for power in range(7, 16) for off in (-1, 0, 1)), 2**16 - 1]
    for number in edges:
        with RawWebSocket(server, trapper()) as connection:
            connection.send_frame(CLOSE, struct.pack("!H", number))
            connection.read_close()


def test_no_length_of_a_frame_is_a_trap(server):
    edges = {2**power + off for power in range(64) for off in (-1, 0, 1)} | {2**64 - 1}
    for length in edges:
        for form, most in ((0, 125), (2, 2**16 - 1), (8, 2**64 - 1)):
            for inside in (False, True):
                if length > most:
                    continue
                with RawWebSocket(server, trapper()) as connection:
                    if inside:
                        connection.send_frame(TEXT, b"x" * 100, final=False)
                    opcode = CONTINUATION if inside else BINARY
                    connection.send(frame_header(opcode, length, form=form))
                    if length > (412 if inside else 512):
                        connection.expect_close(
                            1002
                            if form == 2 and length < 126
                            else 1002
                            if form == 8 and length < 2**16
                            else 1002
                            if length >= 2**63
                            else 1009
                        )


def test_no_number_in_a_message_is_a_trap(server):
    with EventClient(server, "trap-hunter") as tab:
        for number in NUMBERS:
            for message in (f'{{"type":{number}}}', f'{{"type":"x","n":{number}}}', number):
                tab.send(message[:512])
        tab.answers()


def test_no_number_in_a_fetch_is_a_trap(server):
    with InboxClient(server, "trap-hunter") as tab:
        for number in NUMBERS:
            tab.send(f'{{"type":"fetch_notifications","limit":{number}}}'[:512])
        tab.answers()


@pytest.mark.parametrize("name", ["since", "wait"])
def test_no_number_in_a_poll_is_a_trap(server, fresh_user, name):
    token = user_token(fresh_user())
    for number in NUMBERS:
        query = {"since": "", "wait": "0", name: number}
        # This wait is valid, and the poll would wait that long.
        if name == "wait" and number.strip("0") == "1":
            continue
        path = f"{INBOX}/poll?{urllib.parse.urlencode(query)}"
        answer = server.request("GET", path, token)
        assert answer.status in (200, 400, 422), (number, answer)


@pytest.mark.parametrize(
    "command, flag",
    [
        ("check", "port"),
        ("check", "shards"),
        ("check", "message-bytes"),
        ("check", "backlog-bytes"),
        ("check", "connections-per-address"),
        ("check", "connections-per-user"),
        ("check", "rooms-per-user"),
        ("check", "connect-rate"),
        ("check", "message-rate"),
        ("check", "request-rate"),
        ("check", "bad-token-rate"),
        ("check", "publish-rate"),
        ("check", "socketio-ping-interval"),
        ("check", "socketio-ping-timeout"),
        ("check", "jwt-leeway"),
        ("check", "jwt-require-exp"),
        ("token", "ttl"),
        ("listen", "count"),
        ("publish", "count"),
        ("publish", "every"),
        ("publish", "expires"),
    ],
)
def test_no_number_in_a_flag_is_a_trap(command, flag):
    # No server listens at the address, so a command that accepts the number fails soon.
    nowhere = [] if command in ("check", "token") else ["--url", "http://127.0.0.1:1"]
    options = ["--user", "u"] if command in ("token", "publish") else []
    options += ["--token", "t"] if command in ("listen", "publish") else []
    options += ["--title", "t"] if command == "publish" else []
    for number in NUMBERS:
        done = run_carillon(
            command, f"--{flag}={number}", *options, *nowhere, environment={"JWT_SECRET": SECRET}
        )
        # A trap ends the process with a signal, which Python reports as a negative status.
        assert done.returncode in (0, 1, 2), (number, done)


# Case 34: depth and breadth.


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_json_nests_thirty_two_deep_and_no_deeper(server, fresh_user, opening, closing):
    def publish(depth):  # The body and `data` are two of the levels.
        inner = opening * (depth - 2) + "1" + closing * (depth - 2)
        body = f'{{"user_id":"{fresh_user()}","type":"info","title":"t","data":{{"d":{inner}}}}}'
        return server.request("POST", INBOX, body=body.encode(), key=API_KEY)

    assert publish(32).status == 201
    assert publish(33).status in (400, 422)
    assert publish(3_000).status in (400, 422)
    assert publish(100_000).status in (400, 413, 422)


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"a":' * 12_000, b"[" * 30_000 + b"]" * 30_000])
def test_a_deeply_nested_body_costs_little(server, body):
    text = b'"' + b"x" * (len(body) - 2) + b'"'

    def post(sent):
        for _ in range(10):
            answer = server.request("POST", INBOX, body=sent, key=API_KEY)
            assert answer.status in (400, 422), answer

    # One string of the same length is refused, too.
    expect_cost(server, lambda: post(body), lambda: post(text), factor=4)


def test_many_keys_cost_no_more_than_their_bytes(server, fresh_user):
    user = fresh_user()

    def post(times, count):
        keys = ",".join(f'"{number:x}":1' for number in range(count))
        body = f'{{"user_id":"{user}","type":"info","title":"t",{keys}}}'.encode()
        for _ in range(times):
            answer = server.request("POST", INBOX, body=body, key=API_KEY)
            assert answer.status in (201, 400, 422), answer

    # As many keys in ten bodies.
    expect_cost(server, lambda: post(1, 6_000), lambda: post(10, 600), factor=3)


def test_a_query_of_many_pairs_is_bounded(server, fresh_user):
    token = user_token(fresh_user())
    many = "&".join(f"k{number}=1" for number in range(64))
    assert server.request("GET", f"{INBOX}?{many}", token).status == 200
    assert server.request("GET", f"{INBOX}?{many}&one=more", token).status == 400
    assert server.request("GET", f"{INBOX}?limit=1&limit=2", token).status == 400
