"""The browser client's store with a server: changes show at once, counts come from the server.

Tests/WebClient/store.test.js and changes.test.js test its logic alone.
"""

import pytest

from harness.browser import BLANK, Tab, assert_no_errors, open_page
from harness.socketio_js import CLIENTS
from harness.tokens import user_token
from harness.waiting import wait_until


@pytest.fixture
def alone(context, server):
    """A page with the module but without a client."""
    page = open_page(context, BLANK, server=server)
    page.evaluate("async () => { window.carillon = await import('/client/carillon.js') }")
    return page


@pytest.fixture
def tab(context, server, fresh_user):
    """A page of a user with three notifications, oldest a, newest c."""
    user = fresh_user()
    for title in "abc":
        server.publish(user, title)
    one = Tab(context, server, user).connected()
    one.until("store.value.loaded && store.value.unreadCount === 3")
    one.evaluate("noteShown()")
    yield one
    assert_no_errors(one.page)


CHANGES = {
    "markAsRead": ("store.markAsRead(id('b'))", "c*ba* 2"),
    "markAllAsRead": ("store.markAllAsRead()", "cba 0"),
    "remove": ("store.remove(id('b'))", "c*a* 2"),
    "clear": ("store.clear()", " 0"),
}
EACH = pytest.mark.parametrize("change", CHANGES)


@EACH
def test_a_change_shows_at_once_and_does_not_flicker(server, context, tab, change):
    code, after = CHANGES[change]
    other = Tab(context, server, tab.user, shared=False).connected()
    other.until("store.value.unreadCount === 3")
    assert tab.evaluate(f"[{code}, shown.at(-1)][1]") == after
    assert tab.evaluate("shown") == ["c*b*a* 3", after]
    # The other page receives the change from the server.
    expected = int(after.split()[-1])
    other.until("(count) => store.value.unreadCount === count", expected)
    tab.until("(count) => details('stats').at(-1).unread === count", expected)
    server.publish(tab.user, "d")
    tab.until("listed()[0] === 'd'")
    assert tab.evaluate("shown") == ["c*b*a* 3", after, f"d*{after[:-1]}{expected + 1}"]
    assert tab.details("error") == []


def test_the_count_comes_from_the_server_beyond_the_list(server, context, fresh_user):
    user = fresh_user()
    server.publish_many(user, [f"n {number}" for number in range(80)])
    tab = Tab(context, server, user).connected()
    tab.until("store.value.unreadCount === 80 && listed().length === 50")
    # An unlisted notification is read and a listed one deleted: the next one moves into the list.
    inbox = server.inbox(user)
    token = user_token(user)
    server.request("PUT", f"/api/v1/notifications/{inbox[0]['id']}/read", token)
    tab.until("store.value.unreadCount === 79")
    server.request("DELETE", f"/api/v1/notifications/{inbox[-1]['id']}", token)
    tab.until("store.value.unreadCount === 78 && listed().length === 50 && listed()[0] === 'n 78'")
    tab.until("listed().at(-1) === 'n 29'")
    assert tab.evaluate("store.markAllAsRead()") is True
    tab.until("store.value.unreadCount === 0")
    wait_until("all are read", lambda: all(each["is_read"] for each in server.inbox(user)))
    assert tab.evaluate("store.clear()") is True
    assert tab.listed == [] and server.inbox(user) == []


def test_page_local_notifications_stay_beside_the_server_s(server, tab):
    tab.evaluate("void store.add({ id: 'mine', title: 'mine' })")
    assert tab.evaluate("shown.at(-1)") == "mine*c*b*a* 4"
    server.publish(tab.user, "d")
    tab.until("shown.at(-1) === 'd*mine*c*b*a* 5'")
    # The list is loaded again.
    path = f"/api/v1/notifications/{tab.evaluate('''id('c')''')}"
    server.request("PUT", f"{path}/read", user_token(tab.user))
    server.request("PUT", f"{path}/unread", user_token(tab.user))
    tab.until("shown.includes('d*mine*cb*a* 4') && shown.at(-1) === 'd*mine*c*b*a* 5'")
    assert tab.evaluate("store.markAsRead('mine')") is True
    assert tab.evaluate("shown.at(-1)") == "d*minec*b*a* 4"
    server.request("DELETE", "/api/v1/notifications", user_token(tab.user))
    tab.until("shown.at(-1) === 'mine 0'")
    assert tab.evaluate("store.clear()") is True
    assert tab.evaluate("shown.at(-1)") == " 0"


def test_a_list_of_the_whole_inbox_by_pages(server, context, fresh_user):
    user = fresh_user()
    for number in range(5):
        server.publish(user, f"n {number}", type="even" if number % 2 == 0 else "odd")
    tab = Tab(context, server, user).connected()
    pages, before = [], None
    while True:
        page = tab.evaluate("(query) => client.list(query)", {"limit": 2, "before": before})
        pages.append([each["title"] for each in page["notifications"]])
        assert (page["unread"], page["total"]) == (5, 5)
        before = page.get("next")
        if before is None:
            break
    assert [each for page in pages for each in page] == [f"n {n}" for n in (4, 3, 2, 1, 0)]
    assert len(tab.evaluate("client.list({type: 'even', unread: true})")["notifications"]) == 3
    error = tab.evaluate("client.list({limit: 'x'}).catch((e) => [e.name, e.status, e.code])")
    assert error[:2] == ["CarillonError", 422]


# tradepulse's client.


def test_tradepulse_s_log_in_and_log_out(server, alone, fresh_user):
    user = fresh_user()
    server.publish(user, "before")
    alone.evaluate("(token) => carillon.wsClient.connect(token)", user_token(user))
    ready = "carillon.wsClient.isConnected() && carillon.notificationStore.value.unreadCount === 1"
    alone.wait_for_function(ready)
    assert alone.evaluate("carillon.notificationStore.value.connected") is True
    server.publish(user, "live")
    alone.wait_for_function("carillon.notificationStore.value.notifications[0]?.title === 'live'")
    # The document's logout code: it clears only the page.
    alone.evaluate("carillon.wsClient.disconnect(); void carillon.notificationStore.clear()")
    value = alone.evaluate("carillon.notificationStore.value")
    assert value == {
        "notifications": [],
        "unreadCount": 0,
        "connected": False,
        "state": "disconnected",
        "loaded": False,
        "clearing": False,
    }
    assert alone.evaluate("carillon.wsClient.isConnected()") is False
    alone.evaluate("(token) => carillon.wsClient.connect(token)", user_token(user))
    listed = "carillon.notificationStore.value.notifications.map((n) => n.title).join()"
    alone.wait_for_function(f"{listed} === 'live,before'")
    assert [each["is_read"] for each in server.inbox(user)] == [False, False]
    assert_no_errors(alone)


def test_two_copies_of_the_module_share_one_default_client(server, alone, fresh_user):
    alone.add_script_tag(path=CLIENTS / "twice_page.js")
    token = user_token(fresh_user())
    shared = alone.evaluate("(token) => sharesPage(token)", token)
    assert shared == [True, True, True, 7]
    alone.wait_for_function("carillon.wsClient.isConnected()")
