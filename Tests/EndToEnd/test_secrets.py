"""Credentials never leak: no log, metric, answer, file or command line contains them."""

import signal
import socket
from pathlib import Path

import pytest

from harness.clients import EVENT_PATH, FLAT_PATH, INBOX_PATH
from harness.raw import (
    CLOSE,
    TEXT,
    Closed,
    RawConnection,
    close_payload,
    frame,
    upgrade_request,
)
from harness.server import API_KEY, run_carillon
from harness.tokens import SECRET, assemble, base64url, sign, user_token

INBOX = "/api/v1/notifications"
CANARIES = 200
LEVELS = ["error", "warning", "info", "debug"]
COMMON_HEADER = base64url(b'{"alg": "HS256", "typ": "JWT"}')


def canary(number):
    """A token whose kind depends on its number; its signature, at least, is unique to it."""
    user = f"canary-{number}"
    match number % 4:
        case 0:
            return user_token(user)
        case 1:
            return user_token(user, ttl=-3_600)
        case 2:
            return sign({"sub": user, "exp": 1 << 33}, secret=f"{number}")
        case _:
            return assemble(b"{", f"{number}".encode())


def requests(token):
    """Every way a request can carry a token, correctly or by mistake."""
    get = f"GET {INBOX} HTTP/1.1\r\nHost: x\r\n"
    post = f"POST {INBOX} HTTP/1.1\r\nHost: x\r\n"
    key = f"X-API-Key: {API_KEY}\r\n"
    for path in (EVENT_PATH, FLAT_PATH, INBOX_PATH):
        yield upgrade_request(f"{path}?token={token}")
        yield upgrade_request(f"{path}?since=0&token={token}")
        yield upgrade_request(f"{path}?since={token}&token={token}")
        yield upgrade_request(path, headers=[("Authorization", f"Bearer {token}")])
        yield upgrade_request(path, headers=[("Authorization", f"Basic {token}")])
        yield upgrade_request(path, headers=[("Sec-WebSocket-Protocol", f"bearer, {token}")])
        yield upgrade_request(path, headers=[("Cookie", f"token={token}")])
        yield upgrade_request(f"{path}?token={token}", headers=[("Origin", f"https://{token}")])
        yield upgrade_request(f"{path}?token={token}", drop=("Sec-WebSocket-Version",))
        yield upgrade_request(f"{path}?token={token}", key=token)
    for text in (
        f"GET /nowhere?token={token} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {INBOX}?token={token} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {INBOX}?token={token}&token={token} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {INBOX}?limit={token} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /{token} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"PUT {INBOX}/{token}/read HTTP/1.1\r\nHost: x\r\n\r\n",
        f"BAD{token} / HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET / HTTP/1.1{token}\r\nHost: x\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: {token}:x\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\n{token}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nbad field {token}: x\r\n\r\n",
        f"{get}Authorization: Bearer {token}\r\nX: \x01{token}\r\n\r\n",
        f"{get}Authorization: Bearer {token}\r\nX: {token * 60}\r\n\r\n",
        f"{get}Authorization: {token}\r\n\r\n",
        f"{get}Cookie: token={token}\r\n\r\n",
        f"{get}X-API-Key: {token}\r\n\r\n",
        f"{get}User-Agent: {token}\r\nReferer: http://x/?token={token}\r\n\r\n",
        f"{post}Authorization: Bearer {token}\r\nContent-Length: 2\r\n\r\n{{}}",
        f"{post}{key}Content-Length: {len(token)}\r\n\r\n{token}",
        f"{post}{key}Content-Length: {token}\r\n\r\n",
        f"{post}{key}Content-Type: {token}\r\nContent-Length: 2\r\n\r\n{{}}",
        f"{post}{key}Idempotency-Key: {token * 3}\r\nContent-Length: 2\r\n\r\n{{}}",
        f"{post}{key}Transfer-Encoding: chunked\r\n\r\n{token}\r\n",
        f"{post}{key}Transfer-Encoding: chunked\r\n\r\n1;{token}\r\nx0\r\n",
        f"{post}{key}Transfer-Encoding: {token}\r\n\r\n",
        f"{post}{key}Expect: {token}\r\nContent-Length: 2\r\n\r\n{{}}",
    ):
        yield text.encode()


def messages(token):
    """Messages with a token over an open session. No ping: the server must echo its payload."""
    yield frame(TEXT, f'{{"type":"auth","token":"{token}"}}'[-500:].encode())
    yield frame(TEXT, f'{{"token":"{token[-300:]}'.encode())
    yield frame(CLOSE, close_payload(1000, token[-100:].encode()))


def answers_to(server, data):
    """Everything the server sends, HTTP or frames, until the connection ends."""
    with RawConnection(server) as connection:
        connection.send_if_open(data)
        try:
            answer = connection.read_until(b"\r\n\r\n")
            if answer.startswith(b"HTTP/1.1 101 "):
                for message in messages(data.decode("latin-1").split("token=")[-1].split()[0]):
                    connection.send_if_open(message)
            connection.socket.shutdown(socket.SHUT_WR)
            while True:
                connection.read_some()
        except Closed as closed:
            return closed.received
        except OSError:
            return connection.buffer


def parts_of(token):
    """The parts of a token that would give it away."""
    return [part for part in token.split(".") if len(part) > 30 and part != COMMON_HEADER]


@pytest.mark.parametrize("level", LEVELS)
def test_no_token_reaches_a_log_a_metric_an_answer_or_a_file(make_server, level):
    # Case 51.
    server = make_server(environment={"LOG_LEVEL": level})
    first = LEVELS.index(level) * CANARIES // len(LEVELS)
    tokens = [canary(number) for number in range(first, first + CANARIES // len(LEVELS))]
    keys = [f"canary-key-{number:032x}" for number in range(10)]
    # These are logged at debug before the others use up the log's limit for a second.
    early = [user_token("canary-early"), user_token("canary-early", ttl=-3_600)]
    output = [answers_to(server, upgrade_request(f"{FLAT_PATH}?token={token}")) for token in early]
    for token in tokens:
        output += [answers_to(server, data) for data in requests(token)]
    for key in keys:
        answer = server.request("POST", INBOX, body={"user_id": "u"}, key=key)
        assert answer.status == 401
        output.append(answer.bytes)
    output.append(server.metrics().encode())
    output += [server.request("GET", path).bytes for path in ("/healthz", "/readyz", "/nowhere")]
    output.append(Path(f"/proc/{server.pid}/cmdline").read_bytes())
    if level == "debug":
        # The log of a crash is output as well.
        server.process.send_signal(signal.SIGABRT)
        server.wait(15)
    else:
        server.stop()
    output.append(server.log().encode())
    # At debug the log names the users of accepted tokens, and each refusal.
    lines = ('session of "canary-early" began: flat, ', "refused, 401 unauthorized: flat, ")
    for line in lines:
        assert (line in server.log()) == (level == "debug"), line
    files = [path for path in Path(server.data).rglob("*") if path.is_file()]
    assert files, "the store has no files"
    output += [path.read_bytes() for path in files]
    everything = b"\0".join(output)
    for secret in [SECRET, API_KEY, *keys]:
        assert secret.encode() not in everything, secret
    for token in early + tokens:
        for part in parts_of(token):
            assert part.encode() not in everything, part


def test_the_command_prints_no_secret_when_it_fails(shared_server):
    # Case 51: the client's side. Each of these commands but `check` fails with a message.
    token = sign({"sub": "canary", "exp": 1}, secret="another")
    where = ["--url", shared_server.url]
    known = {"JWT_SECRET": SECRET, "CARILLON_API_KEY": API_KEY, "CARILLON_TOKEN": token}
    for arguments in (
        ["listen", *where, "--token", token],
        ["listen", "--url", "http://127.0.0.1:1", "--token", token],
        ["publish", *where, "--token", token, "--user", "u", "--title", "t"],
        ["publish", *where, "--user", "u", "--title", "t", "--nonsense", token],
        ["serve", "--port", "0", "--data", "/proc/nowhere"],
        ["serve", "--port", "nonsense"],
        ["check"],
    ):
        done = run_carillon(*arguments, environment=known)
        assert done.returncode != 0 or arguments == ["check"], arguments
        assert done.stdout + done.stderr, arguments
        for secret in [SECRET, API_KEY, *parts_of(token)]:
            assert secret not in done.stdout + done.stderr, arguments
