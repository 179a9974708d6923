"""Thousands of users in hundreds of rooms: a room's messages reach all of its members only.

One publisher sends a room's messages one after another, so each member receives them in order.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from harness.backend import Backend
from harness.background import Background
from harness.rooms import HUB, send
from harness.sizes import IS_FULL

USERS, ROOMS, MESSAGES = (5_000, 500, 10_000) if IS_FULL else (500, 50, 1_000)
ROOMS_OF_A_USER = 2
PUBLISHERS = 8
PATIENCE = 300 if IS_FULL else 60


async def send_to_rooms(server, said):
    """Sends the planned messages, each room's by one publisher in their order."""

    async def publish(number):
        async with Backend(server) as backend:
            for room, title in said:
                if room % PUBLISHERS == number:
                    body = {
                        "room": f"room-{room}",
                        "notification_type": "n",
                        "title": str(title),
                        "message": "",
                        "payload": {},
                    }
                    status, answer = await backend.request(
                        "POST", f"{HUB}/send/room", body=json.dumps(body).encode()
                    )
                    assert status == 200, (status, answer)

    async with asyncio.TaskGroup() as group:
        for number in range(PUBLISHERS):
            group.create_task(publish(number))


@pytest.mark.timeout(2 * PATIENCE + 60)
def test_no_message_is_lost_or_received_outside_its_room(make_server, chance, tmp_path):
    server = make_server(arguments=["--shards", "2"])
    rooms = {
        f"guest-{number}": [f"room-{room}" for room in chance.sample(range(ROOMS), ROOMS_OF_A_USER)]
        for number in range(USERS)
    }
    counts, said = Counter(), []
    for _ in range(MESSAGES):
        room = chance.randrange(ROOMS)
        said.append((room, counts[room]))
        counts[room] += 1
    counts = {f"room-{room}": counts[room] for room in range(ROOMS)}
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"address": server.address, "rooms": rooms, "counts": counts}))
    command = [sys.executable, "-m", "harness.room_crowd", str(plan)]
    with Background(command, cwd=Path(__file__).parent) as crowd:
        crowd.line_with("ready", within=PATIENCE)
        start = time.monotonic()
        asyncio.run(send_to_rooms(server, said))
        system = {"message_type": "end", "title": "the end", "message": "", "payload": {}}
        send(server, "send/system", system)
        result = json.loads(crowd.line_with("received", within=PATIENCE))
        seconds = time.monotonic() - start
    assert (result["wrong"], result["foreign"]) == (0, 0), result
    expected = sum(counts[room] for each in rooms.values() for room in each)
    assert result["received"] == expected
    print(f"{USERS} users, {ROOMS} rooms, {MESSAGES} messages, {expected} copies, {seconds:.1f} s")
