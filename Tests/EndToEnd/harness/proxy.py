"""A proxy between a client and the server that cuts connections on request.

It simulates a network failure: the connection ends although neither side closed it.
"""

import asyncio
import contextlib
import socket
import struct

from harness.event_loop import EventLoop

RESET = struct.pack("ii", 1, 0)


def reset_when_closed(writer):
    """Makes the close of a stream send RST, as a crashed peer does."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


class Proxy:
    """Forwards bytes in both directions.

    `allowance` returns for each new connection how many bytes the server may send before both
    sides are cut; None means no limit.
    """

    def __init__(self, server, allowance=lambda: None):
        self.server, self.allowance, self.open = server, allowance, set()
        self.is_down = False

    async def __aenter__(self):
        self.listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = self.listener.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *exception):
        self.listener.close()
        self.cut()

    def cut(self):
        """Resets every proxied connection on both sides."""
        for writer in list(self.open):
            reset_when_closed(writer)
            writer.close()

    async def _serve(self, reader, writer):
        # The end of a test cancels this task at any point, which is no error.
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            to_reader, to_writer = await self._connect(writer)
            both = {writer, to_writer}
            self.open |= both
            try:
                is_cut = self.is_down or await self._pass_both(reader, writer, to_reader, to_writer)
                if is_cut:
                    for each in both:
                        reset_when_closed(each)
            finally:
                for each in both:
                    each.close()
                self.open -= both

    async def _connect(self, writer):
        try:
            return await asyncio.open_connection(*self.server.address)
        except BaseException:
            writer.close()
            raise

    async def _pass_both(self, reader, writer, to_reader, to_writer):
        """Forwards until one side ends; returns whether this proxy ended it."""
        forward = asyncio.create_task(self._pass(reader, to_writer, None))
        backward = asyncio.create_task(self._pass(to_reader, writer, self.allowance()))
        both = {forward, backward}
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return any(task.result() for task in done)
        finally:
            for task in both:
                task.cancel()

    @staticmethod
    async def _pass(reader, writer, allowance):
        """Forwards one direction; returns whether it stopped because the allowance ran out."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if allowance is not None and len(data) >= allowance:
                    writer.write(data[:allowance])
                    await writer.drain()
                    return True
                allowance = None if allowance is None else allowance - len(data)
                writer.write(data)
                await writer.drain()
        return False


class Firewall(Proxy):
    """Cuts each connection whose bytes contain one of the `refused` texts.

    It forwards everything else, as a real firewall that only looks for an `Upgrade` does.
    """

    def __init__(self, server, refused):
        super().__init__(server)
        self.refused = list(refused)

    async def _pass(self, reader, writer, allowance):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if any(each in data for each in self.refused):
                    return True
                writer.write(data)
                await writer.drain()
        return False


class BackgroundProxy:
    """A proxy in its own thread, for clients that do not use asyncio."""

    def __init__(self, server, proxy=None):
        self.proxy, self.events = proxy or Proxy(server), EventLoop()

    def __enter__(self):
        self.events.run(self.proxy.__aenter__())
        return self

    def __exit__(self, *exception):
        self.events.run(self.proxy.__aexit__())
        self.events.close()

    @property
    def address(self):
        return self.proxy.address

    def cut(self):
        """Resets all proxied connections; new ones are still accepted."""
        self.events.loop.call_soon_threadsafe(self.proxy.cut)

    def go_down(self):
        """Resets all proxied connections and rejects new ones until `come_up`."""
        self.proxy.is_down = True
        self.cut()

    def come_up(self):
        self.proxy.is_down = False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.address[1]}"

    def websocket_url(self, path, **query):
        """The server's own URL, but through this proxy."""
        url = self.proxy.server.websocket_url(path, **query)
        return url.replace(f":{self.proxy.server.port}", f":{self.address[1]}", 1)
