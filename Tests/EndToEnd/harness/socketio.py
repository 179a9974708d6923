"""Socket.IO 5 by hand, on top of the Engine.IO clients: packets as text, read in order."""

import json
import re

from harness.engineio import SOCKET_PATH, PollingClient, encode, open_client
from harness.raw import PATIENCE


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def placeholder(number):
    return {"_placeholder": True, "num": number}


def event(name, *arguments, namespace="/", ack=None):
    """Returns the packets of an event, or of a binary event if its arguments include bytes."""
    return _packets("2", "5", [name, *arguments], namespace, ack)


def acknowledgement(identifier, *arguments, namespace="/"):
    return _packets("3", "6", list(arguments), namespace, identifier)


def _packets(plain, binary, values, namespace, identifier):
    attachments, written = [], []
    for value in values:
        if isinstance(value, bytes):
            written.append(placeholder(len(attachments)))
            attachments.append(value)
        else:
            written.append(value)
    kind = f"{binary}{len(attachments)}-" if attachments else plain
    name = "" if namespace == "/" else f"{namespace},"
    number = "" if identifier is None else identifier
    return [f"4{kind}{name}{number}{compact(written)}", *attachments]


class SocketIOClient:
    """A Socket.IO session over any transport. Received packets are compared as exact text."""

    def __init__(self, server, transport="websocket"):
        self.engine = open_client(transport, server, SOCKET_PATH)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.engine.close()

    def send(self, *packets):
        self.engine.send(*packets)

    def send_if_taken(self, *packets):
        """Sends packets that must end the session; with polling the post itself may get a 400."""
        if isinstance(self.engine, PollingClient):
            answer = self.engine.post(encode(packets))
            assert answer.status in (200, 400), answer
        else:
            self.engine.send(*packets)

    def next(self, within=PATIENCE):
        return self.engine.next(within)

    def expect(self, *packets, within=PATIENCE):
        """Expects exactly these packets next."""
        for packet in packets:
            received = self.engine.next(within)
            assert received == packet, f"expected {packet!r}, got {received!r}"

    def connect(self, namespace="/", payload=None):
        """Connects to a namespace and returns the id of its socket."""
        name = "" if namespace == "/" else f"{namespace},"
        self.send(f"40{name}" + ("" if payload is None else compact(payload)))
        return self.expect_connected(namespace, {} if payload is None else payload)

    def expect_connected(self, namespace="/", payload=None):
        """Reads the answer to CONNECT and the `auth` event with the payload; returns the sid."""
        name = "" if namespace == "/" else f"{namespace},"
        answer = self.next()
        assert answer.startswith(f"40{name}{{"), answer
        answered = json.loads(answer[len(f"40{name}") :])
        assert list(answered) == ["sid"], answered
        assert re.fullmatch(r"[A-Za-z0-9_-]{16,}", answered["sid"]), answered
        self.expect(*event("auth", payload or {}, namespace=namespace))
        return answered["sid"]

    def echoes(self, text="still here", namespace="/"):
        """Proves that the namespace is connected and that all packets before were processed."""
        self.send(*event("message", text, namespace=namespace))
        self.expect(*event("message-back", text, namespace=namespace))

    def expect_closed(self, within=PATIENCE):
        """Expects the server to end the session; only heartbeats may come before."""
        seen = self.engine.expect_closed(within)
        assert seen == [], seen
