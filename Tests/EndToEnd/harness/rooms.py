"""rooms-hub's client, as in its HTML example, and its endpoints."""

from harness.clients import PATIENCE, Client
from harness.dialects import TYPED_PATH
from harness.server import API_KEY
from harness.times import is_timestamp
from harness.tokens import user_token

HUB = "/api/v1/websocket"


def send(server, path, body, token=None, status=200):
    """Calls one of rooms-hub's endpoints, as a publisher unless a token is given.

    Returns the answer's data, or its error.
    """
    key = None if token else API_KEY
    answer = server.request("POST", f"{HUB}/{path}", token, body, key=key)
    assert answer.status == status, answer
    return answer.data if status < 300 else answer.error


class TypedClient(Client):
    """A client of `typed`, a dialect without a greeting."""

    path = TYPED_PATH

    def __init__(self, server, *arguments, **options):
        super().__init__(server, *arguments, **options)
        self.server, self.named = server, set()

    def say(self, type, **data):
        self.send({"type": type, "data": data})

    def frame(self, within=PATIENCE):
        """Returns the next frame as (type, data); checks that it has the three fields of a frame.

        A member in the answer to a join was online before it, but perhaps so shortly before that
        its presence update arrives later: that one update is skipped.
        """
        while True:
            frame = self.next(within)
            assert list(frame) == ["type", "data", "timestamp"], frame
            assert is_timestamp(frame["timestamp"]), frame
            type, data = frame["type"], frame["data"]
            if type == "room_joined":
                self.named |= set(data["members"]) - {self.user}
            if type == "presence_update" and data["user_id"] in self.named:
                self.named.remove(data["user_id"])
                if data["status"] == "online":
                    continue
            return type, data

    def join(self, room):
        """Joins a room, skips frames about others, and returns the members."""
        self.say("join_room", room=room)
        return self.until("room_joined")["members"]

    def until(self, type, within=PATIENCE):
        """Reads on to the next frame of that type; returns its data."""
        while (frame := self.frame(within))[0] != type:
            assert frame[0] != "error", frame
        return frame[1]

    def receives_nothing(self):
        """Proves that nothing came: a notification that is published now is the next frame.

        It takes the same path as all events, so it comes after those that others already received.
        """
        self.server.publish(self.user, "a mark")
        type, data = self.frame()
        assert (type, data.get("title")) == ("notification", "a mark"), (type, data)

    def answers(self):
        """Proves that the server processed everything sent so far and sent nothing else."""
        self.say("ping")
        assert self.frame() == ("pong", {})

    def is_refused(self, message):
        """Expects an error in answer to a message, and expects the connection to stay open."""
        self.send(message)
        type, data = self.frame()
        assert type == "error", (message, type, data)
        assert list(data) == ["code", "message"] and all(data.values()), data
        self.answers()
        return True


def act_over_http(server, user, path, **body):
    """Performs a user's action over HTTP instead of over its connection."""
    return send(server, f"realtime/{path}", body, user_token(user))


def broadcast(server, title, message="m"):
    """Sends a system message to every connection."""
    body = {"message_type": "m", "title": title, "message": message, "payload": {}}
    send(server, "send/system", body)
