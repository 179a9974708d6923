"""`expires_at`: an expired notification leaves the inbox, and the devices are notified."""

import datetime

import pytest

from harness.clients import EventClient, FlatClient, InboxClient
from harness.polling import poll
from harness.server import API_KEY
from harness.streams import StreamClient
from harness.tokens import user_token
from harness.waiting import wait_until

INBOX = "/api/v1/notifications"


@pytest.fixture
def server(make_server):
    """A server of the test's own: notifications for everyone would reach other tests' inboxes."""
    return make_server(arguments=["--shards", "2"])


def after(seconds):
    """The time that many seconds from now, in the server's format."""
    time = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def publish(server, audience, title, seconds=None):
    body = {**audience, "type": "info", "title": title}
    if seconds is not None:
        body["expires_at"] = after(seconds)
    answer = server.request("POST", INBOX, body=body, key=API_KEY)
    assert answer.status == 201, answer
    return answer.data["id"]


def own(user):
    return {"user_id": user}


def everyone(user):
    return {"audience": "everyone"}


AUDIENCES = pytest.mark.parametrize("audience", [own, everyone])


@pytest.mark.parametrize("seconds", [-3600, -1, 0])
def test_a_time_in_the_past_is_refused(server, fresh_user, seconds):
    user = fresh_user()
    body = {**own(user), "type": "info", "title": "t", "expires_at": after(seconds)}
    answer = server.request("POST", INBOX, body=body, key=API_KEY)
    assert answer.status == 422 and "expires_at" in answer.error["message"]
    assert server.inbox(user) == []


@AUDIENCES
def test_it_leaves_the_inbox_and_every_device_is_notified(server, fresh_user, audience):
    user = fresh_user()
    with (
        EventClient(server, user) as event,
        InboxClient(server, user) as inbox,
        FlatClient(server, user) as flat,
        StreamClient(server, user) as stream,
    ):
        assert stream.next()["data"] == {"count": 0}
        # The short one comes last, so that nothing depends on how soon it expires.
        kept = publish(server, audience(user), "kept", 3600)
        short = publish(server, audience(user), "short", 2)
        assert [event.until("notification:new")["title"] for _ in "12"] == ["kept", "short"]
        assert event.expect("stats:updated")["total"] == 2
        assert [inbox.next()["notification"]["title"] for _ in "12"] == ["kept", "short"]
        assert event.expect("notification:deleted") == {"id": short}
        left = event.expect("stats:updated")
        assert (left["total"], left["unread"], left["unseen"]) == (1, 1, 1)
        assert inbox.next() == {
            "type": "notification_update",
            "unreadCount": 1,
            "notifications": [],
        }
        while (message := stream.next()) != {"type": "unread_count", "data": {"count": 2}}:
            assert message["type"] in ("notification", "unread_count"), message
        assert stream.next() == {"type": "unread_count", "data": {"count": 1}}
        # `flat` has no message for an expiry: its next message is the next notification.
        server.publish(user, "next")
        assert [flat.next()["title"] for _ in "123"] == ["kept", "short", "next"]
    assert server.inbox(user)[0]["id"] == kept
    token = user_token(user)
    assert server.request("PUT", f"{INBOX}/{short}/read", token).status == 404
    assert server.request("DELETE", f"{INBOX}/{short}", token).status == 404
    assert server.request("PUT", f"{INBOX}/{kept}/read", token).status == 200


@AUDIENCES
def test_notifications_that_expired_while_away_are_not_sent(server, fresh_user, audience):
    user = fresh_user()
    publish(server, audience(user), "short", 1)
    publish(server, audience(user), "kept")
    wait_until("it has expired", lambda: len(server.inbox(user)) == 1)
    with FlatClient(server, user, since="0") as tab:
        assert tab.next()["title"] == "kept"
    assert [row["title"] for row in poll(server, user, since="0")["notifications"]] == ["kept"]


@AUDIENCES
def test_notifications_that_expired_during_downtime_are_removed(server, fresh_user, audience):
    user = fresh_user()
    publish(server, audience(user), "short", 2)
    publish(server, audience(user), "kept")
    server.kill()
    server.start()
    wait_until("it has expired", lambda: [row["title"] for row in server.inbox(user)] == ["kept"])
    stats = server.request("GET", INBOX + "/stats", user_token(user)).data
    assert (stats["total"], stats["unread"]) == (1, 1)


def test_many_expire_and_the_counts_follow(server, fresh_user):
    user, count = fresh_user(), 1_500
    line = f'{{"user_id":"{user}","type":"t","title":"n","expires_at":"{after(3)}"}}\n'
    headers = {"Content-Type": "application/x-ndjson"}
    with EventClient(server, user) as tab:
        answer = server.request(
            "POST", INBOX + "/batch", body=line * count, key=API_KEY, headers=headers
        )
        assert answer.status == 200 and b"error" not in answer.bytes
        new = gone = 0
        while gone < count:
            frame = tab.next(within=20)
            if frame["event"] == "stats:updated":
                assert frame["data"]["total"] == new - gone
            elif frame["event"] == "notification:new":
                new += 1
            else:
                assert frame["event"] == "notification:deleted", frame
                gone += 1
        assert new == count and tab.expect("stats:updated")["total"] == 0
    assert server.inbox(user) == []
