"""A bit flipped anywhere in the files of a store: nothing wrong is served, nothing lost in silence.

The acknowledged notifications of some users, and those for everyone, are in the database file, the
later ones in its write-ahead log, as a kill leaves them. In each trial one bit of a copy is flipped
at a random place, and a server is started on it. It may refuse to start. Else each client resumes
from halfway and reads its inbox: whatever it gets must be as it was published, and if anything is
missing, it was given a resync or an error, and the log has a line.
"""

import json
import shutil
from pathlib import Path

import pytest

from harness.everyone import publish_for_everyone
from harness.polling import poll
from harness.server import API_KEY, Server
from harness.sizes import size
from harness.tokens import user_token
from harness.waiting import wait_until

PLACES = size(12, 10_000)
USERS, BATCHES = 4, 20
# In each inbox: one notification a batch, and one for everyone with every fourth.
COUNT = BATCHES + BATCHES // 4
LINES = ("the store is damaged", "the store was damaged", "the store has lost commits")


class Trial(Server):
    """A server on a damaged store, which may answer `/readyz` with 503 for ever."""

    def _is_ready(self):
        assert self.process.poll() is None
        try:
            return self.request("GET", "/healthz").status == 200
        except OSError:
            return False

    def begins(self):
        """Starts it; false if it refused, which must be in words and not by a crash."""
        try:
            self.start()
        except AssertionError:
            assert self.process.poll() == 1, f"{self.process.poll()}:\n{self.log()}"
            assert "cannot open the store" in self.log(), self.log()
            return False
        return True

    def has_line(self):
        return any(line in self.log() for line in LINES)


def content_of(notification):
    """The fields that never change."""
    names = ("id", "type", "priority", "title", "message", "data", "created_at")
    return {name: notification[name] for name in names}


def publish_batch(server, users, number):
    """Publishes one batch with a notification for each user, sometimes one for everyone too."""
    lines = []
    for user in users:
        title = f"{user} {number}"
        data = {"number": number, "text": f"{title} " * (number % 7)}
        fields = {"title": title, "message": title * 3, "data": data}
        lines.append(json.dumps({"user_id": user, "type": "info", **fields}))
    body = "\n".join(lines)
    answer = server.request("POST", "/api/v1/notifications/batch", body=body, key=API_KEY)
    assert answer.status == 200, answer
    if number % 4 == 0:
        publish_for_everyone(server, f"everyone {number}", message="to all", data={"all": number})


def filled(server, users):
    """Publishes for all users; returns the contents by user and id, and cursors from halfway."""
    cursors = {}
    for number in range(BATCHES):
        if number == BATCHES // 2:
            # The first half goes into the database file, the second half stays in the log.
            server.stop()
            server.start()
            cursors = {
                user: (len(server.inbox(user)), poll(server, user)["cursor"]) for user in users
            }
        publish_batch(server, users, number)
    contents = {
        user: {each["id"]: content_of(each) for each in server.inbox(user)} for user in users
    }
    assert all(len(content) == COUNT for content in contents.values())
    server.kill()
    return contents, cursors


def replay(server, user, cursor):
    """Polls to the end: the notifications, and whether any answer said that some are missing."""
    notifications = []
    while True:
        path = f"/api/v1/notifications/poll?since={cursor}&wait=0"
        answer = server.request("GET", path, user_token(user))
        if answer.status == 503:
            return notifications, True
        assert answer.status == 200, answer
        notifications += answer.data["notifications"]
        if "resync" in answer.data or not answer.data["notifications"]:
            return notifications, "resync" in answer.data
        cursor = answer.data["cursor"]


def inbox(server, user):
    """Pages of the inbox: the notifications, and whether an answer was an error."""
    notifications, before = [], ""
    while True:
        path = f"/api/v1/notifications?limit=10&collapse=false{before}"
        answer = server.request("GET", path, user_token(user))
        if answer.status == 503:
            return notifications, True
        assert answer.status == 200, answer
        notifications += answer.data["notifications"]
        if "next" not in answer.data:
            return notifications, False
        before = f"&before={answer.data['next']}"


def check(server, contents, cursors):
    """Reads everything on a damaged store; returns whether anything was missing."""
    is_missing = False
    for user, content in contents.items():
        count, cursor = cursors[user]
        later = list(content)[count:]
        missed, is_announced = replay(server, user, cursor)
        for notification in missed:
            assert content_of(notification) == content[notification["id"]], "a wrong payload"
        ids = [notification["id"] for notification in missed]
        assert ids == [each for each in later if each in ids], "out of order, or another's"
        if ids != later:
            assert is_announced, (user, "missing in silence", len(ids), len(later))
            is_missing = True
        listed, has_failed = inbox(server, user)
        for notification in listed:
            assert content_of(notification) == content[notification["id"]], "a wrong payload"
        is_missing |= has_failed or len(listed) < COUNT
        assert len({each["id"] for each in listed}) == len(listed)
    return is_missing


@pytest.mark.timeout(4 * 3600 if PLACES > 1_000 else 300)
def test_a_flipped_bit_is_never_served_and_loses_nothing_in_silence(make_server, tmp_path, chance):
    # Case 88.
    source = make_server()
    users = [f"user-{number}" for number in range(USERS)]
    contents, cursors = filled(source, users)
    names = ["carillon.db", "carillon.db-wal"]
    sizes = {name: (Path(source.data) / name).stat().st_size for name in names}
    assert all(size > 8_192 for size in sizes.values()), sizes
    refused = missing = 0
    trial = Trial(tmp_path, data=str(tmp_path / "damaged"))
    try:
        for number in range(PLACES):
            name = names[number % 2]
            place, bit = chance.randrange(sizes[name]), chance.randrange(8)
            where = f"{source.data}/{name}, byte {place}, bit {bit}"
            shutil.rmtree(trial.data, ignore_errors=True)
            shutil.copytree(source.data, trial.data)
            (Path(trial.data) / "carillon.db-shm").unlink(missing_ok=True)
            with (Path(trial.data) / name).open("r+b") as file:
                file.seek(place)
                byte = file.read(1)[0]
                file.seek(place)
                file.write(bytes([byte ^ 1 << bit]))
            if not trial.begins():
                refused += 1
                continue
            try:
                is_missing = check(trial, contents, cursors)
            except Exception as error:
                # A server that crashed closes the connection.
                status = trial.process.poll()
                raise AssertionError(f"{where}: exit status {status}\n{trial.log()}") from error
            assert trial.is_alive, f"{where}:\n{trial.log()}"
            if is_missing:
                missing += 1
                wait_until(f"a line: {where}", trial.has_line)
            trial.stop()
    finally:
        trial.end()
    print(f"{PLACES} places: {refused} refused to open, {missing} with something missing")
    assert refused + missing < PLACES, "most bits do not matter"
