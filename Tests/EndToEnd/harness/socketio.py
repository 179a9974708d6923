"""Socket.IO 5 by hand, on top of the Engine.IO clients: packets as text, told in their order."""

import json
import re

from harness.engineio import SOCKET_PATH, PollingClient, encode, open_client
from harness.raw import PATIENCE


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def placeholder(number):
    return {"_placeholder": True, "num": number}


def event(name, *arguments, namespace="/", ack=None):
    """The packets of an event or, where bytes are among its arguments, of a binary event."""
    return _packets("2", "5", [name, *arguments], namespace, ack)


def acknowledgement(identifier, *arguments, namespace="/"):
    return _packets("3", "6", list(arguments), namespace, identifier)


def _packets(plain, binary, values, namespace, identifier):
    attachments, told = [], []
    for value in values:
        if isinstance(value, bytes):
            told.append(placeholder(len(attachments)))
            attachments.append(value)
        else:
            told.append(value)
    kind = f"{binary}{len(attachments)}-" if attachments else plain
    name = "" if namespace == "/" else f"{namespace},"
    number = "" if identifier is None else identifier
    return [f"4{kind}{name}{number}{compact(told)}", *attachments]


class SocketIOClient:
    """A session of Socket.IO over any transport. What comes is compared as it was written."""

    def __init__(self, server, transport="websocket"):
        self.engine = open_client(transport, server, SOCKET_PATH)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.engine.close()

    def send(self, *packets):
        self.engine.send(*packets)

    def send_if_taken(self, *packets):
        """Sends what must end the session; by polling the answer says so already."""
        if isinstance(self.engine, PollingClient):
            answer = self.engine.post(encode(packets))
            assert answer.status in (200, 400), answer
        else:
            self.engine.send(*packets)

    def next(self, within=PATIENCE):
        return self.engine.next(within)

    def expect(self, *packets, within=PATIENCE):
        """These packets come next, and come exactly so."""
        for packet in packets:
            received = self.engine.next(within)
            assert received == packet, f"expected {packet!r}, got {received!r}"

    def connect(self, namespace="/", payload=None):
        """Connects to a namespace and returns the id of its socket."""
        name = "" if namespace == "/" else f"{namespace},"
        self.send(f"40{name}" + ("" if payload is None else compact(payload)))
        return self.expect_connected(namespace, {} if payload is None else payload)

    def expect_connected(self, namespace="/", payload=None):
        """The answer to CONNECT, and the event by which the server tells what it was given."""
        name = "" if namespace == "/" else f"{namespace},"
        answer = self.next()
        assert answer.startswith(f"40{name}{{"), answer
        told = json.loads(answer[len(f"40{name}") :])
        assert list(told) == ["sid"], told
        assert re.fullmatch(r"[A-Za-z0-9_-]{16,}", told["sid"]), told
        self.expect(*event("auth", payload or {}, namespace=namespace))
        return told["sid"]

    def echoes(self, text="still here", namespace="/"):
        """Proves that the namespace is connected and that all before it was taken in."""
        self.send(*event("message", text, namespace=namespace))
        self.expect(*event("message-back", text, namespace=namespace))

    def expect_closed(self, within=PATIENCE):
        """The server must end the session; nothing but heartbeats may come before."""
        seen = self.engine.expect_closed(within)
        assert seen == [], seen
