"""Disconnecting a user: its sessions on every shard end with the reason, and no other user's."""

import contextlib

import pytest
from websockets.exceptions import ConnectionClosed

from harness.clients import EventClient, FlatClient, InboxClient
from harness.polling import Waiting, poll
from harness.raw import exchange
from harness.server import API_KEY
from harness.shards import own_connections, spread
from harness.streams import StreamClient
from harness.tokens import publisher_token, user_token
from harness.waiting import PATIENCE, wait_until

PATH = "/api/v1/disconnect"


def disconnect(server, user, **fields):
    answer = server.request("POST", PATH, key=API_KEY, body={"user_id": user, **fields})
    assert answer.status == 200, answer
    assert set(answer.data) == {"disconnected"}
    return answer.data["disconnected"]


def closing(client):
    """The close code and reason that the client received."""
    try:
        while True:
            client.socket.recv(timeout=PATIENCE)
    except ConnectionClosed as closed:
        return closed.rcvd.code, closed.rcvd.reason


@pytest.mark.parametrize("reason", [None, "", "account locked", "é" * 61])
def test_each_dialect_is_closed_with_the_reason(server, fresh_user, reason):
    user, other = fresh_user(), fresh_user()
    expected = "disconnected by the server" if reason is None else reason
    with EventClient(server, other) as stranger:
        clients = [kind(server, user) for kind in (EventClient, FlatClient, InboxClient)]
        with contextlib.ExitStack() as stack:
            for client in clients:
                stack.enter_context(client)
            assert disconnect(server, user, **({} if reason is None else {"reason": reason})) == 3
            assert [closing(client) for client in clients] == [(1008, expected)] * 3
        assert disconnect(server, user) == 0
        stranger.answers()


def test_a_stream_ends_and_a_poll_is_answered(server, fresh_user):
    user = fresh_user()
    since = poll(server, user)["cursor"]
    with StreamClient(server, user) as stream:
        waiting = Waiting(server, user, since)
        wait_until("both are there", lambda: len(own_connections(server, user)) == 2)
        assert disconnect(server, user) == 2
        assert stream.is_over()
        assert waiting.result() == {"notifications": [], "cursor": since}


def test_earlier_notifications_arrive_before_the_close(server, fresh_user):
    user = fresh_user()
    for round in range(20):
        with EventClient(server, user) as tab:
            id = server.publish(user, f"n {round}")["id"]
            assert disconnect(server, user) == 1
            assert tab.expect("notification:new")["id"] == id
            assert closing(tab) == (1008, "disconnected by the server")


def test_a_disconnected_user_may_reconnect(server, fresh_user):
    user = fresh_user()
    with EventClient(server, user, since="0") as tab:
        cursor = tab.greeting["data"]["cursor"]
        disconnect(server, user)
        assert tab.close_code() == 1008
    missed = server.publish(user)["id"]
    with EventClient(server, user, since=cursor) as tab:
        assert tab.expect("notification:new")["id"] == missed


def test_sessions_on_every_shard_end(make_server):
    server = make_server(arguments=["--shards", "2"])
    with contextlib.ExitStack() as stack:
        stranger = stack.enter_context(EventClient(server, "v"))
        opened = spread(stack, lambda: EventClient(server, "u"), server)
        assert disconnect(server, "u", reason="all of you") == len(opened)
        for client in opened:
            assert closing(client) == (1008, "all of you")
        assert own_connections(server, "u") == []
        stranger.answers()


# Refusals.


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": None},
        {"user_id": ""},
        {"user_id": 7},
        {"user_id": "x" * 129},
        {"reason": "x" * 124},
        {"reason": "é" * 62},
        {"reason": "a\nb"},
        {"reason": "a\u0085b"},
        {"reason": 7},
    ],
)
def test_an_invalid_request_is_422_and_ends_no_session(server, fresh_user, change):
    user = fresh_user()
    with EventClient(server, user) as tab:
        answer = server.request("POST", PATH, key=API_KEY, body={"user_id": user, **change})
        assert answer.status == 422
        assert answer.error["message"].startswith(f"{next(iter(change))}: ")
        tab.answers()


def test_each_refusal_has_its_status(server, fresh_user):
    body = {"user_id": fresh_user()}
    assert server.request("POST", PATH, body=body).status == 401
    assert server.request("POST", PATH, body=body, key="wrong").status == 401
    assert server.request("POST", PATH, user_token("u"), body=body).status == 403
    assert server.request("POST", PATH, publisher_token(), body=body).status == 200
    assert server.request("POST", PATH, key=API_KEY, body=b"{").status == 400
    assert server.request("POST", PATH, key=API_KEY, body=b"[]").status == 422
    assert server.request("POST", PATH, key=API_KEY, body=b'{"reason":"r"}').status == 422
    twice = b'{"user_id":"u","user_id":"v"}'
    assert server.request("POST", PATH, key=API_KEY, body=twice).status == 422
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.request("POST", PATH, key=API_KEY, body=body, headers=form).status == 415
    answer = server.request("GET", PATH, key=API_KEY)
    assert answer.status == 405 and answer.headers["allow"] == "OPTIONS, POST"
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n"
        "Content-Type: application/json\r\nContent-Length: 70000\r\n\r\n"
    )
    assert exchange(server, head.encode()).status == 413
    asked = {"Origin": server.url, "Access-Control-Request-Method": "POST"}
    preflight = server.request("OPTIONS", PATH, headers=asked)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-methods"] == "OPTIONS, POST"
