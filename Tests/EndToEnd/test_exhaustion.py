"""Running out of files, and peers that leave in every way and in every state."""

import itertools
import resource
import socket
import time

import pytest

from harness.clients import FLAT_PATH, PATIENCE, FlatClient
from harness.cost import is_spinning
from harness.publisher import Publisher
from harness.raw import CLOSE, RawConnection, RawWebSocket, close_payload, frame, upgrade_request
from harness.tokens import user_token
from harness.waiting import wait_until


def begin_to_poll(server):
    """Connects and sends a poll that waits, and does not wait for the server to accept."""
    client = socket.socket()
    client.connect(server.address)
    client.sendall(
        b"GET /api/v1/notifications/poll?wait=60&since=0 HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Bearer " + user_token("poller").encode() + b"\r\n\r\n"
    )
    return client


def test_a_server_out_of_files_idles_and_recovers(make_server, fresh_user):
    # Case 56.
    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    server, user = make_server(preexec=few_files), fresh_user()
    pid = server.pid
    assert server.total("accept_pauses_total") == 0
    with FlatClient(server, user) as early:
        # Polls wait for an answer, so none of them is idle and makes room.
        start = time.monotonic()
        clients = [begin_to_poll(server) for _ in range(1_000)]
        try:
            wait_until("the server is out of files", lambda: server.open_file_count() >= 250)
            wait_until("accepting has settled", lambda: not is_spinning(server))
            assert not is_spinning(server, over=3), "it spins on accept"
            # Connected clients are served. A publish takes a file, so this is a ping instead.
            assert early.socket.ping().wait(PATIENCE)
        finally:
            for client in clients:
                client.close()
        wait_until("the server recovers", lambda: can_connect(server))
        paused, passed = server.total("accept_pauses_total"), time.monotonic() - start
        assert 1 <= paused <= 200 * passed, "accepting is paced and goes on"
        server.publish(user, "after the drought")
        assert early.next()["title"] == "after the drought"
    wait_until("the server's files are free", lambda: server.open_file_count() < 60)
    assert server.is_alive and server.pid == pid


def client_count(server):
    stats = server.request("GET", "/api/notifications/stats", user_token("anyone"))
    return stats.data["total_clients"]


def can_connect(server):
    try:
        return server.request("GET", "/healthz").status == 200
    except OSError:
        return False


# Case 60: RST and half-close in each state.


def connecting(server):
    return RawConnection(server)


def in_the_head(server):
    connection = RawConnection(server)
    connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Half: ")
    return connection


def in_the_body(server):
    connection = RawConnection(server)
    connection.send(
        b"POST /api/v1/notifications HTTP/1.1\r\nHost: x\r\nX-API-Key: an-end-to-end-api-key\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    return connection


def in_a_chunk(server):
    connection = RawConnection(server)
    connection.send(
        b"POST /api/v1/notifications HTTP/1.1\r\nHost: x\r\nX-API-Key: an-end-to-end-api-key\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{"
    )
    return connection


def publishing(server):
    body = b'{"user_id":"leaver","type":"info","title":"t"}'
    connection = RawConnection(server)
    connection.send(
        b"POST /api/v1/notifications HTTP/1.1\r\nHost: x\r\nX-API-Key: an-end-to-end-api-key\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    return connection


def pipelining(server):
    connection = RawConnection(server)
    connection.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
    return connection


def in_the_upgrade(server):
    connection = RawConnection(server)
    connection.send(upgrade_request(leavers_path())[:-2])
    return connection


def just_upgraded(server):
    connection = RawConnection(server)
    connection.send(upgrade_request(leavers_path()))
    return connection


def opened(server):
    return RawWebSocket(server, leavers_path())


def in_a_frame(server):
    connection = opened(server)
    connection.send(frame(1, b"x" * 100)[:50])
    return connection


def in_a_message(server):
    connection = opened(server)
    connection.send_frame(1, b"x" * 100, final=False)
    return connection


def closing(server):
    connection = opened(server)
    connection.send_frame(CLOSE, close_payload(1000))
    return connection


def being_closed(server):
    connection = opened(server)
    connection.send_frame(1, b"x", mask=False)
    return connection


def resuming(server):
    connection = RawConnection(server)
    connection.send(upgrade_request(leavers_path() + "&since=0"))
    return connection


def leavers_path():
    return f"{FLAT_PATH}?token={user_token('leaver')}"


STATES = [
    connecting,
    in_the_head,
    in_the_body,
    in_a_chunk,
    publishing,
    pipelining,
    in_the_upgrade,
    just_upgraded,
    opened,
    in_a_frame,
    in_a_message,
    closing,
    being_closed,
    resuming,
]


# Leavers in each state and way, and how many of them leave at a time.
LEAVERS, BATCH = 1_000, 100


@pytest.mark.parametrize("how", ["reset", "half_close"])
@pytest.mark.parametrize("state", STATES)
def test_a_connection_that_leaves_is_closed_once(server, state, how):
    before = server.open_file_count()
    for _ in range(LEAVERS // BATCH):
        leavers = []
        for _ in range(BATCH):
            connection = state(server)
            getattr(connection, how)()
            leavers.append(connection)
        if how == "half_close":
            # The server closes the other half, within its own timeout for each state.
            for connection in leavers:
                connection.drain()
        wait_until("each file is closed", lambda: server.open_file_count() <= before)
        for connection in leavers:
            connection.close()


def test_a_connection_that_leaves_during_a_broadcast_is_closed_once(server, fresh_user):
    before = server.open_file_count()
    publisher = Publisher(server, "leaver", message="x" * 1_000)
    with FlatClient(server, "leaver") as bystander, publisher:
        for _ in range(20):
            staying = [opened(server) for _ in range(10)]
            bystander.next()
            for number, connection in enumerate(staying):
                if number % 2:
                    connection.reset()
                else:
                    connection.half_close()
            for connection in staying[::2]:
                connection.drain()
                connection.close()
        assert bystander.next()["title"].startswith("n ")
    wait_until("each file is closed", lambda: server.open_file_count() <= before + 1)


def request_count(server):
    return server.total("http_requests_total")


def test_a_reset_ends_a_connection_that_is_not_being_read(make_server):
    # Case 60, where only the event of the reset can show it: the poll waits longer than the test,
    # and the request pipelined after it keeps the server from reading any further.
    server = make_server()

    def request(path):
        lines = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {user_token('leaver')}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    poll = "/api/v1/notifications/poll"
    with RawConnection(server) as connection:
        connection.send(request(poll))
        cursor = connection.read_answer().data["cursor"]
    # The only connection left is the one that asks for the count.
    wait_until("all others have ended", lambda: server.total("connections") == 1)
    asked = request_count(server)
    leavers = [RawConnection(server) for _ in range(20)]
    for connection in leavers:
        connection.send(request(f"{poll}?wait=25&since={cursor}") + request("/healthz"))
    # Each query of the count is a request as well.
    asking = itertools.count(asked + len(leavers) + 1)
    wait_until("the polls wait", lambda: request_count(server) >= next(asking))
    here = 1 + len(leavers)
    wait_until("all are connected", lambda: server.total("connections") == here)
    held = server.open_file_count()
    for connection in leavers:
        connection.reset()
    wait_until("each has ended", lambda: server.total("connections") == 1)
    assert server.open_file_count() <= held - len(leavers) + 1


def test_a_server_that_everyone_left_is_idle(server):
    # Case 60, after all of the above: no event of a dead connection keeps it turning.
    for state in STATES:
        for _ in range(5):
            state(server).reset()
    wait_until("it is idle", lambda: not is_spinning(server))


def test_a_reused_descriptor_receives_no_data_of_its_predecessor(server, fresh_user):
    # Case 61, over the wire: close and accept in the same turn, with data for the old one queued.
    for _ in range(200):
        old, new = fresh_user("old"), fresh_user("new")
        first = RawWebSocket(server, f"{FLAT_PATH}?token={user_token(old)}")
        first.send(frame(1, b"x" * 50) * 5)
        first.reset()
        with FlatClient(server, new) as second:
            server.publish(old, "not for you")
            server.publish(new, "for you")
            assert second.next()["title"] == "for you"


def test_a_client_that_stops_reading_is_cut_and_the_others_are_not(make_server, fresh_user):
    # Case 62, small: a client 64 KiB behind is a slow consumer.
    server, user = make_server(), fresh_user()
    with FlatClient(server, user) as reader:
        stalled = RawConnection.__new__(RawWebSocket)
        stalled.socket = socket.socket()
        stalled.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stalled.socket.connect(server.address)
        stalled.buffer = b""
        stalled.send(upgrade_request(f"{FLAT_PATH}?since=0&token={user_token(user)}"))
        stalled.read_until(b"\r\n\r\n")
        published = 0
        wait_until("both are connected", lambda: client_count(server) == 2)
        deadline = time.monotonic() + 60
        while client_count(server) == 2:
            assert time.monotonic() < deadline, f"never cut, after {published} messages"
            lines = [f"n {number}" for number in range(published, published + 100)]
            body = "\n".join(
                f'{{"user_id":"{user}","type":"info","title":"{line}","message":"{"x" * 4_000}"}}'
                for line in lines
            )
            answer = server.request(
                "POST",
                "/api/v1/notifications/batch",
                body=body.encode(),
                headers={"Content-Type": "application/x-ndjson"},
                key="an-end-to-end-api-key",
            )
            assert answer.status in (200, 201, 207), answer
            published += len(lines)
            for line in lines:
                assert reader.next()["title"] == line
        stalled.drain()
        # Nothing is lost: the client resumes from the store.
        with FlatClient(server, user, since="0") as awake:
            assert [awake.next()["title"] for _ in range(published)] == [
                f"n {number}" for number in range(published)
            ]
