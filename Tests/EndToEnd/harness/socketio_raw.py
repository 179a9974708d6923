"""Socket.IO by hand: packets as they are on the wire, and a client for each way of being cut.

Only what a test needs: text packets of one namespace. What the server says is held to the
protocol strictly. Recovery is a matter of two words, which the official clients send by themselves:
`pid`, by which the server knows the session, and `offset`, the last that was heard of it.
"""

import json
from urllib.parse import urlencode

from harness.clients import Client
from harness.dialects import AnswerParser, Dialect, Told, WebSocketParser
from harness.raw import TEXT, frame, upgrade_request
from harness.tokens import user_token

PATH = "/socket.io/"
SPACE = "/notifications"
SEPARATOR = "\x1e"


def path(transport, **query):
    return f"{PATH}?{urlencode({'EIO': 4, 'transport': transport, **query})}"


def connect_packet(**auth):
    return f"40{SPACE}," + (json.dumps(auth) if auth else "")


class Session:
    """What one Socket.IO client knows: packets in, what they tell out.

    `recovery` is what it comes back with. It is one string, as any other dialect's cursor.
    """

    def __init__(self, token, recovery=None):
        known = json.loads(recovery) if recovery is not None else {}
        self.token, self.pid, self.offset = token, known.get("pid"), known.get("offset")
        self.to_say = []

    @property
    def recovery(self):
        known = {"pid": self.pid, "offset": self.offset}
        return json.dumps({name: value for name, value in known.items() if value is not None})

    def hear(self, packet):
        """Takes one packet of Engine.IO; returns what it tells, in a list."""
        kind, rest = packet[:1], packet[1:]
        if kind == "0":
            self.to_say.append(connect_packet(token=self.token, **json.loads(self.recovery)))
        elif kind == "2":
            self.to_say.append("3" + rest)
        elif kind == "4":
            return [self._hear_message(rest)]
        else:
            assert (kind, rest) == ("6", ""), packet
        return []

    def _hear_message(self, packet):
        space, _, body = packet[1:].partition(",")
        assert space == SPACE, packet
        if packet[0] == "0":
            before, self.pid = self.pid, json.loads(body)["pid"]
            is_lost = before not in (None, self.pid)
            self.offset = None if is_lost else self.offset
            return Told(self.recovery, None, is_lost)
        assert packet[0] == "2", packet
        name, *values = json.loads(body)
        if values and isinstance(values[-1], str):
            self.offset = values[-1]
        return Told(self.recovery, values[0]["title"] if name == "notification" else None)


class RawClient(Client):
    """A client over a WebSocket, for what no official one would send."""

    path = PATH

    def __init__(self, server, user, auth=None, **options):
        query = {"EIO": "4", "transport": "websocket"}
        super().__init__(server, user, by=None, query=query, **options)
        self.opening = json.loads(self.packet("0"))
        self.send(connect_packet(**{"token": user_token(user), **(auth or {})}))

    def said(self, within=10):
        """The next packet, over the transport's own pings, which it answers."""
        while (text := self.socket.recv(timeout=within)) == "2":
            self.send("3")
        return text

    def packet(self, kind):
        """What follows the next packet, which must be of that kind."""
        text = self.said()
        assert text.startswith(kind), text
        return text[len(kind) :]

    def answer(self):
        """The answer to CONNECT."""
        return json.loads(self.packet(f"40{SPACE},"))

    def event(self):
        return json.loads(self.packet(f"42{SPACE},"))

    def title(self):
        """Reads on to the next notification; returns its title."""
        while (event := self.event())[0] != "notification":
            pass
        return event[1]["title"]


class SocketIO(Dialect):
    """Over a WebSocket, as a client that is cut at any byte."""

    # There is no session to come back to.
    beginning = None

    def __init__(self, name="socketio"):
        super().__init__(name, PATH, lambda told: [told])

    def opening(self, token, since):
        return upgrade_request(path("websocket"))

    def parser(self, token, since=None):
        return SocketIOParser(Session(token, since))


class SocketIOPolling(SocketIO):
    """The same over requests, one after another on one connection."""

    def opening(self, token, since):
        return request("GET", path("polling"))

    def parser(self, token, since=None):
        return PollingParser(Session(token, since))


class SocketIOParser(WebSocketParser):
    """Packets out of frames."""

    def __init__(self, session):
        super().__init__()
        self.session = session

    def _read(self, payload):
        told = self.session.hear(payload.decode())
        self.replies += b"".join(frame(TEXT, said.encode()) for said in self.session.to_say)
        self.session.to_say.clear()
        return told


class PollingParser(AnswerParser):
    """Packets out of answers to polls and posts."""

    def __init__(self, session):
        super().__init__()
        self.session, self.sid, self.has_posted = session, None, False

    def _read(self, body):
        packets = [] if self.has_posted else body.decode().split(SEPARATOR)
        if self.sid is None:
            self.sid = json.loads(packets[0][1:])["sid"]
        told = [each for packet in packets for each in self.session.hear(packet)]
        self.replies += self._next_request()
        return told

    def _next_request(self):
        to = path("polling", sid=self.sid)
        self.has_posted = bool(self.session.to_say)
        if not self.has_posted:
            return request("GET", to)
        body = SEPARATOR.join(self.session.to_say).encode()
        self.session.to_say.clear()
        return request("POST", to, body)


def request(method, path, body=b""):
    fields = "Host: localhost\r\n"
    if method == "POST":
        fields += f"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {len(body)}\r\n"
    return f"{method} {path} HTTP/1.1\r\n{fields}\r\n".encode() + body


SOCKET_IO_DIALECTS = [SocketIO(), SocketIOPolling("socketio-polling")]
