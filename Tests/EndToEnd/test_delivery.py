"""Recipients and shape of each notification, and the connections the server rejects."""

import time

import pytest
from websockets.exceptions import InvalidStatus

from harness.clients import EVENT_PATH, FLAT_PATH, PATIENCE, EventClient, FlatClient
from harness.server import API_KEY
from harness.times import is_timestamp
from harness.tokens import sign, user_token
from harness.waiting import wait_until

FULL = {
    "message": "Successfully created trade for AAPL — ünïcödé \U0001f514",
    "priority": "high",
    "data": {
        "symbol": "AAPL",
        "pnl": 125.50,
        "big": 12345678901234567890123,
        "nested": [{"a": None}],
    },
    "entity_type": "trade",
    "entity_id": "trade-1",
    "entity_url": "/trades/1",
}


# Recipients.


@pytest.mark.parametrize("client", [EventClient, FlatClient])
def test_every_tab_of_the_user_receives_it_and_no_other_user(server, fresh_user, client):
    user, other = fresh_user("mine"), fresh_user("other")
    with client(server, user) as one, client(server, user) as two, client(server, other) as third:
        server.publish(user, "for me")
        server.publish(other, "for the other")
        for tab in (one, two):
            assert title(tab.next()) == "for me"
        # The other user receives its own notification first: the earlier one was never sent to it.
        assert title(third.next()) == "for the other"


def test_both_dialects_of_one_user_receive_it(server, fresh_user):
    user = fresh_user()
    with EventClient(server, user) as event, FlatClient(server, user) as flat:
        stored = server.publish(user, "twofold", **FULL)
        assert event.expect("notification:new")["id"] == stored["id"]
        assert flat.next()["id"] == stored["id"]


def test_a_users_notifications_have_one_order_on_every_device(server, fresh_user):
    user = fresh_user()
    with EventClient(server, user) as event, FlatClient(server, user) as flat:
        titles = [f"n {number}" for number in range(500)]
        server.publish_many(user, titles)
        assert [title(flat.next()) for _ in titles] == titles
        assert [event.until("notification:new")["title"] for _ in titles] == titles
    assert [stored["title"] for stored in server.inbox(user)] == titles


def test_user_ids_reaches_each_of_them_in_order(server, fresh_user):
    users = [fresh_user() for _ in range(5)]
    clients = [FlatClient(server, user) for user in users]
    try:
        answer = server.request(
            "POST",
            "/api/v1/notifications",
            key=API_KEY,
            body={"user_ids": users, "type": "info", "title": "all of you"},
        )
        assert answer.status == 201
        received = [client.next() for client in clients]
        assert [message["user_id"] for message in received] == users
        assert [message["id"] for message in received] == answer.data["ids"]
    finally:
        for client in clients:
            client.close()


# Shapes: exactly these fields, because the reference's clients expect no others.


def test_the_exact_shape_of_flat(server, fresh_user):
    user = fresh_user()
    with FlatClient(server, user) as tab:
        stored = server.publish(user, "Trade Created", type="trade.created", **FULL)
        message = tab.next()
        assert message == {
            "id": stored["id"],
            "type": "trade.created",
            "user_id": user,
            "title": "Trade Created",
            "message": FULL["message"],
            "data": FULL["data"],
            "timestamp": stored["created_at"],
        }
        assert list(message) == [
            "id",
            "type",
            "user_id",
            "title",
            "message",
            "data",
            "timestamp",
        ]
        server.publish(user, "bare")
        bare = tab.next()
        assert set(bare) == set(message) and bare["data"] == {} and bare["message"] == ""


def test_the_exact_shape_of_event(server, fresh_user):
    user = fresh_user()
    with EventClient(server, user) as tab:
        stored = server.publish(user, "New Incident", type="incident_created", **FULL)
        frame = tab.next()
        assert list(frame) == ["event", "data", "timestamp"]
        assert is_timestamp(frame["timestamp"])
        assert frame["event"] == "notification:new"
        assert frame["data"] == {
            "id": stored["id"],
            "type": "incident_created",
            "priority": "high",
            "title": "New Incident",
            "message": FULL["message"],
            "entity_type": "trade",
            "entity_id": "trade-1",
            "entity_url": "/trades/1",
            "is_read": False,
            "created_at": stored["created_at"],
            "data": FULL["data"],
        }
        assert tab.expect("stats:updated") == {
            "total": 1,
            "unread": 1,
            "unseen": 1,
            "by_priority": {"low": 0, "normal": 0, "high": 1, "urgent": 0},
        }
        server.publish(user, "bare")
        bare = tab.expect("notification:new")
        assert set(bare) == set(frame["data"]) - {"data"}, "data only where it is not empty"
        assert bare["priority"] == "normal"
        assert [bare[name] for name in ("entity_type", "entity_id", "entity_url")] == [None] * 3
        assert tab.expect("stats:updated")["total"] == 2


def test_the_answer_to_a_publish_is_the_notification(server, fresh_user):
    user = fresh_user()
    stored = server.publish(user, "t", type="info", **FULL)
    assert stored["user_id"] == user and stored["priority"] == "high"
    assert stored["data"] == FULL["data"]
    assert stored["is_read"] is False and stored["read_at"] is None
    assert is_timestamp(stored["created_at"])
    assert stored["id"][14] == "7", "a UUID of version 7"
    assert "offset" not in stored, "offsets are internal to the server"
    assert server.inbox(user) == [stored]


def test_a_number_in_data_is_kept_as_it_was_sent(server, fresh_user):
    user = fresh_user()
    body = (
        f'{{"user_id":"{user}","type":"info","title":"t",'
        '"data":{"a":1.10,"b":1e400,"c":123456789012345678901234567890}}'
    )
    with FlatClient(server, user) as tab:
        answer = server.request("POST", "/api/v1/notifications", key=API_KEY, body=body.encode())
        assert answer.status == 201, answer
        text = tab.socket.recv(timeout=PATIENCE)
    assert '"a":1.10,"b":1e400,"c":123456789012345678901234567890' in text


def test_the_greeting_of_event(server, fresh_user):
    user = fresh_user()
    with EventClient(server, user) as tab:
        greeting = tab.greeting
        assert list(greeting) == ["event", "data", "timestamp"]
        assert set(greeting["data"]) == {"user_id", "timestamp", "message"}
        assert greeting["data"]["user_id"] == user
        assert is_timestamp(greeting["data"]["timestamp"])


def test_flat_sends_nothing_before_the_first_notification(server, fresh_user):
    user = fresh_user()
    with FlatClient(server, user) as tab:
        assert tab.socket.ping().wait(PATIENCE)
        server.publish(user, "first")
        assert title(tab.next()) == "first"


# An action on one device appears on the user's other devices.


@pytest.mark.parametrize(
    "method, suffix, event",
    [("PUT", "/read", "notification:read"), ("DELETE", "", "notification:deleted")],
)
def test_an_action_in_one_tab_appears_in_the_others(server, fresh_user, method, suffix, event):
    user = fresh_user()
    with EventClient(server, user) as one, EventClient(server, user) as two:
        stored = server.publish(user, "look")
        for tab in (one, two):
            tab.expect("notification:new")
            tab.expect("stats:updated")
        path = f"/api/v1/notifications/{stored['id']}{suffix}"
        assert server.request(method, path, user_token(user)).status == 200
        for tab in (one, two):
            assert tab.expect(event) == {"id": stored["id"]}
            assert tab.expect("stats:updated")["unread"] == 0


def test_reading_all_is_seen_by_every_tab(server, fresh_user):
    user = fresh_user()
    server.publish_many(user, ["a", "b", "c"])
    with EventClient(server, user) as tab:
        path = "/api/v1/notifications/read-all"
        assert server.request("PUT", path, user_token(user)).status == 200
        assert tab.until("stats:updated")["unread"] == 0
    assert all(stored["is_read"] and stored["read_at"] for stored in server.inbox(user))


# Messages from the client.


def test_event_answers_a_ping(server, fresh_user):
    with EventClient(server, fresh_user()) as tab:
        tab.send({"type": "ping"})
        pong = tab.next()
        assert list(pong) == ["event", "type", "data", "timestamp"]
        assert (pong["event"], pong["type"], pong["data"]) == ("pong", "pong", {})
        assert is_timestamp(pong["timestamp"])


@pytest.mark.parametrize(
    "text", ["", "hello", "{", '{"type":"ping"}', "[1,2", '{"type":5}', "\u2028"]
)
def test_flat_ignores_messages_from_the_client(server, fresh_user, text):
    user = fresh_user()
    with FlatClient(server, user) as tab:
        tab.send(text)
        server.publish(user, "still here")
        assert title(tab.next()) == "still here"


@pytest.mark.parametrize(
    "text", ["", "hello", "{", "[]", '{"type":5}', '{"type":"unknown"}', "nul\0l"]
)
def test_event_ignores_unknown_messages(server, fresh_user, text):
    with EventClient(server, fresh_user()) as tab:
        tab.send(text)
        tab.send({"type": "ping"})
        assert tab.next()["event"] == "pong"


# Authentication and origins.


@pytest.mark.parametrize("by", ["query", "header", "subprotocol"])
@pytest.mark.parametrize("client", [EventClient, FlatClient])
def test_a_token_comes_by_query_header_or_subprotocol(server, fresh_user, client, by):
    user = fresh_user()
    with client(server, user, by=by) as tab:
        assert tab.socket.subprotocol == ("bearer" if by == "subprotocol" else None)
        server.publish(user, by)
        assert title(tab.next()) == by


def test_event_reports_a_bad_token_by_close_code(server):
    past, future = int(time.time()) - 3600, int(time.time()) + 3600
    cases = [
        (None, 4001),
        ("not a token", 4002),
        (user_token("someone")[:-3] + "AAA", 4002),
        (sign({"sub": "late", "exp": past}), 4002),
        (
            sign(
                {"sub": "foreign", "exp": future}, secret="another secret of thirty-two bytes or so"
            ),
            4002,
        ),
        (sign({"exp": future}), 4003),
        (sign({"sub": "", "exp": future}), 4003),
        (sign({"sub": {"a": 1}, "exp": future}), 4003),
    ]
    for token, code in cases:
        with EventClient(server, token=token, greeted=False) as tab:
            assert tab.close_code() == code, token


@pytest.mark.parametrize("claim", ["sub", "user_id", "userId", "id"])
def test_the_user_id_is_the_first_of_the_known_claims(server, fresh_user, claim):
    user = fresh_user()
    token = sign({claim: user, "exp": int(time.time()) + 60})
    with EventClient(server, token=token) as tab:
        assert tab.greeting["data"]["user_id"] == user


def test_an_integer_user_id_is_read_as_its_digits(server):
    token = sign({"sub": 4711, "exp": int(time.time()) + 60})
    with EventClient(server, token=token) as tab:
        assert tab.greeting["data"]["user_id"] == "4711"


@pytest.mark.parametrize(
    "token",
    [None, "not a token", sign({"sub": "late", "exp": 1}), sign({"exp": 1 << 33})],
    ids=["none", "malformed", "expired", "without a user"],
)
def test_flat_refuses_before_the_upgrade(server, token):
    with pytest.raises(InvalidStatus) as refused:
        FlatClient(server, token=token)
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("path", [EVENT_PATH, FLAT_PATH])
def test_a_foreign_origin_is_refused_before_the_upgrade(server, fresh_user, path):
    client = EventClient if path == EVENT_PATH else FlatClient
    with pytest.raises(InvalidStatus) as refused:
        client(server, fresh_user(), origin="https://evil.example")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("client, code", [(EventClient, 4002), (FlatClient, 1008)])
def test_a_connection_ends_when_its_token_does(make_server, fresh_user, client, code):
    server = make_server(environment={"JWT_LEEWAY": "0"})
    user, start = fresh_user(), time.monotonic()
    with client(server, token=user_token(user, ttl=3)) as short, client(server, user) as long:
        assert short.close_code() == code
        # `exp` is in whole seconds: a three-second token made late in a second lives just over two.
        assert time.monotonic() - start >= 1.5
        server.publish(user, "after")
        assert title(long.next()) == "after", "the other connection's token is still valid"


@pytest.mark.parametrize(
    "path, name",
    [
        ("/api/notifications/stats", "total_clients"),
        ("/api/v1/websocket/connections/stats", "total_connections"),
    ],
)
def test_clients_and_users_are_counted_while_connected(server, fresh_user, path, name):
    def stats():
        data = server.request("GET", path, user_token("anyone")).data
        assert set(data) == {"total_users", name, "timestamp"}
        assert is_timestamp(data["timestamp"])
        return data["total_users"], data[name]

    wait_until("earlier clients are gone", lambda: stats() == (0, 0))
    user = fresh_user()
    with EventClient(server, user), FlatClient(server, user), FlatClient(server, fresh_user()):
        wait_until("two users with three clients", lambda: stats() == (2, 3))
    wait_until("every client is gone", lambda: stats() == (0, 0))


# Broadcasts reach the clients connected now and are not stored.


def broadcast(server, path, body):
    return server.request("POST", f"/api/v1/websocket/{path}", key=API_KEY, body=body)


def test_a_system_message_reaches_everyone_connected_and_no_inbox(server, fresh_user):
    one, two = fresh_user(), fresh_user()
    with EventClient(server, one) as event, FlatClient(server, two) as flat:
        body = {
            "message_type": "maintenance",
            "title": "At noon",
            "message": "A short one",
            "payload": {"minutes": 5},
        }
        assert broadcast(server, "send/system", body).status == 200
        assert event.expect("system:message") == body
        message = flat.next()
        assert message["type"] == "info" and message["title"] == "At noon"
        assert message["message"] == "A short one" and message["data"] == {"minutes": 5}
        assert set(message) == {"id", "type", "user_id", "title", "message", "data", "timestamp"}
    assert server.inbox(one) == server.inbox(two) == []


def test_a_live_broadcast_reaches_event_and_not_flat(server, fresh_user):
    user = fresh_user()
    with EventClient(server, user) as event, FlatClient(server, user) as flat:
        body = {"update_type": "prices", "payload": {"AAPL": 1.5}}
        assert broadcast(server, "live/broadcast", body).status == 200
        assert event.expect("data:update") == body
        server.publish(user, "next")
        assert title(flat.next()) == "next", "tradepulse's clients have no such message"


@pytest.mark.parametrize("path", ["send/system", "live/broadcast"])
def test_only_a_publisher_may_broadcast(server, fresh_user, path):
    body = {"title": "t", "update_type": "u"}
    token = user_token(fresh_user())
    full = f"/api/v1/websocket/{path}"
    assert server.request("POST", full, body=body).status == 401
    assert server.request("POST", full, token, body=body).status == 403


def title(message):
    """The title of a notification in either dialect."""
    return (message["data"] if "event" in message else message)["title"]
