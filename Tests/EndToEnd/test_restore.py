"""A store that lost commits: clients with cursors of them get a resync, never another history."""

import asyncio
import itertools
import shutil
from pathlib import Path

import pytest
from test_durability import Record, one_life

from harness.backend import Backend
from harness.cuts import Reader
from harness.dialects import DIALECTS
from harness.sizes import size
from harness.waiting import wait_until

LIVES = size(3, 25)
PUBLISHERS = size(4, 8)
# Acknowledged publishes in one life, at most.
LIFE = size(100, 800)
# The small size has one dialect over WebSocket, the stream and the poll.
RESUMING = DIALECTS[size(3, 0) :]
LOST = "the store has lost commits"
NUMBERS = itertools.count()


def run(visit):
    """Runs one visit with a time limit."""

    async def bounded():
        async with asyncio.timeout(60):
            return await visit

    return asyncio.run(bounded())


def copy_of(server, name):
    """Copies the data directory of a server that does not run."""
    target = Path(server.directory) / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(server.data, target)
    return target


def restore(server, copy):
    shutil.rmtree(server.data)
    shutil.copytree(copy, server.data)


def restart(server, copy=None):
    server.stop()
    if copy is not None:
        restore(server, copy)
    server.start()


async def read_on(server, reader, user):
    """Reads everything after the reader's cursor: its new titles, and whether it got a resync."""
    before, resyncs, ends = len(reader.titles), reader.resyncs, []
    streams = await reader.connect(server.address)
    reading = asyncio.create_task(
        reader.read(streams, until=lambda: reader.titles[before:] and reader.titles[-1] in ends)
    )
    async with Backend(server) as backend:
        # The first ones may come before the resync, which passes over them.
        while not reading.done():
            ends.append(f"end {next(NUMBERS)}")
            await backend.publish(user, ends[-1])
            await asyncio.wait([reading], timeout=0.3)
    await reading
    streams[1].close()
    titles = [title for title in reader.titles[before:] if title not in ends]
    return titles, reader.resyncs > resyncs


@pytest.mark.parametrize("dialect", RESUMING, ids=repr)
def test_a_client_ahead_of_an_older_copy_gets_a_resync(make_server, fresh_user, dialect):
    # Case 88, and the two clients that keep their cursors: one is ahead of the copy, one is not.
    server, user = make_server(), fresh_user()
    ahead, kept = Reader(dialect, user), Reader(dialect, user)
    server.publish_many(user, ["1", "2", "3"])
    for reader in (ahead, kept):
        run(reader.read_to("3", server.address))
    server.stop()
    copy = copy_of(server, "copy")
    server.start()
    server.publish_many(user, ["4", "5", "6", "7", "8"])
    run(ahead.read_to("8", server.address))
    restart(server, copy)
    # The same offsets again, and further ones.
    others = [f"other {number}" for number in range(9)]
    server.publish_many(user, others)
    titles, is_resync = run(read_on(server, ahead, user))
    assert is_resync and titles == [], "no part of the other history"
    titles, is_resync = run(read_on(server, kept, user))
    assert not is_resync
    assert titles[: len(others)] == others
    assert server.total("history_losses_total") == 1
    wait_until("the loss is logged", lambda: LOST in server.log())
    # The run that published them began after the copy was made.
    assert "changes missing: unknown" in server.log()
    # The cursor of the resync is one of the present history.
    restart(server)
    assert run(read_on(server, ahead, user))[1] is False
    assert LOST not in server.log()


@pytest.mark.timeout(600)
def test_kills_and_older_copies_lose_nothing_in_silence(make_server, fresh_user, chance):
    # Cases 83 and 88 together: each reader has its whole inbox, or was given a resync.
    server = make_server()
    records = [Record(fresh_user("publisher"), [1, 50][index % 2]) for index in range(PUBLISHERS)]
    readers = [
        Reader(dialect, record.user)
        for dialect, record in zip(DIALECTS[::-1] * 2, records, strict=False)
    ]
    copy, restores, resyncs = None, 0, 0
    for life in range(LIVES):
        asyncio.run(one_life(server, records, chance.randrange(1, LIFE)))
        is_restored = copy is not None and life % 3 == 2
        if is_restored:
            restore(server, copy)
            restores += 1
        elif life % 3 == 0:
            copy = copy_of(server, "copy")
        server.start()
        is_lost = False
        for record in records:
            inbox = [stored["title"] for stored in server.inbox(record.user)]
            if is_restored:
                is_lost |= record.acknowledged != inbox[: len(record.acknowledged)]
            else:
                allowed = [record.acknowledged, record.acknowledged + record.in_flight]
                assert inbox in allowed, (life, record.user)
            record.acknowledged, record.in_flight = inbox, []
        for reader in readers:
            titles, is_resync = run(read_on(server, reader, reader.user))
            inbox = [stored["title"] for stored in server.inbox(reader.user)]
            if is_resync:
                assert is_restored, (life, reader.dialect, "nothing was lost")
                assert titles == []
                reader.titles = inbox[: inbox.index(reader.titles[-1]) + 1]
                resyncs += 1
            assert reader.titles == inbox[: len(reader.titles)], (life, reader.dialect)
            (record,) = [each for each in records if each.user == reader.user]
            record.acknowledged = inbox
        if is_lost:
            assert LOST in server.log()
    assert restores and resyncs
    print(f"{LIVES} kills, {restores} restores, {resyncs} resyncs")
