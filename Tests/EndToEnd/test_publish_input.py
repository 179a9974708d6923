"""`carillon publish` from standard input: each line is published when it comes, and answered."""

import json
import os
import subprocess
from datetime import datetime

import pytest

from harness.background import Background
from harness.server import API_KEY, BINARY, clean_environment, run_carillon
from harness.waiting import wait_until

PUBLISHER = {"CARILLON_API_KEY": API_KEY}
LINE_BYTES = 4 << 20


def line(user, title, **fields):
    return json.dumps({"user_id": user, "type": "info", "title": title, **fields}) + "\n"


def publish(server, text, **environment):
    return run_carillon(
        "publish", "--url", server.url, environment={**PUBLISHER, **environment}, stdin=text
    )


def answers(done):
    return [json.loads(text) for text in done.stdout.splitlines()]


def background(server, **options):
    command = [str(BINARY), "publish", "--url", server.url]
    return Background(command, env=clean_environment(PUBLISHER), **options)


def titles(server, user):
    return [stored["title"] for stored in server.inbox(user)]


def test_a_line_is_published_and_answered_while_the_input_is_open(server, fresh_user):
    user = fresh_user("typed")
    with background(server, stdin=subprocess.PIPE) as publisher:
        for number in (1, 2, 3):
            publisher.process.stdin.write(line(user, f"title {number}"))
            publisher.process.stdin.flush()
            answer = json.loads(publisher.line_with(f'"line":{number},'))
            assert answer["success"] is True
            newest = server.inbox(user)[-1]
            assert (newest["title"], newest["id"]) == (f"title {number}", answer["data"]["id"])
        # Half a line is not published before the rest comes.
        whole = line(user, "title 4")
        publisher.process.stdin.write(whole[:20])
        publisher.process.stdin.flush()
        publisher.process.stdin.write(whole[20:])
        publisher.process.stdin.close()
        assert publisher.wait() == 0
        assert publisher.errors == []
        assert len(publisher.lines) == 4


def test_waiting_lines_are_sent_together(make_server, tmp_path):
    server = make_server()
    path = tmp_path / "lines.ndjson"
    path.write_text("".join(line("many", f"line {number}") for number in range(2_500)))
    before = server.total("http_requests_total")
    with path.open() as source:
        done = subprocess.run(
            [str(BINARY), "publish", "--url", server.url],
            stdin=source,
            env=clean_environment(PUBLISHER),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    # Each reading of the metric is a request, too.
    assert server.total("http_requests_total") - before == 3 + 1
    assert done.returncode == 0 and not done.stderr, done.stderr
    given = answers(done)
    assert [answer["line"] for answer in given] == list(range(1, 2_501))
    stored = server.inbox("many")
    assert [one["title"] for one in stored] == [f"line {number}" for number in range(2_500)]
    assert [one["id"] for one in stored] == [answer["data"]["id"] for answer in given]


def test_blank_lines_are_reported_and_counted(server, fresh_user):
    user = fresh_user("blanks")
    done = publish(server, f"\n{line(user, 'a')} \t\r\n{line(user, 'b')}\n{line(user, 'c')[:-1]}")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"carillon publish: line {number} is blank" for number in (1, 3, 5)
    ]
    assert [answer["line"] for answer in answers(done)] == [2, 4, 6]
    assert titles(server, user) == ["a", "b", "c"]


def test_a_refused_line_has_its_number_and_the_others_are_published(server, fresh_user):
    user = fresh_user("mixed")
    wrong = ["not json\n", line(user, "t", type="in valid"), "[]\n"]
    done = publish(server, line(user, "a") + wrong[0] + line(user, "b") + wrong[1] + wrong[2])
    assert done.returncode == 1 and not done.stderr
    given = answers(done)
    assert [answer["line"] for answer in given] == [1, 2, 3, 4, 5]
    assert [answer["success"] for answer in given] == [True, False, True, False, False]
    assert [given[index]["error"]["code"] for index in (1, 3, 4)] == [
        "malformed",
        "invalid",
        "invalid",
    ]
    assert titles(server, user) == ["a", "b"]


def test_a_line_over_the_limit_is_refused_alone(server, fresh_user):
    user = fresh_user("long")
    longest = line(user, "x" * 300)[:-1].ljust(LINE_BYTES) + "\n"
    done = publish(server, line(user, "a") + " " + longest + longest + line(user, "b"))
    assert done.returncode == 1 and not done.stderr
    given = answers(done)
    assert [answer["line"] for answer in given] == [1, 2, 3, 4]
    assert given[1]["error"] == {
        "code": "too_large",
        "message": f"the line is over {LINE_BYTES} bytes",
    }
    # A line of the limit is sent, and the server names what is wrong with it.
    assert given[2]["error"]["message"].startswith("title: ")
    assert titles(server, user) == ["a", "b"]


def test_a_batch_over_a_bound_of_the_server_is_sent_in_parts(make_server):
    # A batch may hold 100 lines for everyone, and make 10,000 notifications.
    server = make_server()
    everyone = json.dumps({"audience": "everyone", "type": "info", "title": "t"}) + "\n"
    done = publish(server, everyone * 250)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert [answer["line"] for answer in answers(done)] == list(range(1, 251))
    assert len(server.inbox("somebody")) == 250
    users = json.dumps([f"user-{number}" for number in range(6_000)])
    many = f'{{"user_ids":{users},"type":"info","title":"t"}}\n'
    done = publish(server, many * 2)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert [len(answer["data"]["ids"]) for answer in answers(done)] == [6_000, 6_000]


def test_credentials_that_are_refused_end_the_command_at_once(server, fresh_user):
    user = fresh_user("refused")
    command = [str(BINARY), "publish", "--url", server.url]
    wrong = clean_environment({"CARILLON_API_KEY": "wrong"})
    with Background(command, env=wrong, stdin=subprocess.PIPE) as publisher:
        publisher.process.stdin.write(line(user, "a") + line(user, "b"))
        publisher.process.stdin.flush()
        assert publisher.wait() == 1
        assert publisher.errors[0].startswith(
            "carillon publish: rejected with 401: lines 1 to 2: "
        ), publisher.errors
    assert server.inbox(user) == []


def test_a_terminal_is_informed_that_input_is_awaited(server, fresh_user):
    user = fresh_user("at-a-terminal")
    ours, theirs = os.openpty()
    try:
        with background(server, stdin=theirs) as publisher:
            wait_until("it says so", lambda: publisher.errors)
            assert len(publisher.errors) == 1 and publisher.errors[0] == (
                "carillon publish: reading notifications from this terminal, one JSON object a "
                "line; Ctrl-D ends the input"
            )
            os.write(ours, line(user, "typed").encode())
            publisher.line_with('"line":1,')
            os.write(ours, b"\x04")
            assert publisher.wait() == 0
    finally:
        os.close(ours)
        os.close(theirs)
    assert titles(server, user) == ["typed"]


def test_nothing_is_said_to_a_pipe(server):
    done = publish(server, "")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_closed_standard_input_is_an_error(server):
    done = subprocess.run(
        ["bash", "-c", 'exec "$0" publish --url "$1" <&-', str(BINARY), server.url],
        env=clean_environment(PUBLISHER),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == "carillon publish: cannot read standard input: Bad file descriptor\n"


# The flags of a notification.


def publish_flags(server, user, *arguments):
    command = ["publish", "--url", server.url, "--user", user, "--title", "t", *arguments]
    return run_carillon(*command, environment=PUBLISHER)


def test_every_field_of_a_notification_has_a_flag(server, fresh_user):
    user = fresh_user("fields")
    done = publish_flags(
        server,
        user,
        *["--priority", "high", "--entity-url", "/orders/7", "--group-key", "order-7"],
        *["--action", "Open=/orders/7?a=b", "--action", "Pay=https://pay.example/7"],
        *["--expires", "2031-01-31T12:00:00Z"],
    )
    assert done.returncode == 0, done.stderr
    stored = server.inbox(user)[0]
    assert stored["priority"] == "high"
    assert stored["entity_url"] == "/orders/7"
    assert stored["group_key"] == "order-7"
    assert stored["expires_at"] == "2031-01-31T12:00:00.000Z"
    assert stored["actions"] == [
        {"label": "Open", "url": "/orders/7?a=b"},
        {"label": "Pay", "url": "https://pay.example/7"},
    ]


def test_a_time_span_of_expires_counts_from_the_publish(server, fresh_user):
    user = fresh_user("expiring")
    done = publish_flags(server, user, "--expires", "2h")
    assert done.returncode == 0, done.stderr
    stored = server.inbox(user)[0]
    created, expires = (
        datetime.fromisoformat(stored[name]) for name in ("created_at", "expires_at")
    )
    span = expires - created
    # The command's clock counts whole seconds.
    assert 2 * 3_600 - 2 <= span.total_seconds() <= 2 * 3_600


def test_an_idempotency_key_publishes_once(server, fresh_user):
    user = fresh_user("once")
    runs = [publish_flags(server, user, "--idempotency-key", "order-7") for _ in range(3)]
    assert [done.returncode for done in runs] == [0, 0, 0]
    assert len({done.stdout for done in runs}) == 1
    assert len(server.inbox(user)) == 1


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["--action", "Open"], "--action must be LABEL=URL"),
        (["--action", "=/orders"], "--action must be LABEL=URL"),
        (["--action", "Open="], "--action must be LABEL=URL"),
        (["--expires", "soon"], "--expires must be a time span"),
        (["--expires", "0s"], "--expires must be a time span"),
        (["--expires", "36501d"], "--expires must be a time span"),
        (["--expires", "2031-01-31"], "--expires must be a time span"),
        (["--idempotency-key", ""], "--idempotency-key must be 1 to 255"),
        (["--idempotency-key", "k" * 256], "--idempotency-key must be 1 to 255"),
        (["--idempotency-key", "two\nlines"], "--idempotency-key must be 1 to 255"),
        (["--idempotency-key", "ü"], "--idempotency-key must be 1 to 255"),
        (["--idempotency-key", "k", "--count", "2"], "--idempotency-key and --count"),
        (
            ["--idempotency-key", "k", "--expires", "1h"],
            "with --idempotency-key, --expires must",
        ),
        (["--group-key", "a", "--group-key", "b"], "--group-key is given twice"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_invalid_flags_of_a_notification_are_a_usage_error(arguments, reason):
    command = ["publish", "--url", "http://127.0.0.1:1", "--user", "u", "--title", "t"]
    done = run_carillon(*command, *arguments, environment=PUBLISHER)
    assert done.returncode == 2 and not done.stdout, done
    assert done.stderr.startswith(f"carillon publish: {reason}"), done.stderr


@pytest.mark.parametrize(
    "flag", ["priority", "entity-url", "action", "group-key", "expires", "idempotency-key"]
)
def test_flags_of_a_stored_notification_are_not_for_a_room(flag):
    url = ["--url", "http://127.0.0.1:1"]
    room = ["publish", *url, "--room", "r", "--title", "t", f"--{flag}", "x"]
    done = run_carillon(*room, environment=PUBLISHER)
    assert done.returncode == 2 and f"--{flag} is not for a room" in done.stderr
    alone = run_carillon("publish", *url, f"--{flag}", "x", environment=PUBLISHER)
    assert alone.returncode == 2 and f"--{flag} needs one of --user" in alone.stderr
