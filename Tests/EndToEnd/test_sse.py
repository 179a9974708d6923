"""Server-sent events: ghostpay's alternative for clients that cannot use WebSockets."""

import re
import socket
import time

import pytest

from harness.clients import EventClient, FlatClient, InboxClient
from harness.cursors import unknown_cursors
from harness.publisher import Publisher
from harness.server import API_KEY
from harness.streams import STREAM_PATH, StreamClient
from harness.times import is_timestamp
from harness.tokens import publisher_token, sign, user_token
from harness.waiting import wait_until

CUTS = 50
SYSTEM = "/api/v1/websocket/send/system"
BROADCAST = "/api/v1/websocket/live/broadcast"
PAYMENT = "/api/v1/websocket/live/payment"
ORIGIN = "http://localhost:3000"


def titles(tab, count):
    return [tab.until("notification")["title"] for _ in range(count)]


# The shapes in ghostpay's document.


@pytest.mark.parametrize("by", ["query", "header"])
def test_the_document_line_by_line(server, fresh_user, by):
    user = fresh_user()
    with StreamClient(server, user, by=by) as tab:
        assert tab.next() == {"type": "unread_count", "data": {"count": 0}}
        made = server.publish(user, "It rings", message="a\nb", data={"a": [1, "\r\n"]})
        message = tab.next()
        assert list(message["data"]) == [
            "id", "type", "user_id", "title", "message", "data", "timestamp", "isNew",
        ]  # fmt: skip
        assert message["type"] == "notification"
        data = message["data"]
        assert data["id"] == made["id"] and data["user_id"] == user
        assert data["title"] == "It rings" and data["message"] == "a\nb"
        assert data["data"] == {"a": [1, "\r\n"]}
        assert data["isNew"] is True and is_timestamp(data["timestamp"])
        assert tab.next() == {"type": "unread_count", "data": {"count": 1}}
        path = f"/api/v1/notifications/{made['id']}/read"
        assert server.request("PUT", path, user_token(user)).status == 200
        assert tab.next() == {"type": "unread_count", "data": {"count": 0}}


def test_the_head_of_the_answer(server, fresh_user):
    with StreamClient(server, fresh_user()) as tab:
        tab.next()
        assert tab.answer["Content-Type"].startswith("text/event-stream")
        assert tab.answer["Cache-Control"] == "no-store, no-transform"
        assert tab.answer["X-Accel-Buffering"] == "no"
        assert tab.answer["Connection"] == "close"
        assert tab.answer["Transfer-Encoding"] == "chunked"
        assert "Content-Length" not in tab.answer
        assert tab.parser.retry == 5_000


def test_broadcasts_come_under_their_typed_names(server, fresh_user):
    user = fresh_user()
    with StreamClient(server, user) as tab:
        tab.next()
        body = {"message_type": "maintenance", "title": "t", "message": "m", "payload": {"x": 1}}
        assert server.request("POST", SYSTEM, publisher_token(), body).status == 200
        assert tab.next() == {"type": "system_message", "data": body}
        body = {"update_type": "price", "payload": {"y": 2}}
        assert server.request("POST", BROADCAST, publisher_token(), body).status == 200
        assert tab.next() == {"type": "data_update", "data": body}


def test_a_payment_comes_under_its_typed_name_and_only_in_its_dialects(server, fresh_user):
    user = fresh_user()
    body = {"payment_id": "pi_1", "amount": 1000, "currency": "usd", "status": "succeeded"}
    with (
        StreamClient(server, user) as tab,
        EventClient(server, user) as event,
        FlatClient(server, user) as flat,
        InboxClient(server, user) as inbox,
    ):
        tab.next()
        said = {"user_id": user, **body}
        assert server.request("POST", PAYMENT, publisher_token(), said).status == 200
        assert tab.next() == {"type": "payment_update", "data": body}
        # The other dialects have no payment update: their next message is the next notification.
        server.publish(user, "next")
        assert event.next()["event"] == "notification:new"
        assert flat.next()["title"] == "next"
        assert inbox.next()["notification"]["title"] == "next"


def test_raw_line_ends_in_data_do_not_end_the_line(server, fresh_user):
    # Case 36: JSON allows line ends between its tokens, and the store keeps the bytes it received.
    user = fresh_user()
    raw = f'{{"user_id":"{user}","type":"t","title":"x","data":{{"a":\r\n\n\r1,\n"id":2}}}}'
    with StreamClient(server, user) as tab:
        tab.next()
        answer = server.request("POST", "/api/v1/notifications", body=raw.encode(), key=API_KEY)
        assert answer.status == 201, answer
        assert tab.until("notification")["data"] == {"a": 1, "id": 2}
        assert tab.next()["type"] == "unread_count"


def test_two_tabs_receive_the_same(server, fresh_user):
    user = fresh_user()
    with StreamClient(server, user) as one, StreamClient(server, user) as two:
        one.next(), two.next()
        server.publish_many(user, [f"n {number}" for number in range(50)])
        expected = [f"n {number}" for number in range(50)]
        assert titles(one, 50) == titles(two, 50) == expected


def test_a_stream_counts_as_a_connection(make_server, fresh_user):
    server, user = make_server(), fresh_user()

    def stats():
        return server.request("GET", "/api/notifications/stats", user_token(user)).data

    with StreamClient(server, user) as tab:
        tab.next()

        def is_counted():
            shown = stats()
            return (shown["total_clients"], shown["total_users"]) == (1, 1)

        # Shards exchange their counts with a small delay.
        wait_until("the reader is counted", is_counted)
    wait_until("the reader has left", lambda: stats()["total_clients"] == 0)


# Authentication and origins.


@pytest.mark.parametrize(
    "token",
    ["", "nonsense", sign({"sub": "u", "exp": 1}), user_token("u")[:-3] + "AAA"],
    ids=["none", "nonsense", "expired", "forged"],
)
def test_a_bad_token_is_answered_401_in_json(server, token):
    answer = server.request("GET", STREAM_PATH, token or None)
    assert answer.status == 401 and answer.error["code"] == "unauthorized"
    assert answer.headers["content-type"].startswith("application/json")


def test_other_methods_and_the_handshake_are_refused(server, fresh_user):
    token = user_token(fresh_user())
    answer = server.request("POST", STREAM_PATH, token, {})
    assert answer.status == 405 and "GET" in answer.headers["allow"]
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert server.request("GET", STREAM_PATH, token, headers=upgrade).status == 404
    head = server.request("HEAD", STREAM_PATH, token)
    assert head.status == 200 and head.bytes == b""


def test_a_page_of_an_allowed_origin_may_read_it(server, fresh_user):
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    answer = server.request("OPTIONS", STREAM_PATH, headers=headers)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed and "last-event-id" in allowed
    with socket.create_connection(server.address) as raw:
        request = f"GET {STREAM_PATH}?token={user_token(fresh_user())} HTTP/1.1\r\nHost: x\r\n"
        raw.sendall(f"{request}Origin: {ORIGIN}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += raw.recv(4_096)
        assert f"access-control-allow-origin: {ORIGIN}".encode() in head.lower()


def test_a_stream_ends_with_its_token(make_server, fresh_user):
    server, user = make_server(environment={"JWT_LEEWAY": "0"}), fresh_user()
    with StreamClient(server, user, token=user_token(user, ttl=3)) as tab:
        tab.next()
        assert tab.is_over()
    assert server.total("disconnects_token_expired_total") == 1


def test_a_draining_server_ends_its_streams(make_server, fresh_user):
    server = make_server()
    with StreamClient(server, fresh_user()) as tab:
        tab.next()
        server.stop()
        assert tab.is_over()


# Resuming.


@pytest.mark.parametrize("by", ["last_id", "since"])
def test_fifty_cuts_lose_nothing_and_double_nothing(server, fresh_user, chance, by):
    user, cursor, seen = fresh_user(), "0", []

    def read(tab):
        nonlocal cursor
        message = tab.next()
        assert message["type"] in ("notification", "unread_count"), message
        cursor = tab.cursor or cursor
        if message["type"] == "notification":
            seen.append(message["data"]["id"])

    with Publisher(server, user) as publisher:
        for _ in range(CUTS):
            with StreamClient(server, user, **{by: cursor}) as tab:
                goal = len(seen) + chance.randrange(12)
                while len(seen) < goal:
                    read(tab)
    with StreamClient(server, user, **{by: cursor}) as tab:
        while len(seen) < len(publisher.ids):
            read(tab)
    assert len(publisher.ids) > CUTS
    assert seen == publisher.ids


def test_without_a_cursor_a_stream_begins_now_and_gives_a_cursor(server, fresh_user):
    user = fresh_user()
    server.publish(user, "past")
    with StreamClient(server, user) as tab:
        assert tab.next() == {"type": "unread_count", "data": {"count": 1}}
        cursor = tab.cursor
        assert re.fullmatch(r"[0-9a-z]{1,32}\.[0-9a-z]{1,10}\.[0-9]+", cursor), cursor
    server.publish(user, "while away")
    with StreamClient(server, user, last_id=cursor) as tab:
        message = tab.next()
        assert message["data"]["title"] == "while away" and message["data"]["isNew"] is True
        assert tab.cursor != cursor
        assert tab.next() == {"type": "unread_count", "data": {"count": 2}}


def test_the_header_wins_over_the_query_for_a_reconnecting_browser(server, fresh_user):
    user = fresh_user()
    server.publish_many(user, ["one", "two"])
    with StreamClient(server, user, since="0") as tab:
        assert titles(tab, 1) == ["one"]
        cursor = tab.cursor
    with StreamClient(server, user, since="0", last_id=cursor) as tab:
        assert titles(tab, 1) == ["two"]


def test_a_notification_read_elsewhere_is_not_new(server, fresh_user):
    user = fresh_user()
    made = server.publish(user, "read meanwhile")
    path = f"/api/v1/notifications/{made['id']}/read"
    assert server.request("PUT", path, user_token(user)).status == 200
    with StreamClient(server, user, since="0") as tab:
        assert tab.until("notification")["isNew"] is False


@unknown_cursors()
@pytest.mark.parametrize("by", ["last_id", "since"])
def test_an_unknown_id_gets_one_resync(server, fresh_user, spoil, by):
    # Case 37.
    user, other = fresh_user(), fresh_user("other")
    server.publish(other, "somebody else's")
    with StreamClient(server, user, since="0") as tab:
        server.publish_many(user, ["a", "b"])
        titles(tab, 2)
        run, offset = tab.cursor.rsplit(".", 1)
    with StreamClient(server, user, **{by: spoil(run, offset)}) as tab:
        message = tab.next()
        assert message["type"] == "resync" and message["data"] == {"cursor": tab.cursor}
        current = tab.cursor
        assert tab.next() == {"type": "unread_count", "data": {"count": 2}}
        server.publish(user, "after")
        assert tab.next()["data"]["title"] == "after"
    with StreamClient(server, user, last_id=current) as tab:
        assert titles(tab, 1) == ["after"]


def test_another_users_id_reveals_nothing_of_theirs(server, fresh_user):
    # Case 37.
    user, other = fresh_user(), fresh_user("other")
    with StreamClient(server, other, since="0") as tab:
        server.publish(other, "theirs, before")
        titles(tab, 1)
        cursor = tab.cursor
    server.publish_many(other, [f"theirs {number}" for number in range(20)])
    server.publish(user, "mine")
    with StreamClient(server, user, last_id=cursor) as tab:
        message = tab.next()
        assert message["data"]["title"] == "mine" and message["data"]["user_id"] == user
        assert tab.next() == {"type": "unread_count", "data": {"count": 1}}


def test_two_ids_are_refused(server, fresh_user):
    with socket.create_connection(server.address) as raw:
        request = f"GET {STREAM_PATH}?token={user_token(fresh_user())} HTTP/1.1\r\nHost: x\r\n"
        raw.sendall(f"{request}Last-Event-ID: a\r\nLast-Event-ID: b\r\n\r\n".encode())
        assert raw.recv(4_096).startswith(b"HTTP/1.1 400 ")


# Misbehaving readers.


def test_a_slow_reader_is_cut_and_resumes(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    stalled = socket.socket()
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    stalled.connect(server.address)
    token = user_token(user)
    stalled.sendall(f"GET {STREAM_PATH}?token={token} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert b"200 OK" in stalled.recv(64)
    published = 0
    with StreamClient(server, user) as tab:
        tab.next()
        deadline = time.monotonic() + 60
        while server.total("disconnects_slow_consumer_total") == 0:
            assert time.monotonic() < deadline, f"never cut, after {published}"
            lines = [f"n {number} " + "x" * 240 for number in range(published, published + 200)]
            server.publish_many(user, lines)
            published += len(lines)
            assert titles(tab, len(lines)) == lines
    stalled.close()
    with StreamClient(server, user, since="0") as tab:
        assert len(titles(tab, published)) == published


def test_bytes_after_the_request_are_ignored(server, fresh_user):
    user = fresh_user()
    with socket.create_connection(server.address) as raw:
        request = f"GET {STREAM_PATH}?token={user_token(user)} HTTP/1.1\r\nHost: x\r\n\r\n"
        raw.sendall(request.encode() * 3 + b"\x00\xff" * 10_000)
        raw.settimeout(30)
        lines = raw.makefile("rb")

        def await_line_with(text):
            while text not in (line := lines.readline()):
                assert line, "the stream ended"

        # The server answers with the head before it reads the stream's start from the store. The
        # first event shows that it has, so the stream gets everything published from here on.
        await_line_with(b"unread_count")
        server.publish(user, "all the same")
        await_line_with(b"all the same")
        lines.close()


def test_readers_that_come_and_go_leave_no_session(make_server, fresh_user):
    server = make_server()
    before = server.open_file_count()
    for _ in range(200):
        raw = socket.create_connection(server.address)
        request = f"GET {STREAM_PATH}?token={user_token(fresh_user())} HTTP/1.1\r\nHost: x\r\n\r\n"
        raw.sendall(request.encode())
        assert raw.recv(64).startswith(b"HTTP/1.1 200")
        raw.close()
    wait_until("all descriptors are closed", lambda: server.open_file_count() <= before)
    wait_until("no session is left", lambda: server.total("sessions") == 0)
