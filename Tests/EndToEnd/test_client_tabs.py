"""One connection for a browser, however many of its tabs are open."""

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


def test_the_closing_of_the_leader_loses_nothing(own, make_context, fresh_user):
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
        wait_until("another one leads", lambda: len(leaders(tabs)) == 1)
    publish(1)
    for tab in tabs:
        tab.until("(last) => titles().includes(last)", expected[-1])
        assert tab.titles == expected
        tab.until("(count) => store.value.unreadCount === count", len(expected))
        assert tab.listed == expected[:-51:-1]
        assert_no_errors(tab.page)
    wait_until("one connection", lambda: connection_count(own) == 1)


def test_a_tab_that_leaves_lets_the_others_go_on(own, make_context, fresh_user):
    context, user = make_context(own), fresh_user()
    first, second = open_tabs(context, own, user, 2)
    assert leaders([first, second]) == [first]
    first.evaluate("client.disconnect()")
    second.until("client.isLeader && client.state === 'connected'")
    own.publish(user, "for one")
    second.until("titles().length > 0")
    assert first.evaluate("[client.state, titles()]") == ["disconnected", []]
    assert connection_count(own) == 1
    first.evaluate("client.connect()")
    first.until("client.state === 'connected' && store.value.unreadCount === 1")
    assert not first.evaluate("client.isLeader")
    assert connection_count(own) == 1


def test_what_one_tab_does_shows_in_all_before_the_server_has_said(own, make_context, fresh_user):
    context, user = make_context(own), fresh_user()
    for title in "abc":
        own.publish(user, title)
    tabs = open_tabs(context, own, user, 3)
    for tab in tabs:
        tab.until("store.value.unreadCount === 3")
    held = []
    tabs[1].page.route("**/read", lambda route: held.append(route))
    tabs[1].evaluate("void store.markAsRead(store.value.notifications[0].id)")
    for tab in tabs:
        tab.until("store.value.unreadCount === 2 && store.value.notifications[0].is_read")
    # A page that comes while it is under way is told of it too.
    (late,) = open_tabs(context, own, user, 1)
    late.until("store.value.unreadCount === 2")
    wait_until("it is held", lambda: held or tabs[1].evaluate("0"))
    held[0].fulfill(status=503, json={"success": False, "error": {"code": "no", "message": "no"}})
    for tab in [*tabs, late]:
        tab.until("store.value.unreadCount === 3 && !store.value.notifications[0].is_read")
    assert [each["code"] for each in tabs[1].told("error")] == ["no"]
    assert tabs[0].told("error") == []
    # What is added by a page alone is in all of them too.
    late.evaluate("void store.add({title: 'own'})")
    for tab in [*tabs, late]:
        tab.until("store.value.unreadCount === 4 && listed()[0] === 'own'")
    tabs[0].evaluate("void store.clear()")
    for tab in [*tabs, late]:
        tab.until("store.value.unreadCount === 0 && listed().length === 0")
    wait_until("the inbox is empty", lambda: own.inbox(user) == [])


def test_who_does_not_share(own, make_context, fresh_user):
    context, user = make_context(own), fresh_user()
    tabs = [
        Tab(context, own, user).connected(),
        Tab(context, own, fresh_user()).connected(),
        Tab(context, own, user, shared=False).connected(),
        # Without what it takes, each tab is alone.
        Tab(context, own, user, locks=None).connected(),
        Tab(context, own, user, BroadcastChannel=None).connected(),
        # A client of another server.
        Tab(context, own, user, url=own.url.replace("127.0.0.1", "localhost")).connected(),
    ]
    assert leaders(tabs) == tabs
    assert connection_count(own) == len(tabs)


def test_each_tab_hears_its_own_rooms_through_one_connection(own, make_context, fresh_user):
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

    wait_until("it is in all rooms", lambda: rooms() == ["a", "b", "c"])
    for room in "abc":
        say(room)
    for tab, room in ((first, "a"), (second, "b"), (third, "c")):
        heard = "told('message').filter(({event}) => event === 'room:message')"
        tab.until(f"{heard}.length > 0")
        assert tab.evaluate(f"{heard}.map(({{data}}) => data.room)") == [room]
    # A tab's rooms are left with it, even if it leads.
    third.evaluate("client.leave('c')")
    wait_until("one is left", lambda: rooms() == ["a", "b"])
    second.page.close()
    wait_until("only its own is left", lambda: rooms() == ["a"])
    assert first.states.count("disconnected") == 0


def test_messages_of_others_in_the_channel_do_no_harm(own, make_context, fresh_user):
    context, user = make_context(own), fresh_user()
    first, second = open_tabs(context, own, user, 2)
    first.evaluate(
        """() => {
          // The next version's, and what no version says.
          const next = new BroadcastChannel(`carillon/2 ${client.url} ${client.user}`);
          next.postMessage({ kind: 'state', state: 'error', from: 'x' });
          const same = new BroadcastChannel(`carillon/1 ${client.url} ${client.user}`);
          const junk = [null, 1, 'text', [], {}, { kind: 'state', state: 'error' }];
          for (const each of [...junk, { kind: 'nothing', from: 'x' }]) same.postMessage(each);
        }"""
    )
    own.publish(user, "after")
    for tab in (first, second):
        tab.until("titles().length > 0")
        assert tab.states == ["connecting", "connected"]
        assert_no_errors(tab.page)


def test_a_fresh_token_of_one_tab_serves_all(make_server, make_context, fresh_user):
    server = make_server(environment={"JWT_LEEWAY": "0"})
    context, user = make_context(server), fresh_user()
    old = user_token(user, ttl=4)
    leader, follower = (Tab(context, server, user, token=old).connected() for _ in range(2))
    follower.evaluate("(token) => client.setToken(token)", user_token(user))
    leader.until("told('frame').some(({text}) => text.includes('auth'))")

    def is_over():
        return server.request("GET", "/api/v1/notifications/unread-count", old).status == 401

    wait_until("the first token has ended", is_over, within=10)
    server.publish(user, "after that")
    for tab in (leader, follower):
        tab.until("titles().length > 0")
        assert tab.states == ["connecting", "connected"]


def test_a_leader_whose_token_ends_lets_another_lead(make_server, make_context, fresh_user):
    server = make_server(environment={"JWT_LEEWAY": "0"})
    context, user = make_context(server), fresh_user()
    first = Tab(context, server, user, token=user_token(user, ttl=3)).connected()
    second = Tab(context, server, user).connected()
    assert leaders([first, second]) == [first]
    second.until("client.isLeader && client.state === 'connected'")
    server.publish(user, "for both")
    for tab in (first, second):
        tab.until("titles().length === 1 && client.state === 'connected'")
    assert first.told("state") == ["connecting", "connected", "error", "connecting", "connected"]
    assert connection_count(server) == 1
