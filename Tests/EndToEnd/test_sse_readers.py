"""Event streams as other programs read them: clients that fill a buffer, raw readers, a proxy.

Each test waits for an event and not for a time: a reader that gets no event in time fails.
"""

import json
import shutil
import subprocess

import pytest
import requests
import sseclient

from harness.raw import PATIENCE, RawConnection
from harness.server import free_port
from harness.streams import STREAM_PATH, ChunkParser, StreamClient
from harness.tokens import publisher_token, user_token
from harness.waiting import wait_until

METRICS = "/api/v1/metrics/stream"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def opened(url, user, path=STREAM_PATH, token=None, **query):
    query["token"] = token or user_token(user)
    answer = requests.get(url + path, params=query, stream=True, timeout=PATIENCE)
    assert answer.status_code == 200
    return answer


def first_data(lines):
    """Returns the JSON of the next `data:` line."""
    for line in lines:
        if line.startswith("data: "):
            return json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended")


def follow(server, lines, user):
    """Reads the first event and, each before the next is published, three notifications."""
    assert first_data(lines) == {"type": "unread_count", "data": {"count": 0}}
    for number in range(1, 4):
        server.publish(user, f"n {number}")
        assert first_data(lines)["data"]["title"] == f"n {number}"
        assert first_data(lines) == {"type": "unread_count", "data": {"count": number}}


# Python's clients.


def test_requests_with_iter_lines_gets_each_event_as_it_comes(server, fresh_user):
    user = fresh_user()
    with opened(server.url, user) as answer:
        follow(server, answer.iter_lines(decode_unicode=True), user)


def test_requests_gets_each_event_of_the_metrics_stream_as_it_comes(server):
    with opened(server.url, None, METRICS, publisher_token()) as answer:
        lines = answer.iter_lines(decode_unicode=True)
        assert answer.headers["cache-control"] == "no-store, no-transform"
        assert [first_data(lines)["type"] for _ in range(2)] == ["metrics", "metrics"]


def test_sseclient_gets_each_event_as_it_comes(server, fresh_user):
    user = fresh_user()
    with opened(server.url, user) as answer:
        events = sseclient.SSEClient(answer).events()
        first = next(events)
        assert (first.event, first.retry) == ("message", "5000") and first.id
        assert json.loads(first.data)["type"] == "unread_count"
        for number in range(1, 4):
            server.publish(user, f"n {number}")
            event = next(events)
            assert json.loads(event.data)["data"]["title"] == f"n {number}"
            cursor = event.id
            assert json.loads(next(events).data)["data"] == {"count": number}
    server.publish(user, "while away")
    with opened(server.url, user, lastEventId=cursor) as answer:
        event = next(sseclient.SSEClient(answer).events())
        assert json.loads(event.data)["data"]["title"] == "while away"


# Clients on top of `fetch`.


class FetchParser:
    """Messages by the rules of clients on top of `fetch`: each blank line delivers one.

    EventSource delivers none for an event without data; these clients deliver an empty one.
    """

    def __init__(self):
        self.buffer, self.data, self.messages = b"", [], []

    def feed(self, piece):
        self.buffer += piece
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                self.data.append(line.removeprefix(b"data: ").decode())
            elif not line:
                self.messages.append("\n".join(self.data))
                self.data = []


@pytest.mark.parametrize(
    "query, types",
    [
        ({}, ["unread_count", "notification"]),
        ({"since": "0"}, ["notification", "unread_count", "notification"]),
        ({"since": "lost.1"}, ["resync", "unread_count", "notification"]),
    ],
    ids=["from now", "from the beginning", "with a resync"],
)
def test_a_client_on_top_of_fetch_gets_no_empty_message(server, fresh_user, query, types):
    user, parser = fresh_user(), FetchParser()
    server.publish(user, "before")
    with opened(server.url, user, **query) as answer:
        pieces = answer.iter_content(None)
        while len(parser.messages) < len(types) - 1:
            parser.feed(next(pieces))
        server.publish(user, "after")
        while len(parser.messages) < len(types):
            parser.feed(next(pieces))
    assert [json.loads(text)["type"] for text in parser.messages[: len(types)]] == types


# Polyfills, which send the last event's id in the query.


@pytest.mark.parametrize("name", ["lastEventId", "lastEventID"])
def test_an_id_in_the_query_resumes(server, fresh_user, name):
    user = fresh_user()
    with StreamClient(server, user) as tab:
        tab.next()
        cursor = tab.cursor
    server.publish_many(user, ["one", "two"])
    with opened(server.url, user, **{name: cursor, "since": "0"}) as answer:
        lines = answer.iter_lines(decode_unicode=True)
        assert [first_data(lines)["data"]["title"] for _ in range(2)] == ["one", "two"]
    with opened(server.url, user, **{name: "nonsense"}) as answer:
        assert first_data(answer.iter_lines(decode_unicode=True))["type"] == "resync"


# Raw readers.


class RawStream(RawConnection):
    """A stream that is read chunk by chunk, or over HTTP/1.0 byte by byte."""

    def __init__(self, server, token, version="1.1", path=STREAM_PATH):
        super().__init__(server)
        self.send(f"GET {path}?token={token} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        self.head = self.read_until(b"\r\n\r\n").decode().lower()
        assert self.head.startswith("http/1.1 200 ")
        self.chunks = ChunkParser()

    def next(self):
        """Returns the next chunk, which must hold exactly one event or one comment."""
        while not (chunks := self.chunks.feed(self.read_until(b"\n"))):
            assert not self.chunks.is_complete
        (chunk,) = chunks
        assert chunk == b": \n" or (chunk.endswith(b"\n\n") and chunk.count(b"\n\n") == 1), chunk
        return chunk

    def expect_last_chunk(self):
        assert self.read_until(b"0\r\n\r\n") == b"0\r\n\r\n"
        self.expect_end()


def test_each_chunk_is_one_event(server, fresh_user):
    user = fresh_user()
    with RawStream(server, user_token(user)) as stream:
        assert "\r\ntransfer-encoding: chunked\r\n" in stream.head
        assert "\r\ncache-control: no-store, no-transform\r\n" in stream.head
        assert stream.next().startswith(b"retry: 5000\nid: ")
        server.publish_many(user, [f"n {number}" for number in range(50)])
        for number in range(50):
            chunk = stream.next()
            assert chunk.startswith(b"id: ") and b'"title":"n %d"' % number in chunk
            assert stream.next() == (
                b'data: {"type":"unread_count","data":{"count":%d}}\n\n' % (number + 1)
            )


def test_a_stream_over_http_1_0_is_not_chunked(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    with (
        RawStream(server, user_token(user), version="1.0") as stream,
        RawStream(server, publisher_token(), version="1.0", path=METRICS) as metrics,
    ):
        for each in (stream, metrics):
            assert "transfer-encoding" not in each.head and "content-length" not in each.head
            assert "\r\nconnection: close\r\n" in each.head
        assert stream.read_until(b"\n\n").startswith(b"retry: 5000\nid: ")
        assert metrics.read_until(b"\n\n").startswith(b'retry: 5000\ndata: {"type":"metrics"')
        assert metrics.read_until(b"\n\n").startswith(b'data: {"type":"metrics"')
        server.publish(user, "one")
        assert b'"title":"one"' in stream.read_until(b"\n\n")
        assert stream.read_until(b"\n\n").endswith(b'"data":{"count":1}}\n\n')
        server.stop()
        stream.expect_end(within=PATIENCE)


def test_a_stream_ends_with_the_last_chunk_when_its_token_does(make_server, fresh_user):
    server = make_server(environment={"JWT_LEEWAY": "0"})
    with RawStream(server, user_token(fresh_user(), ttl=2)) as stream:
        stream.next()
        stream.expect_last_chunk()


def test_a_draining_server_ends_its_streams_with_the_last_chunk(make_server, fresh_user):
    server = make_server()
    with RawStream(server, user_token(fresh_user())) as stream:
        stream.next()
        server.stop()
        stream.expect_last_chunk()


# A proxy.


@pytest.fixture
def proxied(server, tmp_path):
    """Starts nginx before the server, with these lines for its upstream; returns the address."""
    started = []

    def start(lines):
        port = free_port()
        directories = [
            f"{name}_temp_path {tmp_path}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ]
        location = f"location / {{ proxy_pass {server.url}; {lines} }}"
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {tmp_path}/nginx.pid; events {{}}\n"
            f"http {{ access_log off; {' '.join(directories)}\n"
            f"server {{ listen 127.0.0.1:{port}; {location} }} }}\n"
        )
        assert NGINX, "nginx is missing: `make test` installs it"
        command = [NGINX, "-p", tmp_path, "-e", "stderr", "-c", tmp_path / "nginx.conf"]
        log = (tmp_path / "nginx.log").open("wb")
        started.append((subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log), log))
        url = f"http://127.0.0.1:{port}"

        def is_ready():
            assert started[0][0].poll() is None, (tmp_path / "nginx.log").read_text()
            try:
                return requests.get(f"{url}/healthz", timeout=PATIENCE).status_code == 200
            except requests.ConnectionError:
                return False

        wait_until("nginx is ready", is_ready, within=PATIENCE)
        return url

    yield start
    for process, log in started:
        process.terminate()
        process.wait(PATIENCE)
        log.close()


@pytest.mark.parametrize("lines", ["", "proxy_http_version 1.1;"], ids=["HTTP/1.0", "HTTP/1.1"])
def test_events_pass_through_nginx_as_they_come(server, proxied, fresh_user, lines):
    user = fresh_user()
    with opened(proxied(lines), user) as answer:
        follow(server, answer.iter_lines(decode_unicode=True), user)
