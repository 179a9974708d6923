"""Thousands of connections from one thread: nonblocking sockets under one epoll."""

import collections
import select
import socket
import struct
import time


class Member:
    """One connection of the crowd. All received bytes are collected in `received`."""

    def __init__(self, crowd, number, receive_buffer=None):
        self.crowd, self.number = crowd, number
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setblocking(False)
        self.socket.connect_ex(crowd.server.address)
        # Memory views, so that thousands of members share one copy of the bytes to send.
        self.waiting, self.received = collections.deque(), b""
        self.reads, self.ended = True, False

    def send(self, data):
        if data:
            self.waiting.append(memoryview(data))
        self.crowd.watch(self)

    def stop_reading(self):
        """Stops reading."""
        self.reads = False
        self.crowd.watch(self)

    def resume_reading(self):
        self.reads = True
        self.crowd.watch(self)

    def reset(self):
        """Ends with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        if self.socket.fileno() >= 0:
            self.crowd.forget(self)
            self.crowd.open.discard(self)
            self.socket.close()

    def handle(self, events):
        if events & select.EPOLLOUT and self.waiting:
            try:
                sent = self.socket.send(self.waiting[0])
                self.waiting[0] = self.waiting[0][sent:]
                if not self.waiting[0]:
                    self.waiting.popleft()
            except BlockingIOError:
                pass
            except OSError:
                self.waiting.clear()
            self.crowd.watch(self)
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            try:
                data = self.socket.recv(1 << 18)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            self.received += data
            if not data:
                self.ended = True
                self.waiting.clear()
                self.crowd.forget(self)


class Crowd:
    """Opens members and runs their event loop."""

    def __init__(self, server):
        self.server = server
        self.epoll = select.epoll()
        self.members = {}
        # Members with an open socket, including those whose connection the server has ended.
        self.open = set()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for member in list(self.open):
            member.close()
        self.epoll.close()

    def connect(self, count=1, data=b"", **options):
        """Opens `count` members; `data` is the first bytes of each, or a function of its number."""
        made = []
        for number in range(count):
            member = Member(self, number, **options)
            self.members[member.socket.fileno()] = member
            self.open.add(member)
            self.epoll.register(member.socket, select.EPOLLIN | select.EPOLLOUT)
            member.send(data(number) if callable(data) else data)
            made.append(member)
            # Gives the server time to accept, so that its listen backlog does not overflow.
            if number % 500 == 499:
                self.turn()
        return made

    def watch(self, member):
        if member.ended or member.socket.fileno() not in self.members:
            return
        events = (select.EPOLLIN if member.reads else 0) | (
            select.EPOLLOUT if member.waiting else 0
        )
        self.epoll.modify(member.socket, events)

    def forget(self, member):
        if self.members.pop(member.socket.fileno(), None) is not None:
            self.epoll.unregister(member.socket)

    def turn(self, timeout=0.02):
        for number, events in self.epoll.poll(timeout, 4_096):
            member = self.members.get(number)
            if member is not None:
                member.handle(events)

    def until(self, claim, condition, within=30.0):
        """Runs the loop until the condition holds."""
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"not within {within} s: {claim}"
            self.turn()

    def keep_sending(self, member, data, until, within=30.0):
        """Makes a member send `data` repeatedly until the condition holds."""

        def is_true():
            if not member.waiting:
                member.send(data)
            return until()

        self.until("the condition holds after enough sends", is_true, within)


def is_upgraded(member):
    return b"\r\n\r\n" in member.received


def frames_of(member):
    """Returns the complete frames after the upgrade response, as (opcode, payload)."""
    data, at, frames = member.received, member.received.index(b"\r\n\r\n") + 4, []
    while at + 2 <= len(data):
        length, start = data[at + 1] & 0x7F, at + 2
        if length == 126:
            length, start = struct.unpack("!H", data[at + 2 : at + 4])[0], at + 4
        elif length == 127:
            length, start = struct.unpack("!Q", data[at + 2 : at + 10])[0], at + 10
        if start + length > len(data):
            break
        frames.append((data[at] & 0x0F, data[start : start + length]))
        at = start + length
    assert at <= len(data)
    return frames
