"""Callers without a token cannot use up the bodies and files that users and publishers need.

The servers have their default limits. A forwarding header makes a client of this machine one of
the network, and each address of 127.0.0.0/8 counts for itself.
"""

import contextlib
import itertools
import json
import resource
import socket

from harness.clients import PATIENCE, FlatClient
from harness.engineio import SOCKET_PATH
from harness.raw import RawConnection
from harness.waiting import wait_until

FORWARDED = "Host: x\r\nX-Forwarded-For: 203.0.113.9\r\n"
# Below the connections of an address, of which a polled session is one more.
CLIENTS_OF_ADDRESS = 40


def addresses():
    """An address of this machine for each client, the same for few of them."""
    for number in itertools.count(2):
        yield from [f"127.0.0.{number}"] * CLIENTS_OF_ADDRESS


class Stranger(RawConnection):
    """A client without a token, from the network as far as the server knows."""

    def __init__(self, server, address):
        self.socket = socket.create_connection(server.address, PATIENCE, (address, 0))
        self.buffer = b""

    def ask(self, line, fields=""):
        self.send_if_open(f"{line} HTTP/1.1\r\n{FORWARDED}{fields}\r\n".encode())


def open_session(server, address):
    """A Socket.IO session without a namespace: its connection and its path."""
    stranger = Stranger(server, address)
    path = f"{SOCKET_PATH}?EIO=4&transport=polling"
    stranger.ask(f"GET {path}")
    answer = stranger.read_answer()
    assert answer.status == 200, answer
    opening = answer.bytes.decode()
    return stranger, f"{path}&sid={json.loads(opening[1:])['sid']}"


def hold_body(server, address, size):
    """Posts all but the last byte of a body, as far as the server takes it."""
    stranger, path = open_session(server, address)
    stranger.ask(f"POST {path}", f"Content-Length: {size}\r\n")
    with contextlib.suppress(OSError):
        stranger.socket.sendall(b"4" * (size - 1))
    return stranger


def test_bodies_of_strangers_refuse_no_publish(make_server, fresh_user):
    # Case 63.
    server, user = make_server(arguments=["--shards", "1"]), fresh_user()
    places = addresses()
    with FlatClient(server, user) as client, contextlib.ExitStack() as held:
        # Smaller and smaller, until there is no room for any body.
        for size in (1_000_000, 65_536, 16_384, 4_096, 1_024, 256, 64, 16):
            count = 70 if size > 65_536 else 12
            handled = server.total("http_requests_total")
            for _ in range(count):
                held.enter_context(hold_body(server, next(places), size))
            # Each has asked for a session and posted to it.
            wait_until(
                "the server has all heads",
                lambda: server.total("http_requests_total") >= handled + 2 * count,
            )
            # It asserts that the publish is answered 201.
            server.publish(user, f"{size}")
            assert client.next()["title"] == f"{size}"


def test_idle_strangers_leave_files_for_users(make_server, fresh_user):
    # Case 63.
    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, 1_000))

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8_192)), hard))
    server, user = make_server(preexec=few_files), fresh_user()
    places = addresses()
    with FlatClient(server, user) as early, contextlib.ExitStack() as opened:
        for number in range(1_350):
            stranger = opened.enter_context(Stranger(server, next(places)))
            stranger.ask("GET /healthz")
            if number % 50 == 49:
                server.publish(user, f"n {number}")
                assert early.next()["title"] == f"n {number}"
        for _ in range(100):
            opened.enter_context(FlatClient(server, fresh_user()))
        server.publish(user, "last")
        assert early.next()["title"] == "last"
        strangers = server.total("connections_unauthenticated")
        limit = server.total("connections_unauthenticated_limit")
        assert limit == 500 and 400 <= strangers <= limit
        assert server.total("open_files_limit") == 1_000
        wait_until(
            "the count of files is right",
            lambda: abs(server.total("open_files") - server.open_file_count()) < 9,
        )
        assert server.total("disconnects_idle_total") >= 800
        assert server.total("accept_pauses_total") == 0
