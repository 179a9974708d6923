"""Upgrades from polling to WebSocket while messages fly both ways, and intruders race them."""

# Case 42.

import asyncio
import collections
import json
import random
import re
import secrets
import time

import aiohttp
import pytest

from harness.engineio import (
    ENGINE_PATH,
    SOCKET_PATH,
    PollingClient,
    Requests,
    WebSocketClient,
    decode,
    decode_packet,
    encode,
    expect_error,
    expect_refused,
    expect_upgrade,
    read_open,
    target,
)
from harness.raw import PATIENCE
from harness.sizes import size
from harness.socketio import event
from harness.waiting import wait_until

UPGRADES = size(100, full=10_000)
AT_ONCE = 20
CALM = {"ping_interval": 60_000, "ping_timeout": 60_000, "connect_timeout": 60_000}


class Racer:
    """A session that upgrades to WebSocket with its polls, posts and frames in flight at once."""

    def __init__(self, http, engine, path):
        self.http, self.engine, self.path = http, engine, path
        self.received, self.is_pausing, self.is_overtaking = [], False, False

    def address(self, transport, sid=None):
        return self.engine.url + target(self.path, transport, sid)

    async def open(self):
        async with self.http.get(self.address("polling")) as answer:
            self.sid = read_open(await answer.text())["sid"]
        self.polls = asyncio.create_task(self._poll())

    async def _poll(self):
        while not self.is_pausing:
            async with self.http.get(self.address("polling", self.sid)) as answer:
                if answer.status == 400 and self.is_overtaking:
                    assert (await answer.json())["code"] == 3
                    return
                assert answer.status == 200, (answer.status, await answer.text())
                self.received += [each for each in decode(await answer.read()) if each != "6"]

    async def post(self, packets):
        body = encode(packets)
        async with self.http.post(self.address("polling", self.sid), data=body) as answer:
            assert (answer.status, await answer.read()) == (200, b"ok")

    async def probe(self):
        self.socket = await self.http.ws_connect(self.address("websocket", self.sid))
        await self.socket.send_str("2probe")
        assert await self.socket.receive_str(timeout=PATIENCE) == "3probe"

    async def upgrade(self, packets=(), waits=True):
        """Finishes the upgrade and then sends these packets.

        A client with `waits` lets its last poll return first. Without it the poll may reach the
        server after the upgrade.
        """
        self.is_pausing, self.is_overtaking = True, not waits
        if waits:
            await asyncio.wait_for(self.polls, PATIENCE)
        await self.socket.send_str("5")
        for packet in packets:
            send = self.socket.send_bytes if isinstance(packet, bytes) else self.socket.send_str
            await send(packet)
        await asyncio.wait_for(self.polls, PATIENCE)

    async def receive(self, count):
        """Reads frames until that many packets were received in all, by polls and frames."""
        while len(self.received) < count:
            message = await self.socket.receive(timeout=PATIENCE)
            assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
            is_text = message.type is aiohttp.WSMsgType.TEXT
            self.received.append(decode_packet(message.data) if is_text else message.data)


async def race(http, engine, seed):
    """One session; the echo of each of its packets must come once and in order."""
    chance = random.Random(seed)
    packets = [chance.choice([f"4{n}", str(n).encode()]) for n in range(chance.randint(2, 60))]
    waiting = collections.deque(packets)

    def some():
        return [waiting.popleft() for _ in range(min(len(waiting), chance.randint(1, 4)))]

    racer = Racer(http, engine, ENGINE_PATH)
    await racer.open()
    while waiting and chance.random() < 0.8:
        await racer.post(some())
    probe = asyncio.create_task(racer.probe())
    while waiting and (not probe.done() or chance.random() < 0.3):
        await racer.post(some())
    await probe
    if chance.random() < 0.2:
        await intrude(http, racer)
    await racer.upgrade(waiting, waits=chance.random() < 0.5)
    await racer.receive(len(packets))
    assert racer.received == packets
    if chance.random() < 0.2:
        await intrude(http, racer)
    # The last echo follows all the others, so none came twice.
    await racer.socket.send_str("4last")
    assert await racer.socket.receive_str(timeout=PATIENCE) == "4last"
    await racer.socket.close()


async def intrude(http, racer):
    """Another client that has the sid tries to take the session over."""
    try:
        socket = await http.ws_connect(racer.address("websocket", racer.sid))
    except aiohttp.WSServerHandshakeError as refused:
        assert refused.status == 400
        return
    message = await socket.receive(timeout=PATIENCE)
    assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED), message
    await socket.close()


async def many(engine, count, run):
    """Runs that many sessions, a few at once, each with a number."""
    connector, permits = aiohttp.TCPConnector(limit=0), asyncio.Semaphore(AT_ONCE)

    async def one(number):
        async with permits, asyncio.timeout(5 * PATIENCE):
            await run(http, engine, number)

    async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))


@pytest.mark.timeout(size(120, full=3_000))
@pytest.mark.parametrize("shards", [1, 2, 5])
def test_nothing_is_lost_or_doubled_by_an_upgrade(make_engine, chance, shards):
    engine, seed = make_engine(shards=shards, **CALM), chance.random()
    before = engine.open_file_count()
    asyncio.run(many(engine, UPGRADES, lambda *at: race(*at[:2], f"{seed}/{at[2]}")))
    wait_until("all descriptors are closed", lambda: engine.open_file_count() <= before)


async def overtake(http, engine, seed):
    """The server sends by itself, at its own time, before, during and after the upgrade."""
    chance, asks = random.Random(seed), 20
    racer = Racer(http, engine, SOCKET_PATH)
    await racer.open()
    await racer.post(["40"])
    for number in range(asks):
        await racer.post(event("ask", number))
    # The questions time out after 200 ms, one after another: the upgrade falls around then.
    await asyncio.sleep(chance.uniform(0, 0.25))
    await racer.probe()
    await racer.upgrade(waits=chance.random() < 0.5)
    await racer.receive(2 + 2 * asks)
    opening, *events = racer.received
    assert opening.startswith('40{"sid":')
    # It comes a little later, by a timer as well.
    events.remove('42["auth",{}]')
    questions = [re.fullmatch(r'42\d+(\["question",\d+\])', each) for each in events]
    questions = [json.loads(found[1]) for found in questions if found]
    assert questions == [["question", number] for number in range(asks)]
    assert events.count('42["unanswered"]') == asks
    await racer.socket.close()


@pytest.mark.timeout(size(120, full=600))
def test_unsolicited_messages_survive_an_upgrade(make_engine, chance):
    engine, seed = make_engine(shards=2, **CALM), chance.random()
    count = size(40, full=1_000)
    asyncio.run(many(engine, count, lambda *at: overtake(*at[:2], f"{seed}/{at[2]}")))


# A probe that never finishes.


@pytest.mark.parametrize("probes", [False, True])
def test_an_unfinished_probe_ends_and_the_session_goes_on(make_engine, probes):
    # Enough time for a probe, and for the whole upgrade that follows, on a busy machine.
    engine, start = make_engine(upgrade_timeout=2_000, **CALM), time.monotonic()
    with PollingClient(engine) as polling:
        with WebSocketClient(engine, sid=polling.sid) as client:
            if probes:
                client.probe()
            polling.send("4meanwhile")
            assert polling.next() == "4meanwhile"
            assert client.expect_closed() == []
            assert time.monotonic() - start >= 1.99
        expect_upgrade(polling)


def test_a_probe_is_given_ten_seconds(engine):
    start = time.monotonic()
    with PollingClient(engine) as polling:
        with WebSocketClient(engine, sid=polling.sid) as client:
            client.probe()
            assert client.expect_closed(within=10 + PATIENCE) == []
            assert time.monotonic() - start >= 9.9
        polling.send("4afterwards")
        assert polling.next() == "4afterwards"


def test_a_session_that_ends_closes_its_probe(engine):
    with PollingClient(engine) as polling:
        with WebSocketClient(engine, sid=polling.sid) as client:
            client.probe()
            polling.send("1")
            assert client.expect_closed() == []
        polling.expect_closed()


# Guessed sids.


def guesses(sid, count, chance):
    """Wrong sids: some similar to this one, most of them random."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    near = [sid[:-1], sid[1:], sid + "A", sid * 2, sid[::-1], sid.swapcase(), sid.lower()]
    near += [sid + "=", sid + "%00", "%20" + sid, sid + "/", "*", "%25"]
    for at in range(len(sid)):
        near += [sid[:at] + each + sid[at + 1 :] for each in alphabet]
    near = [each for each in near if each != sid]
    yield from chance.sample(near, min(len(near), count // 2))
    while True:
        yield secrets.token_urlsafe(16)


@pytest.mark.timeout(size(120, full=1_200))
def test_no_guess_reaches_a_session(engine, chance):
    count = size(3_000, full=1_000_000)
    with PollingClient(engine) as owner:
        guessed = guesses(owner.sid, count, chance)
        attacker = Requests(engine)
        for number in range(count // 100):
            if number % 100 == 0:
                owner.send("4mine alone")
                assert owner.next() == "4mine alone"
            for _ in range(99):
                attacker.ask("GET", f"{ENGINE_PATH}?EIO=4&transport=polling&sid={next(guessed)}")
            for _ in range(99):
                expect_error(attacker.answer(), 1)
            # Not pipelined: a body without a session ends its connection.
            path = f"{ENGINE_PATH}?EIO=4&transport=polling&sid={next(guessed)}"
            expect_error(attacker.exchange("POST", path, b"4hijacked"), 1)
        attacker.close()
        for sid in (owner.sid[:-1], owner.sid.swapcase(), owner.sid + "A"):
            expect_refused(engine, target(ENGINE_PATH, "websocket", sid))
        owner.send("4mine still")
        assert owner.next() == "4mine still"
