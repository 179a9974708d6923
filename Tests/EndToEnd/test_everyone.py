"""`audience: "everyone"`: stored once, in every inbox, read by each user alone."""

import json
import threading

import pytest

from harness.clients import Client, EventClient, FlatClient, InboxClient
from harness.everyone import INBOX, next_titles, publish_for_everyone, title_of
from harness.polling import Waiting, poll
from harness.publisher import Publisher
from harness.server import API_KEY
from harness.streams import StreamClient
from harness.tokens import user_token
from harness.waiting import wait_until

# Notifications published for everyone while the user's own are published.
COUNT = 60
CUTS = 40


class TypedClient(Client):
    """A client of `typed`, which gets a greeting only when it asks to resume."""

    path = "/ws/connect"

    def __init__(self, *arguments, since=None, **options):
        super().__init__(*arguments, since=since, **options)
        if since is not None:
            assert self.next()["type"] == "connected"


CLIENTS = pytest.mark.parametrize(
    "client", [EventClient, FlatClient, TypedClient, InboxClient, StreamClient]
)


@pytest.fixture
def server(make_server):
    """A server of the test's own: notifications for everyone would reach other tests' inboxes."""
    return make_server(arguments=["--shards", "2"])


def stats(server, user):
    return server.request("GET", INBOX + "/stats", user_token(user)).data


def change(server, user, method, path, body=None):
    return server.request(method, INBOX + path, user_token(user), body=body)


def test_every_dialect_delivers_it_in_its_own_shape(server, fresh_user):
    user, other = fresh_user(), fresh_user()
    server.publish(user, "own")
    with (
        EventClient(server, user) as event,
        EventClient(server, other) as elsewhere,
        InboxClient(server, user) as inbox,
        FlatClient(server, user) as flat,
        TypedClient(server, user) as typed,
        StreamClient(server, user) as stream,
    ):
        assert stream.next() == {"type": "unread_count", "data": {"count": 1}}
        assert flat.socket and typed.socket
        answer = publish_for_everyone(server, priority="urgent", data={"a": 1})
        assert answer["user_id"] is None and answer["title"] == "for everyone"
        new = event.expect("notification:new")
        assert new["id"] == answer["id"] and new["data"] == {"a": 1} and not new["is_read"]
        both = {"low": 0, "normal": 1, "high": 0, "urgent": 1}
        assert event.expect("stats:updated") == {
            "total": 2,
            "unread": 2,
            "unseen": 2,
            "by_priority": both,
        }
        assert elsewhere.expect("notification:new")["id"] == answer["id"]
        assert elsewhere.expect("stats:updated")["total"] == 1
        received = inbox.next()
        assert (received["type"], received["unreadCount"]) == ("new_notification", 2)
        assert received["notification"]["userId"] == user
        received = flat.next()
        assert (received["id"], received["user_id"]) == (answer["id"], user)
        received = typed.next()
        assert (received["type"], received["data"]["title"]) == ("notification", "for everyone")
        assert stream.next()["data"]["user_id"] == user
        assert stream.next() == {"type": "unread_count", "data": {"count": 2}}
        # Nothing else arrives: the user's next notification follows at once.
        server.publish(user, "next")
        assert event.expect("notification:new")["title"] == "next"
        assert inbox.next()["notification"]["title"] == "next"
        assert flat.next()["title"] == "next"
        assert typed.next()["data"]["title"] == "next"
        assert stream.next()["data"]["title"] == "next"
    assert server.total("catch_ups_total") == 6
    # The stream counts one replay when it opens; none of these deliveries is a replay.
    assert server.total("replays_total") == 1


def test_each_user_reads_and_deletes_it_alone_on_every_device(server, fresh_user):
    user, other = fresh_user(), fresh_user()
    ids = [publish_for_everyone(server, f"n {number}")["id"] for number in range(4)]
    server.publish(user, "own")
    with EventClient(server, user) as phone, EventClient(server, user) as desk:
        assert change(server, user, "PUT", f"/{ids[0]}/read").data["unread"] == 4
        for device in (phone, desk):
            assert device.expect("notification:read") == {"id": ids[0]}
            assert device.expect("stats:updated")["unread"] == 4
        assert change(server, user, "DELETE", f"/{ids[1]}").data["total"] == 4
        for device in (phone, desk):
            assert device.expect("notification:deleted") == {"id": ids[1]}
            assert device.expect("stats:updated")["total"] == 4
        assert change(server, user, "PUT", f"/{ids[1]}/read").status == 404
        assert change(server, user, "PUT", "/seen").data["unseen"] == 0
        assert phone.expect("stats:updated")["unseen"] == 0
        assert change(server, user, "PUT", "/read-all").data["unread"] == 0
        assert phone.expect("stats:updated")["unread"] == 0
    assert [row["is_read"] for row in server.inbox(user)] == [True] * 4
    assert change(server, user, "DELETE", "").data["total"] == 0
    assert server.inbox(user) == []
    # Another user, unknown to the store, has all of it as unseen.
    assert stats(server, other)["unseen"] == 4
    assert [row["id"] for row in server.inbox(other)] == ids
    assert poll(server, other, since="0")["notifications"] == server.inbox(other)


def test_one_audience_and_no_other(server):
    def status(**fields):
        body = {"type": "info", "title": "t", **fields}
        return server.request("POST", INBOX, body=body, key=API_KEY).status

    assert status(audience="everyone") == 201
    assert status(audience="all") == 422
    assert status(audience=["everyone"]) == 422
    assert status(audience="everyone", user_id="u") == 422
    assert status(audience="everyone", user_ids=["u"]) == 422
    assert status() == 422
    body = {"audience": "everyone", "type": "info", "title": "t"}
    assert server.request("POST", INBOX, user_token("u"), body=body).status == 403


def test_a_retry_with_its_key_stores_it_once(server, fresh_user):
    headers = {"Idempotency-Key": "k"}
    first = publish_for_everyone(server, headers=headers)
    assert publish_for_everyone(server, headers=headers) == first
    assert [row["id"] for row in server.inbox(fresh_user())] == [first["id"]]


def test_a_batch_holds_lines_for_everyone_up_to_a_limit(server, fresh_user):
    user = fresh_user()

    def batch(common):
        lines = [{"audience": "everyone", "type": "t", "title": str(n)} for n in range(common)]
        lines += [{"user_id": user, "type": "t", "title": "own"}]
        text = "\n".join(json.dumps(line) for line in lines)
        headers = {"Content-Type": "application/x-ndjson"}
        return server.request("POST", INBOX + "/batch", body=text, key=API_KEY, headers=headers)

    answers = [json.loads(line) for line in batch(3).bytes.splitlines()]
    assert [row["id"] for row in server.inbox(user)] == [one["data"]["id"] for one in answers]
    assert batch(101).status == 413
    assert len(server.inbox(user)) == 4


def test_it_survives_a_crash_with_each_users_changes(server, fresh_user):
    user, other = fresh_user(), fresh_user()
    ids = [publish_for_everyone(server, f"n {number}")["id"] for number in range(3)]
    change(server, user, "PUT", f"/{ids[0]}/read")
    change(server, user, "DELETE", f"/{ids[1]}")
    change(server, other, "PUT", "/read-all")
    before = [(server.inbox(one), stats(server, one)) for one in (user, other, "new")]
    server.kill()
    server.start()
    assert [(server.inbox(one), stats(server, one)) for one in (user, other, "new")] == before
    assert [row["is_read"] for row in before[0][0]] == [True, False]


def test_a_waiting_poll_is_answered(server, fresh_user):
    user = fresh_user()
    cursor = poll(server, user)["cursor"]
    waiting = Waiting(server, user, cursor)
    wait_until("the poll is listed", lambda: server.total("sessions") == 1)
    answer = publish_for_everyone(server)
    data = waiting.result()
    assert [row["id"] for row in data["notifications"]] == [answer["id"]]
    assert data["notifications"][0]["user_id"] == user


class EveryonePublisher(threading.Thread):
    """Publishes for everyone, one after another, while other publishers run."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.failure = server, None
        self.start()

    def run(self):
        try:
            connection = self.server.connection()
            for number in range(COUNT):
                publish_for_everyone(self.server, f"all {number}", over=connection)
            connection.close()
        except Exception as failure:  # noqa: BLE001 The test's own thread raises it.
            self.failure = failure

    def finish(self):
        self.join(60)
        assert not self.is_alive()
        if self.failure is not None:
            raise self.failure


@CLIENTS
@pytest.mark.parametrize("since", [None, "0"], ids=["live", "resumed"])
def test_it_comes_once_and_in_order_among_the_users_own(server, fresh_user, client, since):
    """Three devices, on any shards, all receive the inbox's order."""
    user = fresh_user()
    tabs = [client(server, user, since=since) for _ in range(3)]
    if client is StreamClient and since is None:
        # The stream reads its start from the store; this frame shows that it has.
        assert all(tab.next()["type"] == "unread_count" for tab in tabs)
    with Publisher(server, user):
        EveryonePublisher(server).finish()
    titles = [row["title"] for row in server.inbox(user)]
    assert len([title for title in titles if title.startswith("all ")]) == COUNT
    for tab in tabs:
        assert next_titles(tab, len(titles)) == titles
        tab.close()


@CLIENTS
def test_cuts_and_resumes_lose_nothing_and_double_nothing(server, fresh_user, chance, client):
    user, cursor, seen = fresh_user(), "0", []

    def read(tab):
        nonlocal cursor
        frame = tab.next()
        assert "resync" not in (frame.get("event"), frame.get("type")), frame
        if client is StreamClient:
            cursor = tab.cursor or cursor
        else:
            shown = frame if "cursor" in frame else frame.get("data") or {}
            cursor = shown.get("cursor") or cursor
        title = title_of(frame)
        if title is not None:
            seen.append(title)

    def open_one():
        if client is StreamClient:
            return StreamClient(server, user, last_id=cursor)
        return client(server, user, since=cursor)

    with Publisher(server, user):
        everyone = EveryonePublisher(server)
        for _ in range(CUTS):
            tab = open_one()
            goal = len(seen) + chance.randrange(8)
            while len(seen) < goal:
                read(tab)
            tab.close()
        everyone.finish()
    titles = [row["title"] for row in server.inbox(user)]
    tab = open_one()
    while len(seen) < len(titles):
        read(tab)
    tab.close()
    assert seen == titles
    assert len([title for title in titles if title.startswith("all ")]) == COUNT


def test_polls_get_it_once_and_in_order(server, fresh_user):
    user, cursor, seen = fresh_user(), "0", []
    with Publisher(server, user):
        everyone = EveryonePublisher(server)
        while everyone.is_alive():
            data = poll(server, user, since=cursor, wait=1)
            cursor = data["cursor"]
            seen += [row["title"] for row in data["notifications"]]
        everyone.finish()
    while rest := poll(server, user, since=cursor)["notifications"]:
        seen += [row["title"] for row in rest]
        cursor = poll(server, user, since=cursor)["cursor"]
    assert seen == [row["title"] for row in server.inbox(user)]
