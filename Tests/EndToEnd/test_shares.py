"""One user, or some, that use as much as they can: the others keep their share.

The clients of the attacks come from other machines, as a trusted proxy says: a default limit does
not count this one's.
"""

import time

import pytest

from harness.clients import PATIENCE
from harness.rooms import TypedClient
from harness.server import API_KEY
from harness.tokens import user_token

INBOX = "/api/v1/notifications"
HUB = "/api/v1/websocket"
# The defaults.
REQUESTS_AT_ONCE = 500
ROOMS_OF_A_USER = 500
ROOMS_OF_A_CONNECTION = 128


@pytest.fixture
def proxied(make_server):
    """A server of two shards that trusts this machine to name the clients."""
    return make_server(arguments=["--shards", "2", "--trusted-proxies", "127.0.0.1"])


def of_another_machine(number=9):
    return {"X-Forwarded-For": f"203.0.113.{number}"}


def test_a_flood_of_requests_by_one_user_meets_the_default_rate(proxied):
    connection = proxied.connection()

    def ask(user):
        return proxied.request(
            "GET", INBOX, token=user_token(user), headers=of_another_machine(), over=connection
        )

    answers = [ask("u") for _ in range(REQUESTS_AT_ONCE)]
    assert {answer.status for answer in answers} == {200}
    refused = next(answer for answer in iter(lambda: ask("u"), None) if answer.status != 200)
    assert refused.status == 429
    assert refused.error["code"] == "rate_limited" and refused.headers["retry-after"] == "1"
    # The connection stays, and others have a rate of their own.
    assert ask("other").status == 200
    assert proxied.publish("u", "still here", over=connection)
    connection.close()


def test_a_user_opens_no_more_rooms_than_its_share_and_enters_those_of_others(proxied):
    def client(user, number=9):
        return TypedClient(proxied, user, headers=of_another_machine(number))

    host = client("host", 10)
    host.join("popular")
    sockets = [client("u") for _ in range(5)]
    opened = refused = 0
    for socket in sockets:
        for number in range(ROOMS_OF_A_CONNECTION):
            socket.say("join_room", room=f"{id(socket)}-{number}")
        for _ in range(ROOMS_OF_A_CONNECTION):
            type, data = socket.frame()
            if type == "room_joined":
                opened += 1
            else:
                assert type == "error" and data["code"] == "too_many_rooms", (type, data)
                assert "you opened 500 rooms: leave some" in data["message"]
                refused += 1
    assert (opened, refused) == (ROOMS_OF_A_USER, 5 * ROOMS_OF_A_CONNECTION - ROOMS_OF_A_USER)
    # It is refused no room that has members, and others open theirs.
    assert sockets[-1].join("popular") == ["host", "u"]
    other = client("other", 11)
    other.join("another")
    # A room that it leaves frees a part of its share.
    sockets[0].say("leave_room", room=f"{id(sockets[0])}-0")
    sockets[0].until("room_left")
    assert sockets[-1].join("one more") == ["u"]
    sockets[-1].say("join_room", room="one too many")
    assert sockets[-1].frame()[1]["code"] == "too_many_rooms"
    for socket in [host, other, *sockets]:
        socket.close()


@pytest.mark.parametrize("by", ["socket", "request"])
def test_toggles_of_typing_are_sent_once_a_second_and_end_with_the_last(make_server, by):
    server = make_server(arguments=["--shards", "2"])
    toggler = TypedClient(server, "toggler")
    others = [TypedClient(server, f"member-{number}") for number in range(20)]
    for client in [toggler, *others]:
        client.join("r")
    toggles = 18_000 if by == "socket" else 2_000
    connection = server.connection()
    start = time.monotonic()
    for number in range(1, toggles + 1):
        body = {"room": "r", "is_typing": number % 2 == 1}
        if by == "socket":
            toggler.say("typing_indicator", **body)
        else:
            path = f"{HUB}/realtime/typing"
            answer = server.request("POST", path, user_token("toggler"), body, over=connection)
            assert answer.status == 200, answer
    toggler.say("ping")
    toggler.until("pong")
    body = {"room": "r", "notification_type": "n", "title": "mark", "message": "", "payload": {}}
    answer = server.request("POST", f"{HUB}/send/room", body=body, key=API_KEY)
    assert answer.status == 200, answer
    for client in others:
        updates, is_marked = [], False
        while not (is_marked and updates and not updates[-1]):
            type, data = client.frame(within=PATIENCE)
            is_marked = is_marked or data.get("title") == "mark"
            if type == "typing_indicator":
                updates.append(data["is_typing"])
                # Each was sent a second after the one before it.
                assert len(updates) <= time.monotonic() - start + 2
    connection.close()
    assert server.total("disconnects_slow_consumer_total") == 0
    for client in [toggler, *others]:
        client.close()
