"""A client that resumes with a cursor gets exactly the missed notifications, or a resync."""

import pytest

from harness.clients import FLAT_PATH, EventClient, FlatClient, InboxClient
from harness.cursors import unknown_cursors
from harness.publisher import Publisher
from harness.raw import RawWebSocket
from harness.tokens import user_token
from harness.waiting import wait_until

DIALECTS = pytest.mark.parametrize("client", [EventClient, FlatClient, InboxClient])
CUTS = 100


def cursor_of(frame):
    """The cursor in a frame of any dialect, if it has one."""
    data = frame["data"] if "event" in frame else frame
    return data.get("cursor")


def notification_of(frame):
    """The notification in a frame of any dialect; None for other frames."""
    if "event" in frame:
        return frame["data"] if frame["event"] == "notification:new" else None
    if "unreadCount" in frame:
        return frame["notification"] if frame["type"] == "new_notification" else None
    return frame if "title" in frame else None


def is_resync(frame):
    return "resync" in (frame.get("event"), frame.get("type"))


def abandon(tab):
    """Disconnects without a close frame, as a phone in a tunnel does."""
    tab.socket.socket.close()


@DIALECTS
def test_a_hundred_cuts_lose_nothing_and_double_nothing(server, fresh_user, chance, client):
    """The client adopts every cursor it receives, the greeting's too, as real clients do."""
    user, cursor, seen = fresh_user(), "0", []

    def read(tab):
        nonlocal cursor
        frame = tab.next()
        assert not is_resync(frame), frame
        cursor = cursor_of(frame) or cursor
        notification = notification_of(frame)
        if notification is not None:
            assert cursor_of(frame), "a resuming client gets each cursor"
            seen.append(notification["id"])

    with Publisher(server, user) as publisher:
        for _ in range(CUTS):
            tab = client(server, user, since=cursor)
            cursor = cursor_of(tab.greeting)
            goal = len(seen) + chance.randrange(12)
            while len(seen) < goal:
                read(tab)
            chance.choice([tab.close, lambda: abandon(tab)])()
    with client(server, user, since=cursor) as tab:
        while len(seen) < len(publisher.ids):
            read(tab)
    assert len(publisher.ids) > CUTS
    assert seen == publisher.ids


@DIALECTS
def test_missed_notifications_come_before_new_ones(server, fresh_user, client):
    user = fresh_user()
    with client(server, user, since="0") as tab:
        server.publish(user, "seen")
        cursor = next_cursor(tab)
    server.publish_many(user, [f"missed {number}" for number in range(700)])
    with client(server, user, since=cursor) as tab:
        server.publish(user, "new")
        expected = [f"missed {number}" for number in range(700)] + ["new"]
        assert [next_title(tab) for _ in expected] == expected


@DIALECTS
def test_since_zero_is_from_the_beginning(server, fresh_user, client):
    user = fresh_user()
    titles = [f"n {number}" for number in range(300)]
    server.publish_many(user, titles)
    with client(server, user, since="0") as tab:
        assert [next_title(tab) for _ in titles] == titles


@DIALECTS
def test_the_greeting_has_a_cursor_before_the_first_notification(server, fresh_user, client):
    user = fresh_user()
    with client(server, user, since="0") as tab:
        cursor = cursor_of(tab.greeting)
        assert isinstance(cursor, str) and cursor
    server.publish(user, "while away")
    with client(server, user, since=cursor) as tab:
        assert next_title(tab) == "while away"


@DIALECTS
def test_a_client_that_did_not_ask_gets_no_cursor(server, fresh_user, client):
    user = fresh_user()
    server.publish(user, "long ago")
    with client(server, user) as tab:
        assert tab.greeting is None or cursor_of(tab.greeting) is None
        server.publish(user, "now")
        frame = tab.next()
        assert notification_of(frame)["title"] == "now", "earlier notifications are not sent"
        assert cursor_of(frame) is None


@DIALECTS
@unknown_cursors(not_ascii=lambda run, offset: "\u2603")
def test_an_unknown_cursor_gets_one_resync(server, fresh_user, client, spoil):
    user = fresh_user()
    with client(server, user, since="0") as tab:
        server.publish_many(user, ["a", "b"])
        good = [next_cursor(tab) for _ in range(2)][-1]
    run, offset = good.rsplit(".", 1)
    with client(server, user, since=spoil(run, offset)) as tab:
        resync = tab.next()
        assert is_resync(resync), resync
        current = cursor_of(resync)
        server.publish(user, "after")
        frame = tab.next()
        # None of the past is sent: the first notification is the one published since.
        assert notification_of(frame)["title"] == "after", frame
    with client(server, user, since=current) as tab:
        assert next_title(tab) == "after"


@DIALECTS
def test_an_empty_cursor_asks_for_a_cursor_without_the_past(server, fresh_user, client):
    user = fresh_user()
    server.publish(user, "past")
    with client(server, user, since="") as tab:
        cursor = cursor_of(tab.greeting)
        server.publish(user, "present")
        assert next_title(tab) == "present"
    with client(server, user, since=cursor) as tab:
        assert next_title(tab) == "present"


@DIALECTS
def test_the_exact_shape_of_resync(server, fresh_user, client):
    with client(server, fresh_user(), since="nonsense") as tab:
        resync = tab.next()
    if client is EventClient:
        assert list(resync) == ["event", "data", "timestamp"]
        assert resync["event"] == "resync" and set(resync["data"]) == {"cursor"}
    elif client is InboxClient:
        assert set(resync) == {"type", "cursor"}
    else:
        assert resync["type"] == "resync" and resync["cursor"]


@DIALECTS
def test_a_cursor_survives_a_restart_and_a_crash(make_server, fresh_user, client):
    server, user = make_server(), fresh_user()
    with client(server, user, since="0") as tab:
        server.publish(user, "one")
        cursor = next_cursor(tab)
    server.publish(user, "two")
    server.stop()
    server.start()
    with client(server, user, since=cursor) as tab:
        assert next_title(tab) == "two"
        server.publish(user, "three")
        assert next_title(tab) == "three"
    server.kill()
    server.start()
    with client(server, user, since=cursor) as tab:
        assert [next_title(tab), next_title(tab)] == ["two", "three"]


def test_one_cursor_serves_every_dialect(server, fresh_user):
    user = fresh_user()
    with FlatClient(server, user, since="0") as tab:
        server.publish(user, "one")
        cursor = next_cursor(tab)
    server.publish(user, "two")
    for client in (EventClient, InboxClient, FlatClient):
        with client(server, user, since=cursor) as tab:
            assert next_title(tab) == "two"


def test_an_emptied_store_answers_an_old_cursor_with_a_resync(make_server, tmp_path, fresh_user):
    user, first, second = fresh_user(), make_server(), make_server()
    with FlatClient(first, user, since="0") as tab:
        first.publish(user, "one")
        cursor = next_cursor(tab)
    second.publish(user, "elsewhere")
    with FlatClient(second, user, since=cursor) as tab:
        assert is_resync(tab.next()), "the same offset of another store is not valid"


def test_more_than_ten_thousand_missed_is_resync(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    with FlatClient(server, user, since="0") as tab:
        cursor = cursor_of(tab.greeting)
    for start in range(0, 10_000, 5_000):
        server.publish_many(user, [str(number) for number in range(start, start + 5_000)])
    with FlatClient(server, user, since=cursor) as tab:
        assert next_title(tab) == "0", "ten thousand are replayed"
    server.publish(user, "one too many")
    with FlatClient(server, user, since=cursor) as tab:
        assert is_resync(tab.next())


def test_a_replay_does_not_delay_another_client(server, fresh_user):
    many, other = fresh_user("many"), fresh_user("other")
    server.publish_many(many, [f"n {number}" for number in range(5_000)])
    path = f"{FLAT_PATH}?since=0&token={user_token(many)}"
    # The first client reads nothing yet, so its replay is not over before the other's notification.
    with RawWebSocket(server, path) as slow, FlatClient(server, other) as tab:
        server.publish(other, "prompt")
        assert tab.next()["title"] == "prompt"
        while b'"n 4999"' not in slow.read_frame()[1]:
            pass


def next_frame(tab):
    """The next frame with a notification."""
    return wait_until("a notification", lambda: found_in(tab.next()))


def found_in(frame):
    assert not is_resync(frame), frame
    return frame if notification_of(frame) is not None else None


def next_title(tab):
    return notification_of(next_frame(tab))["title"]


def next_cursor(tab):
    return cursor_of(next_frame(tab))
