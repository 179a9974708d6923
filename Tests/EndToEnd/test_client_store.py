"""The browser client's store: Svelte's contract, and changes that show before they are granted."""

import re

import pytest

from harness.browser import BLANK, Tab, assert_no_errors, open_page
from harness.tokens import user_token
from harness.waiting import wait_until


@pytest.fixture
def alone(context, server):
    """A page with the module and no client."""
    page = open_page(context, BLANK, server=server)
    page.evaluate("async () => { window.carillon = await import('/client/carillon.js') }")
    return page


# https://svelte.dev/docs/svelte/stores#store-contract


def test_svelte_s_store_contract(alone):
    """What Svelte's documentation asks of a store, point by point."""
    assert alone.evaluate(
        """() => {
          const store = new carillon.NotificationStore();
          const got = [];
          const check = (condition, what) => { if (!condition) throw new Error(what) };

          // 1. It has `subscribe`, which takes a function and calls it at once with the value.
          check(typeof store.subscribe === 'function', 'subscribe');
          const stop = store.subscribe((value) => got.push(value));
          check(got.length === 1, 'called at once, before `subscribe` returns');
          check(got[0] === store.value && got[0].unreadCount === 0, 'with the current value');

          // 2. All of its subscribers are called with each change, synchronously.
          const others = [[], []];
          const stops = others.map((each) => store.subscribe((value) => each.push(value)));
          store.add({ id: 'a', title: 'A' });
          check(got.length === 2 && got[1].unreadCount === 1, 'called with the change');
          for (const each of others) check(each.at(-1) === got[1], 'all are, with the same value');

          // 3. `subscribe` returns a function that ends it, and it alone.
          check(typeof stop === 'function', 'unsubscribe');
          check(stop() === undefined, 'it returns nothing');
          store.add({ id: 'b' });
          check(got.length === 2, 'not called after');
          check(others[0].length === 3, 'the others are');
          stop();
          stops[0]();

          // The same function twice is two subscriptions.
          let calls = 0;
          const run = () => void calls++;
          const [first, second] = [store.subscribe(run), store.subscribe(run)];
          first();
          store.add({ id: 'c' });
          check(calls === 3, `each is called by itself: ${calls}`);
          second();

          // A subscriber may leave, and another come, in the middle of a call.
          const log = [];
          const leave = store.subscribe((value) => {
            log.push(value.notifications.length);
            if (log.length === 2) { leave(); store.subscribe(() => log.push('new')); }
          });
          store.add({ id: 'd' });
          store.add({ id: 'e' });
          check(log.join() === '3,4,new,new', log.join());

          // What `svelte/store`'s `get` does.
          let value;
          store.subscribe((each) => (value = each))();
          check(value === store.value, 'get');
          // No `set`: Svelte would let a component assign to it.
          check(!('set' in store) && !('update' in store), 'it cannot be assigned to');
          return true;
        }"""
    )
    assert_no_errors(alone)


def test_values_are_snapshots_that_nothing_changes(alone):
    assert alone.evaluate(
        """() => {
          const store = new carillon.NotificationStore();
          store.add({ id: 'a' });
          const { notifications } = store.value;
          store.markAsRead('a');
          const frozen = [store.value, notifications, notifications[0]].every(Object.isFrozen);
          return [frozen, notifications[0].is_read, store.value.notifications[0].is_read];
        }"""
    ) == [True, False, True]


def test_a_subscriber_that_throws_keeps_nothing_from_the_others(alone):
    assert alone.evaluate(
        """() => {
          const store = new carillon.NotificationStore();
          let isReady = false;
          let count = 0;
          store.subscribe(() => { if (isReady) throw new Error('mine'); });
          store.subscribe(() => count++);
          isReady = true;
          store.add({});
          return [count, store.value.unreadCount];
        }"""
    ) == [2, 1]
    # The page hears of it, as of any error.
    assert "mine" in str(alone.uncaught)


def test_tradepulse_s_store_and_its_methods_without_a_server(alone):
    assert alone.evaluate(
        """async () => {
          const { notificationStore: store } = carillon;
          const seen = [];
          store.subscribe(({ notifications, unreadCount, connected }) =>
            seen.push([notifications.map((n) => n.title).join(), unreadCount, connected]));
          const flat = (id, second) => ({
            id, type: 'trade.created', user_id: 'u', title: id.toUpperCase(), message: 'm',
            data: { pnl: 125.5 }, timestamp: `2024-01-20T15:30:0${second}Z`,
          });
          store.add(flat('a', 1));
          store.add(flat('b', 2));
          store.add(flat('b', 2));
          store.markAsRead('a');
          store.markAsRead('nobody');
          store.setConnected(true);
          store.markAllAsRead();
          store.remove('a');
          store.setConnected(false);
          store.clear();
          return seen;
        }"""
    ) == [
        ["", 0, False],
        ["A", 1, False],
        ["B,A", 2, False],
        # The same twice is one; to read one is to read it wherever it is, and nobody's is nothing.
        ["B,A", 1, False],
        ["B,A", 1, False],
        ["B,A", 1, True],
        ["B,A", 0, True],
        ["B", 0, True],
        ["B", 0, False],
        ["", 0, False],
    ]


def test_it_holds_the_last_fifty(alone):
    assert alone.evaluate(
        """() => [undefined, 3, 100_000].map((capacity) => {
          const store = new carillon.NotificationStore({ capacity });
          for (let i = 0; i < 250; i++) {
            const time = new Date(Date.UTC(2026, 0, 1) + i * 1_000).toISOString();
            store.add({ id: `${i}`, created_at: time });
          }
          const { notifications: all, unreadCount } = store.value;
          return [all.length, all[0].id, all.at(-1).id, unreadCount];
        })"""
    ) == [[50, "249", "200", 250], [3, "249", "247", 250], [200, "249", "50", 250]]


# With the server.


@pytest.fixture
def tab(context, server, fresh_user):
    """A page whose user has three notifications, oldest a, newest c."""
    user = fresh_user()
    for title in "abc":
        server.publish(user, title)
    one = Tab(context, server, user).connected()
    one.until("store.value.unreadCount === 3")
    one.evaluate(
        """() => {
          // Each thing that a person could have seen, once.
          globalThis.shown = [];
          store.subscribe(({ notifications, unreadCount }) => {
            const text = notifications.map((n) => n.title + (n.is_read ? '' : '*')).join('');
            const line = `${text} ${unreadCount}`;
            if (shown.at(-1) !== line) shown.push(line);
          });
          globalThis.id = (title) => store.value.notifications.find((n) => n.title === title).id;
        }"""
    )
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
    # The other page is told by the server.
    expected = int(after.split()[-1])
    other.until("(count) => store.value.unreadCount === count", expected)
    tab.until("(count) => told('stats').at(-1).unread === count", expected)
    server.publish(tab.user, "d")
    tab.until("listed()[0] === 'd'")
    assert tab.evaluate("shown") == ["c*b*a* 3", after, f"d*{after[:-1]}{expected + 1}"]
    assert tab.told("error") == []


@EACH
@pytest.mark.parametrize("how", ["refused", "not reached"])
def test_a_refused_change_is_taken_back(tab, change, how):
    code, after = CHANGES[change]

    def refuse(route):
        if route.request.method in ("GET", "OPTIONS"):
            return route.continue_()
        if how == "not reached":
            return route.abort()
        error = {"success": False, "error": {"code": "busy", "message": "not now"}}
        return route.fulfill(status=503, json=error)

    tab.page.route(re.compile("/api/v1/notifications"), refuse)
    assert tab.evaluate(code) is False
    assert tab.evaluate("shown") == ["c*b*a* 3", after, "c*b*a* 3"]
    (error,) = tab.told("error")
    expected = {"refused": (503, "busy"), "not reached": (0, "network")}[how]
    assert (error["status"], error["code"]) == expected


def test_a_change_in_flight_is_kept_over_what_the_server_says_meanwhile(server, tab):
    held = []
    tab.page.route("**/read-all", lambda route: held.append(route))
    tab.evaluate("void store.markAllAsRead()")
    # Two come that the change did not mean, and one of the old ones goes.
    server.publish(tab.user, "d")
    tab.until("listed()[0] === 'd'")
    gone = tab.evaluate("id('a')")
    server.request("DELETE", f"/api/v1/notifications/{gone}", user_token(tab.user))
    tab.until("listed().join('') === 'dcb'")
    tab.until("told('stats').at(-1).total === 3")
    assert tab.evaluate("shown") == ["c*b*a* 3", "cba 0", "d*cba 1", "d*cb 1"]
    tab.until("1")
    wait_until("the request is held", lambda: held or tab.evaluate("0"))
    held[0].continue_()
    tab.until("store.value.unreadCount === 0")
    # The server reads that one too: it was there when it was asked.
    assert tab.evaluate("shown") == ["c*b*a* 3", "cba 0", "d*cba 1", "d*cb 1", "dcb 0"]


def test_what_is_gone_already_is_removed(server, tab):
    gone = tab.evaluate("id('b')")
    error = {"success": False, "error": {"code": "not_found", "message": "gone"}}
    tab.page.route(
        re.compile("/api/v1/notifications/[^/]+(/read)?$"),
        lambda route: route.fulfill(status=404, json=error),
    )
    assert tab.evaluate("(gone) => store.remove(gone)", gone) is True
    assert tab.evaluate("shown.at(-1)") == "c*a* 2"
    # But nothing can be read that is not there.
    assert tab.evaluate("(gone) => store.markAsRead(gone)", gone) is False


def test_the_count_is_the_server_s_beyond_what_the_list_holds(server, context, fresh_user):
    user = fresh_user()
    server.publish_many(user, [f"n {number}" for number in range(80)])
    tab = Tab(context, server, user).connected()
    tab.until("store.value.unreadCount === 80 && listed().length === 50")
    # One that is not listed is read, and one that is listed goes: another moves up.
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


def test_what_a_page_adds_stays_beside_what_the_server_knows(server, tab):
    tab.evaluate("void store.add({ id: 'mine', title: 'mine' })")
    assert tab.evaluate("shown.at(-1)") == "mine*c*b*a* 4"
    server.publish(tab.user, "d")
    tab.until("shown.at(-1) === 'd*mine*c*b*a* 5'")
    # The list is loaded anew.
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
    alone.evaluate(
        """(token) => {
          carillon.wsClient.connect(token);
          window.seen = [];
          carillon.notificationStore.subscribe((value) => seen.push(value));
        }""",
        user_token(user),
    )
    ready = "carillon.wsClient.isConnected() && carillon.notificationStore.value.unreadCount === 1"
    alone.wait_for_function(ready)
    assert alone.evaluate("carillon.notificationStore.value.connected") is True
    server.publish(user, "live")
    alone.wait_for_function("carillon.notificationStore.value.notifications[0]?.title === 'live'")
    # As the document does when a person logs out: nothing but the page is cleared.
    alone.evaluate("carillon.wsClient.disconnect(); void carillon.notificationStore.clear()")
    value = alone.evaluate("carillon.notificationStore.value")
    assert value == {
        "notifications": [],
        "unreadCount": 0,
        "connected": False,
        "state": "disconnected",
    }
    assert alone.evaluate("carillon.wsClient.isConnected()") is False
    alone.evaluate("(token) => carillon.wsClient.connect(token)", user_token(user))
    listed = "carillon.notificationStore.value.notifications.map((n) => n.title).join()"
    alone.wait_for_function(f"{listed} === 'live,before'")
    assert [each["is_read"] for each in server.inbox(user)] == [False, False]
    assert_no_errors(alone)


def test_the_page_has_one_default_client_however_often_it_has_the_module(server, alone, fresh_user):
    assert alone.evaluate(
        """async (token) => {
          // As when a page asks for one address, and its elements for the one that this leads to.
          const { url } = await fetch('/client/carillon.js');
          const again = await import(url);
          again.wsClient.connect(token);
          carillon.configure({ capacity: 7 });
          return [
            again.Carillon === carillon.Carillon,
            again.notificationStore === carillon.notificationStore,
            carillon.defaultClient() === again.defaultClient() && !!carillon.defaultClient(),
            again.settings().capacity,
          ];
        }""",
        user_token(fresh_user()),
    ) == [True, True, True, 7]
    alone.wait_for_function("carillon.wsClient.isConnected()")
