"""Thousands of clients at once: some do not close, start or read, some have expired tokens."""

import contextlib
import itertools
import json
import os
import re
import struct
import time

import pytest

from harness.clients import EVENT_PATH, FLAT_PATH, INBOX_PATH, FlatClient
from harness.crowd import Crowd, frames_of, is_upgraded
from harness.dialects import TYPED_PATH
from harness.raw import CLOSE, PING, TEXT, close_payload, frame, upgrade_request
from harness.rooms import broadcast
from harness.server import API_KEY
from harness.sizes import size
from harness.streams import STREAM_PATH
from harness.tokens import user_token
from harness.waiting import wait_until

POLL_PATH = "/api/v1/notifications/poll"
ROOM = "/api/v1/websocket/send/room"
MEBIBYTE = 1 << 20


def get(path, token, **fields):
    lines = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def close_of(member):
    closes = [payload for opcode, payload in frames_of(member) if opcode == CLOSE]
    assert len(closes) == 1, closes
    return struct.unpack("!H", closes[0][:2])[0] if closes[0] else None


# Case 12.

REASONS = [
    (frame(0, b"", first=0xF1), 1002),
    (frame(0, b"", first=0x83), 1002),
    (frame(TEXT, b"x", mask=False), 1002),
    (frame(TEXT, b"\xff"), 1007),
    (frame(TEXT, b"x" * 600), 1009),
    (frame(PING, b"x", final=False), 1002),
    (frame(CLOSE, close_payload(1005)), 1002),
    (frame(CLOSE, b"\x03"), 1002),
    (frame(CLOSE, close_payload(4_321, b"a secret of the client's")), 4_321),
]


def test_each_violation_always_gets_the_same_close_frame(server):
    # A violation always gets the same close payload, and its reason is printable text.
    expected = {}
    request = upgrade_request(f"{FLAT_PATH}?token={user_token('closer')}")
    left = size(2_000, full=100_000)
    with Crowd(server) as crowd:
        while left > 0:
            count = min(left, 500)
            left -= count
            # Fills the server's memory with other bytes first.
            noise = frame(PING, os.urandom(125)) * 3
            members = crowd.connect(
                count, lambda number: request + noise + REASONS[number % len(REASONS)][0]
            )
            crowd.until("all are closed", lambda: all(member.ended for member in members))
            for number, member in enumerate(members):
                *before, (opcode, payload) = frames_of(member)
                assert [each for each, _ in before] == [10] * 3 and opcode == CLOSE
                assert len(payload) <= 125
                kind = number % len(REASONS)
                assert struct.unpack("!H", payload[:2])[0] == REASONS[kind][1]
                assert payload[2:].decode("ascii").isprintable()
                assert expected.setdefault(kind, payload) == payload
                member.close()
    assert len(expected) == len(REASONS)


# Case 13.


def test_a_client_that_spoils_the_end_of_a_connection_keeps_none(make_server):
    server = make_server()
    request = upgrade_request(f"{FLAT_PATH}?token={user_token('leaver')}")
    goodbye = frame(CLOSE, close_payload(1000))
    before = server.open_file_count()
    with FlatClient(server, "bystander") as bystander, Crowd(server) as crowd:
        members = crowd.connect(size(1_000, full=5_000), request)
        crowd.until("all are upgraded", lambda: all(map(is_upgraded, members)), within=60)
        start = time.monotonic()
        flood = frame(TEXT, b"x" * 500) * (10 * MEBIBYTE // 506)
        for number, member in enumerate(members):
            if number % 4 == 0:
                member.send(goodbye)
                member.send(flood)  # Ten megabytes after the close.
            elif number % 4 == 1:
                member.stop_reading()
                member.send(frame(TEXT, b"\xff"))  # Never reads or answers the server's close.
            elif number % 4 == 2:
                member.send(goodbye * 2)
            else:
                member.send(goodbye)  # And then never closes its socket.
        crowd.until(
            "all their descriptors are closed",
            lambda: server.open_file_count() <= before + 2,
            within=10 + len(members) / 100,
        )
        print(f"all closed after {time.monotonic() - start:.1f} s")
        broadcast(server, "meanwhile")
        assert bystander.next()["title"] == "meanwhile"
        polite = members[2::4] + members[3::4]
        crowd.until("they have read the end", lambda: all(member.ended for member in polite))
        for member in polite:
            assert close_of(member) == 1000
    assert server.is_alive


# Case 28.


def test_thousands_that_never_finish_a_head_get_408(make_server):
    server = make_server()
    before = server.open_file_count()

    def accepted():
        return server.total("connections_accepted_total")

    with Crowd(server) as crowd:
        base = accepted()
        slow = crowd.connect(size(2_000, full=15_000), b"GET / HTTP/1.1\r\n")
        # On a busy machine the first end before the last connect, so this counts accepted
        # connections. Each request for the metric is a connection, too.
        asking = itertools.count(base + len(slow) + 1)
        crowd.until("all are accepted", lambda: accepted() >= next(asking), within=60)
        start, sent = time.monotonic(), 0
        # The bytes do not prolong the ten seconds of a head, or none would ever end.
        while not all(member.ended for member in slow):
            left = sum(not member.ended for member in slow)
            assert time.monotonic() - start < 60, f"{left} are left"
            if time.monotonic() - start >= sent * 3:
                sent += 1
                for member in slow:
                    if not member.ended:
                        member.send(b"X")
            assert server.request("GET", "/healthz").status == 200
            crowd.turn(0.1)
        for member in slow:
            assert member.received.startswith(b"HTTP/1.1 408 "), member.received
    wait_until("their descriptors are closed", lambda: server.open_file_count() <= before + 1)


# Case 50.


def test_a_thousand_sessions_end_with_their_token(make_server):
    leeway = 1
    server = make_server(environment={"JWT_LEEWAY": str(leeway)})
    count = 1_000
    paths = [FLAT_PATH, EVENT_PATH, TYPED_PATH, INBOX_PATH, STREAM_PATH, POLL_PATH]

    def begin(number):
        path, token = paths[number % len(paths)], user_token(f"u{number}", ttl=life)
        if path == STREAM_PATH:
            return get(path, token)
        if path == POLL_PATH:
            return get(f"{path}?since=0&wait=60", token, Connection="close")
        return upgrade_request(path, [("Authorization", f"Bearer {token}")])

    def is_refreshed(number):
        return number % len(paths) < 4 and number % 12 < 6

    def clients():
        stats = server.request("GET", "/api/notifications/stats", user_token("anyone"))
        return stats.data["total_clients"]

    # The tokens live several times as long as a rehearsal of the connecting takes here and now.
    start, life = time.monotonic(), 600
    with Crowd(server) as crowd:
        crowd.connect(count, begin)
        crowd.until("all are connected", lambda: clients() == count, within=60)
    life = 8 + int(4 * (time.monotonic() - start))
    wait_until("all have left", lambda: clients() == 0, within=30)
    with Crowd(server) as crowd:
        made = time.time()
        members = crowd.connect(count, begin)
        crowd.until("all are connected", lambda: clients() == count, within=60)
        latest = time.time() + life + leeway
        for number, member in enumerate(members):
            if is_refreshed(number):
                auth = {"type": "auth", "token": user_token(f"u{number}")}
                member.send(frame(TEXT, json.dumps(auth).encode()))
        # A token's times are whole seconds, so no session may end before `earliest`. The clock is
        # read after the count, so every counted session ended before that time.
        earliest, now = int(made) + life + leeway, made
        while now < earliest:
            crowd.turn(0.1)
            ended = sum(member.ended for member in members)
            now = time.time()
            assert now >= earliest or not ended, f"{ended} ended too early"
        refreshed = sum(map(is_refreshed, range(count)))
        # A busy machine may be late: another test checks the exact second with a simulated clock.
        crowd.until("the rest have ended", lambda: clients() == refreshed, within=life + 10)
        print(f"the last session ended {time.time() - latest:.2f} s after its expiry")
        ending = [m for n, m in enumerate(members) if not is_refreshed(n)]
        crowd.until("all of them have read the end", lambda: all(member.ended for member in ending))
        sizes = [len(member.received) for member in ending]
        broadcast(server, "afterwards")
        for number in range(0, count, 50):
            server.publish(f"u{number}", "afterwards")
        staying = [m for n, m in enumerate(members) if is_refreshed(n) and n % len(paths) != 3]
        crowd.until("the others get it", lambda: all(b"afterwards" in m.received for m in staying))
        assert [len(member.received) for member in ending] == sizes
        for number, member in enumerate(members):
            if not is_refreshed(number) and number % len(paths) < 4:
                assert close_of(member) == (4002 if number % len(paths) == 1 else 1008)


# Case 62.


def send_to_room(server, title, message):
    body = {"room": "r", "notification_type": "n", "title": title, "message": message}
    answer = server.request("POST", ROOM, key=API_KEY, body={**body, "payload": {}})
    assert answer.status == 200, answer


@pytest.mark.parametrize("audience", ["everyone", "one user", "a room"])
def test_stalled_readers_are_bounded_and_cut_and_others_lose_nothing(make_server, audience):
    server = make_server(data=":memory:")
    count = size(500, full=5_000)
    path = TYPED_PATH if audience == "a room" else FLAT_PATH
    request = upgrade_request(f"{path}?token={user_token('stalled')}")
    greeting = b"\r\n\r\n"
    if audience == "a room":
        request += frame(TEXT, b'{"type":"join_room","data":{"room":"r"}}')
        greeting = b"room_joined"

    def are_there(members):
        return lambda: all(greeting in member.received for member in members)

    with contextlib.ExitStack() as stack:
        crowd = stack.enter_context(Crowd(server))
        # A warm-up, so that memory that the server keeps permanently does not count.
        warm = crowd.connect(count, request)
        crowd.until("they are connected", are_there(warm), within=60)
        for member in warm:
            member.close()
        wait_until("they are closed", lambda: server.open_file_count() < 60, within=30)
        readers = crowd.connect(20, request)
        stalled = crowd.connect(count, request, receive_buffer=4_096)
        crowd.until("all are connected", are_there(readers + stalled), within=60)
        for member in stalled:
            member.stop_reading()
        before = largest = server.anonymous_bytes()
        sent = 0

        def connections():
            stats = server.request("GET", "/api/notifications/stats", user_token("anyone"))
            return stats.data["total_clients"]

        deadline = time.monotonic() + 60
        while connections() > len(readers):
            assert time.monotonic() < deadline, f"{connections()} are left after {sent}"
            if audience == "everyone":
                for _ in range(20):
                    broadcast(server, f"n {sent}", "x" * 4_000)
                    sent += 1
            elif audience == "a room":
                for _ in range(20):
                    send_to_room(server, f"n {sent}", "x" * 4_000)
                    sent += 1
            else:
                titles = [f"n {sent + each}" for each in range(500)]
                server.publish_many("stalled", titles)
                sent += len(titles)
            largest = max(largest, server.anonymous_bytes())
            crowd.turn(0)
        largest = max(largest, server.anonymous_bytes())
        allowed = count * 64 * 1_024 * 1.1 + 8 * MEBIBYTE
        print(f"{count} stalled readers: {(largest - before) / count:.0f} bytes each at most")
        assert largest - before <= allowed, (largest - before, allowed)

        def titles_of(reader):
            texts = [json.loads(text) for opcode, text in frames_of(reader) if opcode == TEXT]
            if audience == "a room":
                texts = [text["data"] for text in texts if text["type"] == "room_notification"]
            return [text["title"] for text in texts]

        expected = [f"n {number}" for number in range(sent)]
        last = f'"n {sent - 1}"'.encode()
        crowd.until("the readers have it all", lambda: all(last in r.received for r in readers))
        assert all(titles_of(reader) == expected for reader in readers)
        assert not any(reader.ended for reader in readers)
        for member in stalled:
            member.close()
        wait_until("the files are closed", lambda: server.open_file_count() < 60, within=30)
        stored = sent * 1_024 if audience == "one user" else 0
        wait_until(
            "the memory is released",
            lambda: server.anonymous_bytes() <= before * 1.05 + 4 * MEBIBYTE + stored,
            within=30,
        )


# Case 66.


def test_nothing_of_one_connection_is_ever_seen_by_another(make_server):
    server = make_server(environment={"LOG_LEVEL": "debug"})
    count = size(3_000, full=1_000_000)

    def canary(number, what):
        return f"canary-{number:09d}-{what:-<16}-" + os.urandom(16).hex()

    found = re.compile(rb"canary-(\d{9})-")
    done, ended = 0, 0
    with Crowd(server) as crowd:
        # While some connections stay open, the server keeps and reuses freed slots.
        staying = crowd.connect(32, get(STREAM_PATH, user_token("stayer")))
        crowd.until("the staying ones are connected", lambda: all(map(is_upgraded, staying)))
        while done < count:
            batch = min(250, count - done)
            numbers = range(done, done + batch)
            done += batch

            def begin(offset, first=numbers.start):
                number = first + offset
                token = user_token(canary(number, "user")[:60], secret=canary(number, "claim"))
                fields = [
                    ("User-Agent", canary(number, "agent")),
                    ("Cookie", "c=" + canary(number, "cookie")),
                    ("X-Other", canary(number, "field")),
                ]
                kind = number % 4
                if kind == 0:
                    path = f"{EVENT_PATH}?token={token}&q={canary(number, 'query')}"
                    data = upgrade_request(path, fields)
                    data += frame(PING, canary(number, "ping").encode())
                    data += frame(TEXT, canary(number, "text").encode())
                    data += frame(TEXT, b"half" + canary(number, "half").encode(), final=False)
                    return data + frame(CLOSE, close_payload(1000, canary(number, "bye").encode()))
                if kind == 1:
                    fields.append(("Authorization", f"Bearer {token}"))
                    data = upgrade_request(FLAT_PATH, fields)
                    ping = frame(PING, canary(number, "ping").encode())
                    return data + ping + frame(TEXT, b"\xff")
                if kind == 2:
                    return get(f"/{canary(number, 'path')}?x", token, Connection="close")
                # Half of a head, then a reset or a close.
                return get(STREAM_PATH, token, X_Half=canary(number, "half"))[:-2]

            members = crowd.connect(batch, begin)
            crowd.until(
                "all complete requests are answered",
                lambda members=members, numbers=numbers: all(
                    member.ended or number % 4 == 3
                    for number, member in zip(numbers, members, strict=True)
                ),
            )
            for number, member in zip(numbers, members, strict=True):
                foreign = {int(each) for each in found.findall(member.received)} - {number}
                assert not foreign, (number, member.received)
                # Leftover bytes of another connection would make the request invalid.
                if number % 4 < 2:
                    assert member.received.startswith(b"HTTP/1.1 101 "), (number, member.received)
                    assert b"canary-%09d-ping" % number in member.received
                elif number % 4 == 2:
                    assert member.received.startswith(b"HTTP/1.1 404 "), (number, member.received)
                ended += member.ended
                member.reset() if number % 8 == 3 else member.close()
        assert not any(member.ended or found.search(member.received) for member in staying)
    assert ended >= count * 3 // 4
    # At debug level the log names the user of a session, but no other bytes of a client.
    log = re.sub(r'session of "[^"]*"', "session", server.log())
    everything = log.encode() + server.metrics().encode()
    assert not found.search(everything), everything
