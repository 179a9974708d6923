"""Signals to a running server: ignored ones change nothing, and SIGSTOP ends no connection."""

import signal
import threading
import time

from harness.clients import EVENT_PATH, FLAT_PATH, EventClient, FlatClient
from harness.crowd import Crowd
from harness.raw import PING, frame, upgrade_request
from harness.sizes import size
from harness.tokens import user_token

SYSTEM = "/api/v1/websocket/send/system"


def test_a_storm_of_signals_changes_not_a_byte(make_server, fresh_user):
    # Case 68.
    server, user = make_server(), fresh_user()
    stopping = threading.Event()

    def storm():
        while not stopping.is_set():
            for each in (signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2):
                if each in IGNORED:
                    server.process.send_signal(each)

    thread = threading.Thread(target=storm, daemon=True)
    with FlatClient(server, user) as flat, EventClient(server, user) as event:
        thread.start()
        try:
            count = size(2_000, full=100_000)
            for start in range(0, count, 100):
                titles = [f"n {number}" for number in range(start, start + 100)]
                server.publish_many(user, titles)
                assert [flat.next()["title"] for _ in titles] == titles
                assert [event.until("notification:new")["title"] for _ in titles] == titles
        finally:
            stopping.set()
            thread.join()
        assert server.is_alive
        event.answers()


# The signals sent by a closing terminal, and by a write to a pipe without a reader.
IGNORED = {signal.SIGHUP, signal.SIGPIPE}


def test_a_stopped_and_continued_server_keeps_its_connections(make_server, fresh_user):
    # Case 68.
    server, user = make_server(), fresh_user()
    request = upgrade_request(f"{EVENT_PATH}?token={user_token(user)}")
    late = upgrade_request(f"{FLAT_PATH}?token={user_token(user)}")
    with Crowd(server) as crowd:
        members = crowd.connect(size(300, full=3_000), request)
        crowd.until(
            "all are greeted", lambda: all(b"established" in each.received for each in members)
        )
        (slow,) = crowd.connect(1, late[:-2])
        server.process.send_signal(signal.SIGSTOP)
        # The clients send while the server is stopped; the kernel buffers their frames.
        end = time.monotonic() + size(3, full=10)
        for member in members:
            member.send(frame(PING, b"still here"))
        while time.monotonic() < end:
            crowd.turn(0.1)
        server.process.send_signal(signal.SIGCONT)
        slow.send(late[-2:])
        crowd.until(
            "all are answered",
            lambda: all(b"\x8a\x0astill here" in each.received for each in members),
        )
        crowd.until("the late one is upgraded", lambda: slow.received.startswith(b"HTTP/1.1 101 "))
        server.publish(user, "after the stop")
        crowd.until(
            "all receive the publish",
            lambda: all(b"after the stop" in each.received for each in [*members, slow]),
        )
        assert not any(member.ended for member in members)
