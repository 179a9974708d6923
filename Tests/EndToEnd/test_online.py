"""The users online, over all shards, as publishers query them."""

import contextlib
import urllib.parse

import pytest

from harness.clients import EventClient, FlatClient
from harness.polling import Waiting, poll
from harness.server import API_KEY
from harness.shards import spread
from harness.streams import StreamClient
from harness.tokens import publisher_token, user_token
from harness.waiting import wait_until

ONLINE = "/api/v1/users/online"


NOT_THERE = {"online": False, "connections": 0, "status": "offline"}


def users_online(server, **query):
    path = f"{ONLINE}?{urllib.parse.urlencode(query)}"
    return server.request("GET", path, key=API_KEY).data


def user_online(server, user):
    path = f"/api/v1/users/{urllib.parse.quote(user, safe='')}/online"
    data = server.request("GET", path, key=API_KEY).data
    assert data.pop("user_id") == user
    return data


def pages(server, limit):
    """All users online, page by page."""
    gathered, query = [], {"limit": limit}
    while True:
        page = users_online(server, **query)
        assert len(page["users"]) <= limit
        gathered += page["users"]
        if "next" not in page:
            return gathered
        query["after"] = page["next"]


@pytest.mark.parametrize("shards", [1, 2])
def test_every_user_is_listed_once_in_the_order_of_bytes(make_server, shards):
    server = make_server(arguments=["--shards", str(shards)])
    assert users_online(server) == {"users": [], "total": 0}
    users = ["B", "a", "a/b c", "b", "e\u0301", "z", "\u00e9", "\U0001f600", 'q"\\']
    users.sort(key=lambda user: user.encode())
    with contextlib.ExitStack() as stack:
        for user in users:
            for client in (EventClient, FlatClient):
                stack.enter_context(client(server, user))
        # Every shard has a connection, however the kernel distributed the others.
        spread(stack, lambda: EventClient(server, users[0]), server)
        assert users_online(server) == {"users": users, "total": len(users)}
        for limit in (1, 2, 5, 8, 9, 10_000):
            assert pages(server, limit) == users
        assert users_online(server, after="b") == {
            "users": users[users.index("b") + 1 :],
            "total": len(users),
        }
        for user in users:
            assert user_online(server, user)["online"] is True
        assert user_online(server, users[1]) == {
            "online": True,
            "connections": 2,
            "status": "online",
        }
    wait_until("every user is offline", lambda: users_online(server)["total"] == 0)
    assert user_online(server, users[1]) == NOT_THERE


def test_each_kind_of_connection_counts(server, fresh_user):
    user = fresh_user()
    since = poll(server, user)["cursor"]
    assert user_online(server, user) == NOT_THERE
    with EventClient(server, user), StreamClient(server, user):
        waiting = Waiting(server, user, since)
        wait_until("all three are counted", lambda: user_online(server, user)["connections"] == 3)
    wait_until("one connection is left", lambda: user_online(server, user)["connections"] == 1)
    assert user in users_online(server, limit=10_000)["users"]
    server.publish(user)
    waiting.result()
    # A user stays online for a moment, so that reloading a page does not show as leaving.
    assert user_online(server, user) == {"online": True, "connections": 0, "status": "online"}
    assert user in users_online(server, limit=10_000)["users"]
    wait_until("the user is offline", lambda: user_online(server, user) == NOT_THERE)
    assert user not in users_online(server, limit=10_000)["users"]


def test_an_unknown_user_is_offline(server):
    assert user_online(server, "nobody at all") == NOT_THERE
    assert user_online(server, "online") == NOT_THERE


@pytest.mark.parametrize("id", ["x" * 129, "a%00b", "a%C2%85"])
def test_an_invalid_user_id_is_422(server, id):
    answer = server.request("GET", f"/api/v1/users/{id}/online", key=API_KEY)
    assert answer.status == 422 and answer.error["message"].startswith("id: ")


@pytest.mark.parametrize("limit", ["0", "10001", "-1", "x", "", "1.5", "9" * 400])
def test_an_invalid_limit_is_422(server, limit):
    answer = server.request("GET", f"{ONLINE}?limit={limit}", key=API_KEY)
    assert answer.status == 422 and answer.error["message"].startswith("limit: ")


@pytest.mark.parametrize("path", [ONLINE, "/api/v1/users/u/online"])
def test_only_a_publisher_may_query(server, path):
    assert server.request("GET", path).status == 401
    assert server.request("GET", path, user_token("u")).status == 403
    assert server.request("GET", path, publisher_token()).status == 200
    head = server.request("HEAD", path, publisher_token())
    assert head.status == 200 and head.bytes == b"" and int(head.headers["content-length"]) > 0
    answer = server.request("POST", path, key=API_KEY)
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS"
    asked = {"Origin": server.url, "Access-Control-Request-Method": "GET"}
    preflight = server.request("OPTIONS", path, headers=asked)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == server.url


def test_a_path_that_is_not_text_is_404(server):
    assert server.request("GET", "/api/v1/users/%FF/online", key=API_KEY).status == 404
