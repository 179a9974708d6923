"""A receiver of webhooks, and the requests that manage endpoints."""

import asyncio
import json
import threading
from dataclasses import dataclass

from harness.server import API_KEY
from harness.waiting import wait_until

WEBHOOKS = "/api/v1/webhooks"


@dataclass(frozen=True)
class Message:
    """One attempt, as it arrived."""

    path: str
    headers: dict
    body: bytes

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def type(self):
        return self.json["type"]

    @property
    def data(self):
        return self.json["data"]


def answer_of(status, headers=(), body=b""):
    """The bytes of a response."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Receiver:
    """A server on a port of its own, in a thread with an event loop.

    `answers` maps a path to the bytes of its response, or to a coroutine function that gets the
    writer and the reader; other paths are answered 204. `messages` has what arrived, in the order
    of arrival.
    """

    def __init__(self):
        self.messages = []
        self.answers = {}
        self.port = None
        self.loop = self.ended = None
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self):
        self.thread.start()
        wait_until("the receiver listens", lambda: self.port)
        return self

    def __exit__(self, *exception):
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join()

    async def _run(self):
        self.loop, self.ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        await self.ended.wait()
        # `asyncio.run` cancels the connections that are open.
        server.close()

    async def _serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode().split("\r\n")
                pairs = (line.split(": ", 1) for line in lines if line)
                headers = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path = first.split(" ")[1]
                self.messages.append(Message(path, headers, body))
                answer = self.answers.get(path, answer_of(204))
                if isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    await answer(writer, reader)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def to(self, path):
        """The messages that arrived at a path."""
        return [message for message in list(self.messages) if message.path == path]

    def wait_for(self, count, path="/", within=15):
        """Waits for so many messages at a path, and returns them."""
        return wait_until(
            f"{count} messages at {path}",
            lambda: found if len(found := self.to(path)) >= count else None,
            within,
        )


def manage(server, method, path="", body=None):
    """Sends a request about webhooks as a publisher."""
    return server.request(method, WEBHOOKS + path, body=body, key=API_KEY)


def add(server, url, **fields):
    """Creates an endpoint and returns it, with its secret."""
    answer = manage(server, "POST", body={"url": url, **fields})
    assert answer.status == 201, answer
    return answer.data


def deliveries(server, endpoint, state=None):
    """The deliveries of an endpoint, newest first."""
    query = f"?state={state}" if state else ""
    return manage(server, "GET", f"/{endpoint['id']}/deliveries{query}").data["deliveries"]
