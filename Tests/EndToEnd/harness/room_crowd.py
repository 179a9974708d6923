"""Thousands of clients in rooms, as a separate process: `python -m harness.room_crowd PLAN`.

The plan lists each user's rooms and the number of messages to each room. The process prints
`ready` when all clients have joined their rooms, reads until a message to everyone, and then
prints its findings as one line of JSON.
"""

import asyncio
import json
import sys
from pathlib import Path

from harness.dialects import TYPED_PATH, Dialect
from harness.raw import TEXT, frame
from harness.tokens import user_token

TYPED = Dialect("typed", TYPED_PATH, None)
# The number of concurrent upgrades: fewer than the backlog of a listening socket.
AT_ONCE = 100


class Member:
    """A user with one connection; `received` has the message numbers received in each room."""

    def __init__(self, user, rooms):
        self.user, self.rooms = user, rooms
        self.received, self.foreign, self.is_over = {room: [] for room in rooms}, 0, False

    async def come(self, address, gate):
        async with gate:
            token = user_token(self.user)
            self.reader, self.writer = await asyncio.open_connection(*address)
            self.parser, self.joined = TYPED.parser(token), 0
            self.writer.write(TYPED.opening(token, None))
            for room in self.rooms:
                text = json.dumps({"type": "join_room", "data": {"room": room}})
                self.writer.write(frame(TEXT, text.encode()))
            while self.joined < len(self.rooms):
                await self.read()

    async def listen(self):
        while not self.is_over:
            await self.read()

    async def read(self):
        data = await self.reader.read(65_536)
        if not data:
            raise ConnectionError(f"{self.user}: the server ended the connection")
        for message in self.parser.feed(data):
            self.take(message["type"], message["data"])
        if self.parser.replies:
            self.writer.write(self.parser.replies)
            self.parser.replies = b""

    def take(self, type, data):
        if type == "room_notification":
            if data["room"] in self.received:
                self.received[data["room"]].append(int(data["title"]))
            else:
                self.foreign += 1
        elif type == "room_joined":
            self.joined += 1
        elif type == "system_message":
            self.is_over = True
        else:
            assert type == "presence_update", (type, data)


def judge(members, counts):
    """Counts the received messages, the ones from foreign rooms, and the wrong sequences."""
    wrong = [
        (member.user, room, counts[room], numbers[:20])
        for member in members
        for room, numbers in member.received.items()
        if numbers != list(range(counts[room]))
    ]
    received = sum(len(numbers) for member in members for numbers in member.received.values())
    foreign = sum(member.foreign for member in members)
    return {"received": received, "foreign": foreign, "wrong": len(wrong), "examples": wrong[:5]}


async def main(plan):
    members = [Member(user, rooms) for user, rooms in plan["rooms"].items()]
    gate = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as group:
        for member in members:
            group.create_task(member.come(plan["address"], gate))
    print("ready", flush=True)
    async with asyncio.TaskGroup() as group:
        for member in members:
            group.create_task(member.listen())
    print(json.dumps(judge(members, plan["counts"])), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
