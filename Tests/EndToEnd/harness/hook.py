"""incident-api's `useNotificationWebSocket` hook over `aiohttp`, in an event loop of its own."""

import asyncio
import json
import threading

import aiohttp

from harness.clients import EVENT_PATH
from harness.event_loop import call_unless_closed
from harness.waiting import PATIENCE


class NotificationHook:
    """The hook, with its options and return values under their original names.

    Intervals are in milliseconds as in the document, and small here. Callbacks run on the hook's
    thread.
    """

    def __init__(self, url, token=None, **options):
        self.url = url + EVENT_PATH + (f"?token={token}" if token is not None else "")
        self.on = {
            name: options.pop(name, lambda *_: None)
            for name in (
                "onNotification",
                "onStatsUpdate",
                "onConnect",
                "onDisconnect",
                "onError",
                "onMessage",
            )
        }
        self.auto_reconnect = options.pop("autoReconnect", True)
        self.interval = options.pop("reconnectInterval", 50) / 1_000
        self.max_attempts = options.pop("maxReconnectAttempts", 10)
        assert not options, options
        self.connection_state, self.last_message, self.close_codes = "disconnected", None, []
        self.attempts, self.socket, self.thread, self.failure = 0, None, None, None
        self.loop, self.started = None, threading.Event()

    @property
    def is_connected(self):
        return self.connection_state == "connected"

    def connect(self):
        self.wanted = True
        self.thread = threading.Thread(target=self._run_to_the_end, daemon=True)
        self.thread.start()
        # `disconnect` needs the thread's loop.
        assert self.started.wait(PATIENCE), "the hook's thread has not started"

    def disconnect(self):
        call_unless_closed(self.loop, self._leave)
        self.join()

    def join(self):
        """Waits until the hook has ended, and raises its failure if it has one."""
        self.thread.join(2 * PATIENCE)
        assert not self.thread.is_alive()
        if self.failure is not None:
            raise self.failure

    def _leave(self):
        self.wanted = False
        if self.socket is not None:
            self.leaving = asyncio.ensure_future(self.socket.close(code=1000))

    def send(self, message):
        text = json.dumps(message)
        asyncio.run_coroutine_threadsafe(self.socket.send_str(text), self.loop).result(PATIENCE)

    def _run_to_the_end(self):
        try:
            asyncio.run(self._run())
        except Exception as failure:  # noqa: BLE001 The test's own thread raises it.
            self.failure = failure

    async def _run(self):
        self.loop = asyncio.get_running_loop()
        self.started.set()
        while self.wanted and self.attempts <= self.max_attempts:
            self.connection_state = "connecting"
            try:
                await self._live()
            except (aiohttp.ClientError, OSError) as failure:
                self.connection_state = "error"
                self.on["onError"](failure)
            if not self.auto_reconnect:
                return
            self.attempts += 1
            await asyncio.sleep(self.interval)

    async def _live(self):
        async with aiohttp.ClientSession() as session, session.ws_connect(self.url) as self.socket:
            # `_leave` may have come while the connection was being made.
            if not self.wanted:
                return
            async for message in self.socket:
                self._take(message.json())
            self.close_codes.append(self.socket.close_code)
        self.connection_state = "disconnected"
        self.on["onDisconnect"]()

    def _take(self, message):
        self.last_message = message
        if message["event"] == "connection:established":
            self.attempts, self.connection_state = 0, "connected"
            self.on["onConnect"]()
        elif message["event"] == "notification:new":
            self.on["onNotification"](message["data"])
        elif message["event"] == "stats:updated":
            self.on["onStatsUpdate"](message["data"])
        self.on["onMessage"](message)
