"""inbox-watch's bell against the server: the tests of its document, and its reconnecting.

`test_inbox_watch.py` tests the messages one by one.
"""

import pytest

from harness.bell import Bell
from harness.proxy import BackgroundProxy
from harness.tokens import user_token
from harness.waiting import wait_until

INBOX = "/api/v1/notifications"


@pytest.fixture
def ringing(server, fresh_user):
    """A connected bell with a proxy between it and the server."""
    user = fresh_user()
    with (
        BackgroundProxy(server) as proxy,
        Bell(proxy.websocket_url, user_token(user)) as bell,
    ):
        wait_until("the green dot", lambda: bell.is_connected)
        yield user, bell, proxy
        assert bell.others == [], "its document has no other message"


def test_the_documents_own_test(server, ringing):
    """Four notifications, each published once the bell shows the one before: no delay builds up."""
    user, bell, _ = ringing
    assert bell.unread_count == 0
    for number in range(1, 5):
        server.publish(user, f"n {number}")
        wait_until("it appears", lambda: bell.unread_count == number)
    assert [each["title"] for each in bell.shown] == ["n 4", "n 3", "n 2", "n 1"]
    assert bell.greetings == 1


def test_a_change_elsewhere_moves_the_badge(server, ringing):
    user, bell, _ = ringing
    token = user_token(user)
    ids = [server.publish(user, f"n {number}")["id"] for number in range(3)]
    wait_until("three", lambda: bell.unread_count == 3)
    server.request("PUT", f"{INBOX}/{ids[0]}/read", token)
    wait_until("two", lambda: bell.unread_count == 2)
    server.request("DELETE", f"{INBOX}/{ids[1]}", token)
    wait_until("one", lambda: bell.unread_count == 1)
    bell.fetch()
    wait_until("the list", lambda: [each["id"] for each in bell.shown] == [ids[2], ids[0]])
    assert [each["isRead"] for each in bell.shown] == [False, True]
    server.request("PUT", f"{INBOX}/read-all", token)
    wait_until("none", lambda: bell.unread_count == 0)


def test_it_rings_again_after_each_cut(server, ringing):
    user, bell, proxy = ringing
    for number in range(1, 5):
        proxy.cut()
        wait_until("the dot is back", lambda: bell.greetings == number + 1 and bell.is_connected)
        assert bell.unread_count == number - 1, "the greeting has the unread count"
        server.publish(user, f"n {number}")
        wait_until("it appears", lambda: bell.unread_count == number)


def test_missed_notifications_are_in_the_greeting_and_the_list(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    with BackgroundProxy(server) as proxy, Bell(proxy.websocket_url, user_token(user)) as bell:
        wait_until("the green dot", lambda: bell.is_connected)
        server.publish(user, "before")
        wait_until("it appears", lambda: bell.unread_count == 1)
        server.stop()
        wait_until("Reconnecting…", lambda: not bell.is_connected)
        assert bell.close_codes == [1001]
        server.start()
        server.publish(user, "meanwhile")
        wait_until("the badge", lambda: bell.is_connected and bell.unread_count == 2)
        bell.fetch()
        wait_until(
            "the list", lambda: [each["title"] for each in bell.shown] == ["meanwhile", "before"]
        )


def test_two_bells_of_a_user_show_the_same(server, fresh_user):
    user = fresh_user()
    with (
        Bell(server.websocket_url, user_token(user)) as one,
        Bell(server.websocket_url, user_token(user)) as two,
    ):
        wait_until("both", lambda: one.is_connected and two.is_connected)
        server.publish_many(user, [f"n {number}" for number in range(20)])
        wait_until("twenty", lambda: one.unread_count == two.unread_count == 20)
        assert one.shown == two.shown and len(one.shown) == 20
