"""Readers of event streams with the rules of two kinds of JavaScript client, over `requests`.

Both follow the source of a widely used package, and both are less forgiving than EventSource.
"""

import re
from collections import deque
from urllib.parse import quote

import requests

from harness.raw import PATIENCE

EVENT_STREAM = "text/event-stream"
LAST_EVENT_ID = "lastEventId"


class Reader:
    """One stream. `next` returns its messages; `reopen` resumes after a lost connection."""

    def __init__(self, url, headers=None):
        self.url, self.headers = url, {"accept": EVENT_STREAM, **(headers or {})}
        self.retry, self.messages = 1_000, deque()
        self.answer = None
        self.reopen()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.lose()

    def lose(self):
        """Ends the connection without a word, as a lost network does."""
        if self.answer is not None:
            self.answer.close()

    def reopen(self):
        """Connects again, without the pause of `retry`, from the last event's id."""
        self.lose()
        self.buffer = ""
        self.begin()
        self.answer = requests.get(
            self.address(), headers=self.headers, stream=True, timeout=PATIENCE
        )
        assert self.answer.status_code == 200, self.answer.text
        assert self.answer.headers["content-type"].startswith(EVENT_STREAM)
        self.pieces = self.answer.iter_content(None)

    def next(self):
        """Returns the next message's last event id and data."""
        while not self.messages:
            *lines, self.buffer = re.split("\r\n|\n|\r", self.buffer + next(self.pieces).decode())
            for line in lines:
                field, colon, value = line.partition(":")
                self.take(line, field if colon else "", value.removeprefix(" "))
        return self.messages.popleft()


class FetchReader(Reader):
    """The rules of clients on top of `fetch`, such as @microsoft/fetch-event-source.

    Every blank line delivers a message, even one without data. The id of an event is returned in
    the header Last-Event-ID.
    """

    def address(self):
        return self.url

    def begin(self):
        self.id = self.data = ""

    def take(self, line, field, value):
        if not line:
            self.messages.append((self.id, self.data))
            self.begin()
        elif field == "data":
            self.data = f"{self.data}\n{value}" if self.data else value
        elif field == "id":
            self.id = value
            self.headers["last-event-id"] = value
            if not value:
                del self.headers["last-event-id"]
        elif field == "retry" and value.isdigit():
            self.retry = int(value)


class PolyfillReader(Reader):
    """The rules of polyfills of EventSource, such as event-source-polyfill.

    A polyfill sends no Last-Event-ID, which CORS may not allow: it replaces `lastEventId` in the
    query. It takes an id for good only when it delivers a message.
    """

    last_id = ""

    def address(self):
        if not self.last_id:
            return self.url
        path, question, query = self.url.partition("?")
        kept = [each for each in query.split("&") if not each.startswith(f"{LAST_EVENT_ID}=")]
        own = f"{LAST_EVENT_ID}={quote(self.last_id, safe='')}"
        return path + "?" + "&".join([*kept, own] if question else [own])

    def begin(self):
        self.data, self.id = "", self.last_id

    def take(self, line, field, value):
        if not line:
            if self.data:
                self.last_id = self.id
                self.messages.append((self.id, self.data.removeprefix("\n")))
            self.data = ""
        elif field == "data":
            self.data += "\n" + value
        elif field == "id":
            self.id = value
        elif field == "retry" and value.isdigit():
            self.retry = max(int(value), 1_000)
