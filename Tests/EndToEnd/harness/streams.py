"""A client of the event stream that reads like a browser's EventSource, over `aiohttp`.

Parsing follows the standard (WHATWG HTML, 9.2.6) and is stricter: a line with an unknown field
fails the test.
"""

import asyncio
import json
import queue
import threading

import aiohttp

from harness.event_loop import call_unless_closed
from harness.tokens import user_token
from harness.waiting import PATIENCE

STREAM_PATH = "/notifications/events"
ENDED = object()


class ChunkParser:
    """Cuts a chunked body (RFC 9112, 7.1) into the contents of its chunks, strictly."""

    def __init__(self):
        self.buffer, self.is_complete = b"", False

    def feed(self, data):
        """Returns the contents of the chunks that are complete now."""
        self.buffer += data
        contents = []
        while b"\r\n" in self.buffer:
            line, _, rest = self.buffer.partition(b"\r\n")
            size = int(line, 16)
            if len(rest) < size + 2:
                break
            assert not self.is_complete, f"bytes after the last chunk: {self.buffer!r}"
            assert rest[size : size + 2] == b"\r\n", self.buffer
            contents += [rest[:size]] if size else []
            self.is_complete, self.buffer = size == 0, rest[size + 2 :]
        return contents


class StreamParser:
    """Parses bytes to (last event id, event name, data); keeps the retry time, counts comments."""

    def __init__(self):
        self.buffer, self.data, self.name = b"", [], ""
        self.last_id, self.retry, self.comments = "", None, 0

    def feed(self, chunk):
        # The server writes only LF, so a CR would be injected data.
        self.buffer += chunk
        assert b"\r" not in self.buffer
        *lines, self.buffer = self.buffer.split(b"\n")
        return [event for line in lines for event in self._take(line.decode("utf-8"))]

    def _take(self, line):
        if not line:
            data, name, self.data, self.name = self.data, self.name, [], ""
            return [(self.last_id, name or "message", "\n".join(data))] if data else []
        field, colon, value = line.partition(":")
        assert colon, line
        value = value.removeprefix(" ")
        if field == "data":
            self.data.append(value)
        elif field == "id":
            assert "\0" not in value
            self.last_id = value
        elif field == "event":
            self.name = value
        elif field == "retry":
            self.retry = int(value)
        else:
            assert field == "", line
            self.comments += 1
        return []


class StreamClient:
    """One stream that its own thread reads; `next` returns the events in their order."""

    path = STREAM_PATH

    def __init__(self, server, user=None, token=None, since=None, last_id=None, by="query"):
        self.parser, self.events = StreamParser(), queue.Queue()
        self.cursor = last_id
        self.query, self.headers = {}, {"Accept": "text/event-stream"}
        if since is not None:
            self.query["since"] = since
        if last_id is not None:
            self.headers["Last-Event-ID"] = last_id
        token = token if token is not None else user_token(user)
        if by == "query":
            self.query["token"] = token
        else:
            self.headers["Authorization"] = f"Bearer {token}"
        self.url = server.url + self.path
        self.opened, self.leaving = threading.Event(), None
        self.status = self.answer = self.failure = None
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.thread.start()
        assert self.opened.wait(PATIENCE), "no answer"
        if self.failure is not None:
            raise self.failure

    async def _run(self):
        self.loop, self.leaving = asyncio.get_running_loop(), asyncio.Event()
        reading = asyncio.create_task(self._read())
        leaving = asyncio.create_task(self.leaving.wait())
        done, _ = await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in {reading, leaving} - done:
            task.cancel()
        await asyncio.gather(reading, leaving, return_exceptions=True)
        self.events.put(ENDED)
        self.opened.set()

    async def _read(self):
        timeout = aiohttp.ClientTimeout(total=None)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self.url, params=self.query, headers=self.headers) as response,
            ):
                self.status, self.answer = response.status, response.headers
                if response.status != 200:
                    self.body = await response.json()
                    return
                self.opened.set()
                async for chunk in response.content.iter_any():
                    for event in self.parser.feed(chunk):
                        self.events.put((event, self.parser.last_id))
        except Exception as failure:  # noqa: BLE001 The test's own thread raises it.
            self.failure = failure

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        call_unless_closed(self.loop, self.leaving.set)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def next(self, within=PATIENCE):
        """Returns the next message as `onmessage` gets it; sets `cursor` to its last event id."""
        try:
            taken = self.events.get(timeout=within)
        except queue.Empty:
            raise AssertionError(f"no event within {within} s") from None
        assert taken is not ENDED, f"the stream ended: {self.failure}"
        (self.cursor, name, data), _ = taken
        assert name == "message", "ghostpay's clients only use `onmessage`"
        message = json.loads(data)
        assert set(message) == {"type", "data"}, message
        return message

    def until(self, type, within=PATIENCE):
        """Reads on to the next message of that type and skips others; returns its data."""
        while True:
            message = self.next(within)
            if message["type"] == type:
                return message["data"]

    def is_over(self, within=PATIENCE):
        """Whether the server ends the stream; drops the events before the end."""
        while True:
            try:
                if self.events.get(timeout=within) is ENDED:
                    return True
            except queue.Empty:
                return False
