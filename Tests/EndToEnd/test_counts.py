"""Unread counts under random operations from several devices, in every dialect that tells them.

Versions of the counts are not on the wire, so the operations are such that their order shows: one
user's go one after another and a model says what each leads to, or they go all at once and are
such that only one of two numbers rises with each. Either way every device must be told every count
in that order, and the last must be what the rows say.
"""

import asyncio
import itertools
import random
import uuid
from collections import deque
from contextlib import AsyncExitStack

import pytest

from harness.backend import EVERYONE, Backend
from harness.counts import PRIORITIES, InboxModel, as_told, count_told, counts_in, recount
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
    """One device that stays connected and keeps each count that it is told."""

    def __init__(self, server, dialect, user):
        self.server, self.dialect, self.user = server, dialect, user
        self.token, self.told, self.since = user_token(user), [], None

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection(*self.server.address)
        self.parser = self.dialect.parser(self.token)
        self.writer.write(self.dialect.opening(self.token, self.since))

    async def read(self):
        """Takes what comes next; returns how many messages it was."""
        data = await self.reader.read(65_536)
        if not data:
            raise ConnectionError(f"{self.dialect} of {self.user}: the server ended the connection")
        messages = self.parser.feed(data)
        for message in messages:
            count = count_told(self.dialect, message)
            if count is not None:
                self.told.append(count)
        if self.parser.replies:
            self.writer.write(self.parser.replies)
            self.parser.replies = b""
        return len(messages)

    async def open(self):
        """Connects, and is greeted: from then on it is told of everything."""
        await self.connect()
        while not await self.read():
            pass

    async def listen(self):
        while True:
            await self.read()

    def assert_never_older(self, history):
        """Each count that it was told is one that came at or behind the one before."""
        place = 0
        for number, count in enumerate(self.told):
            while place < len(history) and as_told(self.dialect, history[place]) != count:
                place += 1
            assert place < len(history), (
                f"{self.dialect} of {self.user}: count {number}, {count}, is none, or an older one"
            )
        assert self.told[-1] == as_told(self.dialect, history[-1])


class Wanderer(Device):
    """A device that comes and goes, with and without a cursor."""

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
        """Once more, to be told how it stands: `event` says that only to who resumes."""
        self.since, told = "0", len(self.told)
        await self.connect()
        while len(self.told) == told:
            await self.read()
        self.writer.close()


class Inbox:
    """A user's inbox: its model, its operations in their order, and the devices that watch."""

    def __init__(self, user, chance):
        self.user, self.chance = user, chance
        self.token, self.model, self.turn = user_token(user), InboxModel(), asyncio.Lock()

    def some_ids(self):
        """Ids of rows, some of them twice, and ids that name nothing here."""
        ids = list(self.model.rows)
        chosen = self.chance.choices(ids, k=self.chance.randrange(1, 8)) if ids else []
        return [*chosen, str(uuid.UUID(int=self.chance.getrandbits(128), version=4))]

    async def operate(self, backend):
        """One random operation, whose answer must be as the model has it."""
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
    """One publish for several users, each of whose turn it must be."""
    chosen = sorted(chance.sample(inboxes, chance.randrange(2, 8)), key=lambda each: each.user)
    async with AsyncExitStack() as turns:
        for inbox in chosen:
            await turns.enter_async_context(inbox.turn)
        ids = await backend.publish([each.user for each in chosen], "t", priority="high")
        for inbox, id in zip(chosen, ids, strict=True):
            inbox.model.publish(id, "high")


async def publish_to_everyone(inboxes, backend):
    """One publish for all, when it is everybody's turn."""
    async with AsyncExitStack() as turns:
        for inbox in inboxes:
            await turns.enter_async_context(inbox.turn)
        id = await backend.publish(EVERYONE, "t", priority="low")
        for inbox in inboxes:
            inbox.model.publish(id, "low")


async def told_so_many(devices, count_for):
    """Waits until each device was told as many counts as it must be."""
    while any(len(device.told) < count_for(device) for device in devices):
        await asyncio.sleep(0.02)


async def told_all(devices, inboxes, is_exact):
    """Waits until each device was told the last of the counts that it must be told."""
    models = {inbox.user: inbox.model for inbox in inboxes}
    if is_exact:
        # The first of the history is before anything happened, which `event` does not tell.
        length = {user: len(model.history) for user, model in models.items()}
        skipped = {device: device.dialect.name == "event" for device in devices}
        await told_so_many(devices, lambda each: length[each.user] - skipped[each])
        return
    for device in devices:
        last = as_told(device.dialect, models[device.user].counts)
        while not device.told or device.told[-1] != last:
            await asyncio.sleep(0.02)


async def operate_one_after_another(server, chance, left, for_everyone=0.0):
    """Random operations of many users at once, each user's in turn."""
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
        # In turn, so that none stays idle for so long that the server lets go of it.
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
        await told_all(devices, inboxes, is_exact=not for_everyone)
        for task in listening:
            task.cancel()
        for wanderer in wanderers:
            wanderer.is_over = True
        await asyncio.wait(wandering)
        for wanderer in wanderers:
            await wanderer.come_back()
    return inboxes, devices, wanderers


async def with_backends(server, inboxes, work):
    """Runs `work` for every inbox, each with connections of its own to operate from."""

    async def one(inbox):
        async with AsyncExitStack() as opened:
            backends = [await opened.enter_async_context(Backend(server)) for _ in range(BACKENDS)]
            await work(inbox, backends)

    async with asyncio.TaskGroup() as group:
        for inbox in inboxes:
            group.create_task(one(inbox))


def recounted(server, inboxes):
    """Stops the server; the models of all inboxes, which must be what the rows then say."""
    server.stop()
    models = {inbox.user: inbox.model for inbox in inboxes}
    rows = recount(server.data, models)
    for user, model in models.items():
        assert model.counts == rows[user], user
    return models


@pytest.mark.timeout(TIME + 100)
def test_every_device_is_told_each_count_in_order(make_server, chance):
    server = make_server(arguments=SHARDS)
    inboxes, devices, wanderers = asyncio.run(operate_one_after_another(server, chance, OPERATIONS))
    models = recounted(server, inboxes)
    for device in devices:
        history = [as_told(device.dialect, counts) for counts in models[device.user].history]
        if device.dialect.name == "event":
            history = history[1:]
        assert device.told == history, (device.dialect, device.user)
    for wanderer in wanderers:
        wanderer.assert_never_older(models[wanderer.user].history)
    changes = sum(len(model.history) - 1 for model in models.values())
    told = sum(len(each.told) for each in [*devices, *wanderers])
    print(f"{OPERATIONS} operations, {changes} changes of counts, told {told} times")


@pytest.mark.timeout(TIME + 100)
def test_no_device_is_told_an_older_count_while_some_are_for_everyone(make_server, chance):
    """What is for everyone each device reads from the store, with what has come behind it: then one
    count is told in place of two, and never one that was before."""
    server = make_server(arguments=SHARDS)
    inboxes, devices, wanderers = asyncio.run(
        operate_one_after_another(server, chance, SHARED_OPERATIONS, for_everyone=0.01)
    )
    models = recounted(server, inboxes)
    for device in [*devices, *wanderers]:
        device.assert_never_older(models[device.user].history)


# Several devices of one user at the same moment.


class Crowd:
    """A user's devices that publish and read all at once.

    `2 * total - unread` is how many were published and how many were read, so it rises by as many
    as each operation touched, whichever came first.
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
        counts = {each.user: len(each.told) for each in devices if each.dialect.name == "event"}
        # What begins with the counts was told of none before anything happened.
        await told_so_many(devices, lambda each: counts[each.user] + (each.dialect.name != "event"))
        for task in listening:
            task.cancel()
    return crowds, devices, ends


def version(device):
    """How many were published and read, as the device was told last."""
    return 2 * device.told[-1][0] - device.told[-1][1] if device.told else 0


@pytest.mark.timeout(TIME + 100)
def test_devices_that_act_at_once_are_told_one_order(make_server, chance):
    server = make_server(arguments=SHARDS)
    crowds, devices, ends = asyncio.run(operate_at_once(server, chance))
    server.stop()
    rows = recount(server.data, ends)
    for crowd in crowds:
        own = [device for device in devices if device.user == crowd.user]
        first = next(device for device in own if device.dialect.name == "event")
        versions = [2 * total - unread for total, unread, *_ in first.told]
        assert versions == sorted(set(versions)), "no older count behind a newer one"
        assert first.told[-1] == rows[crowd.user]
        assert rows[crowd.user][:2] == (crowd.published, ends[crowd.user])
        for device in own:
            shown = [as_told(device.dialect, counts) for counts in first.told]
            begun = [] if device.dialect.name == "event" else [0]
            assert device.told == begun + shown, "one order for every device"
