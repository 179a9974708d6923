"""Several credentials in one request: only those of this server count, and each place is tried."""

import asyncio
import base64

import aiohttp
import pytest
import socketio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from harness.clients import EVENT_PATH, FLAT_PATH, INBOX_PATH
from harness.polling import POLL
from harness.raw import PATIENCE, RawConnection, RawWebSocket, exchange, upgrade_request
from harness.server import API_KEY
from harness.streams import STREAM_PATH
from harness.tokens import publisher_token, user_token

TYPED_PATH = "/ws/connect"
SOCKETS = [EVENT_PATH, FLAT_PATH, INBOX_PATH, TYPED_PATH]
INBOX = "/api/v1/notifications"
BASIC = "Basic " + base64.b64encode(b"a:b").decode()
FOREIGN = [BASIC, "basic YTpi", 'Digest username="a"', "Negotiate YTpi", "Bearer", "Token x", ""]
DOUBLED = ["Authorization", "X-API-Key"]


def opened(server, path, **options):
    """Opens a WebSocket with the `websockets` package."""
    options = {"legacy": True, "proxy": None, "compression": None, **options}
    return connect(f"ws://127.0.0.1:{server.port}{path}", **options)


def stays_open(server, path, **options):
    """Whether the server answers a ping; it would close the WebSocket before it reads any frame."""
    with opened(server, path, **options) as socket:
        return socket.ping().wait(PATIENCE)


def close_code(server, path, **options):
    """The code with which the server ends the WebSocket."""
    with opened(server, path, **options) as socket:
        try:
            while True:
                socket.recv(timeout=PATIENCE)
        except ConnectionClosed as closed:
            return closed.rcvd.code


def offer(*protocols):
    return [("Sec-WebSocket-Protocol", ", ".join(protocols))]


def answered_protocol(server, path, *protocols):
    """The subprotocol in the head of the 101, which must not contain a token."""
    with RawWebSocket(server, path, offer(*protocols)) as socket:
        lines = [line.split(": ", 1) for line in socket.answer.split("\r\n") if ": " in line]
        chosen = [value for name, value in lines if name.lower() == "sec-websocket-protocol"]
        assert len(chosen) <= 1
        return chosen[0] if chosen else None


# A credential of another scheme, as a proxy with a password adds it.


@pytest.mark.parametrize("field", FOREIGN)
def test_a_foreign_scheme_does_not_hide_the_token_in_the_query(server, fresh_user, field):
    token = user_token(fresh_user())
    for path in (INBOX, f"{POLL}?wait=0"):
        joint = "&" if "?" in path else "?"
        headers = {"Authorization": field}
        answer = server.request("GET", f"{path}{joint}token={token}", headers=headers)
        assert answer.status == 200, answer
        assert server.request("GET", path, headers=headers).status == 401


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize("place", ["query", "subprotocol"])
def test_a_websocket_opens_with_a_proxy_password(server, fresh_user, path, place):
    token, headers = user_token(fresh_user()), {"Authorization": BASIC}
    if place == "query":
        where = f"{path}?token={token}"
        assert stays_open(server, where, additional_headers=headers)
    else:
        protocols = ["bearer", token]
        assert stays_open(server, path, additional_headers=headers, subprotocols=protocols)


def test_a_proxy_password_alone_counts_as_no_token(server):
    headers = {"Authorization": BASIC}
    assert close_code(server, EVENT_PATH, additional_headers=headers) == 4001
    # This dialect waits for the token in a message.
    assert stays_open(server, INBOX_PATH, additional_headers=headers)
    for path in (FLAT_PATH, TYPED_PATH):
        request = upgrade_request(path, headers=[("Authorization", BASIC)])
        assert exchange(server, request).status == 401


def test_aiohttp_with_a_password_reads_streams_and_sockets(server, fresh_user):
    # aiohttp makes the field from the user and password in the URL.
    token = user_token(fresh_user())

    def with_password(path):
        return f"http://a:b@127.0.0.1:{server.port}{path}?token={token}"

    async def visit():
        async with aiohttp.ClientSession() as session:
            async with session.get(with_password(STREAM_PATH)) as response:
                assert response.status == 200
                assert response.request_info.headers["Authorization"] == BASIC
                assert b"retry" in await response.content.readline()
            async with session.ws_connect(with_password(EVENT_PATH)) as socket:
                greeting = await socket.receive_json(timeout=PATIENCE)
                assert greeting["event"] == "connection:established"

    asyncio.run(visit())


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("place", ["query", "auth", "query and empty auth"])
def test_socketio_connects_with_a_proxy_password(server, fresh_user, transport, place):
    token = user_token(fresh_user())
    where = server.url + (f"?token={token}" if "query" in place else "")
    auth = {"query": None, "auth": {"token": token}}.get(place, {"token": ""})
    with socketio.SimpleClient() as client:
        client.connect(
            where,
            headers={"Authorization": BASIC},
            auth=auth,
            namespace="/notifications",
            transports=[transport],
            wait_timeout=PATIENCE,
        )
        assert client.receive(timeout=PATIENCE)[0] == "unread_count"


# The order of the places, and no second attempt after an invalid token.


def test_the_header_wins_over_the_query_and_the_query_over_the_subprotocol(server, fresh_user):
    first, second, third = (fresh_user() for _ in range(3))
    offered = offer("bearer", user_token(third))
    query = f"{EVENT_PATH}?token={user_token(second)}"
    header = [("Authorization", f"bEARER {user_token(first)}")]
    for path, headers, user in (
        (query, offered + header, first),
        (query, offered, second),
        (EVENT_PATH, offered, third),
        (f"{EVENT_PATH}?token=", offered, third),
    ):
        with RawWebSocket(server, path, headers) as socket:
            assert f'"user_id":"{user}"'.encode() in socket.read_frame()[1]


def test_an_invalid_token_is_not_replaced_by_one_in_another_place(server, fresh_user):
    good, bad = user_token(fresh_user()), user_token("late", ttl=-3_600)
    for wrong in (bad, "nonsense"):
        header = {"Authorization": f"Bearer {wrong}"}
        assert server.request("GET", f"{INBOX}?token={good}", headers=header).status == 401
        for path, headers in (
            (f"{FLAT_PATH}?token={good}", [("Authorization", f"Bearer {wrong}")]),
            (f"{FLAT_PATH}?token={wrong}", offer("bearer", good)),
        ):
            assert exchange(server, upgrade_request(path, headers=headers)).status == 401


# Subprotocols.


def test_the_answer_names_the_clients_own_subprotocol_and_never_the_token(server, fresh_user):
    token = user_token(fresh_user())
    for offered, chosen in (
        (["bearer", token], "bearer"),
        (["bearer", token, "chat"], "chat"),
        (["chat", "bearer", token], "chat"),
        (["chat", "bearer", token, "json"], "chat"),
        (["bearer", token, "chat", "json"], "chat"),
        (["Bearer", token], "Bearer"),
    ):
        for path in SOCKETS:
            assert answered_protocol(server, path, *offered) == chosen, (path, offered)
    for offered, chosen in (
        (["chat"], "chat"),
        (["chat", "json"], "chat"),
        (["bearer"], "bearer"),
        (["chat", "bearer"], "chat"),
        (["bearer", token, "chat"], "chat"),
    ):
        for path in SOCKETS:
            where = f"{path}?token={token}"
            assert answered_protocol(server, where, *offered) == chosen, (path, offered)
    # A `bearer` without an entry after it carries no token.
    request = upgrade_request(FLAT_PATH, headers=offer("chat", "bearer"))
    assert exchange(server, request).status == 401


def test_a_library_gets_the_subprotocol_that_it_offered(server, fresh_user):
    token = user_token(fresh_user())
    with opened(server, f"{FLAT_PATH}?token={token}", subprotocols=["json", "cbor"]) as socket:
        assert socket.subprotocol == "json"
    with opened(server, FLAT_PATH, subprotocols=["json", "bearer", token]) as socket:
        assert socket.subprotocol == "json"


def test_socketio_takes_a_token_from_the_subprotocol(server, fresh_user):
    path = "/socket.io/?EIO=4&transport=websocket"
    token = user_token(fresh_user())
    for headers, answer in ((offer("chat", "bearer", token), b"40{"), ([], b'44{"message"')):
        with RawWebSocket(server, path, headers) as socket:
            assert socket.read_frame()[1].startswith(b"0{")
            socket.send_frame(1, b"40")
            assert socket.read_frame()[1].startswith(answer)


# API keys.


def test_a_foreign_api_key_does_not_hide_a_users_token(server, fresh_user):
    token = user_token(fresh_user())
    for key in ("a gateway's", API_KEY):
        assert server.request("GET", INBOX, token, key=key).status == 200
        request = upgrade_request(f"{FLAT_PATH}?token={token}", headers=[("X-API-Key", key)])
        with RawConnection(server) as connection:
            connection.send(request)
            assert connection.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


def test_a_publisher_with_a_wrong_key_is_refused_whatever_its_token(server):
    body = {"user_id": "u", "type": "info", "title": "t"}
    answer = server.request("POST", INBOX, publisher_token(), body=body, key="wrong")
    assert answer.status == 401
    assert server.request("POST", INBOX, user_token("u"), body=body, key=API_KEY).status == 201


def test_without_a_configured_key_the_field_is_ignored(make_server):
    server = make_server(environment={"CARILLON_API_KEY": ""})
    body = {"user_id": "u", "type": "info", "title": "t"}
    answer = server.request("POST", INBOX, publisher_token(), body=body, key="a gateway's")
    assert answer.status == 201
    assert server.request("POST", INBOX, body=body, key="a gateway's").status == 401


# One value for each field: a proxy may have checked the other one.


@pytest.mark.parametrize("name", DOUBLED)
def test_a_credential_given_twice_is_refused_on_every_path(server, fresh_user, name):
    # Case 29.
    token = user_token(fresh_user())
    good = API_KEY if name == "X-API-Key" else f"Bearer {token}"
    for second in (good, "", BASIC):
        lines = f"Host: x\r\n{name}: {good}\r\n{name.lower()}: {second}\r\n\r\n"
        for path in (INBOX, f"{INBOX}?token={token}", "/healthz", STREAM_PATH, "/nowhere"):
            answer = exchange(server, f"GET {path} HTTP/1.1\r\n{lines}".encode())
            assert answer.status == 400 and name in answer.error["message"], (path, answer)
            assert answer.headers["connection"] == "close"
        doubled = [(name, good), (name.lower(), second)]
        for path in (*SOCKETS, "/socket.io/?EIO=4&transport=websocket"):
            assert exchange(server, upgrade_request(path, headers=doubled)).status == 400, path
    with RawWebSocket(server, EVENT_PATH, [("Authorization", f"Bearer {token}")]) as socket:
        assert b"connection:established" in socket.read_frame()[1]
