"""Browser-like clients of the WebSocket dialects, over the `websockets` package.

They read frames in the order of arrival and skip none silently: a test that ignores a frame does
so explicitly.
"""

import json

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from harness.tokens import user_token
from harness.waiting import PATIENCE

EVENT_PATH = "/api/v1/ws/notifications"
FLAT_PATH = "/api/ws"
INBOX_PATH = "/api/notifications/ws"


class Client:
    """The part that all dialects share: reading frames, sending text, and the close code."""

    path = None

    def __init__(
        self,
        server,
        user=None,
        token=None,
        since=None,
        by="query",
        query=None,
        headers=None,
        **options,
    ):
        self.user = user
        if token is None and user is not None:
            token = user_token(user)
        query, headers = {"since": since, **(query or {})}, dict(headers or {})
        protocols = None
        if by == "query":
            query["token"] = token
        elif by == "header":
            headers["Authorization"] = f"Bearer {token}"
        elif by == "subprotocol":
            protocols = ["bearer", token]
        options.setdefault("compression", None)
        self.socket = connect(
            server.websocket_url(self.path, **query),
            additional_headers=headers,
            subprotocols=protocols,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
            ping_interval=None,
            proxy=None,
            legacy=True,
            # The library always keeps reading, so that the test sees the connection end.
            max_queue=None,
            **options,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, text):
        self.socket.send(text if isinstance(text, (str, bytes)) else json.dumps(text))

    def next(self, within=PATIENCE):
        """Returns the next frame of any kind."""
        try:
            text = self.socket.recv(timeout=within)
        except TimeoutError:
            raise AssertionError(f"{self.user}: no frame within {within} s") from None
        assert isinstance(text, str), "notifications travel in text frames"
        return json.loads(text)

    def close_code(self, within=PATIENCE):
        """Waits for the server's close and returns its code; drops the frames before it."""
        try:
            while True:
                self.socket.recv(timeout=within)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006
        except TimeoutError:
            raise AssertionError(f"{self.user}: not closed within {within} s") from None


class EventClient(Client):
    """A client of `event`. It reads the greeting at once: that is always the first frame."""

    path = EVENT_PATH

    def __init__(self, *arguments, greeted=True, **options):
        super().__init__(*arguments, **options)
        self.greeting = self.next() if greeted else None
        if greeted:
            assert self.greeting["event"] == "connection:established", self.greeting

    def expect(self, event, within=PATIENCE):
        """Reads the next frame, which must be this event; returns its data."""
        frame = self.next(within)
        assert frame.get("event") == event, f"expected {event}, got {frame}"
        return frame["data"]

    def until(self, event, within=PATIENCE):
        """Reads on to the next such event and skips others."""
        while True:
            frame = self.next(within)
            if frame.get("event") == event:
                return frame["data"]

    def answers(self):
        """Proves that the server processed everything sent so far: a ping after it is answered."""
        self.send({"type": "ping"})
        return self.until("pong")


class FlatClient(Client):
    """A client of `flat`, which has no greeting unless it asked to resume."""

    path = FLAT_PATH

    def __init__(self, *arguments, since=None, **options):
        super().__init__(*arguments, since=since, **options)
        self.greeting = None
        if since is not None:
            self.greeting = self.next()
            assert self.greeting["type"] == "connected", self.greeting


class InboxClient(Client):
    """A client of `inbox`. It reads the greeting at once and answers the server's heartbeat."""

    path = INBOX_PATH

    def __init__(self, *arguments, greeted=True, **options):
        super().__init__(*arguments, **options)
        self.greeting = self.next() if greeted else None
        if greeted:
            assert self.greeting["type"] == "connected", self.greeting

    def next(self, within=PATIENCE):
        while True:
            frame = super().next(within)
            if frame != {"type": "ping"}:
                return frame
            self.send({"type": "pong"})

    def auth(self, token):
        self.send({"type": "auth", "token": token})

    def answers(self):
        """Proves that the server processed everything sent so far: a fetch after it is answered."""
        self.send({"type": "fetch_notifications", "limit": 1})
        while (frame := self.next())["type"] != "notification_update":
            pass
        return frame
