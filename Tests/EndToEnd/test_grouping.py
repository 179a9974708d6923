"""Groups: notifications that share a group key collapse in the inbox."""

import pytest

from harness.clients import EventClient, InboxClient
from harness.tokens import user_token

INBOX = "/api/v1/notifications"


def page(server, user, query=""):
    answer = server.request("GET", f"{INBOX}?{query}", user_token(user))
    assert answer.status == 200, answer
    return answer.data


def shown(server, user, query=""):
    """The page as pairs of a title and the number of notifications it stands for."""
    rows = page(server, user, query)["notifications"]
    return [(row["title"], row.get("group_count")) for row in rows]


def fill(server, user):
    rows = [("a1", "a"), ("x", None), ("b1", "b"), ("a2", "a"), ("y", None), ("a3", "a")]
    return {
        title: server.publish(user, title, **({"group_key": group} if group else {}))
        for title, group in rows
    }


def test_the_inbox_shows_the_newest_of_each_group(server, fresh_user):
    user = fresh_user()
    fill(server, user)
    assert shown(server, user) == [("a3", 3), ("y", None), ("b1", 1), ("x", None)]
    assert "group_count" not in page(server, user)["notifications"][1]
    everything = page(server, user, "collapse=false")
    titles = [row["title"] for row in everything["notifications"]]
    assert titles == ["a3", "y", "a2", "b1", "x", "a1"]
    assert not any("group_count" in row for row in everything["notifications"])
    assert shown(server, user, "group_key=a") == [("a3", None), ("a2", None), ("a1", None)]
    assert shown(server, user, "group_key=none") == []
    # The counts are of notifications, not of groups.
    assert page(server, user)["total"] == page(server, user)["unread"] == 6


def test_the_filter_comes_before_the_group(server, fresh_user):
    user = fresh_user()
    stored = fill(server, user)
    token = user_token(user)
    assert server.request("PUT", f"{INBOX}/{stored['a3']['id']}/read", token).status == 200
    assert shown(server, user, "unread=true")[1:] == [("a2", 2), ("b1", 1), ("x", None)]


def test_pages_of_a_collapsed_inbox_join_without_loss_or_repetition(server, fresh_user):
    user = fresh_user()
    for number in range(60):
        group = {"group_key": f"g{number % 7}"} if number % 3 else {}
        server.publish(user, f"n {number}", **group)
    whole = shown(server, user, "limit=200")
    assert len(whole) == 20 + 7
    for limit in (1, 4, 26, 27):
        gathered, before = [], ""
        while True:
            part = page(server, user, f"limit={limit}{before}")
            gathered += [(row["title"], row.get("group_count")) for row in part["notifications"]]
            if "next" not in part:
                break
            before = f"&before={part['next']}"
        assert gathered == whole


def test_a_change_may_apply_to_the_whole_group(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    stored = fill(server, user)
    with EventClient(server, user) as event:
        path = f"{INBOX}/{stored['a3']['id']}"
        answer = server.request("PUT", f"{path}/read?group=true", token)
        assert answer.data["updated"] == 3 and answer.data["unread"] == 3
        ids = [event.expect("notification:read")["id"] for _ in range(3)]
        assert set(ids) == {stored[title]["id"] for title in ("a1", "a2", "a3")}
        assert event.expect("stats:updated")["unread"] == 3
        assert server.request("PUT", f"{path}/unread?group=true", token).data["unread"] == 6
        assert event.expect("stats:updated")["unread"] == 6
        assert server.request("PUT", f"{path}/read", token).data["unread"] == 5
        assert server.request("DELETE", f"{path}?group=true", token).data["updated"] == 3
    assert [row["title"] for row in server.inbox(user)] == ["x", "b1", "y"]
    assert server.request("DELETE", f"{path}?group=true", token).status == 404


@pytest.mark.parametrize("method, suffix", [("PUT", "/read"), ("PUT", "/unread"), ("DELETE", "")])
def test_the_group_of_another_user_is_not_found_and_not_changed(server, fresh_user, method, suffix):
    owner, thief = fresh_user("owner"), fresh_user("thief")
    stored = server.publish(owner, "mine", group_key="shared")
    own = server.publish(thief, "theirs", group_key="shared")
    path = f"{INBOX}/{stored['id']}{suffix}?group=true"
    assert server.request(method, path, user_token(thief)).status == 404
    assert server.inbox(owner) == [stored] and server.inbox(thief) == [own]
    answer = server.request(method, path, user_token(owner))
    assert answer.status == 200 and answer.data["updated"] == 1
    assert server.inbox(thief) == [own], "a key applies to one inbox only"


@pytest.mark.parametrize("query", ["collapse=x", "group_key=", "group_key=" + "x" * 257])
def test_an_invalid_query_is_refused(server, fresh_user, query):
    assert server.request("GET", f"{INBOX}?{query}", user_token(fresh_user())).status == 422


def test_a_fetch_over_the_websocket_returns_groups(server, fresh_user):
    user = fresh_user()
    fill(server, user)
    with InboxClient(server, user) as inbox:
        inbox.send({"type": "fetch_notifications"})
        rows = inbox.next()["notifications"]
        assert [(row["title"], row.get("groupCount")) for row in rows] == [
            ("a3", 3),
            ("y", None),
            ("b1", 1),
            ("x", None),
        ]
