"""Thousands of Socket.IO and as many plain connections: one message reaches them all."""

import json

from harness.clients import FLAT_PATH
from harness.crowd import Crowd, frames_of, is_upgraded
from harness.dialects import TYPED_PATH
from harness.raw import TEXT, frame, upgrade_request
from harness.rooms import broadcast
from harness.sizes import size
from harness.socketio_raw import SPACE, connect_packet, path
from harness.tokens import user_token

# No heartbeat is sent while the clients connect: this test is not about heartbeats.
QUIET = ["--socketio-ping-interval", "600000"]


def texts_of(member):
    return [text.decode() for opcode, text in frames_of(member) if opcode == TEXT]


def gather(crowd, server, claim, count, begin, is_here, say=None):
    """Connects that many; returns them, and prints the memory that the server uses for each."""
    before = server.anonymous_bytes()
    members = crowd.connect(count, begin)
    if say is not None:
        crowd.until("all are upgraded", lambda: all(map(is_upgraded, members)), within=120)
        for member in members:
            member.send(say)
    crowd.until(claim, lambda: all(map(is_here, members)), within=120)
    each = (server.anonymous_bytes() - before) / count
    print(f"{claim}: {count}, {each:.0f} bytes each")
    return members


def test_one_message_reaches_socketio_and_the_plain_dialects_alike(make_server):
    server, count = make_server(data=":memory:", arguments=QUIET), size(250, full=5_000)

    def request(path):
        return lambda number: upgrade_request(f"{path}?token={user_token(f'user-{number}')}")

    def greeted(member):
        return f"42{SPACE},".encode() in member.received

    with Crowd(server) as crowd:
        plain = []
        for name, where in (("flat", FLAT_PATH), ("typed", TYPED_PATH)):
            half = count // 2
            plain += gather(crowd, server, f"{name} is here", half, request(where), is_upgraded)
        packet = frame(TEXT, connect_packet(token=user_token("anyone")).encode())
        handshake = upgrade_request(path("websocket"))
        through = gather(crowd, server, "socketio is here", count, handshake, greeted, packet)
        broadcast(server, "to all of them", "\u2028")
        mark = b"to all of them"
        everyone = plain + through
        crowd.until(
            "all get it", lambda: all(mark in each.received for each in everyone), within=60
        )
        assert len({ids(member)["sid"] for member in through}) == count
        for member in through:
            _, message = events_of(member)[-1][:2]
            assert message == {
                "message_type": "m",
                "title": "to all of them",
                "message": "\u2028",
                "payload": {},
            }
        broadcast(server, "the last")
        crowd.until(
            "all get it", lambda: all(b"the last" in each.received for each in everyone), within=60
        )
        for member in through:
            names = [name for name, *_ in events_of(member)]
            assert names == ["unread_count", "system_message", "system_message"]
        assert all(texts_of(member)[-1].count("the last") == 1 for member in plain)
        assert not any(member.ended for member in everyone)


def ids(member):
    """The server's answer to the member's CONNECT."""
    answers = [text for text in texts_of(member) if text.startswith(f"40{SPACE},")]
    assert len(answers) == 1, answers
    return json.loads(answers[0].partition(",")[2])


def events_of(member):
    start = f"42{SPACE},"
    return [json.loads(t[len(start) :]) for t in texts_of(member) if t.startswith(start)]
