"""The interface of all Socket.IO clients for tests, and python-socketio's client.

Each client keeps one log of its connects, disconnects and events in the order of arrival; the
tests read from it. Socket.IO's JavaScript client is in `socketio_js`.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

import socketio

from harness.event_loop import EventLoop
from harness.tokens import user_token
from harness.waiting import PATIENCE, wait_until

NOTIFICATIONS = "/notifications"
POLLING, WEBSOCKET, UPGRADE = ["polling"], ["websocket"], ["polling", "websocket"]
RECONNECTION = 0.05


@dataclass
class Request:
    """A client's connection options. `by` is the place of the token; None sends no token.

    With `since` the client asks for what Socket.IO does not have by itself: a position.
    """

    namespace: str = NOTIFICATIONS
    transports: tuple = tuple(UPGRADE)
    by: str | None = "query"
    token: str | Callable | None = None
    since: str | None = None

    def settle(self):
        """Creates a short-lived token only now, because a page takes time to open."""
        if callable(self.token):
            self.token = self.token()

    @property
    def query(self):
        return "?" + urlencode({"token": self.token}) if self.is_by("query") else ""

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.token}"} if self.is_by("header") else {}

    @property
    def auth(self):
        return ({"token": self.token} if self.is_by("auth") else {}) | self.resumption

    @property
    def resumption(self):
        return {} if self.since is None else {"since": self.since}

    def is_by(self, way):
        return self.by == way and self.token is not None


class Client:
    """One socket of a client: its log and the ways to read it.

    Subclasses define `_open`, `_take`, `_emit`, `_call`, `state` and the ways to disconnect.
    """

    name = None
    # Whether it can send a header in a WebSocket handshake; a page cannot.
    sends_headers = True
    # Whether it reconnects with the ids for connection state recovery.
    recovers = False

    def __init__(self, server, user=None, token=None, through=None, **request):
        self.server, self.user = server, user
        if token is None and user is not None:
            token = user_token(user)
        self.request = Request(token=token, **request)
        host, port = (through or server).address
        self.url = f"http://{host}:{port}"
        self.log, self.at = [], 0
        self._open()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    # Entries of the log: ["connect", id, recovered], ["connect_error", message],
    # ["disconnect", reason] and ["event", name, argument…].

    def entry(self, within=PATIENCE):
        """Returns the next entry of the log."""
        deadline = time.monotonic() + within
        while self.at == len(self.log):
            left = deadline - time.monotonic()
            assert left > 0, f"{self.name}: nothing within {within} s after {self.log[-9:]}"
            self.log += self._take(left)
        self.at += 1
        return self.log[self.at - 1]

    def next(self, within=PATIENCE):
        """Returns the next entry of the log; skips the application's keep-alive."""
        deadline = time.monotonic() + within
        while (entry := self.entry(deadline - time.monotonic()))[:2] == ["event", "ping"]:
            pass
        return entry

    def until(self, kind, within=PATIENCE):
        """Reads on to the next entry of that kind and skips others; returns its content."""
        deadline = time.monotonic() + within
        while (entry := self.next(max(deadline - time.monotonic(), 0.001)))[0] != kind:
            pass
        return entry[1:]

    def event(self, name, within=PATIENCE):
        """Reads on to the next event of that name and skips others; returns its argument."""
        deadline = time.monotonic() + within
        while True:
            found, *values = self.until("event", max(deadline - time.monotonic(), 0.001))
            if found == name:
                return self._argument(found, values)

    def expect(self, name, within=PATIENCE):
        """Reads the next entry, which must be this event; returns its argument."""
        kind, found, *values = self.next(within)
        assert [kind, found] == ["event", name], (kind, found, values)
        return self._argument(found, values)

    def _argument(self, name, values):
        """Returns the one argument of an event, as a handler with one parameter takes it.

        Only a client that asked with `since` gets a notification's cursor as a second argument.
        """
        if name == "notification" and self.request.since is not None:
            value, cursor = values
            assert isinstance(cursor, str), values
            return value
        assert len(values) == 1, f"{name} has {len(values)} arguments: {values}"
        return values[0]

    def connected(self, within=PATIENCE):
        """Reads on to the next connection; returns the id and whether it was recovered."""
        return self.until("connect", within)

    def refusal(self):
        """Reads the next entry, which must be a rejection; returns its message."""
        kind, *values = self.next()
        assert kind == "connect_error", (kind, values)
        return values[0]

    def answers(self):
        """Proves that the server processed everything sent so far and is still connected."""
        assert self.call("subscribe_notifications", {}) == [{"success": True}]
        return self.event("unread_count")["count"]

    # Sending.

    def emit(self, event, *values):
        self._emit(event, values)

    def call(self, event, *values, within=PATIENCE):
        """Emits an event and returns the arguments of its acknowledgement."""
        answer = self._call(event, values, within)
        assert answer is not None, f"{self.name}: no acknowledgement of {event} in {within} s"
        return answer


class PythonClient(Client):
    """python-socketio's client. It does not support connection state recovery."""

    name = "python"

    def _open(self):
        self.events, self.entries, self.wake = EventLoop(), [], None
        try:
            self.events.run(self._connect())
        except BaseException:
            self.events.close()
            raise

    async def _connect(self):
        self.request.settle()
        self.wake = asyncio.Event()
        self.socket = socketio.AsyncClient(
            reconnection_delay=RECONNECTION,
            reconnection_delay_max=RECONNECTION,
            randomization_factor=0,
        )
        space = self.request.namespace

        def push(*entry):
            self.entries.append(list(entry))
            self.wake.set()

        self.socket.on("connect", lambda: push("connect", self.socket.get_sid(space), False), space)
        self.socket.on("disconnect", lambda reason: push("disconnect", reason), space)
        self.socket.on(
            "connect_error",
            lambda data: push("connect_error", message_of(data)),
            space,
        )
        self.socket.on("*", lambda event, *values: push("event", event, *values), space)
        await self.socket.connect(
            self.url + self.request.query,
            headers=self.request.headers,
            auth=self.request.auth or None,
            transports=list(self.request.transports),
            namespaces=[space],
            # The log records whether the server accepts it, like everything else.
            wait=False,
        )

    def _take(self, within):
        async def take():
            if not self.entries:
                self.wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.wake.wait(), within)
            entries, self.entries[:] = list(self.entries), []
            return entries

        return self.events.run(take(), within + PATIENCE)

    def _emit(self, event, values):
        space = self.request.namespace
        self.events.run(self.socket.emit(event, tuple(values), namespace=space))

    def _call(self, event, values, within):
        space, answered = self.request.namespace, threading.Event()
        answer = []

        def take(*arguments):
            answer.extend(arguments)
            answered.set()

        self.events.run(self.socket.emit(event, tuple(values), namespace=space, callback=take))
        return answer if answered.wait(within) else None

    @property
    def state(self):
        return {
            "id": self.socket.get_sid(self.request.namespace),
            "connected": self.socket.connected,
            "recovered": False,
            "transport": self.socket.transport() if self.socket.connected else None,
        }

    def disconnect(self):
        self.events.run(self.socket.disconnect())

    def close(self):
        async def leave():
            # Without the closing handshake of `disconnect`: a finished test need not wait for it.
            await self.socket.eio.disconnect(abort=True)
            await self.socket.shutdown()

        self.events.run(leave())
        self.events.close()


def await_final_transport(tab):
    """Waits until no upgrade is under way, so that the client notices the end of its connection.

    Socket.IO's JavaScript client pauses its polls for the upgrade. If the WebSocket fails after
    that and the last poll still succeeds, it polls no more: it holds no connection then, and only
    its ping timeout, 45 s with the default intervals, ends that.
    """
    last = tab.request.transports[-1]
    wait_until(f"{tab.name} has its final transport", lambda: tab.state["transport"] == last)


def message_of(data):
    """Returns the message in the data of a `connect_error`, or the data if it is no object."""
    return data.get("message", data) if isinstance(data, dict) else data
