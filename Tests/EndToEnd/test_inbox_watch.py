"""The `inbox` dialect as inbox-watch's clients know it: each line of its message tables."""

import asyncio
import json

import aiohttp
import pytest
from websockets.exceptions import InvalidStatus

from harness.background import Background
from harness.clients import FLAT_PATH, INBOX_PATH, EventClient, FlatClient, InboxClient
from harness.publisher import Publisher
from harness.raw import CONTINUATION, PING, TEXT, RawWebSocket, frame, frame_header
from harness.server import BINARY, clean_environment
from harness.times import is_timestamp
from harness.tokens import user_token
from harness.waiting import PATIENCE

INBOX = "/api/v1/notifications"
KEYS = [
    "id",
    "userId",
    "type",
    "priority",
    "title",
    "message",
    "data",
    "entityType",
    "entityId",
    "entityUrl",
    "actions",
    "groupKey",
    "isRead",
    "readAt",
    "seenAt",
    "createdAt",
    "expiresAt",
]
AUTH_LIMIT = 8 * 1024 + 256
MEBIBYTE = 1 << 20


def unread_count(number):
    return {"type": "unread_count", "unreadCount": number}


def update(number, notifications):
    return {"type": "notification_update", "unreadCount": number, "notifications": notifications}


# Server to client.


def test_connected_has_the_user_and_the_unread_count(server, fresh_user):
    user = fresh_user()
    with InboxClient(server, user) as tab:
        assert tab.greeting == {"type": "connected", "userId": user, "unreadCount": 0}
    server.publish_many(user, ["one", "two", "three"])
    with InboxClient(server, user) as tab:
        assert tab.greeting == {"type": "connected", "userId": user, "unreadCount": 3}
        assert tab.answers()["unreadCount"] == 3, "the server sends nothing else unasked"


def test_four_notifications_arrive_live(server, fresh_user):
    user = fresh_user()
    with InboxClient(server, user) as tab, InboxClient(server, fresh_user()) as other:
        for number in range(1, 5):
            server.publish(user, f"n {number}")
            message = tab.next()
            assert message["type"] == "new_notification"
            assert message["notification"]["title"] == f"n {number}"
            assert message["unreadCount"] == number
        expect_nothing(server, other)


def expect_nothing(server, tab):
    """Proves that nothing came: a notification that is published now is the next message.

    It takes the path of all events, so it comes after those that other clients already received.
    """
    server.publish(tab.user, "a mark")
    message = tab.next()
    assert (message["type"], message["unreadCount"]) == ("new_notification", 1), message
    assert message["notification"]["title"] == "a mark"


def test_the_exact_shape_of_a_notification(server, fresh_user):
    user = fresh_user()
    with InboxClient(server, user) as tab:
        sparse = server.publish(user, "sparse")
        message = tab.next()
        assert list(message) == ["type", "notification", "unreadCount"]
        shown = message["notification"]
        assert list(shown) == KEYS
        assert is_timestamp(shown["createdAt"])
        assert [key for key in KEYS if shown[key] is None] == [
            "entityType",
            "entityId",
            "entityUrl",
            "groupKey",
            "readAt",
            "seenAt",
            "expiresAt",
        ]
        assert (shown["id"], shown["userId"], shown["isRead"]) == (sparse["id"], user, False)
        full = {
            "message": "ünïcödé \U0001f514",
            "priority": "urgent",
            "data": {"big": 12345678901234567890123, "nested": [{"a": None}]},
            "entity_type": "trade",
            "entity_id": "trade-1",
            "entity_url": "/trades/1",
            "actions": [{"label": "Open", "url": "/trades/1"}],
            "group_key": "trades",
            "expires_at": "2099-01-31T12:00:00.000Z",
        }
        server.publish(user, "full", type="trade.done", **full)
        shown = tab.next()["notification"]
        assert list(shown) == KEYS
        assert [shown[key] for key in KEYS[3:12]] == [
            "urgent",
            "full",
            full["message"],
            full["data"],
            "trade",
            "trade-1",
            "/trades/1",
            full["actions"],
            "trades",
        ]
        assert (shown["type"], shown["expiresAt"]) == ("trade.done", full["expires_at"])


def test_one_change_is_a_count_and_several_are_an_update(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    ids = [server.publish(user, str(number))["id"] for number in range(5)]
    with InboxClient(server, user) as one, InboxClient(server, user) as two:

        def change(method, path, message, body=None):
            answer = server.request(method, f"{INBOX}{path}", token, body=body)
            assert answer.status == 200, answer
            assert one.next() == message and two.next() == message

        def named(chosen, is_read):
            return [{"id": each, "isRead": is_read} for each in chosen]

        change("PUT", f"/{ids[0]}/read", unread_count(4))
        change("PUT", f"/{ids[0]}/unread", unread_count(5))
        change("POST", "/read", update(3, named(ids[:2], True)), body={"ids": ids[:2]})
        change("PUT", "/seen", update(3, []))
        change("DELETE", f"/{ids[4]}", update(2, []))
        change("PUT", "/read-all", update(0, []))
        change("DELETE", "", update(0, []))


def test_a_broadcast_that_is_not_stored_is_not_sent_to_an_inbox(server, fresh_user):
    with InboxClient(server, fresh_user()) as tab, FlatClient(server, fresh_user()) as flat:
        path = "/api/v1/websocket/send/system"
        body = {"message_type": "m", "title": "t", "message": "m", "payload": {}}
        assert server.request("POST", path, user_token("s", scope="publish"), body).status == 200
        flat.next()
        expect_nothing(server, tab)


# Client to server.


def test_fetch_notifications_is_answered_with_a_page(server, fresh_user):
    user = fresh_user()
    titles = [f"n {number}" for number in range(60)]
    server.publish_many(user, titles)
    with InboxClient(server, user) as tab:

        def fetched(**options):
            tab.send({"type": "fetch_notifications", **options})
            message = tab.next()
            assert (message["type"], message["unreadCount"]) == ("notification_update", unread)
            assert all(list(shown) == KEYS for shown in message["notifications"])
            return [shown["title"] for shown in message["notifications"]]

        unread = 60
        assert fetched() == titles[:-51:-1], "fifty, newest first"
        assert fetched(limit=2) == ["n 59", "n 58"]
        assert fetched(limit=10_000) == titles[::-1]
        newest = server.inbox(user)[-1]["id"]
        server.request("PUT", f"{INBOX}/{newest}/read", user_token(user))
        assert tab.next() == unread_count(59)
        unread = 59
        assert fetched(limit=1, unreadOnly=True) == ["n 58"]
        assert fetched(limit=1, unreadOnly=False) == ["n 59"]


def test_a_large_page_is_cut_to_the_clients_limit(server, fresh_user):
    user = fresh_user()
    for number in range(20):
        server.publish(user, f"n {number}", message="x" * 4_000)
    with InboxClient(server, user) as tab:
        tab.send({"type": "fetch_notifications"})
        shown = [each["title"] for each in tab.next()["notifications"]]
        assert 4 <= len(shown) < 20 and shown == [f"n {19 - each}" for each in range(len(shown))]


def test_invalid_messages_are_ignored(server, fresh_user):
    user = fresh_user()
    with InboxClient(server, user) as tab:
        for text in ("", "x", "[]", "{}", '{"type":1}', '{"type":"mark_read"}', b"\0", "pong"):
            tab.send(text)
        tab.send({"type": "pong"})  # An unsolicited pong.
        server.publish(user, "after all that")
        assert tab.next()["notification"]["title"] == "after all that"


def test_aiohttp_clients_are_served_the_same(server, fresh_user):
    user = fresh_user()

    async def visit():
        headers = {"Authorization": f"Bearer {user_token(user)}"}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(server.websocket_url(INBOX_PATH), headers=headers) as tab,
        ):
            assert await tab.receive_json(timeout=PATIENCE) == {
                "type": "connected",
                "userId": user,
                "unreadCount": 0,
            }
            await asyncio.to_thread(server.publish, user, "one")
            assert (await tab.receive_json(timeout=PATIENCE))["unreadCount"] == 1
            await tab.send_json({"type": "pong"})
            await tab.send_json({"type": "fetch_notifications"})
            page = await tab.receive_json(timeout=PATIENCE)
            assert [shown["title"] for shown in page["notifications"]] == ["one"]

    asyncio.run(visit())


def test_the_unread_count_is_consistent_while_publishing_goes_on(server, fresh_user, chance):
    """Nothing is read, so the unread count is the number published up to its moment.

    A greeting or a page read from the store carries the count of that moment, which may be ahead of
    the notifications sent so far; the missing ones then come before anything else. The count never
    falls.
    """
    user, cursor, known = fresh_user(), "0", 0
    # Whether the next notification may be one that the greeting counts already.
    may_be_counted = False

    def begin(tab, since):
        """The notifications sent before, and the unread count of the greeting."""
        nonlocal may_be_counted
        may_be_counted = since is None
        number = tab.greeting["unreadCount"]
        return (number if since is None else known), number

    def read(tab):
        nonlocal shown, number, cursor, known, may_be_counted
        message = tab.next()
        assert message["unreadCount"] >= number, message
        number = message["unreadCount"]
        if message["type"] == "new_notification":
            title = message["notification"]["title"]
            if may_be_counted and title != f"n {shown}":
                assert int(title.removeprefix("n ")) < shown
                shown = int(title.removeprefix("n "))
            may_be_counted = False
            assert title == f"n {shown}"
            shown += 1
            assert number >= shown, message
            if "cursor" in message:
                cursor, known = message["cursor"], shown
            return
        may_be_counted = False
        assert number == shown, message
        if message["type"] == "notification_update":
            newest = [each["title"] for each in message["notifications"]]
            expected = [f"n {shown - 1}", f"n {shown - 2}"]
            assert newest == [each for each in expected if "-" not in each]

    with Publisher(server, user) as publisher:
        for _ in range(60):
            since = chance.choice([None, cursor])
            with InboxClient(server, user, since=since) as tab:
                shown, number = begin(tab, since)
                for _ in range(chance.randrange(12)):
                    if chance.random() < 0.5:
                        tab.send({"type": "fetch_notifications", "limit": 2})
                    read(tab)
        with InboxClient(server, user, since=cursor) as tab:
            shown, number = begin(tab, cursor)
            publisher.stop()
            while shown < len(publisher.ids):
                read(tab)
            assert shown == number == len(publisher.ids)
            count = server.request("GET", "/api/v1/notifications/unread-count", user_token(user))
            assert count.data == {"count": number}


# Authentication.


@pytest.mark.parametrize("by", ["query", "header", "subprotocol"])
def test_a_token_comes_with_the_upgrade(server, fresh_user, by):
    user = fresh_user()
    with InboxClient(server, user, by=by) as tab:
        assert tab.greeting["userId"] == user
        assert tab.socket.subprotocol == ("bearer" if by == "subprotocol" else None)
    for bad in (user_token(user, ttl=-3_600), "x", user_token("")):
        with pytest.raises(InvalidStatus) as refused:
            InboxClient(server, token=bad, by=by)
        assert refused.value.response.status_code == 401


@pytest.mark.parametrize("since", [None, "0"])
def test_a_token_comes_with_the_first_message(server, fresh_user, since):
    user = fresh_user()
    server.publish(user, "before")
    with InboxClient(server, by=None, greeted=False, since=since) as tab:
        tab.auth(user_token(user))
        greeting = tab.next()
        assert (greeting["type"], greeting["userId"]) == ("connected", user)
        assert greeting["unreadCount"] == 1 and ("cursor" in greeting) == (since is not None)
        if since is not None:
            message = tab.next()
            assert message["notification"]["title"] == "before" and message["cursor"]
            assert tab.next() == unread_count(1)
        server.publish(user, "after")
        assert tab.next()["notification"]["title"] == "after"


def first_messages():
    yield "not a token", {"type": "auth", "token": "x"}
    yield "an expired one", {"type": "auth", "token": user_token("u", ttl=-3_600)}
    yield "of no user", {"type": "auth", "token": user_token("")}
    yield "no token", {"type": "auth"}
    yield "another message", {"type": "fetch_notifications"}
    yield "not JSON", "x"
    yield "bytes", b"x"
    yield "8 KiB", {"type": "auth", "token": "x" * 8_192}


@pytest.mark.parametrize(
    "message", [pytest.param(each, id=name) for name, each in first_messages()]
)
def test_a_bad_first_message_is_1008(server, message):
    with InboxClient(server, by=None, greeted=False) as tab:
        tab.send(message)
        assert tab.close_code() == 1008


# Hostile tokens in messages.


def anonymous(server):
    return RawWebSocket(server, INBOX_PATH)


def test_only_an_auth_message_may_be_long(server):
    text = json.dumps({"type": "auth", "token": "x" * 9_000}).encode()
    at_limit = text[: AUTH_LIMIT - 2] + text[-2:]
    with anonymous(server) as tab:
        tab.send_frame(TEXT, at_limit)
        tab.expect_close(1008)
    with anonymous(server) as tab:
        tab.send(frame_header(TEXT, AUTH_LIMIT + 1))
        tab.expect_close(1009)
    long = [
        b'{"type":"pong","x":"' + b"x" * 1_000 + b'"}',
        b'{"type":"auth","token":"' + b"x" * 1_000,
        b"\0" * 513,
        b"[" * 8_000,
    ]
    for message in long:
        with anonymous(server) as tab:
            tab.send_frame(TEXT, message)
            tab.expect_close(1009)


@pytest.mark.parametrize("cut", [1, 7, 600])
def test_an_auth_message_in_fragments(server, fresh_user, cut):
    token = user_token(fresh_user(), padding="x" * 400)
    message = json.dumps({"type": "auth", "token": token}).encode()
    assert 512 < len(message) < 1_024
    pieces = [message[start : start + cut] for start in range(0, len(message), cut)]
    with anonymous(server) as tab:
        tab.send_frame(TEXT, pieces[0], final=False)
        for piece in pieces[1:]:
            tab.send(frame(PING) + frame(CONTINUATION, piece, final=False))
        tab.send_frame(CONTINUATION)
        while True:
            opcode, payload = tab.read_frame()
            if opcode == TEXT:
                assert json.loads(payload)["type"] == "connected"
                break


def test_a_connection_waiting_for_a_token_holds_little(server):
    before = server.anonymous_bytes()
    held = [anonymous(server) for _ in range(300)]
    try:
        for tab in held:
            tab.send(frame_header(TEXT, AUTH_LIMIT) + b"x" * (AUTH_LIMIT - 1))
        with InboxClient(server, "bystander") as tab:
            tab.answers()
        assert server.anonymous_bytes() - before <= 300 * (2 * AUTH_LIMIT + 4_096) + MEBIBYTE
    finally:
        for tab in held:
            tab.close()


@pytest.mark.parametrize(
    "client, code", [(EventClient, 4002), (FlatClient, 1008), (InboxClient, 1008)]
)
def test_a_message_cannot_change_the_user(server, fresh_user, client, code):
    user, other = fresh_user(), fresh_user()
    for bad in (user_token(other), user_token(user, ttl=-3_600), "x", None):
        with client(server, user) as tab:
            tab.send({"type": "auth", "token": user_token(user, padding="x" * 5_000)})
            tab.send({"type": "auth", "token": user_token(user)})
            server.publish(user, "still here")
            tab.next()
            tab.send({"type": "auth", "token": bad})
            assert tab.close_code() == code


@pytest.mark.parametrize("client", [EventClient, FlatClient, InboxClient])
def test_a_fresh_token_outlives_the_first(make_server, fresh_user, client):
    server, user = make_server(environment={"JWT_LEEWAY": "0"}), fresh_user()
    with (
        client(server, token=user_token(user, ttl=3)) as fresh,
        client(server, token=user_token(user, ttl=3)) as stale,
    ):
        fresh.send({"type": "auth", "token": user_token(user)})
        stale.close_code()
        server.publish(user, "after the first token's end")
        assert "after the first" in json.dumps(fresh.next())


def test_flat_still_ignores_other_messages(server):
    with RawWebSocket(server, f"{FLAT_PATH}?token={user_token('flat')}") as tab:
        for text in (b'{"type":"ping"}', b'{"type":"fetch_notifications"}', b"x", b'{"token":"x"}'):
            tab.send_frame(TEXT, text)
        tab.answers()


def test_listen_supports_it(server, fresh_user):
    user = fresh_user()
    command = [str(BINARY), "listen", "--url", server.url, "--token", user_token(user)]
    command += ["--dialect", "inbox"]
    with Background(command, env=clean_environment()) as listener:
        assert json.loads(listener.line_with("connected"))["userId"] == user
        server.publish(user, "rings")
        assert json.loads(listener.line_with("rings"))["unreadCount"] == 1
