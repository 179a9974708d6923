"""Every dialect as bytes in and messages out, for clients that are cut at any byte.

A parser takes what came in pieces of any size and gives whole messages only, so what a cut leaves
of a message is never looked at. `Told` is what a message of any dialect says of notifications.
"""

import json
import struct
from dataclasses import dataclass
from urllib.parse import urlencode

from harness.clients import EVENT_PATH, FLAT_PATH, INBOX_PATH
from harness.raw import CLOSE, PING, PONG, TEXT, frame, upgrade_request
from harness.streams import STREAM_PATH, StreamParser

TYPED_PATH = "/ws/connect"
POLL_PATH = "/api/v1/notifications/poll"


@dataclass(slots=True)
class Told:
    """What one message says. What it does not say is nothing."""

    cursor: str | None = None
    title: str | None = None
    is_resync: bool = False


class Closed(Exception):
    """The server closed the connection in its dialect's own way."""


class HTTPHead:
    """Takes the head off what comes first, and holds its status to what it must be."""

    def __init__(self, status):
        self.expected, self.buffer, self.fields = status, b"", None

    def feed(self, data):
        """What is behind the head; nothing while it is not whole."""
        if self.fields is not None:
            return data
        self.buffer += data
        head, mark, rest = self.buffer.partition(b"\r\n\r\n")
        if not mark:
            return b""
        assert head.startswith(f"HTTP/1.1 {self.expected} ".encode()), self.buffer
        lines = head.decode("latin-1").split("\r\n")[1:]
        self.fields = {
            name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)
        }
        return rest


class WebSocketParser:
    """Messages of a WebSocket dialect. `replies` is what is to be sent back."""

    def __init__(self):
        self.head, self.buffer, self.replies = HTTPHead(101), bytearray(), b""

    @property
    def is_inside(self):
        """Whether a message has begun and is not whole."""
        return bool(self.buffer)

    def feed(self, data):
        self.buffer += self.head.feed(data)
        messages, start = [], 0
        while (end := self._end_of_frame(start)) is not None:
            first, payload = self.buffer[start], bytes(self.buffer[self.body : end])
            start = end
            assert first & 0xF0 == 0x80, "whole messages, and no reserved bit"
            if first & 0x0F == TEXT:
                messages += self._read(payload)
            elif first & 0x0F == PING:
                self.replies += frame(PONG, payload)
            elif first & 0x0F == CLOSE:
                raise Closed(payload)
        del self.buffer[:start]
        return messages

    def _end_of_frame(self, start):
        """Where the frame at `start` ends, if all of it is there; `body` is then set."""
        if len(self.buffer) < start + 2:
            return None
        length, self.body = self.buffer[start + 1], start + 2
        assert length < 128, "the server masked a frame"
        if length == 126:
            if len(self.buffer) < start + 4:
                return None
            (length,), self.body = struct.unpack_from("!H", self.buffer, start + 2), start + 4
        elif length == 127:
            if len(self.buffer) < start + 10:
                return None
            (length,), self.body = struct.unpack_from("!Q", self.buffer, start + 2), start + 10
        end = self.body + length
        return end if len(self.buffer) >= end else None

    def _read(self, payload):
        message = json.loads(payload)
        if message == {"type": "ping"}:
            self.replies += frame(TEXT, b'{"type":"pong"}')
        return [message]


class EventStreamParser(StreamParser):
    """Messages of the event stream, each with the cursor behind it as `cursor`."""

    replies = b""

    def __init__(self):
        super().__init__()
        self.head, self.dispatched_id = HTTPHead(200), None

    @property
    def is_inside(self):
        return bool(self.buffer or self.data)

    def feed(self, data):
        messages, before = [], self.dispatched_id
        for last_id, _, text in super().feed(self.head.feed(data)):
            messages.append({**json.loads(text), "cursor": last_id})
        if not messages and self.dispatched_id != before:
            messages.append({"type": "position", "cursor": self.dispatched_id})
        return messages

    def _take(self, line):
        # An id counts when the blank line behind it is there, not before.
        if not line:
            self.dispatched_id = self.last_id
        return super()._take(line)


class AnswerParser:
    """Answers on one connection, one at a time; `replies` is the next request."""

    def __init__(self):
        self.head, self.buffer, self.replies = HTTPHead(200), b"", b""

    @property
    def is_inside(self):
        return bool(self.buffer)

    def feed(self, data):
        self.buffer += self.head.feed(data)
        if self.head.fields is None:
            return []
        length = int(self.head.fields["content-length"])
        if len(self.buffer) < length:
            return []
        assert len(self.buffer) == length, "an answer that nobody asked for"
        body, self.head, self.buffer = self.buffer, HTTPHead(200), b""
        return self._read(body)


class PollParser(AnswerParser):
    """Answers to polls."""

    def __init__(self, request):
        super().__init__()
        self.request = request

    def _read(self, body):
        answer = json.loads(body)["data"]
        self.replies += self.request(answer["cursor"])
        return [answer]


class Dialect:
    """How one dialect is asked for and read."""

    # Where a client is that knows nothing yet.
    beginning = "0"

    def __init__(self, name, path, told):
        self.name, self.path, self.told = name, path, told

    def __repr__(self):
        return self.name

    def opening(self, token, since):
        """The first bytes of a client that resumes at `since`, or of one that does not."""
        query = {"token": token} | ({} if since is None else {"since": since})
        return upgrade_request(f"{self.path}?{urlencode(query)}")

    def parser(self, token, since=None):
        return WebSocketParser()


class EventStream(Dialect):
    def opening(self, token, since):
        # `0` is from the beginning as a query alone: no event has it for an id.
        resumes = since is not None and since != "0"
        position = f"Last-Event-ID: {since}\r\n" if resumes else ""
        query = {"token": token} | ({"since": "0"} if since == "0" else {})
        line = f"GET {self.path}?{urlencode(query)} HTTP/1.1\r\nHost: localhost\r\n"
        return f"{line}Accept: text/event-stream\r\n{position}\r\n".encode()

    def parser(self, token, since=None):
        return EventStreamParser()


class Poll(Dialect):
    def opening(self, token, since):
        query = {"wait": 25, "token": token} | ({} if since is None else {"since": since})
        return f"GET {self.path}?{urlencode(query)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    def parser(self, token, since=None):
        return PollParser(lambda cursor: self.opening(token, cursor))


def told_by_flat(message):
    if message["type"] in ("connected", "resync"):
        return [Told(message["cursor"], None, message["type"] == "resync")]
    return [Told(message.get("cursor"), message["title"])]


def told_by_event(message):
    data = message["data"]
    title = data["title"] if message["event"] == "notification:new" else None
    return [Told(data.get("cursor"), title, message["event"] == "resync")]


def told_by_typed(message):
    data = message["data"]
    title = data["title"] if message["type"] == "notification" else None
    return [Told(data.get("cursor"), title, message["type"] == "resync")]


def told_by_inbox(message):
    shown = message.get("notification")
    title = None if shown is None else shown["title"]
    return [Told(message.get("cursor"), title, message["type"] == "resync")]


def told_by_stream(message):
    title = message["data"]["title"] if message["type"] == "notification" else None
    return [Told(message["cursor"], title, message["type"] == "resync")]


def told_by_poll(answer):
    shown = [Told(None, notification["title"]) for notification in answer["notifications"]]
    # The cursor is that of the whole answer, and so is what was lost.
    return [*shown, Told(answer["cursor"], None, "resync" in answer)]


DIALECTS = [
    Dialect("flat", FLAT_PATH, told_by_flat),
    Dialect("event", EVENT_PATH, told_by_event),
    Dialect("typed", TYPED_PATH, told_by_typed),
    Dialect("inbox", INBOX_PATH, told_by_inbox),
    EventStream("sse", STREAM_PATH, told_by_stream),
    Poll("poll", POLL_PATH, told_by_poll),
]
