"""Parsers from bytes to messages for every dialect, for clients that are cut at any byte.

A parser takes pieces of any size and returns complete messages only, so a message truncated by a
cut is never read. `Update` holds the notification-related content of a message of any dialect.
"""

import json
import struct
from dataclasses import dataclass
from urllib.parse import urlencode

from harness.clients import EVENT_PATH, FLAT_PATH, INBOX_PATH
from harness.raw import CLOSE, PING, PONG, TEXT, frame, upgrade_request
from harness.streams import STREAM_PATH, ChunkParser, StreamParser

TYPED_PATH = "/ws/connect"
POLL_PATH = "/api/v1/notifications/poll"


@dataclass(slots=True)
class Update:
    """The content of one message; a field that the message lacks is None or False."""

    cursor: str | None = None
    title: str | None = None
    is_resync: bool = False


class Closed(Exception):
    """The server closed the connection in its dialect's own way."""


class HTTPHead:
    """Strips the response head from the start of the bytes, and checks its status."""

    def __init__(self, status):
        self.expected, self.buffer, self.fields = status, b"", None

    def feed(self, data):
        """Returns the bytes after the head; none while the head is incomplete."""
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
    """Messages of a WebSocket dialect. `replies` holds the bytes to send back."""

    def __init__(self):
        self.head, self.buffer, self.replies = HTTPHead(101), bytearray(), b""

    @property
    def is_inside(self):
        """Whether a message has begun and is incomplete."""
        return bool(self.buffer)

    def feed(self, data):
        self.buffer += self.head.feed(data)
        messages, start = [], 0
        while (end := self._end_of_frame(start)) is not None:
            first, payload = self.buffer[start], bytes(self.buffer[self.body : end])
            start = end
            assert first & 0xF0 == 0x80, "a frame must be a whole message without reserved bits"
            if first & 0x0F == TEXT:
                messages += self._read(payload)
            elif first & 0x0F == PING:
                self.replies += frame(PONG, payload)
            elif first & 0x0F == CLOSE:
                raise Closed(payload)
        del self.buffer[:start]
        return messages

    def _end_of_frame(self, start):
        """Returns the end of the frame at `start` and sets `body`; None if it is incomplete."""
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
    """Messages of the event stream; `cursor` of each is the position after it."""

    replies = b""

    def __init__(self):
        super().__init__()
        self.head, self.chunks = HTTPHead(200), ChunkParser()

    @property
    def is_inside(self):
        return bool(self.chunks.buffer)

    def feed(self, data):
        messages = []
        for chunk in self.chunks.feed(self.head.feed(data)):
            for last_id, _, text in super().feed(chunk):
                messages.append({**json.loads(text), "cursor": last_id})
        return messages


class AnswerParser:
    """Responses on one connection, one at a time; `replies` is the next request."""

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
        assert len(self.buffer) == length, "a response without a request"
        body, self.head, self.buffer = self.buffer, HTTPHead(200), b""
        return self._read(body)


class PollParser(AnswerParser):
    """Responses to long polls; each one is followed by the next poll."""

    def __init__(self, request):
        super().__init__()
        self.request = request

    def _read(self, body):
        answer = json.loads(body)["data"]
        self.replies += self.request(answer["cursor"])
        return [answer]


class Dialect:
    """One dialect: its request, its parser, and its reading of a message."""

    # The cursor of a client that has received nothing yet.
    beginning = "0"

    def __init__(self, name, path, updates):
        self.name, self.path, self.updates = name, path, updates

    def __repr__(self):
        return self.name

    def opening(self, token, since):
        """The first bytes of a client, which resumes at `since` unless that is None."""
        query = {"token": token} | ({} if since is None else {"since": since})
        return upgrade_request(f"{self.path}?{urlencode(query)}")

    def parser(self, token, since=None):
        return WebSocketParser()


class EventStream(Dialect):
    def opening(self, token, since):
        # `0` means the beginning only in the query: no event has the id `0`.
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


def flat_updates(message):
    if message == {"type": "heartbeat"}:
        return []
    if message["type"] in ("connected", "resync"):
        return [Update(message["cursor"], None, message["type"] == "resync")]
    return [Update(message.get("cursor"), message["title"])]


def event_updates(message):
    data = message["data"]
    title = data["title"] if message["event"] == "notification:new" else None
    return [Update(data.get("cursor"), title, message["event"] == "resync")]


def typed_updates(message):
    data = message["data"]
    title = data["title"] if message["type"] == "notification" else None
    return [Update(data.get("cursor"), title, message["type"] == "resync")]


def inbox_updates(message):
    shown = message.get("notification")
    title = None if shown is None else shown["title"]
    return [Update(message.get("cursor"), title, message["type"] == "resync")]


def stream_updates(message):
    title = message["data"]["title"] if message["type"] == "notification" else None
    return [Update(message["cursor"], title, message["type"] == "resync")]


def poll_updates(answer):
    shown = [Update(None, notification["title"]) for notification in answer["notifications"]]
    # Both the cursor and the resync mark belong to the whole response.
    return [*shown, Update(answer["cursor"], None, "resync" in answer)]


DIALECTS = [
    Dialect("flat", FLAT_PATH, flat_updates),
    Dialect("event", EVENT_PATH, event_updates),
    Dialect("typed", TYPED_PATH, typed_updates),
    Dialect("inbox", INBOX_PATH, inbox_updates),
    EventStream("sse", STREAM_PATH, stream_updates),
    Poll("poll", POLL_PATH, poll_updates),
]
