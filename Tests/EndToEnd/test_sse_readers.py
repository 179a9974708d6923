"""Event streams as other programs read them: clients that fill a buffer, polyfills, raw readers.

Each test waits for an event and not for a time: a reader that gets no event in time fails.
"""

import json

import pytest
import requests
import sseclient

from harness.event_readers import FetchReader, PolyfillReader
from harness.raw import PATIENCE, RawConnection
from harness.streams import STREAM_PATH, ChunkParser, StreamClient
from harness.tokens import publisher_token, user_token

METRICS = "/api/v1/metrics/stream"


def opened(url, user, path=STREAM_PATH, token=None, **query):
    query["token"] = token or user_token(user)
    answer = requests.get(url + path, params=query, stream=True, timeout=PATIENCE)
    assert answer.status_code == 200
    return answer


def bearer(user):
    return {"Authorization": f"Bearer {user_token(user)}"}


def stream_url(server, user):
    return f"{server.url}{STREAM_PATH}?token={user_token(user)}"


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
        assert [first_data(lines)["type"] for _ in range(3)] == ["history", "metrics", "metrics"]


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


@pytest.mark.parametrize(
    "query, types",
    [
        ("", ["unread_count", "notification"]),
        ("&since=0", ["notification", "unread_count", "notification"]),
        ("&since=lost.1", ["resync", "unread_count", "notification"]),
    ],
    ids=["from now", "from the beginning", "with a resync"],
)
def test_a_client_on_top_of_fetch_gets_no_empty_message(server, fresh_user, query, types):
    user = fresh_user()
    server.publish(user, "before")
    with FetchReader(stream_url(server, user) + query) as reader:
        received = [reader.next() for _ in types[:-1]]
        server.publish(user, "after")
        received.append(reader.next())
    assert [json.loads(data)["type"] for _, data in received] == types
    assert reader.retry == 5_000


def follow_and_resume(server, user, reader):
    """Reads two notifications, loses the connection, and reads two missed ones and a live one."""

    def next_title():
        while (message := json.loads(reader.next()[1]))["type"] != "notification":
            pass
        return message["data"]["title"]

    for title in ("one", "two"):
        server.publish(user, title)
        assert next_title() == title
    reader.lose()
    server.publish_many(user, ["three", "four"])
    reader.reopen()
    assert [next_title(), next_title()] == ["three", "four"]
    server.publish(user, "five")
    assert next_title() == "five"


def test_a_client_on_top_of_fetch_resumes_by_the_header(server, fresh_user):
    user = fresh_user()
    with FetchReader(server.url + STREAM_PATH, bearer(user)) as reader:
        follow_and_resume(server, user, reader)
        assert reader.headers["last-event-id"]


# Polyfills, which send the last event's id in the query.


@pytest.mark.parametrize("query", ["", "&since=0"])
def test_a_polyfill_resumes_by_the_query(server, fresh_user, query):
    user = fresh_user()
    with PolyfillReader(stream_url(server, user) + query) as reader:
        follow_and_resume(server, user, reader)
        assert reader.retry == 5_000


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
        assert metrics.read_until(b"\n\n").startswith(b'retry: 5000\ndata: {"type":"history"')
        assert metrics.read_until(b"\n\n").startswith(b'data: {"type":"metrics"')
        server.publish(user, "one")
        assert b'"title":"one"' in stream.read_until(b"\n\n")
        assert stream.read_until(b"\n\n").endswith(b'"data":{"count":1}}\n\n')
        server.stop()
        stream.expect_end(within=PATIENCE)


def test_a_stream_ends_with_the_last_chunk_when_its_token_does(make_server, fresh_user):
    server = make_server(environment={"JWT_LEEWAY": "0"})
    with RawStream(server, user_token(fresh_user(), ttl=3)) as stream:
        stream.next()
        stream.expect_last_chunk()


def test_a_draining_server_ends_its_streams_with_the_last_chunk(make_server, fresh_user):
    server = make_server()
    with RawStream(server, user_token(fresh_user())) as stream:
        stream.next()
        server.stop()
        stream.expect_last_chunk()
