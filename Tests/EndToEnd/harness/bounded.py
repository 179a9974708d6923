"""Proof that nothing else comes: a mark is sent behind, and the next message must be it."""

from harness.server import API_KEY


def next_is_mark(server, client, user, title_of):
    """Publishes a mark for `user`; the next message of `client` must be that notification."""
    server.publish(user, "a mark")
    message = client.next()
    assert title_of(message) == "a mark", f"something came before the mark: {message}"


def send(server, path, body, token=None, expected=200, method="POST"):
    """Asks one of rooms-hub's endpoints, as a publisher unless a token is given; returns its data.
    """
    answer = server.request(
        method, f"/api/v1/websocket/{path}", token, body, key=None if token else API_KEY
    )
    assert answer.status == expected, answer
    return answer.data if expected < 300 else answer.error
