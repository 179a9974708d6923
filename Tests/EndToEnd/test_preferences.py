"""Preferences: a muted notification is stored and counted, and rings on no device."""

import datetime

import pytest

from harness.clients import EventClient, FlatClient, InboxClient
from harness.everyone import next_titles, publish_for_everyone
from harness.polling import Waiting, is_waiting, poll
from harness.rooms import TypedClient
from harness.streams import StreamClient
from harness.tokens import user_token

PATH = "/api/v1/preferences"
INBOX = "/api/v1/notifications"
NOTHING = {"types": {}, "quiet_hours": None}
ALL_ON = {"websocket": True, "email": True, "webhook": True, "push": True}
MUTED = {"types": {"noise": {"muted": True}}}


def prefer(server, user, document):
    answer = server.request("PUT", PATH, user_token(user), body=document)
    assert answer.status == 200, answer
    return answer.data


def preferences(server, user):
    answer = server.request("GET", PATH, user_token(user))
    assert answer.status == 200, answer
    return answer.data


def test_the_document_is_replaced_as_a_whole_and_shown_as_a_whole(server, fresh_user):
    user = fresh_user()
    assert preferences(server, user) == NOTHING
    quiet = {"start": "22:00", "end": "07:00", "utc_offset": "+02:00"}
    comment = {"muted": True, "channels": {"email": False}}
    written = prefer(server, user, {"types": {"comment": comment}, "quiet_hours": quiet})
    assert written == {
        "types": {"comment": {"muted": True, "channels": {**ALL_ON, "email": False}}},
        "quiet_hours": quiet,
    }
    assert preferences(server, user) == written
    assert prefer(server, user, written) == written, "the document shown can be written again"
    assert preferences(server, fresh_user()) == NOTHING, "each user has its own"
    assert prefer(server, user, MUTED)["quiet_hours"] is None
    assert set(preferences(server, user)["types"]) == {"noise"}
    assert prefer(server, user, {}) == NOTHING
    assert preferences(server, user) == NOTHING


@pytest.mark.parametrize(
    "body, status, named",
    [
        (b"{", 400, ""),
        (b"", 400, ""),
        (b"[]", 422, "body"),
        (b'{"types":{"comment":{"muted":"yes"}}}', 422, "types.comment.muted: must be true or fal"),
        (b'{"types":{},"types":{}}', 422, "types: given twice"),
        (b'{"types":{"a b":{}}}', 422, "types"),
        (b'{"quiet_hours":{"start":"22:00","end":"25:00"}}', 422, "quiet_hours.end"),
        (b'{"quiet_hours":{"start":"22:00","end":"22:00"}}', 422, "quiet_hours"),
        (b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, ""),
        (b'{"x":"' + b"x" * (1 << 17) + b'"}', 413, ""),
    ],
)
def test_an_invalid_document_is_refused_and_nothing_changes(
    server, fresh_user, body, status, named
):
    user = fresh_user()
    before = prefer(server, user, MUTED)
    answer = server.request("PUT", PATH, user_token(user), body=body)
    assert answer.status == status, answer
    assert answer.error["message"].startswith(named)
    assert preferences(server, user) == before


def test_only_the_user_sees_and_sets_them(server, fresh_user):
    assert server.request("GET", PATH).status == 401
    assert server.request("PUT", PATH, body={}).status == 401
    assert server.request("DELETE", PATH, user_token(fresh_user())).status == 405


def test_a_muted_notification_is_stored_and_counted_and_rings_nowhere(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    prefer(server, user, MUTED)
    start = server.request("GET", f"{INBOX}/poll", token).data["cursor"]
    with (
        EventClient(server, user) as event,
        FlatClient(server, user) as flat,
        InboxClient(server, user) as inbox,
        StreamClient(server, user) as stream,
    ):
        assert stream.until("unread_count") == {"count": 0}
        muted = server.publish(user, "psst", type="noise", priority="urgent")
        delivered = server.publish(user, "hello", type="info")
        # The counts for the muted one, then the other: nothing else comes between them.
        assert event.expect("stats:updated")["unread"] == 1
        assert event.expect("notification:new")["id"] == delivered["id"]
        assert event.expect("stats:updated")["unread"] == 2
        assert flat.next()["id"] == delivered["id"]
        assert inbox.next() == {"type": "unread_count", "unreadCount": 1}
        assert inbox.next()["notification"]["id"] == delivered["id"]
        assert stream.next() == {"type": "unread_count", "data": {"count": 1}}
        assert stream.next()["data"]["id"] == delivered["id"]
    assert server.inbox(user) == [muted, delivered], "it is in the inbox like the other"
    assert server.request("GET", f"{INBOX}/unread-count", token).data == {"count": 2}
    polled = server.request("GET", f"{INBOX}/poll?since={start}&wait=0", token).data
    assert [row["id"] for row in polled["notifications"]] == [delivered["id"]]
    assert server.metrics().count("carillon_store_silent_total") == 2


def test_a_resuming_client_gets_no_muted_notifications(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    start = server.request("GET", f"{INBOX}/poll", token).data["cursor"]
    prefer(server, user, MUTED)
    server.publish_many(user, [f"n {number}" for number in range(300)], type="noise")
    # Later preferences do not change it: a notification muted when published stays muted.
    prefer(server, user, {})
    delivered = server.publish(user, "hello", type="noise")
    for since in (start, "0"):
        with EventClient(server, user, since=since) as event:
            new = event.expect("notification:new")
            assert new["id"] == delivered["id"]
            assert event.expect("stats:updated")["unread"] == 301
            event.answers()
        with StreamClient(server, user, last_id=start) as stream:
            assert stream.until("notification")["id"] == delivered["id"]
    with FlatClient(server, user, since=new["cursor"]) as flat:
        again = server.publish(user, "again")
        assert flat.next()["id"] == again["id"]


def test_in_quiet_hours_only_an_urgent_one_rings(server, fresh_user):
    user = fresh_user()
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=6)

    def span(start, end):
        return {"quiet_hours": {"start": f"{start:%H:%M}", "end": f"{end:%H:%M}"}}

    with FlatClient(server, user) as flat:
        prefer(server, user, span(now - hour, now + hour))
        server.publish(user, "quiet", priority="high")
        urgent = server.publish(user, "fire", priority="urgent")
        assert flat.next()["id"] == urgent["id"]
        prefer(server, user, span(now + hour, now - hour))
        loud = server.publish(user, "loud")
        assert flat.next()["id"] == loud["id"]
    assert len(server.inbox(user)) == 3


def test_they_survive_a_crash(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    written = prefer(server, user, MUTED)
    server.kill()
    server.start()
    assert preferences(server, user) == written
    with FlatClient(server, user) as flat:
        server.publish(user, "psst", type="noise")
        delivered = server.publish(user, "hello")
        assert flat.next()["id"] == delivered["id"]


def test_one_for_everyone_does_not_ring_where_it_is_muted(make_server, fresh_user):
    # A server of its own: notifications for everyone would reach other tests' inboxes.
    server, user, other = make_server(), fresh_user(), fresh_user("other")
    prefer(server, user, MUTED)
    with (
        EventClient(server, user) as event,
        FlatClient(server, user) as flat,
        TypedClient(server, user) as typed,
        InboxClient(server, user) as inbox,
        StreamClient(server, user) as stream,
        EventClient(server, other) as elsewhere,
    ):
        assert stream.until("unread_count") == {"count": 0}
        muted = publish_for_everyone(server, "psst", type="noise", priority="urgent")
        assert elsewhere.expect("notification:new")["id"] == muted["id"]
        # The count alone, in the dialects that have counts.
        assert event.expect("stats:updated")["unread"] == 1
        assert inbox.next() == {"type": "unread_count", "unreadCount": 1}
        assert stream.next() == {"type": "unread_count", "data": {"count": 1}}
        delivered = publish_for_everyone(server, "hello")
        assert event.expect("notification:new")["id"] == delivered["id"]
        assert event.expect("stats:updated")["unread"] == 2
        assert flat.next()["id"] == delivered["id"]
        assert typed.next()["data"]["title"] == "hello"
        assert inbox.next()["notification"]["id"] == delivered["id"]
        assert stream.next()["data"]["id"] == delivered["id"]
    assert [row["id"] for row in server.inbox(user)] == [muted["id"], delivered["id"]]
    count = server.request("GET", f"{INBOX}/unread-count", user_token(user))
    assert count.data == {"count": 2}


@pytest.mark.parametrize(
    "wishes",
    [
        MUTED,
        {"types": {"noise": {"channels": {"websocket": False}}}},
        {"types": {"*": {"muted": True}, "info": {}}},
    ],
    ids=["muted", "channel off", "all others muted"],
)
def test_a_resuming_client_gets_no_muted_ones_for_everyone(make_server, fresh_user, wishes):
    server, user = make_server(), fresh_user()
    prefer(server, user, wishes)
    start = poll(server, user)["cursor"]
    for number in range(3):
        publish_for_everyone(server, f"psst {number}", type="noise")
    publish_for_everyone(server, "hello")
    publish_for_everyone(server, "psst", type="noise")
    for client, since in (
        (EventClient, {"since": start}),
        (FlatClient, {"since": start}),
        (InboxClient, {"since": start}),
        (TypedClient, {"since": start}),
        (StreamClient, {"last_id": start}),
    ):
        with client(server, user, **since) as tab:
            assert next_titles(tab, 1) == ["hello"], client
            own = server.publish(user, "own")
            assert next_titles(tab, 1) == ["own"], client
            assert server.request("DELETE", f"{INBOX}/{own['id']}", user_token(user)).status < 300
    assert [row["title"] for row in poll(server, user, since=start)["notifications"]] == ["hello"]
    # Later preferences do change it: one for everyone is muted only while its user mutes it.
    prefer(server, user, {})
    rows = poll(server, user, since=start)["notifications"]
    assert [row["title"] for row in rows] == ["psst 0", "psst 1", "psst 2", "hello", "psst"]


def test_a_poll_waits_on_after_a_muted_one_for_everyone(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    prefer(server, user, MUTED)
    start = poll(server, user)["cursor"]
    waiting = Waiting(server, user, start)
    is_waiting(server)
    publish_for_everyone(server, "psst", type="noise")
    delivered = publish_for_everyone(server, "hello")
    assert [row["id"] for row in waiting.result()["notifications"]] == [delivered["id"]]


def test_quiet_hours_mute_one_for_everyone_unless_it_is_urgent(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    now = datetime.datetime.now(datetime.UTC)
    hours = datetime.timedelta(hours=6)
    quiet = {"start": f"{now - hours:%H:%M}", "end": f"{now + hours:%H:%M}"}
    prefer(server, user, {"quiet_hours": quiet})
    with FlatClient(server, user) as flat:
        publish_for_everyone(server, "quiet", priority="high")
        urgent = publish_for_everyone(server, "fire", priority="urgent")
        assert flat.next()["id"] == urgent["id"]
    assert len(server.inbox(user)) == 2
