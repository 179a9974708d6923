"""Starting, refusing to start, and stopping in order."""

import base64
import json
import os
import resource
import select
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from harness.clients import FLAT_PATH, EventClient, FlatClient
from harness.raw import RawConnection, RawWebSocket
from harness.server import BINARY, SECRET, clean_environment, free_port, run_carillon
from harness.times import is_timestamp
from harness.tokens import user_token
from harness.waiting import is_ready, wait_until

COMMANDS = ["serve", "token", "publish", "listen", "bench", "check", "version"]


# Stopping. Case 95.


def test_sigterm_closes_every_client_and_exits_cleanly(make_server, fresh_user):
    server = make_server()
    clients = [kind(server, fresh_user()) for kind in (EventClient, FlatClient) for _ in range(25)]
    server.process.send_signal(signal.SIGTERM)
    assert {client.close_code() for client in clients} <= {1001, 1012}
    assert server.wait() == 0, server.log()
    for client in clients:
        client.close()


def test_sigint_exits_cleanly_as_well(make_server):
    server = make_server()
    server.process.send_signal(signal.SIGINT)
    assert server.wait() == 0, server.log()


def test_readiness_fails_before_the_clients_are_closed(make_server):
    server = make_server()
    path = f"{FLAT_PATH}?token={user_token('many')}"
    clients = [RawWebSocket(server, path) for _ in range(800)]
    with RawConnection(server) as watcher:
        # The server waits for the end of a request that has begun.
        watcher.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n")
        wait_until("half a request is read", watcher.is_read)
        server.process.send_signal(signal.SIGTERM)
        wait_until("the first close arrives", lambda: any(has_received(one) for one in clients))
        watcher.send(b"\r\n")
        answer = watcher.read_answer()
        assert answer.status == 503, answer
        assert answer.headers["connection"].lower() == "close"
    for client in clients:
        assert client.read_close()[0] in (1001, 1012)
        client.close()
    assert server.wait() == 0


def has_received(client):
    """Whether the client's socket has bytes to read; it does not read them."""
    return is_ready(client.socket, select.POLLIN)


def test_publishes_during_the_drain_are_answered_and_kept(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    over = server.connection()
    acknowledged = [server.publish(user, str(number), over=over)["title"] for number in range(50)]
    server.process.send_signal(signal.SIGTERM)
    try:
        for number in range(50, 10_000):
            answer = server.request(
                "POST",
                "/api/v1/notifications",
                key="an-end-to-end-api-key",
                over=over,
                body={"user_id": user, "type": "info", "title": str(number)},
            )
            if answer.status == 201:
                acknowledged.append(str(number))
            else:
                assert answer.status == 503, answer
                break
    except OSError:
        pass  # The server closed the connection between two requests.
    assert server.wait() == 0
    server.start()
    inbox = [stored["title"] for stored in server.inbox(user)]
    assert inbox[: len(acknowledged)] == acknowledged
    assert len(inbox) <= len(acknowledged) + 1


def test_a_second_sigterm_ends_the_server_at_once(make_server):
    server = make_server()
    with (
        RawWebSocket(server, f"{FLAT_PATH}?token={user_token('client')}") as client,
        RawConnection(server) as stubborn,
    ):
        stubborn.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        wait_until("half a request is read", stubborn.is_read)
        server.process.send_signal(signal.SIGTERM)
        client.read_close()
        server.process.send_signal(signal.SIGTERM)
        # A completed drain exits with 0; this one still waits for the end of the request.
        assert server.wait() == 1


def test_a_client_may_reconnect_at_once_after_a_restart(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    with FlatClient(server, user, since="0") as tab:
        server.publish(user, "one")
        cursor = tab.next()["cursor"]
        server.process.send_signal(signal.SIGTERM)
        tab.close_code()
    server.wait()
    server.start()
    server.publish(user, "two")
    with FlatClient(server, user, since=cursor) as tab:
        assert tab.next()["title"] == "two"


# Starting.


def test_without_a_key_the_error_names_the_setting(tmp_path):
    refused = run_carillon("serve", "--port", str(free_port()), "--data", str(tmp_path / "data"))
    assert refused.returncode != 0
    assert "JWT_SECRET" in refused.stderr and "--dev" in refused.stderr, refused.stderr
    assert "Fatal" not in refused.stderr


def test_a_port_in_use_is_reported_plainly(make_server, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run_carillon(
            "serve",
            "--port",
            str(port),
            "--data",
            str(tmp_path / "data"),
            environment={"JWT_SECRET": SECRET},
        )
    assert refused.returncode == 1, refused
    assert refused.stderr == (
        f"carillon serve: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "another process has the port, choose another with --port\n"
    )


HAS_IPV6 = Path("/proc/net/if_inet6").exists()


@pytest.mark.parametrize(
    "host, shown",
    [
        ("192.0.2.1", "192.0.2.1"),
        pytest.param(
            "2001:db8::1",
            "[2001:db8::1]",
            marks=pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 on this machine"),
        ),
    ],
)
def test_an_address_of_another_machine_is_reported_plainly(host, shown):
    # These networks are reserved for documentation, so no machine has such an address.
    refused = serve("--host", host, "--port", "8080")
    assert refused.returncode == 1, refused
    assert refused.stderr == (
        f"carillon serve: cannot listen on {shown}:8080: Cannot assign requested address; "
        "this machine does not have the address, choose another with --host\n"
    )


def serve(*arguments, preexec=None):
    """Runs a server that does not start."""
    environment = {"JWT_SECRET": SECRET}
    return run_carillon("serve", *arguments, environment=environment, preexec=preexec)


@pytest.mark.parametrize("count", range(4, 18))
def test_too_few_open_files_are_reported_plainly(tmp_path, count):
    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

    data = str(tmp_path / "data")
    refused = serve("--port", "0", "--shards", "2", "--data", data, preexec=few_files)
    assert refused.returncode == 1, refused
    # One line, and no trap.
    assert refused.stderr.startswith("carillon serve: "), refused
    assert refused.stderr.count("\n") == 1, refused


@pytest.mark.parametrize(
    "path, reason",
    [
        ("file", "cannot enter the directory: Not a directory"),
        ("file/data", "cannot create the directory: Not a directory"),
        (
            "missing/data",
            "cannot create the directory, because its parent is missing: No such file or directory",
        ),
        ("dangling", "cannot follow the symbolic link: No such file or directory"),
        ("to-file", "cannot enter the directory: Not a directory"),
    ],
)
def test_an_impossible_data_directory_is_reported_plainly(tmp_path, path, reason):
    (tmp_path / "file").write_text("not a directory")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "to-file").symlink_to("file")
    data = tmp_path / path
    refused = serve("--port", "0", "--data", str(data))
    assert refused.returncode == 1, refused
    assert refused.stderr == (
        f"carillon serve: cannot open the store in {data}: {reason}; "
        "choose another directory with --data\n"
    )


def test_a_data_directory_may_be_a_symbolic_link(make_server, tmp_path, fresh_user):
    (tmp_path / "volume").mkdir()
    (tmp_path / "data").symlink_to("volume")
    server, user = make_server(data=str(tmp_path / "data")), fresh_user()
    server.publish(user, "through the link")
    # The lock is that of the directory, by whichever path it is opened.
    for data in (tmp_path / "data", tmp_path / "volume"):
        refused = serve("--port", "0", "--data", str(data))
        assert refused.returncode == 1 and "in use by another server" in refused.stderr
    server.stop()
    moved = make_server(data=str(tmp_path / "volume"))
    assert [stored["title"] for stored in moved.inbox(user)] == ["through the link"]


def test_two_servers_do_not_share_a_store(make_server, tmp_path):
    first = make_server()
    refused = run_carillon(
        "serve",
        "--port",
        str(free_port()),
        "--data",
        first.data,
        environment={"JWT_SECRET": SECRET},
    )
    assert refused.returncode == 1, refused
    assert refused.stderr == (
        f"carillon serve: cannot open the store in {first.data}: {first.data} is in use by another "
        "server; choose another directory with --data\n"
    )


def test_the_log_begins_with_version_data_and_address(make_server):
    server = make_server()
    version = run_carillon("version").stdout.strip()
    line = (
        f" info {version}, data in {os.path.realpath(server.data)}, "
        f"listening on http://127.0.0.1:{server.port}\n"
    )
    wait_until(line, lambda: server.stderr_path.read_text().partition("Z")[2].startswith(line))
    server.stop()
    lines = server.stderr_path.read_text().splitlines()
    assert [line.split(" ", 2)[1] for line in lines] == ["info"] * 3
    for line in lines:
        assert is_timestamp(line.split(" ")[0]), line
    assert lines[-1].endswith(" info draining; repeat the signal to exit immediately")


def test_the_log_names_every_address_and_a_store_that_keeps_nothing(make_server):
    server = make_server(start=False, arguments=["--host", "127.0.0.1,::1"], data=":memory:")
    # A flag may be given once, so the harness's own host is left out.
    server.command = lambda: [
        *[str(BINARY), "serve", "--port", str(server.port), "--data", ":memory:"],
        *server.arguments,
    ]
    server.start()
    port = server.port
    text = f"data in :memory:, listening on http://127.0.0.1:{port} and http://[::1]:{port}\n"
    wait_until(text, lambda: text in server.stderr_path.read_text())


def test_a_log_level_applies_to_the_first_lines(make_server):
    server = make_server(environment={"LOG_LEVEL": "warning", "JWT_SECRET": "tooshort"})
    server.stop()
    lines = server.stderr_path.read_text().splitlines()
    assert len(lines) == 1 and " warning the secret is shorter than its digest" in lines[0], lines


# The command.


def test_version_and_check_answer():
    version = run_carillon("version")
    assert version.returncode == 0 and version.stdout.strip(), version
    check = run_carillon("check", environment={"JWT_SECRET": SECRET})
    assert check.returncode in (0, 1), check
    assert SECRET not in check.stdout + check.stderr
    assert "JWT_SECRET" in check.stdout, check.stdout


def test_a_server_without_standard_streams_opens_nothing_in_their_place(tmp_path):
    # Otherwise a line of the log could be written into the database.
    port, data = str(free_port()), str(tmp_path / "data")
    command = [str(BINARY), "serve", "--port", port, "--data", data]
    with subprocess.Popen(
        ["bash", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *command],
        env=clean_environment({"JWT_SECRET": SECRET}),
    ) as server:
        try:
            wait_until("it listens", lambda: is_listening(int(port)))
            streams = [Path(f"/proc/{server.pid}/fd/{number}").readlink() for number in range(3)]
            assert streams == [Path("/dev/null")] * 3
            server.terminate()
            assert server.wait(15) == 0
        finally:
            server.kill()


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    helped = run_carillon(command, "--help")
    assert helped.returncode == 0, helped
    assert command in helped.stdout and not helped.stderr


def test_help_names_every_command():
    helped = run_carillon("--help")
    assert helped.returncode == 0
    for command in COMMANDS:
        assert command in helped.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["serve", "--nonsense"],
        ["serve", "--port"],
        ["serve", "--port", "x"],
        ["serve", "--port", "65536"],
        ["serve", "--port=-1"],
        ["serve", "--host", "not an address"],
        ["serve", "--data="],
        ["check", "--pin", "--shards", "128"],
        ["token"],
        ["token", "--user"],
        ["token", "--user", "u", "--ttl", "soon"],
        ["token", "--user", "u", "--ttl", "9" * 400],
        ["publish"],
        ["publish", "--url", "ftp://x"],
        ["listen"],
        ["listen", "--url", "http://127.0.0.1:1", "--token", "t", "--dialect", "klingon"],
        ["version", "extra"],
    ],
    ids=" ".join,
)
def test_a_mistake_on_the_command_line_is_2_and_explained(arguments):
    wrong = run_carillon(*arguments, environment={"JWT_SECRET": SECRET})
    assert wrong.returncode == 2, wrong
    assert wrong.stderr.strip() and "Fatal" not in wrong.stderr
    assert not wrong.stdout


def test_a_flag_is_spelled_either_way_and_wins_over_the_environment():
    def claims_of(*arguments, **environment):
        made = run_carillon("token", *arguments, environment={"JWT_SECRET": SECRET, **environment})
        assert made.returncode == 0, made
        payload = made.stdout.strip().split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    assert claims_of("--user=u")["sub"] == claims_of("--user", "u")["sub"] == "u"
    short = claims_of("--user", "u", "--ttl", "10m")
    assert short["exp"] - short["iat"] == 600
    assert "publish" in str(claims_of("--user", "u", "--scope", "publish")["scope"])


def test_a_port_flag_wins_over_the_environment(make_server):
    server = make_server(environment={"CARILLON_PORT": "1"})
    assert server.request("GET", "/healthz").status == 200


@pytest.mark.parametrize("shards", ["1", "2"])
def test_a_second_server_on_a_port_fails_with_the_reason(make_server, shards):
    server = make_server(arguments=["--shards", shards])
    port = str(server.address[1])
    arguments = ["serve", "--port", port, "--data", ":memory:", "--shards", shards]
    second = run_carillon(*arguments, environment={"JWT_SECRET": "x" * 32})
    assert second.returncode == 1 and "cannot listen" in second.stderr
    assert server.request("GET", "/healthz").status == 200
