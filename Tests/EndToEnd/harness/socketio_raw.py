"""Socket.IO by hand: packets as on the wire, and clients over both transports to be cut.

It supports the tests' needs only: text packets of one namespace. It checks the server's packets
strictly. Recovery needs two values, which the official clients send by themselves: `pid`, the
server's id of the session, and `offset`, the last one that the client received.
"""

import json
from urllib.parse import urlencode

from harness.clients import Client
from harness.dialects import AnswerParser, Dialect, Update, WebSocketParser
from harness.raw import TEXT, frame, upgrade_request
from harness.tokens import user_token
from harness.waiting import PATIENCE

PATH = "/socket.io/"
SPACE = "/notifications"
SEPARATOR = "\x1e"


def path(transport, **query):
    return f"{PATH}?{urlencode({'EIO': 4, 'transport': transport, **query})}"


def connect_packet(**auth):
    return f"40{SPACE}," + (json.dumps(auth) if auth else "")


class Session:
    """The state of one Socket.IO client: it takes packets and returns their content.

    `recovery` is the value to resume with, one string like any other dialect's cursor.
    """

    def __init__(self, token, recovery=None):
        known = json.loads(recovery) if recovery is not None else {}
        self.token, self.pid, self.offset = token, known.get("pid"), known.get("offset")
        self.to_say = []

    @property
    def recovery(self):
        known = {"pid": self.pid, "offset": self.offset}
        return json.dumps({name: value for name, value in known.items() if value is not None})

    def receive(self, packet):
        """Takes one Engine.IO packet; returns its content as a list of updates."""
        kind, rest = packet[:1], packet[1:]
        if kind == "0":
            asked = {"token": self.token, "since": "", **json.loads(self.recovery)}
            self.to_say.append(connect_packet(**asked))
        elif kind == "2":
            self.to_say.append("3" + rest)
        elif kind == "4":
            return [self._receive_message(rest)]
        else:
            assert (kind, rest) == ("6", ""), packet
        return []

    def _receive_message(self, packet):
        space, _, body = packet[1:].partition(",")
        assert space == SPACE, packet
        if packet[0] == "0":
            before, self.pid = self.pid, json.loads(body)["pid"]
            is_lost = before not in (None, self.pid)
            self.offset = None if is_lost else self.offset
            return Update(self.recovery, None, is_lost)
        assert packet[0] == "2", packet
        name, *values = json.loads(body)
        # As the JavaScript client does, also where the last string is the event's name.
        if isinstance(last := [name, *values][-1], str):
            self.offset = last
        return Update(self.recovery, values[0]["title"] if name == "notification" else None)


class RawClient(Client):
    """A WebSocket client for packets that no official client sends.

    It asks for recovery, in CONNECT, unless `since` is None.
    """

    path = PATH

    def __init__(self, server, user, auth=None, since="", query=None, **options):
        query = {"EIO": "4", "transport": "websocket", **(query or {})}
        super().__init__(server, user, by=None, query=query, **options)
        self.opening = json.loads(self.packet("0"))
        asked = {} if since is None else {"since": since}
        self.send(connect_packet(**{"token": user_token(user), **asked, **(auth or {})}))

    def said(self, within=PATIENCE):
        """Returns the next packet; answers and skips the transport's own pings."""
        while (text := self.socket.recv(timeout=within)) == "2":
            self.send("3")
        return text

    def packet(self, kind):
        """Reads the next packet, which must be of that kind; returns its rest."""
        text = self.said()
        assert text.startswith(kind), text
        return text[len(kind) :]

    def answer(self):
        """Returns the answer to CONNECT."""
        return json.loads(self.packet(f"40{SPACE},"))

    def event(self):
        return json.loads(self.packet(f"42{SPACE},"))

    def event_but_ping(self):
        """Returns the next event; skips the application's keep-alive."""
        while (event := self.event())[0] == "ping":
            pass
        return event

    def title(self):
        """Reads on to the next notification; returns its title."""
        while (event := self.event())[0] != "notification":
            pass
        return event[1]["title"]


class SocketIO(Dialect):
    """Socket.IO over a WebSocket, for clients that are cut at any byte."""

    # A new client has no session to recover.
    beginning = None

    def __init__(self, name="socketio"):
        super().__init__(name, PATH, lambda update: [update])

    def opening(self, token, since):
        return upgrade_request(path("websocket"))

    def parser(self, token, since=None):
        return SocketIOParser(Session(token, since))


class SocketIOPolling(SocketIO):
    """Socket.IO over polling, with sequential requests on one connection."""

    def opening(self, token, since):
        return request("GET", path("polling"))

    def parser(self, token, since=None):
        return PollingParser(Session(token, since))


class SocketIOParser(WebSocketParser):
    """Reads packets from frames."""

    def __init__(self, session):
        super().__init__()
        self.session = session

    def _read(self, payload):
        updates = self.session.receive(payload.decode())
        self.replies += b"".join(frame(TEXT, said.encode()) for said in self.session.to_say)
        self.session.to_say.clear()
        return updates


class PollingParser(AnswerParser):
    """Reads packets from the responses to polls and posts."""

    def __init__(self, session):
        super().__init__()
        self.session, self.sid, self.has_posted = session, None, False

    def _read(self, body):
        packets = [] if self.has_posted else body.decode().split(SEPARATOR)
        if self.sid is None:
            self.sid = json.loads(packets[0][1:])["sid"]
        updates = [each for packet in packets for each in self.session.receive(packet)]
        self.replies += self._next_request()
        return updates

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
