"""What /readyz and a publish answer when the disk of the store fails, fills or disappears."""

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.server import API_KEY, run_carillon
from harness.waiting import wait_until

SOURCE = Path(__file__).parent / "harness" / "disk.c"


class Disk:
    """Faults of the disk of the servers that preload its library."""

    def __init__(self, directory):
        self.faults = directory / "faults"
        self.faults.mkdir()
        library = directory / "disk.so"
        command = ["cc", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        self.environment = {"LD_PRELOAD": str(library), "DISK_FAULTS": str(self.faults)}

    def begin(self, fault):
        (self.faults / fault).touch()

    def end(self, fault):
        (self.faults / fault).unlink()


@pytest.fixture
def disk(tmp_path):
    directory = tmp_path / "disk"
    directory.mkdir()
    faulty = Disk(directory)
    yield faulty
    # Before a server that waits for its disk is stopped.
    shutil.rmtree(faulty.faults)


def publish(server, user, **fields):
    body = {"user_id": user, "type": "info", "title": "a title"}
    return server.request("POST", "/api/v1/notifications", key=API_KEY, body=body, **fields)


def readiness(server):
    return server.request("GET", "/readyz")


def wait_for_code(server, code):
    """Waits until /readyz is 503 with that code, and returns the reason."""

    def refused():
        try:
            answer = readiness(server)
        except OSError:
            return False  # It does not listen yet.
        return answer.status == 503 and answer.error["code"] == code and answer

    answer = wait_until(f"/readyz reports {code}", refused)
    assert answer.headers.get("retry-after")
    return answer.error["message"]


def wait_until_ready(server):
    wait_until("/readyz reports 200", lambda: readiness(server).status == 200)


def test_a_hung_sync_is_not_ready_and_leaves_the_outcome_of_a_publish_unknown(
    make_server, disk, fresh_user
):
    # Case 86.
    server, user = make_server(environment=disk.environment), fresh_user()
    assert publish(server, user).status == 201
    disk.begin("hold-sync")
    try:
        late = publish(server, user, over=server.connection(timeout=30))
        assert late.status == 504, late
        assert late.error["code"] == "outcome_unknown"
        assert late.headers.get("retry-after") is None
        # Each shard notices it by its own late command, so the next ones are refused or late too.
        arguments = ["publish", "--url", server.url, "--user", user, "--title", "by the command"]
        command = run_carillon(*arguments, environment={"CARILLON_API_KEY": API_KEY}, timeout=60)
        assert command.returncode == 1, command
        refusals = ("no outcome (504), published or not", "rejected with 503: ")
        assert any(refusal in command.stderr for refusal in refusals), command
        assert "waiting for the disk" in wait_for_code(server, "store_stalled")
        assert server.total("store_stalled") == 1
        assert server.total("store_timeouts_total") >= 1
        assert "warning the store has been waiting for the disk for " in server.log()
    finally:
        disk.end("hold-sync")
    wait_until_ready(server)
    wait_until("publishing goes on", lambda: publish(server, user).status == 201)
    wait_until("the log has the end", lambda: "the disk has answered the store" in server.log())
    # The publish that was answered 504 is stored after all.
    assert len(server.inbox(user)) >= 3


def test_a_server_without_free_space_is_not_ready_from_its_start(make_server, disk, fresh_user):
    # Case 87.
    server, user = make_server(environment=disk.environment), fresh_user()
    assert publish(server, user).status == 201
    server.stop()
    disk.begin("no-space")
    server.start(is_ready=lambda: "0 MiB free" in wait_for_code(server, "store_unavailable"))
    assert server.total("store_free_bytes") == 0
    assert "warning the store is not ready: the disk of the store has 0 MiB free" in server.log()
    disk.end("no-space")
    wait_until_ready(server)
    assert "info the store is ready" in server.log()
    assert publish(server, user).status == 201


def test_a_disk_that_takes_no_write_is_found_at_the_start(make_server, disk, fresh_user):
    # Cases 86 and 87: nothing has been published, so only the check can find it.
    server, user = make_server(environment=disk.environment), fresh_user()
    assert publish(server, user).status == 201
    server.stop()
    disk.begin("refuse-log")
    server.start(is_ready=lambda: "disk is full" in wait_for_code(server, "read_only"))
    assert publish(server, user).status == 503
    assert server.total("store_read_only") == 1
    assert len(server.inbox(user)) == 1, "reading goes on"


def test_a_removed_data_directory_is_not_ready(make_server, fresh_user):
    # Case 86: what the store still wrote would be lost with the process.
    server, user = make_server(), fresh_user()
    assert publish(server, user).status == 201
    wait_until_ready(server)
    shutil.rmtree(server.data)
    reason = wait_for_code(server, "read_only")
    assert "no longer has the carillon.db" in reason
    assert publish(server, user).error["code"] == "read_only"
    assert "error the store is read-only until it is restarted: the data directory" in server.log()
