"""Webhooks over crashes: each event at least once, first attempts in order, none after deletion."""

import asyncio
import json
import time

import aiohttp

from harness.server import API_KEY
from harness.sizes import size
from harness.waiting import wait_until
from harness.webhooks import Receiver, add, answer_of, manage

EVENTS = size(3_000, 100_000)
USERS = 50
KILLS = size(3, 60)
BATCH = 50


async def publish_all(server, state):
    """Publishes the numbered events in batches, each again until it is acknowledged."""
    headers = {"X-API-Key": API_KEY, "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        while state["next"] < EVENTS:
            numbers = range(state["next"], min(state["next"] + BATCH, EVENTS))
            lines = [
                json.dumps({"user_id": f"u{n % USERS}", "type": "t", "title": f"n {n}"})
                for n in numbers
            ]
            # The key makes a batch whose answer was lost a repeat.
            own = {**headers, "Idempotency-Key": f"batch {numbers.start}"}
            path = server.url + "/api/v1/notifications/batch"
            try:
                async with session.post(path, data="\n".join(lines), headers=own) as answer:
                    await answer.read()
                    if answer.status == 200:
                        state["next"] = numbers.stop
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.02)


async def kill_repeatedly(server, state):
    """Kills the server about once a second, also in the middle of deliveries."""
    while state["kills"] < KILLS:
        await asyncio.sleep(1)
        await asyncio.to_thread(server.kill)
        state["kills"] += 1
        await asyncio.to_thread(server.start)


def test_each_event_is_delivered_over_kills_and_first_attempts_are_in_order(make_server):
    server = make_server(
        arguments=["--allow-private-destinations", "--webhook-retries", "1s,1s,2s,2s,5s,5s,5s"]
    )
    state = {"next": 0, "kills": 0}
    with Receiver() as receiver:
        receiver.answers["/flaky"] = flaky(receiver)
        add(server, receiver.url(), types=["notification.created"])
        add(server, receiver.url("/flaky"), types=["notification.created"])
        doomed = add(server, receiver.url("/doomed"), types=["notification.created"])

        async def run():
            await asyncio.gather(publish_all(server, state), kill_repeatedly(server, state))

        asyncio.run(run())
        assert manage(server, "DELETE", f"/{doomed['id']}").status == 200
        deleted_at = len(receiver.to("/doomed"))
        drained = time.monotonic()
        wait_until("all is delivered", lambda: server.total("outbox_deliveries") == 0, within=300)
        assert time.monotonic() > drained
        # A message that was on its way may still have arrived.
        assert len(receiver.to("/doomed")) <= deleted_at + 32
        for path in ("/", "/flaky"):
            check(receiver.to(path), is_ordered=path == "/")


def flaky(receiver):
    """Answers every seventh attempt with 503."""
    count = 0

    async def answer(writer, reader):
        nonlocal count
        count += 1
        writer.write(answer_of(503 if count % 7 == 0 else 200))

    return answer


def check(messages, is_ordered):
    """Each event arrived, and of each user they arrived for the first time in order."""
    firsts = {}
    for message in messages:
        data = message.data
        firsts.setdefault(message.id, (data["user_id"], data["seq"], data["title"]))
    titles = {title for _, _, title in firsts.values()}
    assert titles == {f"n {number}" for number in range(EVENTS)}
    assert len(firsts) == EVENTS, "one event has two messages"
    by_user = {}
    for user, sequence, title in firsts.values():
        by_user.setdefault(user, []).append((sequence, int(title.split()[1])))
    if is_ordered:
        for order in by_user.values():
            assert order == sorted(order)
            assert [number for _, number in order] == sorted(number for _, number in order)
