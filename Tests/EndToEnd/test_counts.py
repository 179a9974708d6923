"""Unread counts under random operations from several devices, in every dialect that sends them.

Versions of the counts are not on the wire, so the operations are chosen to make their order
visible. Either one user's operations run one after another and a model predicts the counts after
each, or they run at once and each raises exactly one of two numbers. In both cases every device
must receive every count in that order, and the last must match a recount of the rows.
"""

import asyncio
import itertools
import random
import uuid
from collections import deque
from contextlib import AsyncExitStack

import pytest

from harness.backend import EVERYONE, Backend
from harness.counts import PRIORITIES, InboxModel, as_shown, count_from, counts_in, recount
from harness.dialects import DIALECTS
from harness.sizes import IS_FULL
from harness.tokens import user_token

OPERATIONS = 60_000 if IS_FULL else 1_500
SHARED_OPERATIONS = 20_000 if IS_FULL else 750
CROWDED_OPERATIONS = 20_000 if IS_FULL else 750
USERS = 40
BACKENDS = 3
SHARDS = ["--shards", "2"]
COUNTING = [dialect for dialect in DIALECTS if dialect.name in ("event", "inbox", "sse")]
INBOX = "/api/v1/notifications"
TIME = 1_500 if IS_FULL else 60


class Device:
    """One device that stays connected and records each count that it receives."""

    def __init__(self, server, dialect, user):
        self.server, self.dialect, self.user = server, dialect, user
        self.token, self.received, self.since = user_token(user), [], None

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection(*self.server.address)
        self.parser = self.dialect.parser(self.token)
        self.writer.write(self.dialect.opening(self.token, self.since))

    async def read(self):
        """Reads the next bytes; returns the number of messages in them."""
        data = await self.reader.read(65_536)
        if not data:
            raise ConnectionError(f"{self.dialect} of {self.user}: the server ended the connection")
        messages = self.parser.feed(data)
        for message in messages:
            count = count_from(self.dialect, message)
            if count is not None:
                self.received.append(count)
        if self.parser.replies:
            self.writer.write(self.parser.replies)
            self.parser.replies = b""
        return len(messages)

    async def open(self):
        """Connects and reads the greeting, after which it receives every change."""
        await self.connect()
        while not await self.read():
            pass

    async def listen(self):
        while True:
            await self.read()

    def assert_never_older(self, history):
        """Asserts that no received count is older than the one before it."""
        index = 0
        for number, count in enumerate(self.received):
            while index < len(history) and as_shown(self.dialect, history[index]) != count:
                index += 1
            assert index < len(history), (
                f"{self.dialect} of {self.user}: count {number}, {count}, is unknown or older"
            )
        assert self.received[-1] == as_shown(self.dialect, history[-1])


class Wanderer(Device):
    """A device that connects and disconnects repeatedly, with and without a cursor."""

    def __init__(self, *arguments, chance):
        super().__init__(*arguments)
        self.chance, self.is_over = chance, False

    async def wander(self):
        while not self.is_over:
            self.since = self.chance.choice(["", "0", None])
            await self.connect()
            try:
                async with asyncio.timeout(self.chance.uniform(0.01, 0.3)):
                    await self.listen()
            except TimeoutError:
                self.writer.close()

    async def come_back(self):
        """Connects once more with a cursor to get the counts: `event` needs one to send them."""
        self.since, received = "0", len(self.received)
        await self.connect()
        while len(self.received) == received:
            await self.read()
        self.writer.close()


class Inbox:
    """A user's inbox: its model, and its operations one after another."""

    def __init__(self, user, chance):
        self.user, self.chance = user, chance
        self.token, self.model, self.turn = user_token(user), InboxModel(), asyncio.Lock()

    def some_ids(self):
        """Ids of rows, some of them twice, and one id that does not exist."""
        ids = list(self.model.rows)
        chosen = self.chance.choices(ids, k=self.chance.randrange(1, 8)) if ids else []
        return [*chosen, str(uuid.UUID(int=self.chance.getrandbits(128), version=4))]

    async def operate(self, backend):
        """Runs one random operation, whose answer must match the model."""
        operations = [self.publish] * 6 + [self.publish_batch] + [self.change_one] * 8
        operations += [self.change_many] * 4 + [self.change_all]
        async with self.turn:
            await self.chance.choice(operations)(backend)

    async def publish(self, backend):
        priority = self.chance.choice(PRIORITIES)
        id = await backend.publish(self.user, "t", priority=priority)
        self.model.publish(id, priority)

    async def publish_batch(self, backend):
        priorities = self.chance.choices(PRIORITIES, k=self.chance.randrange(1, 6))
        lines = [
            {"user_id": self.user, "type": "t", "title": "t", "priority": priority}
            for priority in priorities
        ]
        for id, priority in zip(await backend.publish_batch(lines), priorities, strict=True):
            self.model.publish(id, priority)

    async def change_one(self, backend):
        name, id = self.chance.choice(["read", "read", "unread", "delete"]), self.some_ids()[0]
        is_there = id in self.model.rows
        method, path = ("DELETE", "") if name == "delete" else ("PUT", f"/{name}")
        status, _ = await backend.request(method, f"{INBOX}/{id}{path}", self.token)
        assert status == (200 if is_there else 404)
        self.model.change(name, [id])

    async def change_many(self, backend):
        name, ids = self.chance.choice(["read", "seen"]), self.some_ids()
        method = "POST" if name == "read" else "PUT"
        data = await backend.change(method, f"{INBOX}/{name}", self.token, {"ids": ids})
        self.model.change(name, ids)
        assert counts_in(data) == self.model.counts

    async def change_all(self, backend):
        name, method, path = self.chance.choice(
            [("read", "PUT", "/read-all"), ("seen", "PUT", "/seen"), ("delete", "DELETE", "")]
        )
        data = await backend.change(method, f"{INBOX}{path}", self.token)
        self.model.change(name, list(self.model.rows))
        assert counts_in(data) == self.model.counts


async def publish_to_several(inboxes, backend, chance):
    """Publishes once to several users and holds the lock of each."""
    chosen = sorted(chance.sample(inboxes, chance.randrange(2, 8)), key=lambda each: each.user)
    async with AsyncExitStack() as turns:
        for inbox in chosen:
            await turns.enter_async_context(inbox.turn)
        ids = await backend.publish([each.user for each in chosen], "t", priority="high")
        for inbox, id in zip(chosen, ids, strict=True):
            inbox.model.publish(id, "high")


async def publish_to_everyone(inboxes, backend):
    """Publishes once to everyone and holds the locks of all users."""
    async with AsyncExitStack() as turns:
        for inbox in inboxes:
            await turns.enter_async_context(inbox.turn)
        id = await backend.publish(EVERYONE, "t", priority="low")
        for inbox in inboxes:
            inbox.model.publish(id, "low")


async def got_enough(devices, count_for):
    """Waits until each device has received its expected number of counts."""
    while any(len(device.received) < count_for(device) for device in devices):
        await asyncio.sleep(0.02)


async def got_last(devices, inboxes, is_exact):
    """Waits until each device has received the last count that it must receive."""
    models = {inbox.user: inbox.model for inbox in inboxes}
    if is_exact:
        # The history begins with the counts before any operation, which `event` does not send.
        length = {user: len(model.history) for user, model in models.items()}
        skipped = {device: device.dialect.name == "event" for device in devices}
        await got_enough(devices, lambda each: length[each.user] - skipped[each])
        return
    for device in devices:
        last = as_shown(device.dialect, models[device.user].counts)
        while not device.received or device.received[-1] != last:
            await asyncio.sleep(0.02)


async def operate_one_after_another(server, chance, left, for_everyone=0.0):
    """Runs random operations of many users in parallel, but each user's one after another."""
    inboxes = [Inbox(f"owner-{n:02}", random.Random(chance.random())) for n in range(USERS)]
    devices = [Device(server, dialect, inbox.user) for inbox in inboxes for dialect in COUNTING]
    wanderers = [
        Wanderer(
            server,
            COUNTING[number % 3],
            inbox.user,
            chance=random.Random(chance.random()),
        )
        for number, inbox in enumerate(inboxes)
    ]

    async def work(inbox, backends):
        nonlocal left
        # In rotation, so that no connection stays idle until the server closes it.
        devices = itertools.cycle(backends)
        while left > 0:
            left -= 1
            way, device = inbox.chance.random(), next(devices)
            if way < 0.03:
                await publish_to_several(inboxes, device, inbox.chance)
            elif way < 0.03 + for_everyone:
                await publish_to_everyone(inboxes, device)
            else:
                await inbox.operate(device)

    async with asyncio.timeout(TIME), asyncio.TaskGroup() as group:
        for device in devices:
            await device.open()
        listening = [group.create_task(device.listen()) for device in devices]
        wandering = [group.create_task(wanderer.wander()) for wanderer in wanderers]
        await with_backends(server, inboxes, work)
        await got_last(devices, inboxes, is_exact=not for_everyone)
        for task in listening:
            task.cancel()
        for wanderer in wanderers:
            wanderer.is_over = True
        await asyncio.wait(wandering)
        for wanderer in wanderers:
            await wanderer.come_back()
    return inboxes, devices, wanderers


async def with_backends(server, inboxes, work):
    """Runs `work` for every inbox, each with its own backend connections."""

    async def one(inbox):
        async with AsyncExitStack() as opened:
            backends = [await opened.enter_async_context(Backend(server)) for _ in range(BACKENDS)]
            await work(inbox, backends)

    async with asyncio.TaskGroup() as group:
        for inbox in inboxes:
            group.create_task(one(inbox))


def recounted(server, inboxes):
    """Stops the server, checks all models against a recount of the rows, and returns them."""
    server.stop()
    models = {inbox.user: inbox.model for inbox in inboxes}
    rows = recount(server.data, models)
    for user, model in models.items():
        assert model.counts == rows[user], user
    return models


@pytest.mark.timeout(TIME + 100)
def test_every_device_receives_each_count_in_order(make_server, chance):
    server = make_server(arguments=SHARDS)
    inboxes, devices, wanderers = asyncio.run(operate_one_after_another(server, chance, OPERATIONS))
    models = recounted(server, inboxes)
    for device in devices:
        history = [as_shown(device.dialect, counts) for counts in models[device.user].history]
        if device.dialect.name == "event":
            history = history[1:]
        assert device.received == history, (device.dialect, device.user)
    for wanderer in wanderers:
        wanderer.assert_never_older(models[wanderer.user].history)
    changes = sum(len(model.history) - 1 for model in models.values())
    received = sum(len(each.received) for each in [*devices, *wanderers])
    print(f"{OPERATIONS} operations, {changes} changes of counts, received {received} times")


@pytest.mark.timeout(TIME + 100)
def test_no_device_receives_an_older_count_during_broadcasts(make_server, chance):
    """For a notification to everyone, each device reads the store, which may include later changes.

    It may then receive one count in place of two, but never an older one.
    """
    server = make_server(arguments=SHARDS)
    inboxes, devices, wanderers = asyncio.run(
        operate_one_after_another(server, chance, SHARED_OPERATIONS, for_everyone=0.01)
    )
    models = recounted(server, inboxes)
    for device in [*devices, *wanderers]:
        device.assert_never_older(models[device.user].history)


# Several devices of one user at the same time.


class Crowd:
    """A user with devices that publish and read concurrently.

    `2 * total - unread` is the number of published plus the number of read notifications, so each
    operation raises it by the number of notifications that it touches, in any order.
    """

    def __init__(self, user, chance):
        self.user, self.chance, self.token = user, chance, user_token(user)
        self.unread, self.published, self.read = deque(), 0, 0

    async def operate(self, backend):
        if len(self.unread) < 3 or self.chance.random() < 0.5:
            self.published += 1
            self.unread.append(await backend.publish(self.user, "t"))
            return
        wanted = min(len(self.unread), self.chance.choice([1, 1, 1, 3]))
        ids = [self.unread.popleft() for _ in range(wanted)]
        self.read += wanted
        if wanted == 1:
            await backend.change("PUT", f"{INBOX}/{ids[0]}/read", self.token)
        else:
            await backend.change("POST", f"{INBOX}/read", self.token, {"ids": ids})


async def operate_at_once(server, chance):
    crowds = [Crowd(f"crowd-{n:02}", random.Random(chance.random())) for n in range(10)]
    devices = [
        Device(server, dialect, crowd.user)
        for crowd in crowds
        for dialect in [*COUNTING, COUNTING[0]]
    ]
    left = CROWDED_OPERATIONS

    async def work(crowd, backends):
        async def one(backend):
            nonlocal left
            while left > 0:
                left -= 1
                await crowd.operate(backend)

        async with asyncio.TaskGroup() as group:
            for backend in backends:
                group.create_task(one(backend))

    async with asyncio.timeout(TIME), asyncio.TaskGroup() as group:
        for device in devices:
            await device.open()
        listening = [group.create_task(device.listen()) for device in devices]
        await with_backends(server, crowds, work)
        ends = {crowd.user: crowd.published - crowd.read for crowd in crowds}
        last = {crowd.user: crowd.published + crowd.read for crowd in crowds}
        for device in devices:
            while device.dialect.name == "event" and version(device) < last[device.user]:
                await asyncio.sleep(0.02)
        counts = {each.user: len(each.received) for each in devices if each.dialect.name == "event"}
        # Dialects that begin with the counts first sent the zero counts before any operation.
        await got_enough(devices, lambda each: counts[each.user] + (each.dialect.name != "event"))
        for task in listening:
            task.cancel()
    return crowds, devices, ends


def version(device):
    """The number of published plus read notifications in the device's latest counts."""
    return 2 * device.received[-1][0] - device.received[-1][1] if device.received else 0


@pytest.mark.timeout(TIME + 100)
def test_concurrent_devices_receive_counts_in_one_order(make_server, chance):
    server = make_server(arguments=SHARDS)
    crowds, devices, ends = asyncio.run(operate_at_once(server, chance))
    server.stop()
    rows = recount(server.data, ends)
    for crowd in crowds:
        own = [device for device in devices if device.user == crowd.user]
        first = next(device for device in own if device.dialect.name == "event")
        versions = [2 * total - unread for total, unread, *_ in first.received]
        assert versions == sorted(set(versions)), "no older count after a newer one"
        assert first.received[-1] == rows[crowd.user]
        assert rows[crowd.user][:2] == (crowd.published, ends[crowd.user])
        for device in own:
            shown = [as_shown(device.dialect, counts) for counts in first.received]
            begun = [] if device.dialect.name == "event" else [0]
            assert device.received == begun + shown, "one order for every device"
