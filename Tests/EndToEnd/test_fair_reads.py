"""Reads of one user on many connections: other users, operators and publishers are not refused."""

import contextlib
import socket
import threading

from harness.server import API_KEY
from harness.tokens import user_token
from harness.waiting import PATIENCE, wait_until

LIST = "/api/v1/notifications"
OWN_CONNECTIONS = "/api/v1/websocket/connections/user"
# The part of a shard's memory that the pages of one user may take.
USER_PAGE_BYTES = 4 << 20


def ask_without_reading(server, path, token):
    """Sends a request, and takes only what the smallest receive buffer holds of the answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_304)
    client.connect(server.address)
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    client.sendall(request.encode())
    return client


def fill(server, user, count=60):
    """Publishes notifications of which a page holds about thirty."""
    with contextlib.closing(server.connection()) as connection:
        for number in range(count):
            server.publish(user, f"n {number}", over=connection, data={"x": "x" * 8_000})


def test_unread_pages_of_one_user_are_bounded_and_others_read(make_server, fresh_user):
    # Case 62.
    server, greedy, honest = make_server(), fresh_user(), fresh_user()
    fill(server, greedy)
    fill(server, honest, 3)
    shards = server.metrics().count("carillon_page_bytes{")
    token = user_token(greedy)
    handled = server.total("http_requests_total")
    with contextlib.ExitStack() as stack:
        for number in range(400):
            path = f"{LIST}?limit=200&before={1_000 + number}"
            stack.enter_context(contextlib.closing(ask_without_reading(server, path, token)))
        wait_until(
            "all requests were handled",
            lambda: server.total("http_requests_total") >= handled + 400,
        )
        wait_until("pages were refused", lambda: server.total("pages_refused_memory_total") > 0)
        assert server.total("page_bytes") <= shards * USER_PAGE_BYTES
        for _ in range(20):
            page = server.request("GET", LIST, user_token(honest))
            assert page.status == 200 and len(page.data["notifications"]) == 3
            watched = server.request("GET", f"/api/v1/users/{greedy}/notifications", key=API_KEY)
            assert watched.status == 200
            server.publish(fresh_user(), "meanwhile")
    wait_until("the memory is returned", lambda: server.total("page_bytes") == 0)


def test_a_page_ends_at_its_bytes_and_the_next_one_goes_on(server, fresh_user):
    user = fresh_user()
    fill(server, user)
    titles, sizes, path = [], [], f"{LIST}?limit=200"
    while path:
        answer = server.request("GET", path, user_token(user))
        assert len(answer.bytes) <= 257 * 1_024
        titles += [stored["title"] for stored in answer.data["notifications"]]
        sizes.append(len(answer.data["notifications"]))
        path = answer.data.get("next") and f"{LIST}?limit=200&before={answer.data['next']}"
    assert titles == [f"n {number}" for number in reversed(range(60))]
    assert len(sizes) > 1 and sizes[0] > 20


def test_operators_disconnect_while_a_user_asks_on_every_connection(server, fresh_user):
    # Case 62.
    token = user_token(fresh_user())
    request = (
        f"GET {OWN_CONNECTIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode() * 20
    stopping = threading.Event()

    def keep_asking(clients):
        """Sends what each takes, and drops the answers, as fast as the server gives them."""
        while not stopping.is_set():
            for client in clients:
                with contextlib.suppress(BlockingIOError):
                    client.send(request)
                with contextlib.suppress(BlockingIOError):
                    assert client.recv(1 << 20), "the server has ended a connection"

    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(95):
            client = stack.enter_context(socket.create_connection(server.address))
            client.setblocking(False)
            clients.append(client)
        asking = threading.Thread(target=keep_asking, args=[clients], daemon=True)
        asked = server.total("http_requests_total")
        asking.start()
        wait_until("it asks", lambda: server.total("http_requests_total") > asked + 2_000)
        for number in range(40):
            body = {"user_id": f"absent-{number}"}
            answer = server.request("POST", "/api/v1/disconnect", body=body, key=API_KEY)
            assert answer.status == 200, answer
        assert asking.is_alive()
        stopping.set()
        asking.join(PATIENCE)
