"""inbox-watch's notification bell: a badge, a list, a green dot, and heartbeat answers."""

import json
import threading

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from harness.clients import INBOX_PATH
from harness.waiting import PATIENCE


class Bell:
    """The frontend's bell component; it reconnects by itself, as inbox-watch's document specifies.

    The document waits 5 s before it reconnects; here the wait is an argument.
    """

    def __init__(self, url_for, token, interval=0.05, answers_pings=True):
        self.url, self.token = url_for(INBOX_PATH), token
        self.interval, self.answers_pings = interval, answers_pings
        self.unread_count, self.shown, self.is_connected = 0, [], False
        self.greetings, self.pings, self.close_codes, self.others = 0, 0, [], []
        self.leaving = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.leaving.set()
        if (socket := getattr(self, "socket", None)) is not None:
            socket.close()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def fetch(self):
        """Requests the notifications, as the bell does when the list is opened."""
        self.socket.send(json.dumps({"type": "fetch_notifications"}))

    def _run(self):
        headers = {"Authorization": f"Bearer {self.token}"}
        while not self.leaving.is_set():
            try:
                with connect(
                    self.url,
                    additional_headers=headers,
                    ping_interval=None,
                    proxy=None,
                    legacy=True,
                ) as self.socket:
                    for text in self.socket:
                        self._take(json.loads(text))
                    self.close_codes.append(self.socket.protocol.close_code)
            except (OSError, WebSocketException):
                pass  # "Reconnecting…"
            self.is_connected = False
            self.leaving.wait(self.interval)

    def _take(self, message):
        kind = message["type"]
        if kind == "ping":
            self.pings += 1
            if self.answers_pings:
                self.socket.send(json.dumps({"type": "pong"}))
            return
        if kind == "new_notification":
            self.shown.insert(0, message["notification"])
        elif kind == "notification_update":
            self.shown = message["notifications"] or self.shown
        elif kind not in ("connected", "unread_count"):
            self.others.append(message)
        # Tests wait for the count, so the notification is in the list before it is counted.
        self.unread_count = message["unreadCount"]
        if kind == "connected":
            self.greetings, self.is_connected = self.greetings + 1, True
