"""The HTTP endpoints that rooms-hub's clients and backends call."""

import contextlib
import json
import re

import pytest

from harness.clients import EventClient, FlatClient
from harness.polling import Waiting, poll
from harness.raw import exchange
from harness.server import API_KEY
from harness.shards import HUB, own_connections, spread
from harness.streams import StreamClient
from harness.tokens import publisher_token, user_token
from harness.waiting import wait_until

SENDS = {
    "send/notification": {"user_id": "u", "notification_type": "t", "title": "t"},
    "send/system": {"title": "t"},
    "send/room": {"room": "r", "notification_type": "t", "title": "t"},
    "live/update": {"user_id": "u", "update_type": "t"},
    "live/data": {"user_id": "u", "update_type": "t"},
    "live/broadcast": {"update_type": "t"},
}
PAYMENT = {
    "user_id": "u",
    "payment_id": 123,
    "amount": 1000,
    "currency": "usd",
    "status": "succeeded",
}
POSTS = [*SENDS, "live/payment"]
READS = ["notifications", "connections/user", "connections/stats"]


def send(server, path, body, **options):
    options.setdefault("key", API_KEY)
    return server.request("POST", f"{HUB}/{path}", body=body, **options)


# The inbox under rooms-hub's names.


def test_the_inbox_has_both_names(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    for number in range(3):
        server.publish(user, f"n {number}")
    for query in ("", "?limit=2", "?unread=true"):
        one = server.request("GET", f"{HUB}/notifications{query}", token)
        two = server.request("GET", f"/api/v1/notifications{query}", token)
        assert one.status == 200 and one.json == two.json


def test_a_notification_is_read_under_rooms_hubs_name(server, fresh_user):
    user = fresh_user()
    id = server.publish(user)["id"]
    with EventClient(server, user) as tab:
        answer = server.request("PUT", f"{HUB}/notifications/{id}/read", user_token(user))
        assert answer.status == 200 and answer.data["unread"] == 0
        assert tab.expect("notification:read") == {"id": id}
    assert server.inbox(user)[0]["is_read"] is True
    another = server.request("PUT", f"{HUB}/notifications/{id}/read", user_token(fresh_user()))
    assert another.status == 404


# Publishing.


def test_a_notification_is_stored_and_delivered(server, fresh_user):
    user = fresh_user()
    body = {
        "user_id": user,
        "notification_type": "order.shipped",
        "title": "Shipped",
        "message": "On its way",
        "payload": {"order": 7},
    }
    with EventClient(server, user) as tab, FlatClient(server, user) as flat:
        answer = send(server, "send/notification", body)
        assert answer.status == 201
        stored = answer.data
        assert stored["user_id"] == user and stored["type"] == "order.shipped"
        assert stored["title"] == "Shipped" and stored["message"] == "On its way"
        assert stored["data"] == {"order": 7}
        delivered = tab.expect("notification:new")
        assert delivered["id"] == stored["id"] and delivered["data"] == {"order": 7}
        assert flat.next()["id"] == stored["id"]
    assert [one["id"] for one in server.inbox(user)] == [stored["id"]]


def test_a_repeat_with_the_key_stores_nothing_more(server, fresh_user):
    user, headers = fresh_user(), {"Idempotency-Key": fresh_user("key")}
    body = {**SENDS["send/notification"], "user_id": user}
    first = send(server, "send/notification", body, headers=headers)
    again = send(server, "send/notification", body, headers=headers)
    assert first.status == again.status == 201 and again.json == first.json
    assert again.headers["idempotent-replay"] == "true"
    assert len(server.inbox(user)) == 1
    other = send(server, "send/notification", {**body, "title": "o"}, headers=headers)
    assert other.status == 409


@pytest.mark.parametrize(
    "path, event, type",
    [
        ("live/update", "live:update", "live_update"),
        ("live/data", "data:update", "data_update"),
    ],
)
@pytest.mark.parametrize("payload", [{"x": 1}, [1, 2], None, 7, "text", True])
def test_an_update_is_sent_to_its_user_and_not_stored(
    server, fresh_user, path, event, type, payload
):
    user, other = fresh_user(), fresh_user()
    body = {"update_type": "price", "payload": payload}
    with (
        EventClient(server, user) as tab,
        StreamClient(server, user) as stream,
        EventClient(server, other) as stranger,
    ):
        # A stream gets live messages from its first event on.
        stream.next()
        answer = send(server, path, {"user_id": user, **body})
        assert answer.status == 200 and answer.data == {}
        assert tab.expect(event) == body
        assert stream.until(type) == body
        # The mark takes the path of all events, so it comes after one that others have received.
        server.publish(other, "a mark")
        assert stranger.expect("notification:new")["title"] == "a mark"
    assert server.inbox(user) == []


@pytest.mark.parametrize("ack, status", [("relayed", 202), ("stored", 201)])
@pytest.mark.parametrize("path", ["/api/v1/notifications", f"{HUB}/send/notification"])
def test_a_relayed_publish_is_stored_and_delivered_as_well(server, fresh_user, path, ack, status):
    user = fresh_user()
    name = "notification_type" if "/send/" in path else "type"
    body = {"user_id": user, name: "t", "title": "t"}
    with EventClient(server, user) as tab:
        answer = server.request("POST", f"{path}?ack={ack}", body=body, key=API_KEY)
        assert answer.status == status and answer.data["user_id"] == user
        assert tab.expect("notification:new")["id"] == answer.data["id"]
    assert server.inbox(user)[0]["id"] == answer.data["id"]


def test_a_relayed_batch_is_answered_line_by_line(server, fresh_user):
    user = fresh_user()
    lines = [json.dumps({"user_id": user, "type": "t", "title": f"n {n}"}) for n in range(50)]
    answer = server.request(
        "POST",
        "/api/v1/notifications/batch?ack=relayed",
        body="\n".join([*lines[:25], "{", *lines[25:]]).encode(),
        key=API_KEY,
    )
    assert answer.status == 202
    results = [json.loads(line) for line in answer.bytes.splitlines()]
    assert [one["success"] for one in results] == [True] * 25 + [False] + [True] * 25
    ids = [one["data"]["id"] for one in results if one["success"]]
    wait_until("all are stored", lambda: len(server.inbox(user)) == 50)
    assert [one["id"] for one in server.inbox(user)] == ids


def test_an_invalid_ack_or_a_key_with_relayed_is_422(server, fresh_user):
    user = fresh_user()
    body = {"user_id": user, "type": "t", "title": "t"}
    for path in ("/api/v1/notifications", "/api/v1/notifications/batch"):
        for ack in ("", "fast", "Relayed"):
            answer = server.request("POST", f"{path}?ack={ack}", body=body, key=API_KEY)
            assert answer.status == 422 and answer.error["message"].startswith("ack: ")
        answer = server.request(
            "POST",
            f"{path}?ack=relayed",
            body=body,
            key=API_KEY,
            headers={"Idempotency-Key": fresh_user("key")},
        )
        assert answer.status == 422 and "Idempotency-Key" in answer.error["message"]
    assert server.inbox(user) == []


# Refusals, the same everywhere.


@pytest.mark.parametrize("path", POSTS)
def test_only_a_publisher_sends(server, path):
    body = SENDS.get(path, PAYMENT)
    assert send(server, path, body, key=None).status == 401
    assert send(server, path, body, key="wrong").status == 401
    assert send(server, path, body, key=None, token=user_token("u")).status == 403
    assert send(server, path, body, key=None, token=publisher_token()).status in (200, 201)


@pytest.mark.parametrize("path", SENDS)
def test_a_send_is_validated(server, path):
    good = SENDS[path]
    for name in good:
        missing = {other: value for other, value in good.items() if other != name}
        answer = send(server, path, missing)
        assert answer.status == 422 and f"{name}: missing" == answer.error["message"]
        for value in (7, [], {}, True):
            answer = send(server, path, {**good, name: value})
            assert answer.status == 422 and answer.error["message"].startswith(f"{name}: ")
    twice = json.dumps(good)[:-1] + ',"title":"x","payload":{},"payload":{}}'
    assert send(server, path, twice.encode()).status == 422
    for kept, status in ((16_384 - 9, None), (16_384 - 8, 422)):
        answer = send(server, path, json.dumps({**good, "payload": {"x": "y" * kept}}).encode())
        assert answer.status == (status or (201 if path == "send/notification" else 200)), answer
    for body in (b"", b"{", b'{"title":"\xff"}'):
        assert send(server, path, body).status == 400
    for body in (b"[]", b"null", b'"text"'):
        assert send(server, path, body).status == 422
    xml = {"Content-Type": "application/xml"}
    assert send(server, path, good, headers=xml).status == 415
    head = (
        f"POST {HUB}/{path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n"
        "Content-Type: application/json\r\nContent-Length: 70000\r\n\r\n"
    )
    assert exchange(server, head.encode()).status == 413


def test_a_payment_is_validated(server):
    def status(body):
        return send(server, "live/payment", body).status

    for name, good in PAYMENT.items():
        missing = {other: value for other, value in PAYMENT.items() if other != name}
        answer = send(server, "live/payment", missing)
        assert answer.status == 422 and f"{name}: missing" == answer.error["message"]
        wrong = [[], {}, True, "", 10.5, 2**53, "1000" if name == "amount" else "x" * 129]
        for value in wrong if isinstance(good, int) else [*wrong, 7]:
            answer = send(server, "live/payment", {**PAYMENT, name: value})
            assert answer.status == 422 and answer.error["message"].startswith(f"{name}: ")
        twice = json.dumps(PAYMENT)[:-1] + f',"{name}":{json.dumps(good)}}}'
        assert status(twice.encode()) == 422
    for body in (b"", b"{", b'{"currency":"\xff"}'):
        assert status(body) == 400
    for body in (b"[]", b"null", b'"text"'):
        assert status(body) == 422
    assert status({**PAYMENT, "unknown": "x" * 60_000}) == 422
    assert status({**PAYMENT, "unknown": "x" * 70_000}) == 413


@pytest.mark.parametrize(
    "room", ["", "x" * 129, "a\u0000b", "a\u0085b", "a\nb"], ids=lambda room: repr(room[:4])
)
def test_an_invalid_room_is_422(server, room):
    answer = send(server, "send/room", {**SENDS["send/room"], "room": room})
    assert answer.status == 422 and answer.error["message"].startswith("room: ")


@pytest.mark.parametrize("path", [*POSTS, *READS, "notifications/x/read"])
def test_each_path_lists_its_methods(server, path):
    method = "POST" if path in POSTS else "PUT" if path.endswith("/read") else "GET"
    methods = {"POST": "OPTIONS, POST", "PUT": "OPTIONS, PUT", "GET": "GET, HEAD, OPTIONS"}[method]
    for wrong in ("DELETE", "PATCH"):
        answer = server.request(wrong, f"{HUB}/{path}", key=API_KEY)
        assert answer.status == 405 and answer.headers["allow"] == methods
    origin = {"Origin": server.url, "Access-Control-Request-Method": method}
    answer = server.request("OPTIONS", f"{HUB}/{path}", headers=origin)
    assert answer.status == 204
    assert answer.headers["access-control-allow-methods"] == methods
    assert answer.headers["access-control-allow-origin"] == server.url


@pytest.mark.parametrize("path", READS)
def test_each_read_has_a_head_and_needs_a_token(server, path, fresh_user):
    full, token = f"{HUB}/{path}", user_token(fresh_user())
    answer = server.request("HEAD", full, token)
    assert answer.status == 200 and answer.bytes == b""
    assert int(answer.headers["content-length"]) > 0
    assert server.request("GET", full).status == 401
    assert server.request("GET", full, "not.a.token").status == 401


@pytest.mark.parametrize("path", ["notifications", "connections/user"])
def test_a_users_own_data_needs_a_user(server, path):
    assert server.request("GET", f"{HUB}/{path}", key=API_KEY).status == 403


def test_an_unknown_path_is_404(server):
    for path in ("send", "send/", "send/nobody", "connections", "connections/user/x"):
        assert server.request("GET", f"{HUB}/{path}", key=API_KEY).status == 404


# A user's own connections.


def test_a_user_sees_only_its_own_connections(server, fresh_user):
    user, other = fresh_user(), fresh_user()
    since = poll(server, user)["cursor"]
    assert own_connections(server, user) == []
    with (
        EventClient(server, user, user_agent_header="Tab/1 \u00e9"),
        StreamClient(server, user),
        FlatClient(server, other),
    ):
        waiting = Waiting(server, user, since)
        wait_until("all three are listed", lambda: len(own_connections(server, user)) == 3)
        listed = own_connections(server, user)
        assert sorted(one["dialect"] for one in listed) == ["event", "poll", "sse"]
        for one in listed:
            assert set(one) == {
                "id",
                "dialect",
                "connected_at",
                "remote_address",
                "user_agent",
                "rooms",
            }
            assert one["remote_address"] == "127.0.0.1" and one["rooms"] == []
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["connected_at"])
        assert len({one["id"] for one in listed}) == 3
        times = [one["connected_at"] for one in listed]
        assert times == sorted(times)
        agents = {one["dialect"]: one["user_agent"] for one in listed}
        assert agents["event"].startswith("Tab/1 ") and "aiohttp" in agents["sse"]
        assert [one["dialect"] for one in own_connections(server, other)] == ["flat"]
        server.publish(user)
        assert len(waiting.result()["notifications"]) == 1
    wait_until("no connection is listed", lambda: own_connections(server, user) == [])


def test_a_user_agent_is_listed_up_to_256_bytes(server, fresh_user):
    spoken = 'say "hi" \\ <b>'
    for sent, kept in (("x" * 300, "x" * 256), (spoken, spoken), (None, None)):
        user = fresh_user()
        with EventClient(server, user, user_agent_header=sent):
            assert [one["user_agent"] for one in own_connections(server, user)] == [kept]


def test_connections_are_found_on_every_shard(make_server):
    server = make_server(arguments=["--shards", "2"])
    with contextlib.ExitStack() as stack:
        opened = spread(stack, lambda: EventClient(server, "u"), server)
        listed = own_connections(server, "u")
        assert len(listed) == len(opened) == len({one["id"] for one in listed})
        opened.pop().close()
        left = len(opened)
        wait_until("the closed one is gone", lambda: len(own_connections(server, "u")) == left)
