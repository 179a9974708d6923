"""A proxy between a client and the server, which cuts where it is told to.

It is how the network ends a connection that neither side wanted to end.
"""

import asyncio
import contextlib
import socket
import struct

from harness.event_loop import EventLoop

RESET = struct.pack("ii", 1, 0)


def reset_when_closed(writer):
    """Makes the close of a stream an RST, as that of a crashed peer."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


class Proxy:
    """Passes bytes on in both directions.

    `allowance` says for each new connection how many bytes the server's side may say before both
    sides are cut; nothing: as many as it likes.
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
        """Resets every connection that goes through it, towards both sides."""
        for writer in list(self.open):
            reset_when_closed(writer)
            writer.close()

    async def _serve(self, reader, writer):
        # At the end of a test it is cancelled wherever it is, and has nothing to say to that.
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
        """Passes on until one side has ended; whether it was this proxy that ended it."""
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
        """Whether the allowance was used up, rather than the connection ended."""
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
    """Cuts each connection on which something is asked for that it refuses.

    It lets through what it does not know, as those do that look for an `Upgrade`.
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
    """A proxy in a thread of its own, for clients that do not live in asyncio."""

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
        """Resets all that goes through it; new connections are let through."""
        self.events.loop.call_soon_threadsafe(self.proxy.cut)

    def go_down(self):
        """Resets all that goes through it and lets nothing through any more."""
        self.proxy.is_down = True
        self.cut()

    def come_up(self):
        self.proxy.is_down = False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.address[1]}"

    def websocket_url(self, path, **query):
        """As the server's own, but through here."""
        url = self.proxy.server.websocket_url(path, **query)
        return url.replace(f":{self.proxy.server.port}", f":{self.address[1]}", 1)
