"""An event loop in a thread of its own, for what lives in one beside a test that does not."""

import asyncio
import threading


class EventLoop:
    """Runs coroutines for the test's thread until it is closed."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine, within=30):
        """What the coroutine returns, when it has."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(within)

    def close(self):
        """Ends whatever still runs in it, and then the loop."""
        self.run(self._end_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    @staticmethod
    async def _end_tasks():
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
