"""The exact reason of a refused token: in development, in the debug log, by the command."""

import asyncio
import json
import re
import time

import pytest
import socketio
from socketio.exceptions import ConnectionError as Refused
from websockets.exceptions import ConnectionClosed

from harness.clients import EventClient, FlatClient
from harness.raw import PATIENCE, exchange, upgrade_request
from harness.server import API_KEY, Server, run_carillon
from harness.tokens import SECRET, assemble, sign, user_token
from harness.waiting import wait_until

INBOX = "/api/v1/notifications"
HOUR = 3_600


def faults():
    """Tokens with one fault each: the code of the reason, and a part of its text."""
    now = int(time.time())
    good = {"sub": "u", "exp": now + HOUR}
    return {
        "exp_missing": (sign({"sub": "u"}), "there is no exp"),
        "expired": (sign({"sub": "u", "exp": now - HOUR}), "exp was 36"),
        "exp_in_milliseconds": (
            sign({"sub": "u", "exp": (now + HOUR) * 1_000}),
            "exp is in milliseconds, not in seconds",
        ),
        "exp_not_a_number": (sign({"sub": "u", "exp": "soon"}), "exp is not a number"),
        "nbf_in_the_future": (sign({**good, "nbf": now + HOUR}), "nbf is 3"),
        "wrong_secret": (sign(good, secret="x" * 40), "made with another secret"),
        "other_form_of_secret": (
            sign(good, secret=SECRET + "\n"),
            "the issuer's secret ends with a newline",
        ),
        "alg_not_the_keys": (sign(good, algorithm="HS512"), "alg is HS512"),
        "alg_none": (assemble(b'{"alg":"none"}', json.dumps(good).encode()), "not signed"),
        "part_count": ("nonsense", "has 1 parts between its dots, not 3"),
        "user_missing": (sign({"exp": now + HOUR}), "no claim names the user"),
    }


FAULTS = list(faults())


@pytest.fixture(scope="module")
def development(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("dev"), arguments=["--dev"]).start()
    yield server
    try:
        server.stop()
    finally:
        server.end()


def closing(server, token):
    """The code and reason with which `event` closes a session with this token."""
    with EventClient(server, token=token, greeted=False) as tab:
        with pytest.raises(ConnectionClosed) as closed:
            tab.socket.recv(timeout=PATIENCE)
        return closed.value.rcvd.code, closed.value.rcvd.reason


# The answer.


@pytest.mark.parametrize("code", FAULTS)
def test_a_development_server_answers_with_the_reason(development, code):
    token, reason = faults()[code]
    answer = development.request("GET", INBOX, token)
    assert answer.status == (403 if code == "user_missing" else 401)
    assert answer.error["code"] == ("forbidden" if code == "user_missing" else "unauthorized")
    assert reason in answer.error["message"]
    assert token not in answer.bytes.decode()
    upgrade = exchange(development, upgrade_request(f"{FlatClient.path}?token={token}"))
    assert upgrade.status == 401 and reason in upgrade.error["message"]
    assert closing(development, token)[0] == (4003 if code == "user_missing" else 4002)
    assert reason in closing(development, token)[1]


@pytest.mark.parametrize("code", FAULTS)
def test_the_answer_of_other_servers_stays_coarse(server, code):
    token, _ = faults()[code]
    answer = server.request("GET", INBOX, token)
    assert answer.error["message"] in (
        "the token has expired",
        "the token or key is not valid",
        "this needs the token of a user",
    )
    assert closing(server, token) in (
        (4002, "invalid or expired token"),
        (4003, "invalid token payload"),
    )
    wrong_key = server.request("POST", INBOX, body={}, key="other")
    assert wrong_key.error["message"] == "the token or key is not valid"


def test_other_places_explain_too(development):
    basic = {"Authorization": "Basic YTpi"}
    answer = development.request("GET", INBOX, headers=basic)
    assert "Authorization has no Bearer token" in answer.error["message"]
    answer = development.request("POST", INBOX, body={}, key="wrong")
    assert "X-API-Key is not CARILLON_API_KEY" in answer.error["message"]
    answer = development.request("GET", INBOX, key=API_KEY)
    assert "an API key names no user" in answer.error["message"]
    assert development.request("GET", INBOX).error["message"].endswith("or ?token=")


def test_a_message_with_a_bad_token_closes_with_the_reason(development, server, fresh_user):
    late, user = user_token("u", ttl=-HOUR), fresh_user()
    for where, token, reason in (
        (development, late, "invalid or expired token: exp was 36"),
        (development, user_token("another"), "invalid or expired token: the token is another"),
        (server, late, "invalid or expired token"),
    ):
        with EventClient(where, user) as tab:
            tab.send({"type": "auth", "token": token})
            with pytest.raises(ConnectionClosed) as closed:
                tab.socket.recv(timeout=PATIENCE)
            assert closed.value.rcvd.code == 4002
            assert closed.value.rcvd.reason[: len(reason)] == reason
            assert where is development or closed.value.rcvd.reason == reason


@pytest.mark.parametrize("place", ["auth", "query"])
def test_socketio_gets_the_reason_as_data(development, server, place):
    token = user_token("u", ttl=-HOUR)

    async def refusal(where):
        client, heard = socketio.AsyncClient(reconnection=False), asyncio.Queue()
        client.on("connect_error", heard.put, namespace="/notifications")
        url = where.url + (f"?token={token}" if place == "query" else "")
        auth = {"token": token} if place == "auth" else None
        with pytest.raises(Refused):
            await client.connect(
                url, auth=auth, namespaces=["/notifications"], wait_timeout=PATIENCE
            )
        error = await asyncio.wait_for(heard.get(), PATIENCE)
        await client.disconnect()
        return error

    coarse = asyncio.run(refusal(server))
    assert coarse == {"message": "unauthorized"}
    exact = asyncio.run(refusal(development))
    assert exact["message"] == "unauthorized"
    assert exact["data"]["reason"].startswith("exp was 36"), exact
    assert "new token" in exact["data"]["remedy"]


# The log.


def test_the_debug_log_names_the_reason_and_no_token(make_server):
    server = make_server(environment={"LOG_LEVEL": "debug"})
    for code in FAULTS:
        token, reason = faults()[code]
        server.request("GET", INBOX, token)
        wait_until(f"{reason!r} in the log", lambda reason=reason: reason in server.log())
        assert token.split(".")[-1] not in server.log()
        time.sleep(0.12)  # The log takes ten lines a second.


def test_at_info_the_log_has_no_line_for_a_refused_token(server):
    for code in FAULTS:
        server.request("GET", INBOX, faults()[code][0])
    assert "refused" not in server.log()


# The command.


def check(token, *arguments, secret=SECRET, **environment):
    known = {"JWT_SECRET": secret, **environment}
    return run_carillon("token", "--check", token, *arguments, environment=known)


@pytest.mark.parametrize("code", FAULTS)
def test_the_command_explains_a_refusal(code):
    token, reason = faults()[code]
    done = check(token)
    assert done.returncode == 1 and done.stderr == ""
    assert done.stdout.startswith("refused: ") and reason in done.stdout
    assert token not in done.stdout
    told = json.loads(check(token, "--json").stdout)
    assert told["accepted"] is False and told["code"] == code
    # A second may pass between the two runs.
    shown = re.sub(r"\d+", "N", done.stdout)
    assert "refused: " + re.sub(r"\d+", "N", told["reason"]) + "\n" in shown
    if told["remedy"] is not None:
        assert done.stdout.endswith(f"remedy: {told['remedy']}\n")


@pytest.mark.parametrize(
    "secret, text",
    [
        (SECRET + "\n", "the secret ends with a newline: the signature matches without it"),
        (f" {SECRET}", "the secret has white space around it"),
        (f'"{SECRET}"', "the secret is in quotes"),
    ],
)
def test_the_command_recognises_a_secret_with_something_around_it(secret, text):
    done = check(user_token("u"), secret=secret)
    assert done.returncode == 1 and text in done.stdout and "set JWT_SECRET without" in done.stdout


def test_the_command_shows_an_accepted_token():
    done = check(user_token("alice", scope="publish"))
    assert done.returncode == 0 and done.stderr == ""
    lines = dict(line.split(None, 1) for line in done.stdout.splitlines()[1:])
    assert done.stdout.startswith("accepted\n")
    assert lines["user"] == "alice" and lines["publisher"] == "yes"
    told = json.loads(check(user_token("alice"), "--json").stdout)
    assert told["accepted"] is True and told["user"] == "alice" and told["publisher"] is False
    assert told["expires_at"].endswith("Z")
    # A publisher needs no user.
    assert check(sign({"scope": "publish", "exp": int(time.time()) + 60})).returncode == 0


def test_the_command_uses_the_settings_of_the_server():
    now = int(time.time())
    forever = sign({"uid": "u"})
    assert check(forever).returncode == 1
    assert check(forever, JWT_REQUIRE_EXP="0").returncode == 1
    done = check(forever, JWT_REQUIRE_EXP="0", JWT_USER_CLAIM="uid")
    assert done.returncode == 0 and "never" in done.stdout
    late = sign({"sub": "u", "exp": now - 10})
    assert check(late).returncode == 0
    assert check(late, "--jwt-leeway", "0").returncode == 1
    done = check(user_token("u"), JWT_ISSUER="us")
    assert done.returncode == 1 and "there is no iss" in done.stdout
    assert check(user_token("u", iss="us"), JWT_ISSUER="us").returncode == 0
    assert check(sign({"sub": "u", "exp": now + 60}, algorithm="HS512")).returncode == 1
    signed = sign({"sub": "u", "exp": now + 60}, algorithm="HS512")
    assert check(signed, JWT_ALGORITHM="HS512").returncode == 0


def test_the_command_reads_a_token_from_standard_input():
    known = {"JWT_SECRET": SECRET}
    token = user_token("u")
    done = run_carillon("token", "--check", "-", environment=known, stdin=f"{token}\n")
    assert done.returncode == 0 and done.stdout.startswith("accepted\n")


def test_wrong_usage_of_the_check_is_exit_2():
    token = user_token("u")
    assert run_carillon("token", "--check", token).returncode == 2
    assert check(token, "--user", "u").returncode == 2
    assert check("").returncode == 2
    done = run_carillon("token", "--user", "u", "--json", environment={"JWT_SECRET": SECRET})
    assert done.returncode == 2
