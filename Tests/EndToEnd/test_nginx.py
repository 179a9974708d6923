"""A bell behind nginx: with nginx's defaults and tuned, with TLS, a password, a prefix and gzip.

The site has a name of its own, so the origin of its pages is not one of this machine's.
"""

import json
from base64 import b64encode

import pytest
import requests
from playwright.sync_api import expect
from websockets.sync.client import connect

from harness.browser import PATIENCE, assert_no_errors, launched
from harness.clients import EVENT_PATH
from harness.event_readers import FetchReader, PolyfillReader
from harness.nginx import HOST, PASSWORD, USER, Nginx
from harness.server import Server, free_port
from harness.shards import own_connections
from harness.streams import STREAM_PATH
from harness.tokens import user_token
from harness.waiting import wait_until

INBOX = "/api/v1/notifications"
# By default nginx passes no upgrade on, so there the bell falls back to an event stream.
FIRST_DIALECTS = {"defaults": "sse"}
SITES = ["defaults", "tuned", "tls", "password", "prefix", "gzip", "documented"]
STREAM_SITES = ["defaults", "tuned", "gzip", "gzip and defaults"]
DIALECTS = {"websocket": "event", "sse": "sse", "poll": "poll"}
# Opens one more client in a page, over one transport; `titles` holds what it announces.
OPEN = """([transport, token]) => {
  const options = { token, transports: [transport], shared: false, reconnectInterval: 100 };
  const client = new core.Carillon({ ...core.settings(), ...options });
  const titles = [];
  client.addEventListener('notification', ({ detail }) => titles.push(detail.title));
  client.connect();
  (window.others ??= {})[transport] = { client, titles };
}"""


@pytest.fixture(scope="module")
def browser():
    """A Chromium that finds the site's name on this machine."""
    with launched(f"--host-resolver-rules=MAP {HOST} 127.0.0.1") as one:
        yield one


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), ["--trusted-proxies", "127.0.0.1"])
    server.port = free_port()
    one = Nginx(tmp_path_factory.mktemp("nginx"), server)
    # By default nginx replaces the Host, so the server cannot know its own origin there.
    server.environment["WEBSOCKET_CORS_ORIGINS"] = one.sites["defaults"].url
    try:
        server.start(server.port)
        yield one.start()
        one.stop()
        server.stop()
    finally:
        one.end()
        server.end()


@pytest.fixture(scope="module")
def shared_server(nginx):
    """The server with nginx in front, for the fixture `server`."""
    return nginx.server


@pytest.fixture
def open_page(nginx, browser):
    """Opens a page with a bell, as a visitor of the site."""
    contexts = []

    def open_one(name, user):
        contexts.append(nginx.sites[name].new_context(browser))
        page = contexts[-1].new_page()
        page.uncaught = []
        page.on("pageerror", lambda error: page.uncaught.append(str(error)))
        page.goto(nginx.new_page(name, user_token(user)))
        until(page, "window.core?.wsClient.isConnected()")
        return page

    yield open_one
    for context in contexts:
        context.close()


def until(page, condition):
    wait_until(condition, lambda: page.evaluate(condition), within=PATIENCE)


def dialects(server, user):
    return {each["dialect"] for each in own_connections(server, user)}


def titles_of(page, transport):
    return page.evaluate("(transport) => others[transport].titles", transport)


def open_other(page, server, user, transport):
    """Opens one more client, and waits until the server lists its connection."""
    page.evaluate(OPEN, [transport, user_token(user)])
    until(page, f"others['{transport}'].client.state === 'connected'")
    wait_until(transport, lambda: DIALECTS[transport] in dialects(server, user), PATIENCE)


@pytest.mark.parametrize("name", SITES)
def test_the_bell_works(server, open_page, fresh_user, name):
    user = fresh_user()
    page = open_page(name, user)
    dialect = FIRST_DIALECTS.get(name, "event")
    wait_until(f"only {dialect}", lambda: dialects(server, user) == {dialect}, PATIENCE)
    badge = page.locator("carillon-bell .badge").first
    server.publish(user, "It rings")
    expect(badge).to_have_text("1")
    expect(page.locator("carillon-toast carillon-item .title")).to_have_text("It rings")
    page.evaluate("core.notificationStore.markAllAsRead()")
    wait_until("it is read", lambda: server.inbox(user)[0]["is_read"], PATIENCE)
    expect(badge).to_have_text("")
    for transport in ("sse", "poll"):
        open_other(page, server, user, transport)
        server.publish(user, f"by {transport}")
        wait_until(transport, lambda: titles_of(page, transport) == [f"by {transport}"], PATIENCE)
        page.evaluate("(transport) => others[transport].client.close()", transport)
    assert_no_errors(page)


@pytest.mark.parametrize("name", ["password", "documented"])
def test_the_password_protects_the_pages_and_the_token_the_server(nginx, name):
    site = nginx.sites[name]
    page = nginx.new_page(name, "no token").replace(HOST, "127.0.0.1")
    assert requests.get(page, verify=nginx.certificate, timeout=PATIENCE).status_code == 401
    answer = requests.get(site.server_url + INBOX, verify=nginx.certificate, timeout=PATIENCE)
    assert answer.json()["error"]["code"] == "unauthorized"


def test_with_a_password_for_all_a_token_goes_elsewhere_than_authorization(
    nginx, server, fresh_user
):
    url, token = nginx.sites["password for all"].server_url, user_token(fresh_user())
    password = {"Authorization": "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
    bearer = {"Authorization": f"Bearer {token}"}
    refused = requests.get(url + INBOX, headers=bearer, timeout=PATIENCE)
    assert refused.status_code == 401 and "nginx" in refused.text
    answer = requests.get(url + INBOX, {"token": token}, headers=password, timeout=PATIENCE)
    assert answer.status_code == 200
    with connect(
        url.replace("http", "ws") + EVENT_PATH,
        additional_headers=password,
        subprotocols=["bearer", token],
        proxy=None,
    ) as socket:
        assert "connection:established" in socket.recv(timeout=PATIENCE)


def test_the_server_sees_the_visitors_address(nginx, server, fresh_user):
    # nginx appends its own caller, this test, which the server trusts as one more proxy.
    user, visitor = fresh_user(), "203.0.113.7"
    url = f"{nginx.sites['tuned'].server_url}{STREAM_PATH}?token={user_token(user)}"
    with FetchReader(url, {"X-Forwarded-For": visitor}) as reader:
        reader.next()
        (one,) = own_connections(server, user)
        assert one["remote_address"] == visitor


@pytest.mark.parametrize("name", ["tuned", "documented"])
def test_the_metrics_are_not_public(nginx, server, name):
    url = f"{nginx.sites[name].server_url}/metrics"
    assert requests.get(url, verify=nginx.certificate, timeout=PATIENCE).status_code == 401
    assert server.request("GET", "/metrics").status == 200


@pytest.mark.parametrize("name", STREAM_SITES)
@pytest.mark.parametrize("kind", [FetchReader, PolyfillReader])
def test_events_pass_as_they_come_and_resume(nginx, server, fresh_user, name, kind):
    user = fresh_user()
    url = f"{nginx.sites[name].server_url}{STREAM_PATH}?token={user_token(user)}"
    with kind(url) as reader:
        # nginx compresses the stream in spite of `no-transform`, but passes on each event at once.
        assert reader.answer.headers.get("content-encoding") == ("gzip" if "gzip" in name else None)

        def next_message():
            return json.loads(reader.next()[1])

        assert next_message() == {"type": "unread_count", "data": {"count": 0}}
        for number in range(1, 4):
            server.publish(user, f"n {number}")
            assert next_message()["data"]["title"] == f"n {number}"
            assert next_message() == {"type": "unread_count", "data": {"count": number}}
        reader.lose()
        server.publish(user, "while away")
        reader.reopen()
        assert next_message()["data"]["title"] == "while away"
        assert next_message() == {"type": "unread_count", "data": {"count": 4}}


def test_clients_resume_after_a_restart_of_nginx(nginx, server, open_page, fresh_user):
    user, transports = fresh_user(), list(DIALECTS)
    page = open_page("tuned", user)
    for transport in transports:
        open_other(page, server, user, transport)
    server.publish(user, "before")
    for transport in transports:
        wait_until(transport, lambda: titles_of(page, transport) == ["before"], PATIENCE)
    nginx.stop()
    server.publish_many(user, ["one", "two", "three"])
    nginx.start()
    expected = ["before", "one", "two", "three"]
    for transport in transports:
        wait_until(transport, lambda: titles_of(page, transport) == expected, PATIENCE)
    assert_no_errors(page)
