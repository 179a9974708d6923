"""The command's publish and listen: audiences, pace, dialects, rooms, and exit statuses."""

import json
import os
import signal
import subprocess
import time

import pytest

from harness.background import Background
from harness.server import API_KEY, BINARY, SECRET, clean_environment, free_port, run_carillon
from harness.tokens import user_token
from harness.waiting import wait_until

PUBLISHER = {"CARILLON_API_KEY": API_KEY}
DIALECTS = ["event", "flat", "inbox", "sse", "typed"]


def publish(server, *arguments, **options):
    command = ["publish", "--url", server.url, *arguments]
    return run_carillon(*command, environment=PUBLISHER, **options)


def listen(server, user, *arguments):
    command = [str(BINARY), "listen", "--url", server.url, "--token", user_token(user)]
    return Background([*command, *arguments], env=clean_environment())


def title_of(message):
    """Returns the title in a message of any dialect, or None."""
    for part in (message, message.get("data"), message.get("notification")):
        if isinstance(part, dict) and "title" in part:
            return part["title"]
    return None


def received(listener):
    return [title_of(json.loads(line)) for line in list(listener.lines)]


def knock_until(listener, title, send):
    """Sends until the listener prints that title, so that it is connected and in its rooms."""

    def has_received():
        assert listener.process.poll() is None, listener.errors
        send()
        return title in received(listener)

    wait_until(f"{title!r} in {listener.lines}", has_received, every=0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["publish", "--user", "u", "--title", "t", "--token", "t"],
        ["publish", "--token", "t"],
        ["listen", "--token", "t"],
        ["listen", "--token", "t", "--dialect", "sse"],
        ["bench", "--token", "t", "--connections", "1"],
    ],
    ids=" ".join,
)
def test_a_server_that_is_not_there_is_reported_plainly(arguments):
    url = f"http://127.0.0.1:{free_port()}"
    done = run_carillon(*arguments, "--url", url, environment={"JWT_SECRET": SECRET})
    assert done.returncode == 1 and not done.stdout, done
    assert done.stderr == (
        f"carillon {arguments[0]}: cannot connect to {url[7:]}: Connection refused; "
        "start the server with carillon serve, or choose another with --url\n"
    )


# Publishing.


def test_publish_repeats_at_a_pace_and_prints_an_answer_a_line(server, fresh_user):
    user = fresh_user("paced")
    start = time.monotonic()
    done = publish(server, "--user", user, "--title", "Test %d", "--count", "4", "--every", "50ms")
    # Four publishes have three pauses between them; a busy machine only makes them longer.
    assert time.monotonic() - start >= 0.15
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["data"]["title"] for answer in answers] == ["Test %d"] * 4
    inbox = server.inbox(user)
    assert [one["id"] for one in inbox] == [answer["data"]["id"] for answer in answers]


def test_publish_to_everyone_reaches_the_inbox_of_a_new_user(make_server):
    # Its own server: a notification for everyone also enters the inboxes of other tests' users.
    server = make_server()
    done = publish(server, "--everyone", "--type", "info", "--title", "for all of us")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["title"] == "for all of us"
    assert [one["title"] for one in server.inbox("newcomer")] == ["for all of us"]


def test_publish_to_a_room_reaches_only_its_listeners(server, fresh_user):
    room = fresh_user("room")

    said = ["--type", "chat", "--title", "in here", "--message", "hello", "--data", '{"n":1}']

    def send():
        done = publish(server, "--room", room, *said)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["success"] is True

    outside = fresh_user("stranger")
    with (
        listen(server, fresh_user("member"), "--dialect", "typed", "--room", room) as member,
        listen(server, outside, "--dialect", "typed") as stranger,
    ):
        knock_until(stranger, "knock", lambda: server.publish(outside, "knock"))
        knock_until(member, "in here", send)
        message = next(json.loads(line) for line in member.lines if "in here" in line)
        assert message["type"] == "room_notification"
        assert message["data"]["room"] == room
        assert message["data"]["notification_type"] == "chat"
        assert message["data"]["message"] == "hello"
        assert message["data"]["payload"] == {"n": 1}
        server.publish(outside, "after that")
        stranger.line_with("after that")
        assert "in here" not in received(stranger)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--user", "a", "--everyone", "--title", "t"],
        ["--user", "a", "--room", "r", "--title", "t"],
        ["--everyone", "--room", "r", "--title", "t"],
        ["--title", "no audience"],
        ["--count", "3"],
        ["--every", "3s"],
        ["--user", "a"],
        ["--room", "r", "--title", "t", "--priority", "high"],
        ["--user", "a", "--title", "t", "--data", "{"],
        ["--user", "a", "--title", "t", "--every", "soon"],
        ["--user", "a", "--title", "t", "--every", "-1s"],
        ["--user", "a", "--title", "t", "--count", "0"],
        ["--user", "a", "--title", "t", "--token", "two\nlines"],
    ],
)
def test_invalid_publish_arguments_are_a_usage_error(arguments):
    done = run_carillon("publish", "--url", "http://127.0.0.1:1", *arguments, environment=PUBLISHER)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.startswith("carillon publish: ")


def test_the_error_of_data_that_is_no_json_has_a_place():
    data = '{"a": "ü",\n "b"}'
    done = run_carillon(
        *["publish", "--url", "http://127.0.0.1:1", "--user", "u", "--title", "t", "--data", data],
        environment=PUBLISHER,
    )
    assert done.returncode == 2 and not done.stdout
    expected = "carillon publish: --data is not JSON: ':' expected at line 2, column 5;"
    assert done.stderr.startswith(expected), done.stderr


# Listening.


@pytest.mark.parametrize("dialect", DIALECTS)
def test_listen_prints_one_json_a_line_in_each_dialect(server, fresh_user, dialect):
    user = fresh_user(f"gets-{dialect}")
    with listen(server, user, "--dialect", dialect) as listener:
        knock_until(listener, "knock", lambda: server.publish(user, "knock"))
        server.publish(user, "news\nover two lines")
        listener.line_with("over two lines")
    assert "news\nover two lines" in received(listener)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_listen_begins_with_missed_notifications(server, fresh_user, dialect):
    user = fresh_user(f"late-{dialect}")
    for title in ("one", "two", "three"):
        server.publish(user, title)
    with listen(server, user, "--dialect", dialect, "--since", "0") as listener:
        listener.line_with("three")
    assert [title for title in received(listener) if title] == ["one", "two", "three"]


def test_listen_ends_after_count_messages(server, fresh_user):
    user = fresh_user("counting")
    for title in ("one", "two", "three"):
        server.publish(user, title)
    target = ["--url", server.url, "--token", user_token(user)]
    done = run_carillon("listen", *target, "--dialect", "flat", "--since", "0", "--count", "3")
    assert done.returncode == 0, done.stderr
    # The first message has the client's position.
    titles = [title_of(json.loads(line)) for line in done.stdout.splitlines()]
    assert titles == [None, "one", "two"]


@pytest.mark.parametrize("dialect", ["event", "sse"])
def test_listen_in_a_room(server, fresh_user, dialect):
    rooms = [fresh_user("a room"), fresh_user("another")]

    def send(room, title):
        done = publish(server, "--room", room, "--title", title)
        assert done.returncode == 0, done.stderr

    user = fresh_user("member")
    with listen(server, user, "--dialect", dialect, "--room", ",".join(rooms)) as member:
        for room in rooms:
            knock_until(member, f"in {room}", lambda room=room: send(room, f"in {room}"))


@pytest.mark.parametrize("dialect", ["event", "sse"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listen_exits_cleanly_on_a_signal(server, fresh_user, dialect, number):
    user = fresh_user("interrupted")
    with listen(server, user, "--dialect", dialect) as listener:
        knock_until(listener, "knock", lambda: server.publish(user, "knock"))
        listener.process.send_signal(number)
        assert listener.wait() == 0
    assert listener.errors == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dialect", "morse"],
        ["--dialect", "flat", "--room", "r"],
        ["--dialect", "inbox", "--room", "r"],
        ["--count", "0"],
        ["--token", "two\nlines"],
    ],
)
def test_invalid_listen_arguments_are_a_usage_error(arguments):
    token = [] if "--token" in arguments else ["--token", "t"]
    done = run_carillon("listen", "--url", "http://127.0.0.1:1", *token, *arguments)
    assert done.returncode == 2, done
    assert done.stderr.startswith("carillon listen: ")


def test_listen_prints_the_reason_of_a_rejection(server):
    for dialect, status in (("sse", "401"), ("flat", "401"), ("event", "4002")):
        target = ["--url", server.url, "--token", "not a token"]
        done = run_carillon("listen", *target, "--dialect", dialect, "--count", "2")
        assert done.returncode == 1, done
        assert status in done.stderr


# An event stream that ends.


def test_an_event_stream_continues_where_it_ended(make_server):
    server = make_server()
    with listen(server, "restarted", "--dialect", "sse") as listener:
        knock_until(listener, "knock", lambda: server.publish("restarted", "knock"))
        server.kill()
        server.start(server.port)
        for title in ("missed", "missed, too"):
            server.publish("restarted", title)
        listener.line_with("missed, too", within=20)
        server.publish("restarted", "live again")
        listener.line_with("live again")
        # Another thread reads standard error.
        wait_until("both lines about it are printed", lambda: len(listener.errors) == 2)
        assert listener.errors[0].endswith("; reconnecting every 5000 ms")
        assert listener.errors[1] == "carillon listen: connected again"
    titles = [title for title in received(listener) if title not in (None, "knock")]
    assert titles == ["missed", "missed, too", "live again"]
    messages = [json.loads(line) for line in listener.lines]
    ids = [one["data"]["id"] for one in messages if one["type"] == "notification"]
    assert len(ids) == len(set(ids))


def test_an_event_stream_ends_when_the_server_no_longer_accepts_the_token(make_server):
    server = make_server()
    with listen(server, "unknown", "--dialect", "sse") as listener:
        knock_until(listener, "knock", lambda: server.publish("unknown", "knock"))
        server.stop()
        server.environment["JWT_SECRET"] = "another secret of enough bytes for its digest"
        server.start(server.port)
        assert listener.wait(within=20) == 1
        assert len(listener.errors) == 2, listener.errors
        assert listener.errors[1] == (
            "carillon listen: the server refused the event stream with 401"
        )


def test_a_signal_ends_the_wait_for_a_server(make_server):
    server = make_server()
    with listen(server, "waiting", "--dialect", "sse") as listener:
        knock_until(listener, "knock", lambda: server.publish("waiting", "knock"))
        server.kill()
        wait_until("it waits", lambda: listener.errors)
        listener.process.send_signal(signal.SIGINT)
        assert listener.wait() == 0
    assert len(listener.errors) == 1


def test_an_event_stream_with_a_cursor_prints_the_cursor(server, fresh_user):
    user = fresh_user("keeping")
    for title in ("one", "two"):
        server.publish(user, title)
    target = ["--url", server.url, "--token", user_token(user), "--dialect", "sse"]

    def run(*arguments):
        done = run_carillon("listen", *target, *arguments)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def notifications(messages):
        return [message for message in messages if message["type"] == "notification"]

    first = notifications(run("--since", "0", "--count", "3"))
    assert title_of(first[0]) == "one" and first[0]["cursor"]
    rest = notifications(run("--since", first[0]["cursor"], "--count", "2"))
    assert title_of(rest[0]) == "two"
    # A listener that did not ask for a cursor prints the messages as they are.
    with listen(server, user, "--dialect", "sse") as listener:
        knock_until(listener, "knock", lambda: server.publish(user, "knock"))
    assert all("cursor" not in json.loads(line) for line in listener.lines)


# Ctrl-C in a load test.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [["--json"], ["--rate", "50"]], ids=" ".join)
def test_an_interrupted_bench_prints_its_report(make_server, arguments, number):
    server = make_server()
    command = [str(BINARY), "bench", "--url", server.url, "--connections", "3", "--duration", "1h"]
    environment = clean_environment({**PUBLISHER, "JWT_SECRET": SECRET})
    with Background([*command, *arguments], env=environment) as bench:
        wait_until("it publishes", lambda: server.total("broadcasts_total") > 3)
        bench.process.send_signal(number)
        assert bench.wait(within=20) == 0
    assert bench.errors == ["carillon bench: interrupted; this is the report of the time before"]
    if "--json" in arguments:
        report = json.loads(bench.lines[0])
        assert report["interrupted"] is True and report["stalled"] is False
        assert report["missing"] == 0 and report["delivered"] == report["accepted"] * 3 > 0
        assert report["seconds"] < 3_600
    else:
        assert any(line.startswith("delivered ") for line in bench.lines), bench.lines


# A standard output that is full, closed, or a pipe without a reader.

BROKEN_PIPE = b"carillon: cannot write to standard output: Broken pipe\n"
OUTPUTS = {
    ">/dev/full": b"carillon: cannot write to standard output: No space left on device\n",
    ">&-": b"carillon: cannot write to standard output: Bad file descriptor\n",
}


def run_into(output, *arguments, **environment):
    """Runs the command with its standard output redirected by the shell."""
    return subprocess.run(
        ["bash", "-c", f'exec "$0" "$@" {output}', str(BINARY), *arguments],
        env=clean_environment({"JWT_SECRET": SECRET, **environment}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["version"],
        ["--help"],
        ["help", "serve"],
        ["check"],
        ["check", "--json"],
        ["token", "--user=u"],
    ],
    ids=" ".join,
)
def test_a_command_that_cannot_print_fails(arguments, output):
    done = run_into(output, *arguments)
    assert done.returncode == 1
    assert done.stderr == OUTPUTS[output]


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_client_that_cannot_print_fails(server, fresh_user, output):
    # With a closed standard output the connection must not get its descriptor.
    user, url = fresh_user("unread"), ["--url", server.url]
    published = run_into(output, "publish", *url, "--user", user, "--title", "t", **PUBLISHER)
    listened = run_into(output, "listen", *url, "--token", user_token(user), "--since", "0")
    assert [published.returncode, listened.returncode] == [1, 1]
    assert published.stderr == listened.stderr == OUTPUTS[output]
    assert [stored["title"] for stored in server.inbox(user)] == ["t"]


def test_a_command_whose_reader_is_gone_fails():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [str(BINARY), "version"],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=clean_environment(),
            timeout=30,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode == 1 and done.stderr == BROKEN_PIPE


def test_listen_exits_when_its_output_pipe_closes(server, fresh_user):
    user = fresh_user("piped")
    command = [str(BINARY), "listen", "--url", server.url, "--token", user_token(user)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()
    ) as listener:
        try:
            assert b"connection:established" in listener.stdout.readline()
            listener.stdout.close()

            def has_ended():
                server.publish(user, "for a closed pipe")
                return listener.poll() is not None

            wait_until("the listener ended", has_ended, every=0.1)
            assert listener.returncode == 1
            assert listener.stderr.read() == BROKEN_PIPE
        finally:
            listener.kill()
