"""rooms-hub's REST endpoints line by line, and the messages its clients receive for each."""

import pytest

from harness.clients import EventClient, FlatClient
from harness.rooms import HUB, TypedClient, act_over_http, send
from harness.server import API_KEY
from harness.times import is_timestamp
from harness.tokens import publisher_token, user_token
from harness.waiting import wait_until

UPDATE = {"update_type": "order_status", "payload": {"order_id": 456, "status": "shipped"}}
NOTIFICATION = {
    "notification_type": "payment_succeeded",
    "title": "Payment Successful",
    "message": "Your payment of $10.00 has been processed",
    "payload": {"payment_id": 123, "amount": 1000},
}
PAYMENT = {"payment_id": 123, "amount": 1000, "currency": "usd", "status": "succeeded"}
SYSTEM = {
    "message_type": "maintenance",
    "title": "Scheduled Maintenance",
    "message": "Soon",
    "payload": {"duration": "2 hours"},
}


def get(server, path, user):
    answer = server.request("GET", f"{HUB}/{path}", user_token(user))
    assert answer.status == 200, answer
    return answer.data


# Notifications.


def test_send_notification_stores_it_and_sends_it_to_the_user(server, fresh_user):
    user, other = fresh_user(), fresh_user()
    with TypedClient(server, user) as tab, TypedClient(server, other) as stranger:
        stored = send(server, "send/notification", {"user_id": user, **NOTIFICATION}, status=201)
        assert tab.frame() == ("notification", NOTIFICATION)
        stranger.receives_nothing()
    assert server.inbox(user) == [stored]
    assert [stored[name] for name in ("user_id", "type", "title", "message", "data")] == [
        user,
        *NOTIFICATION.values(),
    ]


def test_notifications_are_the_inbox_newest_first(server, fresh_user):
    user = fresh_user()
    titles = [f"n {number}" for number in range(60)]
    server.publish_many(user, titles)
    data = get(server, "notifications", user)
    assert [each["title"] for each in data["notifications"]] == titles[:-51:-1]
    assert (data["unread"], data["total"]) == (60, 60)
    data = get(server, f"notifications?limit=20&before={data['next']}", user)
    assert [each["title"] for each in data["notifications"]] == titles[9::-1]
    assert "next" not in data


def test_a_notification_is_marked_as_read(server, fresh_user):
    user, thief = fresh_user(), fresh_user()
    id = server.publish(user, "unread")["id"]
    path = f"{HUB}/notifications/{id}/read"
    assert server.request("PUT", path, user_token(thief)).status == 404
    with EventClient(server, user) as tab:
        assert server.request("PUT", path, user_token(user)).status == 200
        assert tab.expect("notification:read") == {"id": id}
    assert get(server, "notifications", user)["unread"] == 0


# Connections.


def test_connection_stats_are_exactly_the_documents(make_server, fresh_user):
    server, user, other = make_server(), fresh_user(), fresh_user()

    def stats():
        return get(server, "connections/stats", "anyone")

    with TypedClient(server, user), TypedClient(server, user), TypedClient(server, other):
        data = wait_until(
            "three connections of two users", lambda: counted(stats(), "total_connections", 2, 3)
        )
        assert list(data) == ["total_users", "total_connections", "timestamp"]
        assert is_timestamp(data["timestamp"])


def counted(data, name, users, connections):
    """The stats, once they count that many; shards exchange their counts with a small delay."""
    return data if (data["total_users"], data[name]) == (users, connections) else None


def test_a_user_sees_its_own_connections(server, fresh_user):
    user, other, room = fresh_user(), fresh_user(), fresh_user("room")
    headers = {"user_agent_header": "rooms-hub's page"}
    with (
        TypedClient(server, user, **headers) as typed,
        FlatClient(server, user, **headers),
        TypedClient(server, other),
    ):
        typed.join(room)
        connections = get(server, "connections/user", user)["connections"]
        assert [set(each) for each in connections] == [
            {"id", "dialect", "connected_at", "remote_address", "user_agent", "rooms"}
        ] * 2
        by_dialect = {each["dialect"]: each for each in connections}
        assert set(by_dialect) == {"typed", "flat"}
        assert len({each["id"] for each in connections}) == 2
        for each in connections:
            assert is_timestamp(each["connected_at"])
            assert each["remote_address"].startswith("127.0.0.1")
            assert each["user_agent"] == "rooms-hub's page"
        assert (by_dialect["typed"]["rooms"], by_dialect["flat"]["rooms"]) == ([room], [])
    wait_until("gone", lambda: get(server, "connections/user", user) == {"connections": []})


# Live.


@pytest.mark.parametrize("path, type", [("update", "live_update"), ("data", "data_update")])
def test_live_updates_reach_the_user_alone_and_no_inbox(server, fresh_user, path, type):
    user, other = fresh_user(), fresh_user()
    with (
        TypedClient(server, user) as one,
        TypedClient(server, user) as two,
        TypedClient(server, other) as stranger,
    ):
        send(server, f"live/{path}", {"user_id": user, **UPDATE})
        for tab in (one, two):
            frame = tab.frame()
            assert frame == (type, UPDATE) and list(frame[1]) == list(UPDATE)
        stranger.receives_nothing()
    assert [each["title"] for each in server.inbox(user)] == []


def test_live_broadcast_reaches_everyone(server, fresh_user):
    with TypedClient(server, fresh_user()) as one, TypedClient(server, fresh_user()) as two:
        send(server, "live/broadcast", UPDATE)
        for tab in (one, two):
            assert tab.frame() == ("data_update", UPDATE)


def test_send_system_reaches_everyone(server, fresh_user):
    with TypedClient(server, fresh_user()) as one, TypedClient(server, fresh_user()) as two:
        send(server, "send/system", SYSTEM)
        for tab in (one, two):
            assert tab.frame() == ("system_message", SYSTEM)


# A user's actions over HTTP.


def test_typing_over_http_is_that_of_the_connection(server, fresh_user):
    user, other, room = fresh_user(), fresh_user(), fresh_user("room")
    with TypedClient(server, user) as tab, TypedClient(server, other) as witness:
        tab.join(room)
        witness.join(room)
        assert tab.frame()[0] == "presence_update"
        for is_typing in (True, False):
            act_over_http(server, user, "typing", room=room, is_typing=is_typing)
            typing = {"room": room, "user_id": user, "is_typing": is_typing}
            assert witness.frame() == ("typing_indicator", typing)
        tab.receives_nothing()


def test_presence_over_http_is_that_of_the_connection(server, fresh_user):
    user, other, room = fresh_user(), fresh_user(), fresh_user("room")
    with TypedClient(server, user) as tab, TypedClient(server, other) as witness:
        tab.join(room)
        witness.join(room)
        assert tab.frame()[0] == "presence_update"
        for status in ("away", "busy", "offline", "online"):
            act_over_http(server, user, "presence", status=status)
            assert witness.frame() == ("presence_update", {"user_id": user, "status": status})
        tab.receives_nothing()


@pytest.mark.parametrize(
    "path, body",
    [
        ("typing", {}),
        ("typing", {"room": "r"}),
        ("typing", {"is_typing": True}),
        ("typing", {"room": 1, "is_typing": True}),
        ("typing", {"room": "", "is_typing": True}),
        ("typing", {"room": "r", "is_typing": "yes"}),
        ("presence", {}),
        ("presence", {"status": "asleep"}),
        ("presence", {"status": 1}),
    ],
)
def test_a_users_action_is_validated(server, fresh_user, path, body):
    error = send(server, f"realtime/{path}", body, user_token(fresh_user()), status=422)
    assert list(error) == ["code", "message"] and all(error.values())


# Access.


POSTS = {
    "send/notification": {"user_id": "u", **NOTIFICATION},
    "send/system": SYSTEM,
    "send/room": {"room": "r", **NOTIFICATION},
    "live/update": {"user_id": "u", **UPDATE},
    "live/data": {"user_id": "u", **UPDATE},
    "live/payment": {"user_id": "u", **PAYMENT},
    "live/broadcast": UPDATE,
}


@pytest.mark.parametrize("path", POSTS)
def test_publishing_is_for_publishers(server, fresh_user, path):
    full = f"{HUB}/{path}"
    assert server.request("POST", full, body=POSTS[path]).status == 401
    assert server.request("POST", full, user_token(fresh_user()), POSTS[path]).status == 403
    for proof in ({"token": publisher_token()}, {"key": API_KEY}):
        assert server.request("POST", full, body=POSTS[path], **proof).status in (200, 201)
    answer = server.request("GET", full, publisher_token())
    assert answer.status == 405 and "POST" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["notifications", "connections/stats", "connections/user"])
def test_reading_needs_a_token(server, path):
    assert server.request("GET", f"{HUB}/{path}").status == 401


@pytest.mark.parametrize("path", ["realtime/typing", "realtime/presence"])
def test_acting_needs_the_token_of_a_user(server, path):
    body = {"room": "r", "is_typing": True, "status": "away"}
    assert server.request("POST", f"{HUB}/{path}", body=body).status == 401
    assert server.request("POST", f"{HUB}/{path}", key=API_KEY, body=body).status == 403
