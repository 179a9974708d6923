"""Hostile Engine.IO and Socket.IO clients: their cost to the server, and to other clients."""

import contextlib
import time

import pytest

from harness.cost import expect_cost
from harness.engineio import (
    ENGINE_PATH,
    SOCKET_PATH,
    Ended,
    PollingClient,
    Requests,
    WebSocketClient,
    encode,
    expect_error,
    target,
)
from harness.raw import BINARY, CLOSE, PING, PONG, TEXT, Closed, RawWebSocket, frame
from harness.sizes import size
from harness.socketio import SocketIOClient, compact, event, placeholder
from harness.waiting import PATIENCE, wait_until

MEBIBYTE = 1 << 20
MEGABYTE = 1_000_000
CALM = {"ping_interval": 60_000, "ping_timeout": 60_000, "connect_timeout": 60_000}
BOTH = ["polling", "websocket"]
# Ten attachments of this size are the 640 KiB that the server may hold for a connection.
ATTACHMENT_LIMIT = 65_536


def at_rest(engine, before):
    """Whether memory is back to its level before: within 5% and 4 MiB."""
    return engine.anonymous_bytes() <= before * 1.05 + 4 * MEBIBYTE


def announcing(count, attachments=1, kind="5", ack=""):
    """A packet that announces `count` attachments; `count` is any text."""
    placeholders = ",".join(compact(placeholder(number)) for number in range(attachments))
    return f'4{kind}{count}-{ack}["message",{placeholders}]'


# Case 39: attachments.


COUNTS = ["11", "12", "99", "1000000000", str(2**31), str(2**32), str(2**63), str(2**64)]
COUNTS += ["9" * 400, "-1", "-0", "+1", "1.5", "1.0", "1e0", "1e400", "0x1", " 1", "1 ", "1_0"]
COUNTS += ["", "NaN", "Infinity", "\u0661", "\uff11", "\0", "1,"]


@pytest.mark.parametrize("count", COUNTS, ids=lambda count: count[:12].encode().hex() or "none")
@pytest.mark.parametrize("transport", BOTH)
def test_an_attachment_count_over_the_limit_or_invalid_closes(engine, transport, count):
    for kind, ack in (("5", ""), ("5", "7"), ("6", "7")):
        with SocketIOClient(engine, transport) as client:
            client.connect()
            client.send_if_taken(announcing(count, kind=kind, ack=ack))
            client.expect_closed()


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize("packet", ['451["message"]', "45", "451", "451-", "46", "451-/custom,"])
def test_an_incomplete_announcement_closes(engine, transport, packet):
    with SocketIOClient(engine, transport) as client:
        client.connect()
        client.send_if_taken(packet)
        client.expect_closed()


NUMBERS = ["1", "2", "-1", "0.5", "1e400", "9" * 400, '"0"', "null", "true", "[0]", str(2**64)]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:12])
def test_a_placeholder_without_an_attachment_closes(engine, number):
    with SocketIOClient(engine) as client:
        client.connect()
        client.send_if_taken(f'451-["message",{{"_placeholder":true,"num":{number}}}]', b"x")
        client.expect_closed()


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize(
    "packet",
    [event("message", "text")[0], "40/custom,", "41", announcing(1), '43["text"]', "4"],
)
def test_text_among_attachments_closes(engine, transport, packet):
    with SocketIOClient(engine, transport) as client:
        client.connect()
        client.send(announcing(3, 3), b"one")
        client.send_if_taken(packet)
        client.expect_closed()


def test_a_heartbeat_among_attachments_is_no_text(engine):
    with SocketIOClient(engine) as client:
        client.connect()
        client.send(announcing(2, 2), b"one", "3", b"two")
        client.expect(*event("message-back", b"one", b"two"))


@pytest.mark.parametrize("transport", BOTH)
def test_one_attachment_more_than_announced_closes(engine, transport):
    with SocketIOClient(engine, transport) as client:
        client.connect()
        client.send_if_taken(announcing(1), b"one", b"two")
        assert client.engine.expect_closed() in ([], event("message-back", b"one"))


def test_missing_attachments_close_after_ten_seconds(engine):
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        waiting = []
        for transport in (*BOTH, "upgraded"):
            for sent in ([], [b"some"] * 9):
                client = stack.enter_context(SocketIOClient(engine, transport))
                client.connect()
                client.send(announcing(10, 10), *sent)
                waiting.append(client)
        # A client that sends its attachment in time stays connected.
        done = stack.enter_context(SocketIOClient(engine))
        done.connect()
        done.send(announcing(1), b"x")
        done.expect(*event("message-back", b"x"))
        for client in waiting:
            client.expect_closed(within=10 + PATIENCE)
        assert time.monotonic() - start >= 9
        done.echoes()


@pytest.mark.parametrize("transport", BOTH)
def test_an_attachment_over_the_message_limit_is_refused(make_engine, transport):
    engine = make_engine(max_payload=ATTACHMENT_LIMIT, **CALM)
    # Base64 encodes three bytes as four, and the text that announces them counts, too.
    largest = ATTACHMENT_LIMIT - 64 if transport == "websocket" else ATTACHMENT_LIMIT // 4 * 3 - 3
    with SocketIOClient(engine, transport) as client:
        client.connect()
        for packet in event("message", *[bytes(largest)] * 10):
            client.send(packet)
        client.expect(*event("message-back", *[bytes(largest)] * 10))
        client.send(announcing(10, 10), bytes(largest // 2))
        if transport == "websocket":
            client.send(bytes(ATTACHMENT_LIMIT + 1))
            client.expect_closed()
        else:
            assert client.engine.post(encode([bytes(ATTACHMENT_LIMIT)])).status == 413


def test_ten_attachments_count_with_the_text_that_announces_them(make_engine):
    engine = make_engine(max_payload=ATTACHMENT_LIMIT, **CALM)
    with SocketIOClient(engine) as client:
        client.connect()
        client.send(*event("message", *[bytes(ATTACHMENT_LIMIT)] * 10))
        client.expect_closed()
        assert client.engine.code == 1009


def test_memory_held_for_attachments_is_bounded(make_engine):
    count = size(40, full=400)
    engine = make_engine(max_payload=ATTACHMENT_LIMIT, shards=1, **CALM)
    piece = frame(BINARY, bytes(ATTACHMENT_LIMIT - 64), mask=b"abcd")
    opening = frame(TEXT, b"40") + frame(TEXT, announcing(10, 10).encode())

    def hold(stack, how_many):
        held = []
        for _ in range(how_many):
            socket = stack.enter_context(RawWebSocket(engine, target(SOCKET_PATH, "websocket")))
            socket.send(opening + piece * 9)
            held.append(socket)
        for socket in held:
            # The answer shows that the server has read everything sent before.
            socket.answers()
        return held

    # One client goes first, so that memory shared by all connections is allocated.
    files = engine.open_file_count()
    with contextlib.ExitStack() as stack:
        hold(stack, 1)
    wait_until("its descriptor is closed", lambda: engine.open_file_count() <= files)
    before, rests = engine.anonymous_bytes(), []
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            held = hold(stack, count)
            assert engine.anonymous_bytes() - before <= count * 10 * ATTACHMENT_LIMIT + 4 * MEBIBYTE
            # The server held the first nine: the last one completes the message.
            for socket in held:
                socket.send(piece)
                while socket.read_frame()[0] != BINARY:
                    pass
        wait_until("all descriptors are closed", lambda: engine.open_file_count() <= files)
        rests.append(engine.anonymous_bytes())
    # Later rounds must not need more. The server returns freed memory some seconds later.
    wait_until(f"memory is at rest {rests}", lambda: at_rest(engine, max(rests[:2])))


# Case 40: long-polling bodies.


def repeated(packet, size=MEGABYTE):
    """A payload of that size: as many of the packet as fit."""
    return (packet + b"\x1e") * ((size - len(packet)) // (len(packet) + 1)) + packet


BODIES = {
    "pongs": (ENGINE_PATH, b"3", 200),
    "no operation": (ENGINE_PATH, b"6", 200),
    # The server echoes a quarter of a million of them, so it also writes.
    "messages": (ENGINE_PATH, b"4", 200),
    "messages without a packet": (SOCKET_PATH, b"4", 400),
    "no packets": (ENGINE_PATH, b"x", 400),
    "nothing": (ENGINE_PATH, b"", 400),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_megabyte_of_small_packets_costs_no_more_than_ten_tenths(engine, kind):
    path, packet, status = BODIES[kind]

    def post(times, body):
        for _ in range(times):
            with PollingClient(engine, path) as client:
                if path == SOCKET_PATH:
                    # Without a namespace it may send 64 KiB only.
                    client.send("40")
                    client.next()
                assert client.post(body).status == status
                # The session may have ended already: the echoes may exceed its backlog limit.
                client.post(b"1")

    whole, tenth = repeated(packet), repeated(packet, MEGABYTE // 10)
    assert MEGABYTE - len(packet) - 1 <= len(whole) <= MEGABYTE
    expect_cost(engine, lambda: post(1, whole), lambda: post(10, tenth), factor=3)


def test_an_ended_session_accepts_no_body(engine):
    with PollingClient(engine) as client:
        client.send("1")
        for body in (b"4hello", repeated(b"4"), b""):
            expect_error(client.post(body), 1)


def test_a_client_that_posts_and_never_polls_is_bounded(make_engine):
    engine = make_engine(shards=1, **CALM)
    with PollingClient(engine) as client:
        client.send("4" + "x" * (MEGABYTE - 1))
        client.next()
    before = largest = engine.anonymous_bytes()
    with PollingClient(engine) as client:
        for _ in range(size(60, full=300)):
            answer = client.post(b"4" + b"x" * (MEGABYTE - 1))
            largest = max(largest, engine.anonymous_bytes())
            if answer.status != 200:
                break
        assert answer.status in (400, 503), answer
    assert largest - before <= 16 * MEBIBYTE, largest - before


def test_a_client_that_sends_and_never_reads_is_held_back(make_engine):
    engine = make_engine(shards=1, **CALM)
    with WebSocketClient(engine) as client:
        client.send("4" + "x" * 99_999)
        client.next()
    before = largest = engine.anonymous_bytes()
    message = frame(TEXT, b"4" + b"x" * 99_999, mask=b"abcd") * 10
    with WebSocketClient(engine) as client, WebSocketClient(engine) as bystander:
        for number in range(size(60, full=300)):
            accepted = client.socket.send_until_full(message)
            largest = max(largest, engine.anonymous_bytes())
            bystander.send(f"4{number}")
            assert bystander.next() == f"4{number}"
            if accepted < len(message):
                break
        assert accepted < len(message), "the server never stopped reading"
    assert largest - before <= 16 * MEBIBYTE, largest - before


# Case 43: corrupted packets, and excessive numbers of everything.


SEEDS = [
    ["40"],
    ['40{"token":"123"}'],
    ["40/custom,", '42/custom,["message",1]'],
    ["40/random"],
    ["41"],
    ["41/custom,"],
    ['42["message",1,"2",{"3":[true]}]'],
    ['42456["message-with-ack",1,"2",{"3":[false]}]'],
    ["430[]"],
    ['4312["x"]'],
    ['44{"message":"x"}'],
    ['451-["message",{"_placeholder":true,"num":0}]', b"\x01\x02\x03"],
    [
        '452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        b"one",
        b"two",
    ],
    ['461-12[{"_placeholder":true,"num":0}]', b"x"],
    ['42["ask",1]', '430["x"]'],
    ["3"],
    ["2probe", "5"],
    ["6"],
]
TOKENS = [b"9" * 40, b"-1", b"1e400", b"0", b"-", b",", b"/", b'"', b"[", b"]", b"{", b"}", b"\\u"]
TOKENS += [b'{"_placeholder":true,"num":0}', b"\xff", b"\x00", b"\x1e", b"\xed\xa0\x80", b"45"]
TOKENS += [b"/custom,", b'["message"]', b"[" * 40, b"\\ud800", b"b", b"=", b"\xe2\x80\xa8"]


def mutated(chance, packet):
    """A packet cut, spliced, altered or extended, a few times over."""
    data = bytearray(packet if isinstance(packet, bytes) else packet.encode())
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randint(0, len(data)), chance.randint(1, 8)
        match chance.randrange(6):
            case 0 if data:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length] * chance.randint(1, 3)
            case 3:
                data[at:at] = chance.choice(TOKENS)
            case 4:
                data[at : at + length] = chance.randbytes(length)
            case 5:
                other = chance.choice(chance.choice(SEEDS))
                data[at:] = (other if isinstance(other, bytes) else other.encode())[at:]
    return bytes(data)


def corrupted(chance):
    """A few packets as (opcode, bytes), some of them unchanged."""
    packets = []
    for packet in chance.choice(SEEDS):
        opcode = BINARY if isinstance(packet, bytes) else TEXT
        plain = packet if isinstance(packet, bytes) else packet.encode()
        data = mutated(chance, packet) if chance.random() < 0.8 else plain
        packets.append((opcode if chance.random() < 0.95 else TEXT + BINARY - opcode, data))
    return packets


def by_websocket(engine, chance, packets):
    """Sends the packets; the connection must stay open or be closed, and not hang."""
    with RawWebSocket(engine, target(SOCKET_PATH, "websocket")) as socket:
        begun = frame(TEXT, b"40") if chance.random() < 0.8 else b""
        frames = b"".join(frame(opcode, data) for opcode, data in packets)
        socket.send_if_open(begun + frames + frame(PING, b"alive?"))
        with contextlib.suppress(Closed):
            while socket.read_frame()[0] not in (PONG, CLOSE):
                pass


def by_polling(engine, chance, packets):
    """Posts the packets as a payload; the server must accept or refuse it."""
    with PollingClient(engine, SOCKET_PATH) as client:
        if chance.random() < 0.8:
            client.send("40")
        body = b"\x1e".join(data if opcode == TEXT else encode([data]) for opcode, data in packets)
        assert client.post(body).status in (200, 400)


@pytest.mark.timeout(size(120, full=3_000))
@pytest.mark.parametrize("send", [by_websocket, by_polling])
def test_a_corrupted_packet_harms_no_other_client(engine, chance, send):
    with SocketIOClient(engine) as honest:
        honest.connect()
        for number in range(size(2_000, full=100_000)):
            packets = corrupted(chance)
            try:
                send(engine, chance, packets)
                honest.send(*event("message-with-ack", number, ack=number))
                honest.expect(f"43{number}[{number}]")
            except (AssertionError, Closed, OSError) as failure:
                raise AssertionError(f"after {packets!r}: {failure}") from failure


def test_unanswered_questions_are_bounded(make_engine):
    engine, count = make_engine(shards=1, **CALM), 3_000
    with SocketIOClient(engine) as client:
        client.connect()
        for packet in event("ask") * count:
            client.engine.socket.send_if_open(frame(TEXT, packet.encode()))
        questions = given_up = most = 0
        with contextlib.suppress(Closed, Ended):
            # A question over the limit fails at once or ends the session; the others time out.
            while given_up < count:
                if client.next() == event("unanswered")[0]:
                    given_up += 1
                else:
                    questions += 1
                most = max(most, questions - given_up)
        assert 0 < most <= 1_024, most


def test_unknown_namespaces_leave_no_memory(make_engine):
    engine, count = make_engine(shards=1, **CALM), size(20_000, full=500_000)

    def ask_for(client, numbers):
        for start in range(numbers.start, numbers.stop, 100):
            names = [f"/n{number}" for number in range(start, start + 100)]
            asked = b"".join(frame(TEXT, f"40{name},".encode()) for name in names)
            client.engine.socket.send(asked)
            for name in names:
                client.expect(f'44{name},{{"message":"Invalid namespace"}}')

    with SocketIOClient(engine) as client:
        client.connect()
        # The heap reaches its size during the first of them.
        ask_for(client, range(count // 5))
        before = engine.anonymous_bytes()
        ask_for(client, range(count // 5, count))
        client.echoes()
        assert engine.anonymous_bytes() - before <= MEBIBYTE


def test_abandoned_sessions_leave_no_memory(make_engine):
    """Each handshake opens a session that a client may resume until its heartbeat times out."""
    engine = make_engine(ping_interval=500, ping_timeout=500)
    requests = Requests(engine)

    def open_many(count):
        for _ in range(count // 100):
            for _ in range(100):
                requests.ask("GET", target(ENGINE_PATH, "polling"))
            for _ in range(100):
                assert requests.answer().status == 200

    at_ends = []
    for _ in range(6):
        open_many(size(5_000, full=20_000))
        with PollingClient(engine) as last:
            # Sessions opened before this one end before it.
            last.expect_closed()
        at_ends.append(engine.anonymous_bytes())
    # The number open at once depends on their rate, so the first round sets the level.
    wait_until(f"memory is at rest {at_ends}", lambda: at_rest(engine, at_ends[0]))
    requests.close()
