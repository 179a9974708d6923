"""The inbox over REST: pages, counts, and the changes a user may make."""

import uuid

import pytest

from harness.tokens import user_token

INBOX = "/api/v1/notifications"


def counts(server, user):
    return server.request("GET", f"{INBOX}/stats", user_token(user)).data


def test_pages_are_newest_first_and_next_leads_to_the_end(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    titles = [f"n {number}" for number in range(125)]
    server.publish_many(user, titles)
    gathered, path, sizes = [], INBOX, []
    while True:
        page = server.request("GET", path, token).data
        assert page["total"] == page["unread"] == 125
        gathered += [stored["title"] for stored in page["notifications"]]
        sizes.append(len(page["notifications"]))
        if "next" not in page:
            break
        path = f"{INBOX}?before={page['next']}"
    assert sizes == [50, 50, 25], "fifty by default; no next on the last page"
    assert gathered == titles[::-1]


def test_a_page_that_ends_exactly_is_the_last(server, fresh_user):
    user = fresh_user()
    server.publish_many(user, ["a", "b", "c", "d"])
    page = server.request("GET", f"{INBOX}?limit=4", user_token(user)).data
    assert len(page["notifications"]) == 4 and "next" not in page


def test_paging_is_not_disturbed_by_arrivals(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    server.publish_many(user, ["1", "2", "3", "4"])
    first = server.request("GET", f"{INBOX}?limit=2", token).data
    server.publish(user, "5")
    second = server.request("GET", f"{INBOX}?limit=2&before={first['next']}", token).data
    shown = [stored["title"] for stored in first["notifications"] + second["notifications"]]
    assert shown == ["4", "3", "2", "1"]


def test_the_inbox_is_filtered_by_unread_and_by_type(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    read = server.publish(user, "read", type="csv.import")
    server.publish(user, "unread", type="csv.import")
    server.publish(user, "else", type="info")
    server.request("PUT", f"{INBOX}/{read['id']}/read", token)

    def titles(query):
        page = server.request("GET", f"{INBOX}?{query}", token).data
        return [stored["title"] for stored in page["notifications"]]

    assert titles("unread=true") == ["else", "unread"]
    assert titles("type=csv.import") == ["unread", "read"]
    assert titles("type=csv.import&unread=true") == ["unread"]
    assert titles("type=nothing") == []


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit=201", "unread=maybe"])
def test_an_invalid_query_is_refused(server, fresh_user, query):
    answer = server.request("GET", f"{INBOX}?{query}", user_token(fresh_user()))
    assert answer.status in (400, 422), answer
    assert answer.error["message"]


def test_reading_and_unreading_changes_the_counts(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    one = server.publish(user, "one", priority="urgent")
    server.publish(user, "two", priority="low")
    assert counts(server, user) == {
        "total": 2,
        "unread": 2,
        "unseen": 2,
        "by_priority": {"low": 1, "normal": 0, "high": 0, "urgent": 1},
    }
    for _ in range(2):  # Reading twice has no further effect.
        assert server.request("PUT", f"{INBOX}/{one['id']}/read", token).status == 200
        assert counts(server, user)["unread"] == 1
    assert counts(server, user)["by_priority"]["urgent"] == 0
    assert server.request("PUT", f"{INBOX}/{one['id']}/unread", token).status == 200
    assert counts(server, user)["unread"] == 2
    assert server.inbox(user)[0]["read_at"] is None
    assert server.request("GET", f"{INBOX}/unread-count", token).data == {"count": 2}


def test_several_are_read_at_once(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    ids = [server.publish(user, str(number))["id"] for number in range(5)]
    answer = server.request("POST", f"{INBOX}/read", token, body={"ids": ids[:3]})
    assert answer.status == 200, answer
    assert [stored["is_read"] for stored in server.inbox(user)] == [True] * 3 + [False] * 2
    assert server.request("PUT", f"{INBOX}/read-all", token).status == 200
    assert counts(server, user)["unread"] == 0


def test_seeing_is_not_reading(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    server.publish_many(user, ["a", "b"])
    assert server.request("PUT", f"{INBOX}/seen", token).status == 200
    assert (counts(server, user)["unseen"], counts(server, user)["unread"]) == (0, 2)
    assert all(stored["seen_at"] for stored in server.inbox(user))


def test_deleting_one_and_deleting_all(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    ids = [server.publish(user, str(number))["id"] for number in range(3)]
    assert server.request("DELETE", f"{INBOX}/{ids[1]}", token).status == 200
    assert [stored["id"] for stored in server.inbox(user)] == [ids[0], ids[2]]
    assert counts(server, user)["total"] == 2
    assert server.request("DELETE", INBOX, token).status == 200
    assert server.inbox(user) == [] and counts(server, user)["total"] == 0


@pytest.mark.parametrize("method, suffix", [("PUT", "/read"), ("PUT", "/unread"), ("DELETE", "")])
def test_another_users_row_is_not_found_and_not_changed(server, fresh_user, method, suffix):
    owner, thief = fresh_user("owner"), fresh_user("thief")
    stored = server.publish(owner, "mine")
    path = f"{INBOX}/{stored['id']}{suffix}"
    assert server.request(method, path, user_token(thief)).status == 404
    assert server.inbox(owner) == [stored]
    unknown = f"{INBOX}/{uuid.uuid4()}{suffix}"
    assert server.request(method, unknown, user_token(owner)).status == 404


def test_bulk_reading_another_users_changes_nothing(server, fresh_user):
    owner, thief = fresh_user("owner"), fresh_user("thief")
    stored = server.publish(owner, "mine")
    server.request("POST", f"{INBOX}/read", user_token(thief), body={"ids": [stored["id"]]})
    assert server.inbox(owner) == [stored]


def test_an_invalid_id_is_refused(server, fresh_user):
    for wrong in ("x", "0", "%00", "..%2f..", "a" * 36, "%f0%9f%94%94"):
        answer = server.request("PUT", f"{INBOX}/{wrong}/read", user_token(fresh_user()))
        assert answer.status in (400, 404), (wrong, answer)
