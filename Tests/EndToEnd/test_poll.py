"""Long-polling: for clients with firewalls that break every other transport."""

import json
import socket
import time

import pytest

from harness.clients import FlatClient
from harness.cursors import unknown_cursors
from harness.polling import POLL, Waiting, is_waiting, poll
from harness.publisher import Publisher
from harness.streams import StreamClient
from harness.tokens import user_token
from harness.waiting import wait_until

CUTS = 50


def titles(data):
    return [notification["title"] for notification in data["notifications"]]


def test_a_poll_without_a_cursor_returns_the_current_one(server, fresh_user):
    user = fresh_user()
    server.publish(user, "past")
    data = poll(server, user, wait=25)
    assert data["notifications"] == [] and "resync" not in data
    server.publish(user, "new")
    assert titles(poll(server, user, data["cursor"], wait=25)) == ["new"]


def test_stored_notifications_come_at_once_oldest_first(server, fresh_user):
    user = fresh_user()
    server.publish_many(user, ["a", "b", "c"])
    data = poll(server, user, "0", wait=25)
    assert titles(data) == ["a", "b", "c"]
    listed = server.request("GET", "/api/v1/notifications", user_token(user)).data
    assert data["notifications"] == listed["notifications"][::-1]
    assert poll(server, user, data["cursor"])["notifications"] == []


def test_at_most_two_hundred_at_a_time(server, fresh_user):
    user, seen, cursor = fresh_user(), [], "0"
    server.publish_many(user, [f"n {number}" for number in range(450)])
    sizes = []
    while len(seen) < 450:
        data = poll(server, user, cursor)
        seen += titles(data)
        cursor = data["cursor"]
        sizes.append(len(data["notifications"]))
    assert seen == [f"n {number}" for number in range(450)]
    assert sizes == [200, 200, 50]


def test_a_publish_answers_a_waiting_poll_and_keeps_the_connection(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    cursor = poll(server, user)["cursor"]
    waiting = Waiting(server, user, cursor, wait=60)
    is_waiting(server)
    server.publish(user, "It rings")
    assert titles(waiting.result()) == ["It rings"]
    is_waiting(server, 0)
    connection = server.connection()
    for title in ("one", "two"):
        server.publish(user, title)
        cursor_before, data = cursor, poll(server, user, cursor, wait=25, over=connection)
        cursor = data["cursor"]
        assert cursor != cursor_before and titles(data)[-1] == title
    connection.close()


def test_a_poll_is_not_answered_by_others_notifications(make_server, fresh_user):
    server, user, other = make_server(), fresh_user(), fresh_user("other")
    cursor = poll(server, user)["cursor"]
    waiting = Waiting(server, user, cursor, wait=2)
    is_waiting(server)
    server.publish(other, "theirs")
    assert waiting.result()["notifications"] == []


def test_a_poll_that_times_out_gets_an_empty_answer(server, fresh_user):
    user = fresh_user()
    cursor = poll(server, user)["cursor"]
    started = time.monotonic()
    data = poll(server, user, cursor, wait=1)
    assert time.monotonic() - started > 0.9
    assert data["notifications"] == []
    server.publish(user, "later")
    assert titles(poll(server, user, data["cursor"])) == ["later"]


@pytest.mark.parametrize("wait", ["61", "-1", "1.5", "", "x", "1e1", "9" * 40])
def test_an_invalid_wait_is_refused(server, fresh_user, wait):
    answer = server.request("GET", f"{POLL}?since=0&wait={wait}", user_token(fresh_user()))
    assert answer.status == 422, answer


def test_a_bad_token_is_answered_401(server):
    assert server.request("GET", POLL).status == 401
    assert server.request("GET", POLL, "nonsense").status == 401


@unknown_cursors()
def test_an_unknown_cursor_gets_a_resync_at_once(server, fresh_user, spoil):
    # Case 37.
    user = fresh_user()
    server.publish(user, "a")
    cursor = poll(server, user)["cursor"]
    data = poll(server, user, spoil(*cursor.rsplit(".", 1)), wait=25)
    assert data == {"notifications": [], "cursor": data["cursor"], "resync": True}
    server.publish(user, "after")
    assert titles(poll(server, user, data["cursor"])) == ["after"]


def test_another_users_cursor_reveals_nothing_of_theirs(server, fresh_user):
    # Case 37.
    user, other = fresh_user(), fresh_user("other")
    server.publish(other, "theirs, before")
    cursor = poll(server, other)["cursor"]
    server.publish_many(other, ["theirs"] * 20)
    server.publish(user, "mine")
    assert titles(poll(server, user, cursor)) == ["mine"]


def test_one_cursor_serves_every_transport(server, fresh_user):
    user = fresh_user()
    server.publish(user, "one")
    cursor = poll(server, user, "0")["cursor"]
    server.publish(user, "two")
    with StreamClient(server, user, last_id=cursor) as stream:
        assert stream.until("notification")["title"] == "two"
        cursor = stream.cursor
    server.publish(user, "three")
    with FlatClient(server, user, since=cursor) as tab:
        frame = tab.next()
        assert frame["title"] == "three"
    server.publish(user, "four")
    assert titles(poll(server, user, frame["cursor"])) == ["four"]


def test_polling_while_publishing_goes_on_misses_nothing(server, fresh_user, chance):
    """Every other poll is aborted midway, as by a phone that goes to sleep."""
    user, cursor, seen, cuts = fresh_user(), "0", [], 0
    token = user_token(user)
    with Publisher(server, user) as publisher:
        while cuts < CUTS:
            if chance.random() < 0.5:
                with socket.create_connection(server.address) as raw:
                    line = f"GET {POLL}?since={cursor}&wait=25&token={token} HTTP/1.1\r\n"
                    raw.sendall(f"{line}Host: x\r\n\r\n".encode())
                    raw.settimeout(10)
                    # Part of the answer arrives, or nothing; either way the client discards it.
                    raw.recv(chance.choice([1, 40]))
                cuts += 1
            else:
                data = poll(server, user, cursor, wait=25)
                assert "resync" not in data
                seen += [notification["id"] for notification in data["notifications"]]
                cursor = data["cursor"]
    while len(seen) < len(publisher.ids):
        data = poll(server, user, cursor, wait=5)
        assert data["notifications"], "a notification is missing"
        seen += [notification["id"] for notification in data["notifications"]]
        cursor = data["cursor"]
    assert seen == publisher.ids


def test_aborted_polls_leave_no_descriptor_open(make_server, fresh_user):
    server = make_server()
    users = [fresh_user() for _ in range(200)]
    cursor = poll(server, users[0])["cursor"]
    before = server.open_file_count()
    sockets = []
    for user in users:
        raw = socket.create_connection(server.address)
        line = f"GET {POLL}?since={cursor}&wait=60&token={user_token(user)} HTTP/1.1\r\n"
        raw.sendall(f"{line}Host: x\r\n\r\n".encode())
        sockets.append(raw)
    is_waiting(server, 200)
    for raw in sockets:
        raw.close()
    is_waiting(server, 0)
    wait_until("all descriptors are closed", lambda: server.open_file_count() <= before)


def test_a_client_that_half_closes_is_still_answered(server, fresh_user):
    user = fresh_user()
    cursor = poll(server, user)["cursor"]
    with socket.create_connection(server.address) as raw:
        line = f"GET {POLL}?since={cursor}&wait=60&token={user_token(user)} HTTP/1.1\r\n"
        raw.sendall(f"{line}Host: x\r\n\r\n".encode())
        raw.shutdown(socket.SHUT_WR)
        raw.settimeout(10)
        answer = b""
        while chunk := raw.recv(4_096):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["data"] == {"notifications": [], "cursor": cursor}


def test_a_poll_ends_with_its_token(make_server, fresh_user):
    server, user = make_server(environment={"JWT_LEEWAY": "0"}), fresh_user()
    cursor = poll(server, user)["cursor"]
    # The client waits for fifteen seconds.
    data = poll(server, user, cursor, wait=60, token=user_token(user, ttl=3))
    assert data["notifications"] == []


def test_a_draining_server_answers_waiting_polls(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    cursor = poll(server, user)["cursor"]
    waiting = Waiting(server, user, cursor, wait=60)
    is_waiting(server)
    server.stop()
    assert waiting.result() == {"notifications": [], "cursor": cursor}
