"""Raw sockets: for sending bytes that no correct client sends, and for checking every response.

This code parses the server's bytes strictly. A server that masks a frame, sends a length in the
long form or a response without a length fails the running test.
"""

import base64
import contextlib
import fcntl
import os
import select
import socket
import struct
import sys
import termios
import time
from pathlib import Path

from harness.server import Answer
from harness.waiting import PATIENCE, is_ready

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
# States of a TCP socket, from Linux's tcp_states.h.
ESTABLISHED, CLOSED = 1, 7
ZERO_MASK = b"\0\0\0\0"


class Closed(Exception):
    """The server ended the connection. `reset`: by RST, before it read all our bytes."""

    def __init__(self, received, reset):
        super().__init__(f"closed after {received[-200:]!r}" + (" by reset" if reset else ""))
        self.received = received
        self.reset = reset


class RawConnection:
    """A TCP connection and a buffer of unread bytes."""

    def __init__(self, server, timeout=PATIENCE):
        self.socket = socket.create_connection(server.address, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends with RST, as a crashed peer does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data):
        self.socket.sendall(data)

    def send_if_open(self, data):
        """Sends data and ignores a closed connection: the server may have rejected it already.

        The response to read comes before the close.
        """
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def send_until_full(self, data):
        """Sends until the peer has stopped reading and no more fits; returns the bytes sent."""
        sent = 0
        while sent < len(data) and is_ready(self.socket, select.POLLOUT, 0.2):
            try:
                sent += self.socket.send(data[sent : sent + 65_536], socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
            except ConnectionError:
                break
        return sent

    def is_read(self):
        """Whether the peer's program has read every sent byte, or its socket is gone."""
        if self._state() == CLOSED:
            return True
        # First this end: only bytes that have arrived are counted at the other one.
        unacknowledged = fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4))
        if int.from_bytes(unacknowledged, sys.byteorder) > 0:
            return False
        unread = self._unread_by_peer()
        # The table may lack a socket while others come and go.
        return unread == 0 or (unread is None and self._state() != ESTABLISHED)

    def _state(self):
        return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]

    def _unread_by_peer(self):
        """The bytes that wait for the peer's program; None if no such socket is listed."""
        peer = (self.socket.getpeername()[1], self.socket.getsockname()[1])
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in Path(table).read_text().splitlines()[1:]:
                _, local, remote, _, queues = line.split()[:5]
                ports = tuple(int(address.rpartition(":")[2], 16) for address in (local, remote))
                if ports == peer:
                    return int(queues.partition(":")[2], 16)
        return None

    def read_some(self, within=PATIENCE):
        self.socket.settimeout(max(within, 0.001))
        try:
            piece = self.socket.recv(65_536)
        except TimeoutError:
            raise AssertionError(
                f"nothing within {within:.2f} s after {self.buffer[-200:]!r}"
            ) from None
        except ConnectionError:
            raise Closed(self.buffer, reset=True) from None
        if not piece:
            raise Closed(self.buffer, reset=False)
        self.buffer += piece

    def read_until(self, mark, within=PATIENCE):
        deadline = time.monotonic() + within
        while mark not in self.buffer:
            self.read_some(deadline - time.monotonic())
        head, _, self.buffer = self.buffer.partition(mark)
        return head + mark

    def read_exactly(self, count, within=PATIENCE):
        deadline = time.monotonic() + within
        while len(self.buffer) < count:
            self.read_some(deadline - time.monotonic())
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def expect_end(self, within=PATIENCE):
        """Expects the server to end the connection without sending more bytes."""
        try:
            while True:
                assert not self.buffer, f"bytes after the end: {self.buffer[:200]!r}"
                self.read_some(within)
        except Closed:
            pass

    def drain(self, within=PATIENCE):
        """Reads and drops all bytes until the server ends the connection in any way."""
        try:
            while True:
                self.read_some(within)
        except Closed:
            self.buffer = b""

    # HTTP.

    def read_answer(self, is_head=False, within=PATIENCE):
        head = self.read_until(b"\r\n\r\n", within).decode("latin-1")
        lines = head[:-4].split("\r\n")
        version, status = lines[0].split(" ")[:2]
        assert version == "HTTP/1.1", head
        fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        names = [name.lower() for name, _ in fields]
        if int(status) < 200 or int(status) == 204:
            assert "content-length" not in names, head
            return Answer(int(status), fields, b"")
        assert names.count("content-length") == 1, head
        length = int({name.lower(): value for name, value in fields}["content-length"])
        body = b"" if is_head else self.read_exactly(length, within)
        return Answer(int(status), fields, body)


class RawWebSocket(RawConnection):
    """An upgraded connection that is read frame by frame."""

    def __init__(self, server, path, headers=(), timeout=PATIENCE):
        super().__init__(server, timeout)
        self.send(upgrade_request(path, headers=headers))
        self.answer = self.read_upgrade()

    def read_upgrade(self):
        head = self.read_until(b"\r\n\r\n").decode("latin-1")
        assert head.startswith("HTTP/1.1 101 "), head
        return head

    def send_frame(self, opcode, payload=b"", final=True, mask=None, first=None):
        self.send(frame(opcode, payload, final, mask, first))

    def read_frame(self, within=PATIENCE):
        """Returns the next frame as (opcode, payload), and checks the rules for a server."""
        deadline = time.monotonic() + within
        first, second = self.read_exactly(2, within)
        assert first & 0x70 == 0, "the server set a reserved bit without negotiation"
        assert first & 0x80, "the server must send whole messages"
        assert second & 0x80 == 0, "the server masked a frame"
        length, opcode = second & 0x7F, first & 0x0F
        if opcode >= 8:
            assert length <= 125, "a control frame of more than 125 bytes"
        if length == 126:
            (length,) = struct.unpack("!H", self.read_exactly(2, deadline - time.monotonic()))
            assert length > 125, "the length is not in its shortest form"
        elif length == 127:
            (length,) = struct.unpack("!Q", self.read_exactly(8, deadline - time.monotonic()))
            assert length > 65_535, "the length is not in its shortest form"
        return opcode, self.read_exactly(length, deadline - time.monotonic())

    def read_close(self, within=PATIENCE):
        """Returns the code and reason of the next close frame; skips the messages before it."""
        deadline = time.monotonic() + within
        while True:
            opcode, payload = self.read_frame(deadline - time.monotonic())
            if opcode == CLOSE:
                if not payload:
                    return None, ""
                assert len(payload) >= 2
                return struct.unpack("!H", payload[:2])[0], payload[2:].decode("utf-8")

    def expect_close(self, code, within=PATIENCE):
        """Expects a close frame with that code, then the end; returns the reason."""
        got, reason = self.read_close(within)
        assert got == code, f"expected close {code}, got {got} {reason!r}"
        self.expect_end()
        return reason

    def expect_pong(self, payload, within=PATIENCE):
        """Skips text frames and expects the next pong to answer this ping."""
        deadline = time.monotonic() + within
        while True:
            opcode, received = self.read_frame(deadline - time.monotonic())
            assert opcode != CLOSE, f"closed: {received!r}"
            if opcode == PONG:
                assert received == payload
                return

    def answers(self):
        """Proves that the server processed everything sent so far and still answers."""
        probe = os.urandom(8)
        self.send_frame(PING, probe)
        self.expect_pong(probe)


def upgrade_request(path, headers=(), method="GET", version="HTTP/1.1", drop=(), key=None):
    """Returns an upgrade request, valid except for the test's changes."""
    fields = {
        "Host": "localhost",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key or base64.b64encode(os.urandom(16)).decode(),
    }
    for name in drop:
        del fields[name]
    lines = [f"{method} {path} {version}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def frame_header(opcode, length, final=True, mask=ZERO_MASK, first=None, form=None):
    """Returns a frame header. `form`: the number of length bytes, to choose a wrong one."""
    byte = first if first is not None else (0x80 if final else 0) | opcode
    if form is None:
        form = 0 if length < 126 else 2 if length < 65_536 else 8
    masked = 0 if mask is None else 0x80
    if form == 0:
        return struct.pack("!BB", byte, masked | length) + (mask or b"")
    if form == 2:
        return struct.pack("!BBH", byte, masked | 126, length) + (mask or b"")
    return struct.pack("!BBQ", byte, masked | 127, length) + (mask or b"")


def frame(opcode, payload=b"", final=True, mask=None, first=None):
    """Returns a whole masked frame; `mask=False` omits the mask."""
    if mask is False:
        return frame_header(opcode, len(payload), final, None, first) + payload
    key = os.urandom(4) if mask is None else mask
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(
        len(payload), "big"
    )
    return frame_header(opcode, len(payload), final, key, first) + masked


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


def exchange(server, data, within=PATIENCE):
    """Sends bytes on a new connection and returns the first response."""
    with RawConnection(server) as connection:
        connection.send_if_open(data)
        return connection.read_answer(within=within)
