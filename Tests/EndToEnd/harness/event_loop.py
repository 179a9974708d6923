"""An event loop in its own thread, for asyncio code that a synchronous test uses."""

import asyncio
import contextlib
import threading

from harness.waiting import PATIENCE


def call_unless_closed(loop, callback):
    """Calls back on the loop's thread; does nothing if the loop has closed.

    A thread that runs a loop of its own may close it at any moment, so a check of the thread
    before the call proves nothing.
    """
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)


class EventLoop:
    """Runs coroutines on behalf of the test's thread until it is closed."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine, within=30):
        """Runs a coroutine and returns its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(within)

    def close(self):
        """Cancels the remaining tasks, then stops the loop."""
        self.run(self._end_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "a callback blocks the event loop"
        self.loop.close()

    @staticmethod
    async def _end_tasks():
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
