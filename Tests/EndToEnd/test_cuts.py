"""Resuming after a cut of any kind at any byte: nothing missing, duplicated or out of order.

Clients of every dialect read raw bytes and are cut at any byte during publishes to one user, to
several users and in batches. The complete messages that a client received over all its connections
must be its inbox, each notification once and in order.
"""

import asyncio
from pathlib import Path

import pytest

from harness.backend import Backend
from harness.cuts import SHARDS, THE_END, Reader, cut_all, move_horizon
from harness.dialects import DIALECTS
from harness.sizes import IS_FULL

EACH = pytest.mark.parametrize("dialect", DIALECTS, ids=repr)


@pytest.mark.timeout(450 if IS_FULL else 120)
def test_cuts_lose_nothing_and_double_nothing(make_server, chance):
    cut_all(make_server(arguments=SHARDS), chance, DIALECTS)


# Where continuity cannot be proven.


async def resumed_after(server, dialect, user, cursor):
    """Resumes a client at `cursor` and reads up to a notification published after that."""
    reader = Reader(dialect, user, cursor)
    streams = await reader.connect(server.address)
    # The notification is published only after the client has received its resync.
    await reader.read(streams, until=lambda: reader.resyncs)
    async with Backend(server) as backend:
        await backend.publish(user, THE_END)
    await reader.read(streams, until=lambda: reader.titles[-1:] == [THE_END])
    streams[1].close()
    return reader


async def position(server, dialect, user):
    """Returns the cursor of a client that has read everything."""
    reader = Reader(dialect, user)
    async with Backend(server) as backend:
        await backend.publish(user, "known")
    await reader.read_to("known", server.address)
    return reader.cursor


def assert_resync_once(server, dialect, user, cursor):
    reader = run(resumed_after(server, dialect, user, cursor))
    assert reader.titles == [THE_END], "no part of the missed notifications"
    assert reader.resyncs == 1
    # A client that resumes with the cursor of the resync gets no second resync.
    again = Reader(dialect, user, reader.cursor)
    server.publish(user, "further")
    run(again.read_to("further", server.address))
    assert (again.titles, again.resyncs) == (["further"], 0)


def run(visit):
    """Runs one visit with a time limit."""

    async def bounded():
        async with asyncio.timeout(30):
            return await visit

    return asyncio.run(bounded())


@EACH
def test_another_epoch_is_resync_once(server, fresh_user, dialect):
    user = fresh_user()
    _, offset = run(position(server, dialect, user)).rsplit(".", 1)
    assert_resync_once(server, dialect, user, f"0123456789abcdef.{offset}")


def test_expired_history_is_resync_once(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    cursor = run(position(server, DIALECTS[0], user))
    server.publish_many(user, ["gone", "kept"])
    server.stop()
    move_horizon(Path(server.data))
    server.start()
    for dialect in DIALECTS:
        assert_resync_once(server, dialect, user, cursor)


def test_ten_thousand_missed_are_replayed_and_one_more_is_resync(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    cursor = run(position(server, DIALECTS[0], user))
    titles = [str(number) for number in range(10_000)]
    for start in range(0, len(titles), 5_000):
        server.publish_many(user, titles[start : start + 5_000])
    for dialect in DIALECTS:
        reader = Reader(dialect, user, cursor)
        run(reader.read_to(titles[-1], server.address))
        assert (reader.titles, reader.resyncs) == (titles, 0), dialect
    server.publish(user, "one too many")
    for dialect in DIALECTS:
        assert_resync_once(server, dialect, user, cursor)
