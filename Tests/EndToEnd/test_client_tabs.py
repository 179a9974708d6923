"""One connection for all tabs of a browser, with real locks and channels.

Tests/WebClient/tabs.test.js has the cases that need no real browser.
"""

import pytest

from harness.browser import Tab, assert_no_errors
from harness.server import API_KEY
from harness.shards import own_connections
from harness.tokens import user_token
from harness.waiting import wait_until

STATS = "/api/v1/websocket/connections/stats"


def connection_count(server):
    return server.request("GET", STATS, user_token("anyone")).data["total_connections"]


@pytest.fixture
def own(make_server):
    return make_server()


def open_tabs(context, server, user, count=5, **options):
    return [Tab(context, server, user, **options).connected() for _ in range(count)]


def leaders(tabs):
    return [tab for tab in tabs if tab.evaluate("client.isLeader")]


def test_five_tabs_hold_one_connection(own, make_context, fresh_user):
    context, user = make_context(own), fresh_user()
    tabs = open_tabs(context, own, user)
    assert connection_count(own) == 1
    assert len(leaders(tabs)) == 1
    own.publish(user, "for all")
    for tab in tabs:
        tab.until("titles().length > 0 && store.value.unreadCount === 1")
        assert tab.titles == ["for all"]
        assert tab.states == ["connecting", "connected"]
        assert_no_errors(tab.page)
    assert connection_count(own) == 1


def test_the_server_decides_whose_tabs_share_a_connection(make_server, make_context, fresh_user):
    own = make_server(environment={"JWT_USER_CLAIM": "uid"})
    context, users = make_context(own), [fresh_user("ann"), fresh_user("bob")]
    # The tokens of both users have the same subject.
    ann, other, bob = (
        Tab(context, own, token=user_token("tenant", uid=user, session=number)).connected()
        for number, user in enumerate([users[0], users[0], users[1]])
    )
    assert connection_count(own) == 2
    assert [tab.evaluate("client.user") for tab in (ann, other, bob)] == [users[0], *users]
    own.publish(users[0], "for ann")
    for tab in (ann, other):
        tab.until("titles().length > 0")
    own.publish(users[1], "for bob")
    bob.until("titles().length > 0")
    assert [tab.titles for tab in (ann, other, bob)] == [["for ann"], ["for ann"], ["for bob"]]
    assert bob.listed == ["for bob"]


def test_closing_the_leader_loses_nothing(own, make_context, fresh_user):
    context, user = make_context(own), fresh_user()
    tabs = open_tabs(context, own, user)
    expected = []

    def publish(count):
        for _ in range(count):
            expected.append(f"n {len(expected)}")
            own.publish(user, expected[-1])

    for _ in range(3):
        publish(10)
        (leader,) = leaders(tabs)
        tabs.remove(leader)
        leader.page.close()
        publish(10)
        wait_until("another tab leads", lambda: len(leaders(tabs)) == 1)
    publish(1)
    for tab in tabs:
        tab.until("(last) => titles().includes(last)", expected[-1])
        assert tab.titles == expected
        tab.until("(count) => store.value.unreadCount === count", len(expected))
        tab.until("(titles) => listed().join() === titles", ",".join(expected[:-51:-1]))
        assert_no_errors(tab.page)
    wait_until("one connection", lambda: connection_count(own) == 1)


# A script that does not return to the page's event loop while the user has one unread notification.
BLOCK = """(token) => void setTimeout(() => {
  const count = () => {
    const request = new XMLHttpRequest()
    request.open('GET', '/api/v1/notifications/unread-count', false)
    request.setRequestHeader('Authorization', `Bearer ${token}`)
    request.send()
    return JSON.parse(request.responseText).data.count
  }
  while (count() < 2) for (const end = performance.now() + 50; performance.now() < end;);
})"""


def test_a_blocked_leader_is_replaced_within_seconds(own, make_context, fresh_user):
    context, user = make_context(own), fresh_user()
    tabs = open_tabs(context, own, user, 3)
    (leader,) = leaders(tabs)
    others = [tab for tab in tabs if tab is not leader]
    leader.evaluate(BLOCK, user_token(user))
    own.publish(user, "while blocked")
    for tab in others:
        tab.until("titles().length === 1 && client.state === 'connected'")
    assert len(leaders(others)) == 1
    # The second notification ends the script.
    own.publish(user, "after that")
    for tab in tabs:
        tab.until("titles().length === 2 && store.value.unreadCount === 2")
        assert tab.titles == ["while blocked", "after that"]
        tab.until("listed().join() === 'after that,while blocked'")
        assert_no_errors(tab.page)
    wait_until("one leader", lambda: len(leaders(tabs)) == 1)
    wait_until("one connection", lambda: connection_count(own) == 1)


def test_the_other_tabs_continue_when_the_leader_pauses(own, make_context, fresh_user):
    context, user = make_context(own), fresh_user()
    first, second = open_tabs(context, own, user, 2)
    assert leaders([first, second]) == [first]
    first.evaluate("client.pause()")
    second.until("client.isLeader && client.state === 'connected'")
    own.publish(user, "for one")
    second.until("titles().length > 0")
    assert first.evaluate("[client.state, titles()]") == ["disconnected", []]
    wait_until("one connection", lambda: connection_count(own) == 1)
    first.evaluate("client.connect()")
    first.until("client.state === 'connected' && store.value.unreadCount === 1")
    assert not first.evaluate("client.isLeader")
    assert connection_count(own) == 1


def test_each_tab_receives_its_own_rooms_over_one_connection(own, make_context, fresh_user):
    context, user = make_context(own), fresh_user()
    first, second, third = (
        Tab(context, own, user, rooms=rooms).connected() for rooms in (["a"], ["b"], [])
    )
    third.evaluate("client.join('c')")

    def rooms():
        found = own_connections(own, user)
        return sorted(found[0]["rooms"]) if len(found) == 1 else None

    def say(room):
        body = {"room": room, "notification_type": "chat", "title": room, "message": "m"}
        path = "/api/v1/websocket/send/room"
        answer = own.request("POST", path, body={**body, "payload": {}}, key=API_KEY)
        assert answer.status == 200, answer

    wait_until("the connection is in all rooms", lambda: rooms() == ["a", "b", "c"])
    for room in "abc":
        say(room)
    for tab, room in ((first, "a"), (second, "b"), (third, "c")):
        messages = "details('message').filter(({event}) => event === 'room:message')"
        tab.until(f"{messages}.length > 0")
        assert tab.evaluate(f"{messages}.map(({{data}}) => data.room)") == [room]
    # The connection leaves a room with the last tab in it, and stays open.
    third.evaluate("client.leave('c')")
    wait_until("two rooms are left", lambda: rooms() == ["a", "b"])
    second.page.close()
    wait_until("only the first tab's room is left", lambda: rooms() == ["a"])
    assert first.states.count("disconnected") == 0
