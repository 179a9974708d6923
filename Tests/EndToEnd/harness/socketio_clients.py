"""What a test says to a Socket.IO client, whichever it is, and python-socketio's own.

Each client keeps one log of what it was told, in the order in which it was told; the tests read
from it. Socket.IO's JavaScript client is in `socketio_js`.
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

PATIENCE = 10.0
NOTIFICATIONS = "/notifications"
POLLING, WEBSOCKET, UPGRADE = ["polling"], ["websocket"], ["polling", "websocket"]
RECONNECTION = 0.05


@dataclass
class Request:
    """What a client connects with. `by`: where its token is; with nothing, it has none."""

    namespace: str = NOTIFICATIONS
    transports: tuple = tuple(UPGRADE)
    by: str | None = "query"
    token: str | Callable | None = None

    def settle(self):
        """Makes the token now, if it is one that does not last long: a page takes time to open."""
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
        return {"token": self.token} if self.is_by("auth") else {}

    def is_by(self, way):
        return self.by == way and self.token is not None


class Client:
    """One socket of a client: its log, and what is read from it.

    The kinds differ in `_open`, `_take`, `_emit`, `_call`, `state` and what ends a connection.
    """

    name = None
    # Whether it can send a header with a WebSocket's handshake; no page can.
    sends_headers = True
    # Whether it comes back with what it needs to go on where it was.
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

    # What it was told: ["connect", id, recovered], ["connect_error", message],
    # ["disconnect", reason] and ["event", name, argument…].

    def entry(self, within=PATIENCE):
        """The next entry of the log."""
        deadline = time.monotonic() + within
        while self.at == len(self.log):
            left = deadline - time.monotonic()
            assert left > 0, f"{self.name}: nothing within {within} s after {self.log[-9:]}"
            self.log += self._take(left)
        self.at += 1
        return self.log[self.at - 1]

    def next(self, within=PATIENCE):
        """The next entry of the log, over the application's keep-alive."""
        deadline = time.monotonic() + within
        while (entry := self.entry(deadline - time.monotonic()))[:2] == ["event", "ping"]:
            pass
        return entry

    def until(self, kind, within=PATIENCE):
        """Reads on to the next entry of that kind, over others; returns what it says."""
        deadline = time.monotonic() + within
        while (entry := self.next(max(deadline - time.monotonic(), 0.001)))[0] != kind:
            pass
        return entry[1:]

    def event(self, name, within=PATIENCE):
        """Reads on to the next event of that name, over others; returns its first argument."""
        deadline = time.monotonic() + within
        while True:
            told, *values = self.until("event", max(deadline - time.monotonic(), 0.001))
            if told == name:
                return values[0]

    def expect(self, name, within=PATIENCE):
        """The next entry, which must be this event; returns its first argument."""
        kind, *told = self.next(within)
        assert [kind, told[0]] == ["event", name], (kind, told)
        return told[1]

    def connected(self, within=PATIENCE):
        """Reads on to the next connection; returns the id and whether it was recovered."""
        return self.until("connect", within)

    def refusal(self):
        """Reads on to a refusal, before which nothing else may come; returns its message."""
        kind, *told = self.next()
        assert kind == "connect_error", (kind, told)
        return told[0]

    def answers(self):
        """Proves that all it said was taken in and that it is still connected."""
        assert self.call("subscribe_notifications", {}) == [{"success": True}]
        return self.event("unread_count")["count"]

    # What it says.

    def emit(self, event, *values):
        self._emit(event, values)

    def call(self, event, *values, within=PATIENCE):
        """Emits and returns the arguments of the acknowledgement."""
        answer = self._call(event, values, within)
        assert answer is not None, f"{self.name}: no acknowledgement of {event} in {within} s"
        return answer


class PythonClient(Client):
    """python-socketio's client. It knows nothing of recovery."""

    name = "python"

    def _open(self):
        self.events, self.told, self.wake = EventLoop(), [], None
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

        def tell(*entry):
            self.told.append(list(entry))
            self.wake.set()

        self.socket.on("connect", lambda: tell("connect", self.socket.get_sid(space), False), space)
        self.socket.on("disconnect", lambda reason: tell("disconnect", reason), space)
        self.socket.on(
            "connect_error",
            lambda data: tell("connect_error", message_of(data)),
            space,
        )
        self.socket.on("*", lambda event, *values: tell("event", event, *values), space)
        await self.socket.connect(
            self.url + self.request.query,
            headers=self.request.headers,
            auth=self.request.auth or None,
            transports=list(self.request.transports),
            namespaces=[space],
            # Whether it is let in is told in the log, as everything else.
            wait=False,
        )

    def _take(self, within):
        async def take():
            if not self.told:
                self.wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.wake.wait(), within)
            told, self.told[:] = list(self.told), []
            return told

        return self.events.run(take(), within + PATIENCE)

    def _emit(self, event, values):
        space = self.request.namespace
        self.events.run(self.socket.emit(event, tuple(values), namespace=space))

    def _call(self, event, values, within):
        space, answered = self.request.namespace, threading.Event()
        answer = []

        def take(*told):
            answer.extend(told)
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
            # Without the farewell of `disconnect`: a test that is over waits for nobody.
            await self.socket.eio.disconnect(abort=True)
            await self.socket.shutdown()

        self.events.run(leave())
        self.events.close()


def is_settled(tab):
    """Whether it has the transport that it will keep."""
    return tab.state["transport"] == tab.request.transports[-1]


def message_of(data):
    """The data of a `connect_error`: the message of the server's object, or else that object."""
    return data.get("message", data) if isinstance(data, dict) else data
