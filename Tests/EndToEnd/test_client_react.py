"""incident-api's hook in a page of React 18, as its document uses it."""

import json
from pathlib import Path

import pytest

from harness.browser import BLANK, PATIENCE, Tab, assert_no_errors, open_page
from harness.shards import own_connections
from harness.socketio_js import CLIENTS, NODE_PATH
from harness.tokens import user_token
from harness.waiting import wait_until

SCRIPTS = ["react/umd/react.development.js", "react-dom/umd/react-dom.development.js"]
RESULT = ["isConnected", "connectionState", "connect", "disconnect", "lastMessage"]


class ReactPage:
    def __init__(self, context, server):
        self.server = server
        self.page = open_page(context, BLANK, server=server)
        self.sockets, self.problems = [], []
        self.page.on("websocket", lambda socket: self.sockets.append(socket.url))
        self.page.on("console", self._note)
        for script in SCRIPTS:
            self.page.add_script_tag(path=Path(NODE_PATH) / script)
        self.page.add_script_tag(path=CLIENTS / "react_page.js")
        assert self.page.evaluate("React.version").startswith("18.")

    def _note(self, message):
        # React logs its warnings as console errors.
        if message.type == "error" and "Warning:" in message.text:
            self.problems.append(message.text)

    def mount(self, *bells, **how):
        self.page.evaluate("([bells, how]) => mount(bells, how)", [list(bells), how])

    def show(self, *bells):
        self.page.evaluate("(bells) => show(bells)", list(bells))

    def until(self, condition):
        self.page.wait_for_function(condition, timeout=PATIENCE * 1_000)

    def text(self, index=0):
        return self.page.locator(f"#bell-{index}").inner_text()

    def until_text(self, text, index=0):
        self.until(f"document.querySelector('#bell-{index}')?.innerText === {json.dumps(text)}")

    def evaluate(self, code):
        return self.page.evaluate(code)

    def said(self, index, name):
        return self.page.evaluate("([index, name]) => said(index, name)", [index, name])


@pytest.fixture
def react(context, server):
    page = ReactPage(context, server)
    yield page
    assert page.problems == []
    assert_no_errors(page.page)


@pytest.mark.parametrize("how", [{}, {"isStrict": False}, {"from": "configure"}], ids=str)
def test_the_document_s_component(react, server, fresh_user, how):
    user = fresh_user()
    server.publish(user, "before")
    react.mount({"token": user_token(user)}, **how)
    react.until_text("Status: connected 🟢 Connected (1)")
    assert react.evaluate("Object.keys(results[0])") == RESULT
    server.publish(user, "live", message="m", priority="high")
    react.until_text("Status: connected 🟢 Connected (2)")
    assert react.said(0, "notification") == ["live"]
    assert react.said(0, "connect") == [None]
    assert react.said(0, "disconnect") == []
    react.until("results[0].lastMessage.event === 'stats:updated'")
    message = react.evaluate("results[0].lastMessage")
    assert list(message) == ["event", "data", "timestamp"]
    assert message["data"]["unread"] == 2
    # React's strict mode runs effects twice, which must not open a second connection.
    assert len(react.sockets) == 1
    assert len(own_connections(server, user)) == 1


def test_components_share_a_connection_and_the_last_one_ends_it(react, server, fresh_user):
    user, other = fresh_user(), fresh_user()
    mine, theirs = {"token": user_token(user)}, {"token": user_token(other)}
    react.mount(mine, mine, theirs)
    for index in range(3):
        react.until_text("Status: connected 🟢 Connected (0)", index)
    assert len(react.sockets) == 2
    server.publish(user, "for two")
    for index in range(2):
        react.until_text("Status: connected 🟢 Connected (1)", index)
        assert react.said(index, "notification") == ["for two"]
    assert react.said(2, "notification") == []
    # The first component unmounts and a new one mounts with the others' current state.
    react.show(None, mine, theirs, mine)
    react.until_text("Status: connected 🟢 Connected (1)", 3)
    assert react.said(3, "connect") == [None]
    react.show(None, None, theirs, None)
    wait_until("the connection is closed", lambda: own_connections(server, user) == [])
    assert len(own_connections(server, other)) == 1
    assert len(react.sockets) == 2
    # It mounts again and opens a new connection.
    react.show(mine, None, theirs, None)
    react.until_text("Status: connected 🟢 Connected (1)", 0)
    assert len(react.sockets) == 3


def test_disconnect_and_connect(react, server, fresh_user):
    user = fresh_user()
    react.mount({"token": user_token(user)})
    react.until_text("Status: connected 🟢 Connected (0)")
    react.evaluate("results[0].disconnect()")
    react.until_text("Status: disconnected (0)")
    assert react.said(0, "disconnect") == [None]
    wait_until("the connection is closed", lambda: own_connections(server, user) == [])
    server.publish(user, "meanwhile")
    react.evaluate("results[0].connect()")
    react.until_text("Status: connected 🟢 Connected (1)")
    react.until("said(0, 'notification').join() === 'meanwhile'")
    assert react.said(0, "connect") == [None, None]


def test_a_rerender_does_not_reconnect(react, server, fresh_user):
    options = {"token": user_token(fresh_user())}
    react.mount(options)
    react.until_text("Status: connected 🟢 Connected (0)")
    before = react.evaluate("renders")
    for _ in range(3):
        react.show(dict(options))
    react.until(f"renders >= {before} + 3")
    assert len(react.sockets) == 1
    assert react.said(0, "connect") == [None]
    # Replacing one component by another does not reconnect either.
    react.show(None, options)
    react.until_text("Status: connected 🟢 Connected (0)", 1)
    assert len(react.sockets) == 1


def test_a_late_token_connects_and_a_fresh_one_keeps_the_connection(
    react, server, context, fresh_user
):
    user = fresh_user()
    react.mount({"token": None})
    react.until_text("Status: disconnected (0)")
    assert react.sockets == []
    react.show({"token": user_token(user)})
    react.until_text("Status: connected 🟢 Connected (0)")
    (before,) = own_connections(server, user)
    react.show({"token": user_token(user, ttl=7200)})
    server.publish(user, "on the same connection")
    react.until_text("Status: connected 🟢 Connected (1)")
    (after,) = own_connections(server, user)
    assert after["id"] == before["id"]
    other = Tab(context, server, user).connected()
    other.until("listed().join() === 'on the same connection'")
    react.show({"token": None})
    react.until_text("Status: disconnected (1)")
    react.until("results[0].lastMessage === null")
    other.until("client.state === 'disconnected' && listed().length === 0")
    wait_until("the client has logged out", lambda: own_connections(server, user) == [])


@pytest.fixture
def own_react(make_server, make_context):
    server = make_server()
    page = ReactPage(make_context(server), server)
    yield page
    assert page.problems == []
    assert_no_errors(page.page)


def test_it_gives_up_after_max_reconnect_attempts(own_react, fresh_user):
    token = user_token(fresh_user())
    options = {"token": token, "maxReconnectAttempts": 3, "reconnectInterval": 50}
    own_react.mount(options)
    own_react.until_text("Status: connected 🟢 Connected (0)")
    own_react.server.kill()
    own_react.until_text("Status: error (0)")
    assert own_react.said(0, "disconnect") == [None]
    # One first connection and three attempts to reconnect.
    wait_until("all attempts", lambda: own_react.evaluate("1") and len(own_react.sockets) >= 4)
    assert len(own_react.sockets) == 4
    assert own_react.said(0, "error") != []
    own_react.server.start(own_react.server.port)
    own_react.evaluate("results[0].connect()")
    own_react.until_text("Status: connected 🟢 Connected (0)")


def test_auto_reconnect_false_does_not_reconnect(own_react, fresh_user):
    own_react.page.clock.install()
    own_react.mount({"token": user_token(fresh_user()), "autoReconnect": False})
    own_react.until_text("Status: connected 🟢 Connected (0)")
    own_react.server.kill()
    own_react.until_text("Status: disconnected (0)")
    own_react.server.start(own_react.server.port)
    # Longer than any pause between two attempts.
    own_react.page.clock.run_for(120_000)
    assert len(own_react.sockets) == 1
    own_react.evaluate("results[0].connect()")
    own_react.until_text("Status: connected 🟢 Connected (0)")
    assert len(own_react.sockets) == 2


def test_it_reconnects_and_reports_missed_notifications(own_react, fresh_user):
    user = fresh_user()
    own_react.mount({"token": user_token(user)})
    own_react.until_text("Status: connected 🟢 Connected (0)")
    own_react.server.kill()
    own_react.until("said(0, 'disconnect').length === 1")
    own_react.server.start(own_react.server.port)
    own_react.server.publish(user, "missed")
    own_react.until_text("Status: connected 🟢 Connected (1)")
    own_react.until("said(0, 'notification').join() === 'missed'")
    assert own_react.said(0, "connect") == [None, None]
