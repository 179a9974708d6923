"""Engine.IO 4 by hand, over raw sockets: each response, frame and packet is checked on arrival.

The polling client and the WebSocket client have the same methods, so that one test can run over
either. A packet is a `str` that begins with its type, or the `bytes` of a binary message.
"""

import base64
import collections
import itertools
import json
import os
import re
import time
import types
from pathlib import Path
from urllib.parse import urlencode

from harness.raw import (
    BINARY,
    CLOSE,
    PATIENCE,
    PING,
    PONG,
    TEXT,
    RawConnection,
    RawWebSocket,
    frame,
)
from harness.server import ROOT, Server
from harness.waiting import wait_until

FIXTURE = Path(
    os.environ.get("CARILLON_SOCKETIO_FIXTURE")
    or ROOT / ".build" / "release" / "carillon-socketio-fixture"
)
ENGINE_PATH, SOCKET_PATH = "/engine.io/", "/socket.io/"
TRANSPORTS = ["polling", "websocket", "upgraded"]
SEPARATOR = "\x1e"
PLAIN, MARKUP, JSON = "text/plain; charset=UTF-8", "text/html", "application/json"
ERRORS = {
    0: "Transport unknown",
    1: "Session ID unknown",
    2: "Bad handshake method",
    3: "Bad request",
    5: "Unsupported protocol version",
}
LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+) and \[::1\]:(\d+)")


class EngineServer(Server):
    """The test-only server: Engine.IO that echoes, and Socket.IO that obeys its clients' events.

    Options are its flags: `ping_interval=300` is `--ping-interval 300`.
    """

    def __init__(self, directory, environment=None, **options):
        flags = [(f"--{name.replace('_', '-')}", str(value)) for name, value in options.items()]
        super().__init__(directory, arguments=itertools.chain(*flags))
        self.environment = {"LOG_LEVEL": "info", **(environment or {})}

    def command(self):
        assert FIXTURE.exists(), f"build the fixture first: {FIXTURE} is missing"
        return [str(FIXTURE), "--port", str(self.port), *self.arguments]

    def _is_ready(self):
        assert self.process.poll() is None, f"the server ended at start:\n{self.log()}"
        found = LISTENING.search(self.log())
        if found is not None:
            assert found[1] == found[2] == str(self.port), found[0]
        return found is not None

    @property
    def over_ipv6(self):
        """The same server at its IPv6 address."""
        return types.SimpleNamespace(address=("::1", self.port))


def target(path, transport, sid=None, **query):
    """Returns a path with its query; omits parameters that are None."""
    asked = {"EIO": "4", "transport": transport, "sid": sid, **query}
    kept = {name: value for name, value in asked.items() if value is not None}
    return path + (f"?{urlencode(kept)}" if kept else "")


def encode(packets):
    """Returns the payload for several packets."""
    return SEPARATOR.join(
        "b" + base64.b64encode(each).decode() if isinstance(each, bytes) else each
        for each in packets
    ).encode()


def decode(payload):
    """Returns the packets in a payload."""
    return [decode_packet(each) for each in payload.decode("utf-8").split(SEPARATOR)]


def decode_packet(text):
    if text.startswith("b"):
        return base64.b64decode(text[1:], validate=True)
    assert text[:1] in set("0123456"), f"not a packet: {text!r}"
    return text


def read_open(packet):
    """Parses the open packet; an extra or missing field fails the test."""
    assert packet.startswith("0"), packet
    opening = json.loads(packet[1:])
    assert list(opening) == ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]
    return opening


def expect_error(answer, code):
    """Expects the reference server's error response with that code."""
    assert (answer.status, answer.headers["content-type"]) == (400, JSON), answer
    assert answer.json == {"code": code, "message": ERRORS[code]}, answer


def request(method, path, body=None, headers=()):
    """Returns the bytes of a request."""
    fields = [("Host", "localhost"), *headers]
    if body is not None and not any(name == "Transfer-Encoding" for name, _ in fields):
        fields.append(("Content-Length", len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")


class Requests:
    """Sequential requests on one kept-alive connection, or with `fresh` on a new one each."""

    def __init__(self, server, fresh=False):
        self.server, self.fresh, self.connection = server, fresh, None

    def ask(self, method, path, body=None, headers=()):
        """Sends a request; `answer` reads the response later."""
        if self.connection is None:
            self.connection = RawConnection(self.server)
        self.connection.send_if_open(request(method, path, body, headers))

    def answer(self, within=PATIENCE):
        answer = self.connection.read_answer(within=within)
        assert "set-cookie" not in answer.headers, "only the sid may identify a session"
        if self.fresh or answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def exchange(self, method, path, body=None, headers=(), within=PATIENCE):
        self.ask(method, path, body, headers)
        return self.answer(within)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def ask(engine, method="GET", body=None, headers=(), path=ENGINE_PATH, **query):
    """Sends one request on a new connection and returns the response."""
    query.setdefault("transport", "polling")
    return Requests(engine, fresh=True).exchange(method, target(path, **query), body, headers)


class PollingClient:
    """A session over HTTP: one connection polls, the other posts."""

    def __init__(self, server, path=ENGINE_PATH, fresh=False):
        self.server, self.path = server, path
        self.polling, self.posting = Requests(server, fresh), Requests(server, fresh)
        self.received, self.waits = collections.deque(), False
        answer = self.polling.exchange("GET", target(path, "polling"))
        (packet,) = self.packets_of(answer)
        self.opening = read_open(packet)
        self.sid = self.opening["sid"]
        self.target = target(path, "polling", self.sid)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.polling.close()
        self.posting.close()

    @staticmethod
    def packets_of(answer):
        assert (answer.status, answer.headers["content-type"]) == (200, PLAIN), answer
        return decode(answer.bytes)

    # Sending.

    def post(self, body, headers=(("Content-Type", "text/plain;charset=UTF-8"),)):
        """Posts bytes unchanged and returns the response, whatever its status."""
        return self.posting.exchange("POST", self.target, body, headers)

    def send(self, *packets):
        answer = self.post(encode(packets))
        said = (answer.status, answer.headers["content-type"], answer.bytes)
        assert said == (200, MARKUP, b"ok"), answer

    # Receiving.

    def begin_poll(self):
        """Sends a poll and returns when the server has read it."""
        self._ask()
        wait_until("the server has read the poll", self.polling.connection.is_read)

    def _ask(self):
        assert not self.waits
        self.polling.ask("GET", self.target)
        self.waits = True

    def end_poll(self, within=PATIENCE):
        """Returns the response to the pending poll."""
        assert self.waits
        self.waits = False
        return self.polling.answer(within)

    def poll(self, within=PATIENCE):
        """Returns the packets of one poll."""
        if not self.waits:
            self._ask()
        return self.packets_of(self.end_poll(within))

    def next(self, within=PATIENCE):
        """Returns the next message packet; answers heartbeats and drops noop packets."""
        deadline = time.monotonic() + within
        while not self.received:
            for packet in self.poll(deadline - time.monotonic()):
                if packet == "2":
                    self.send("3")
                elif packet != "6":
                    self.received.append(packet)
        return self.received.popleft()

    def expect_closed(self, within=PATIENCE):
        """Expects the session to end in that time; returns the message packets before the end."""
        deadline, seen = time.monotonic() + within, list(self.received)
        while True:
            if not self.waits:
                self._ask()
            answer = self.end_poll(deadline - time.monotonic())
            if answer.status != 200:
                expect_error(answer, 1)
                return seen
            seen += [each for each in self.packets_of(answer) if each not in ("1", "2", "6")]

    def upgrade(self):
        """Upgrades to WebSocket as the protocol specifies; returns the upgrade successor."""
        self.begin_poll()
        successor = WebSocketClient(self.server, self.path, self.sid)
        successor.opening = self.opening
        successor.probe()
        assert self.poll() == ["6"]
        successor.send("5")
        self.close()
        return successor


class Ended(Exception):
    """The server closed the WebSocket with that code (None: without a code)."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


class WebSocketClient:
    """A session over WebSocket: a new one, or with a `sid` the upgrade of a polling session."""

    def __init__(self, server, path=ENGINE_PATH, sid=None):
        self.server, self.path, self.sid = server, path, sid
        self.socket = RawWebSocket(server, target(path, "websocket", sid))
        assert "set-cookie" not in self.socket.answer.lower()
        if sid is None:
            self.opening = read_open(self.read())
            self.sid = self.opening["sid"]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, *packets):
        for packet in packets:
            if isinstance(packet, bytes):
                self.socket.send_frame(BINARY, packet)
            else:
                self.socket.send_frame(TEXT, packet.encode())

    def probe(self):
        """Sends the upgrade probe and expects its answer."""
        self.send("2probe")
        assert self.read() == "3probe"

    def read(self, within=PATIENCE):
        """Returns the next packet of any kind."""
        deadline = time.monotonic() + within
        while True:
            opcode, payload = self.socket.read_frame(deadline - time.monotonic())
            if opcode == CLOSE:
                self.socket.send_if_open(frame(CLOSE, payload))
                raise Ended(int.from_bytes(payload[:2], "big") if payload else None)
            if opcode == PING:
                self.socket.send_frame(PONG, payload)
            elif opcode == TEXT:
                return decode_packet(payload.decode("utf-8"))
            elif opcode == BINARY:
                return payload

    def next(self, within=PATIENCE):
        """Returns the next message packet; answers heartbeats."""
        deadline = time.monotonic() + within
        while (packet := self.read(deadline - time.monotonic())) == "2":
            self.send("3")
        return packet

    def expect_closed(self, within=PATIENCE):
        """Expects the server to close in that time; returns the message packets before the end."""
        deadline, seen = time.monotonic() + within, []
        try:
            while True:
                packet = self.read(deadline - time.monotonic())
                if packet not in ("1", "2"):
                    seen.append(packet)
        except Ended as ended:
            self.code = ended.code
        self.socket.expect_end(PATIENCE)
        return seen


def open_client(transport, server, path=ENGINE_PATH):
    """Opens a client over that transport; "upgraded" starts with polling and upgrades."""
    if transport == "websocket":
        return WebSocketClient(server, path)
    client = PollingClient(server, path)
    return client.upgrade() if transport == "upgraded" else client


def expect_answer(client):
    """Proves that the session still answers, with Engine.IO or Socket.IO according to its path."""
    if client.path == ENGINE_PATH:
        client.send("4still here")
        assert client.next() == "4still here"
    else:
        client.send("40/nowhere")
        assert client.next() == '44/nowhere,{"message":"Invalid namespace"}'


def expect_upgrade(polling):
    """Proves that a polling session still answers and can still upgrade to WebSocket."""
    expect_answer(polling)
    with polling.upgrade() as client:
        expect_answer(client)


class Attempt(RawWebSocket):
    """An upgrade that the server may reject."""

    def read_upgrade(self):
        return self.read_until(b"\r\n\r\n").decode("latin-1")


def expect_refused(server, path):
    """Expects the server to reject a WebSocket before the upgrade or close it right after it."""
    with Attempt(server, path) as attempt:
        if attempt.answer.startswith("HTTP/1.1 101 "):
            attempt.read_close()
            attempt.expect_end(PATIENCE)
        else:
            assert attempt.answer.startswith("HTTP/1.1 400 "), attempt.answer
