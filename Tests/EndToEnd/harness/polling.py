"""Long polls: one that is answered at once, and one that waits in its own thread."""

import asyncio
import threading

import aiohttp

from harness.tokens import user_token
from harness.waiting import PATIENCE, wait_until

POLL = "/api/v1/notifications/poll"


def poll(server, user, since=None, wait=0, over=None, token=None):
    """Sends one poll with Python's own HTTP client; returns its data."""
    query = f"?wait={wait}" + (f"&since={since}" if since is not None else "")
    answer = server.request("GET", POLL + query, token or user_token(user), over=over)
    assert answer.status == 200, answer
    data = answer.data
    assert set(data) - {"resync"} == {"notifications", "cursor"}, data
    return data


class Waiting:
    """A poll that waits in its own thread and event loop; `data` is its answer."""

    def __init__(self, server, user, since, wait=25):
        self.url = f"{server.url}{POLL}?since={since}&wait={wait}"
        self.headers = {"Authorization": f"Bearer {user_token(user)}"}
        self.status = self.data = self.failure = None
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.thread.start()

    async def _run(self):
        try:
            async with (
                aiohttp.ClientSession(headers=self.headers) as session,
                session.get(self.url) as response,
            ):
                self.status = response.status
                self.data = (await response.json())["data"]
        except Exception as failure:  # noqa: BLE001 The test's own thread raises it.
            self.failure = failure

    def result(self, within=PATIENCE):
        self.thread.join(within)
        assert not self.thread.is_alive(), f"not answered within {within} s"
        if self.failure is not None:
            raise self.failure
        assert self.status == 200
        return self.data


def is_waiting(server, count=1):
    """Waits until the server counts so many waiting polls, which it counts as sessions."""
    wait_until("the polls wait", lambda: server.total("sessions") == count)
