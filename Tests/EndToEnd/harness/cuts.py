"""Readers of any dialect that are cut at random bytes while notifications are published."""

import asyncio
import contextlib
import random
import sqlite3
import time

from harness.backend import EVERYONE, Backend
from harness.dialects import DIALECTS
from harness.proxy import Proxy, reset_when_closed
from harness.raw import TEXT, frame
from harness.sizes import IS_FULL
from harness.tokens import user_token

CUTS = 2_000 if IS_FULL else 300
USERS = 8
RATE = 200
SHARDS = ["--shards", "2"]
THE_END = "the end"


class Reader:
    """A client that keeps its cursor and its received titles across connections."""

    def __init__(self, dialect, user, cursor=None):
        self.dialect, self.user = dialect, user
        self.cursor = cursor if cursor is not None else dialect.beginning
        self.token, self.titles, self.resyncs = user_token(user), [], 0
        self.cuts = self.cuts_inside = 0

    def take(self, messages):
        for message in messages:
            for update in self.dialect.updates(message):
                self.resyncs += update.is_resync
                if update.title is not None:
                    self.titles.append(update.title)
                self.cursor = update.cursor or self.cursor

    async def connect(self, address, limit=None):
        """Opens a connection that resumes at the cursor; returns its streams and parser."""
        reader, writer = await asyncio.open_connection(*address)
        parser = self.dialect.parser(self.token, self.cursor)
        opening = self.dialect.opening(self.token, self.cursor)
        writer.write(opening if limit is None else opening[:limit])
        return reader, writer, parser

    async def read(self, streams, count=None, until=lambda: False):
        """Reads `count` bytes, or until `until` is true; raises when the connection ends."""
        reader, writer, parser = streams
        while not until() and count != 0:
            data = await reader.read(65_536 if count is None else min(count, 65_536))
            if not data:
                raise ConnectionError("the connection ended")
            count = None if count is None else count - len(data)
            self.take(parser.feed(data))
            if parser.replies:
                writer.write(parser.replies)
                parser.replies = b""

    async def begin(self, address):
        """Reads until it has a cursor to resume from."""
        streams = await self.connect(address)
        await self.read(streams, until=lambda: self.cursor is not None)
        streams[1].close()

    async def read_to(self, title, address):
        """Reads on one connection until the latest title is `title`."""
        streams = await self.connect(address)
        try:
            await self.read(streams, until=lambda: self.titles[-1:] == [title])
        finally:
            streams[1].close()

    # The ways to cut a connection.

    async def live_and_be_cut(self, address, through, chance):
        """Opens one connection and cuts it in a randomly chosen way."""
        ways = [self.cut_at_once, self.cut_in_the_request, self.cut_after_bytes]
        ways += [self.cut_after_bytes, self.cut_after_time, self.cut_by_the_network]
        way = chance.choice(ways)
        await way(through if way == self.cut_by_the_network else address, chance)
        self.cuts += 1

    async def cut_at_once(self, address, chance):
        """Cuts right after connecting: before the response, perhaps before the request is read."""
        streams = await self.connect(address)
        self.leave(streams, chance)

    async def cut_in_the_request(self, address, chance):
        streams = await self.connect(address, limit=chance.randrange(1, 200))
        self.leave(streams, chance)

    async def cut_after_bytes(self, address, chance):
        """Cuts after a random number of bytes, so almost always in the middle of a message."""
        streams = await self.connect(address)
        await self.read(streams, count=int(chance.expovariate(1 / 3_000)) + 1)
        self.leave(streams, chance)

    async def cut_after_time(self, address, chance):
        streams = await self.connect(address)
        try:
            async with asyncio.timeout(chance.uniform(0, 0.4)):
                await self.read(streams)
        except TimeoutError:
            pass
        self.leave(streams, chance)

    async def cut_by_the_network(self, through, chance):
        streams = await self.connect(through)
        with contextlib.suppress(ConnectionError):
            await self.read(streams)
        self.leave(streams, chance)

    def leave(self, streams, chance):
        """Ends the connection: by RST, by FIN, or after half a client message."""
        _, writer, parser = streams
        self.cuts_inside += parser.is_inside
        way = chance.randrange(3)
        if way == 0:
            reset_when_closed(writer)
        elif way == 1:
            text = frame(TEXT, b'{"type":"ping"}')
            writer.write(text[: chance.randrange(1, len(text))])
        writer.close()


class Publishing:
    """Publishes at `RATE` in every supported way, until `is_over` is set."""

    def __init__(self, server, users, chance):
        self.server, self.users, self.chance = server, users, chance
        self.made, self.published, self.is_over = 0, dict.fromkeys(users, 0), False

    async def run(self):
        start = time.monotonic()
        async with Backend(self.server) as backend:
            while not self.is_over:
                ahead = self.made / RATE - (time.monotonic() - start)
                if ahead > 0:
                    await asyncio.sleep(ahead)
                ways = [self.one] * 6 + [self.several] * 3 + [self.batch] * 3 + [self.everyone]
                await self.chance.choice(ways)(backend)
        self.rate = self.made / (time.monotonic() - start)

    def count(self, user):
        self.made += 1
        self.published[user] += 1
        return f"n {self.made}"

    async def one(self, backend):
        user = self.chance.choice(self.users)
        # Some messages are large, so that one page of a replay takes several packets.
        large = "x" * self.chance.choice([0, 0, 0, 3_000])
        await backend.publish(user, self.count(user), message=large)

    async def several(self, backend):
        users = self.chance.sample(self.users, self.chance.randrange(2, len(self.users) + 1))
        title = [self.count(user) for user in users][-1]
        await backend.publish(users, title)

    async def everyone(self, backend):
        title = [self.count(user) for user in self.users][-1]
        await backend.publish(EVERYONE, title)

    async def batch(self, backend):
        users = self.chance.choices(self.users, k=self.chance.randrange(1, 30))
        lines = [{"user_id": user, "type": "t", "title": self.count(user)} for user in users]
        await backend.publish_batch(lines)


async def cut_and_resume(server, users, chance, dialects=DIALECTS):
    """Cuts all readers repeatedly during publishing; returns them after they caught up."""
    readers = [Reader(dialect, user) for user in users for dialect in dialects]
    for reader in readers:
        if reader.cursor is None:
            await reader.begin(server.address)
    left = CUTS

    async def live(reader, through, chance):
        nonlocal left
        while left > 0:
            left -= 1
            await reader.live_and_be_cut(server.address, through, chance)
        await reader.read_to(THE_END, server.address)

    publishing = Publishing(server, users, random.Random(chance.random()))
    allowances = random.Random(chance.random())
    async with (
        Proxy(server, lambda: int(allowances.expovariate(1 / 3_000))) as proxy,
        asyncio.timeout(400 if IS_FULL else 60),
        asyncio.TaskGroup() as group,
    ):
        publisher = group.create_task(publishing.run())
        for reader in readers:
            group.create_task(live(reader, proxy.address, random.Random(chance.random())))
        # Publishes until all cuts are made: a reader to be cut after n bytes must receive them.
        while sum(reader.cuts for reader in readers) < CUTS:
            await asyncio.sleep(0.02)
        publishing.is_over = True
        await publisher
        async with Backend(server) as backend:
            await backend.publish(users, THE_END)
    return readers, publishing


def cut_all(server, chance, dialects):
    """Cuts readers of these dialects; at the end each must have received its whole inbox."""
    users = [f"reader-{number}" for number in range(USERS)]
    readers, publishing = asyncio.run(cut_and_resume(server, users, chance, dialects))
    for user in users:
        inbox = [stored["title"] for stored in server.inbox(user)]
        assert len(inbox) == publishing.published[user] + 1 and inbox[-1] == THE_END
        for reader in (each for each in readers if each.user == user):
            assert reader.titles == inbox, (reader.dialect, user)
            assert reader.resyncs == 0
    cuts, inside = (
        sum(getattr(each, name) for each in readers) for name in ("cuts", "cuts_inside")
    )
    assert cuts == CUTS and inside > CUTS // 20
    assert all(each.cuts for each in readers), "every client must be cut"
    print(f"{cuts} cuts, {inside} within a message; {publishing.made} published,", end=" ")
    print(f"{publishing.rate:.0f} a second")


def move_horizon(directory):
    """Moves the horizon to just before the newest notification, as if older ones had expired."""
    (path,) = directory.glob("*.db*") if directory.is_dir() else [directory]
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE store SET horizon = last_offset - 1")
    database.close()
