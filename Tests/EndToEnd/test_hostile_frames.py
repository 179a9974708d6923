"""Violations of RFC 6455: every malformed frame gets its close code and nothing more.

The dialect is `flat`, which ignores the client's messages: everything the server does here, it does
because of the framing.
"""

import itertools
import json
import struct

import pytest

from harness.clients import EVENT_PATH, FLAT_PATH
from harness.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Closed,
    RawWebSocket,
    close_payload,
    frame,
    frame_header,
)
from harness.tokens import user_token
from harness.waiting import wait_until

LIMIT = 512
# The limit of a message that carries a token.
AUTH_LIMIT = 8 * 1024 + 256
MEBIBYTE = 1 << 20


CLAIMS = [2**63, 2**63 + 1, 2**64 - 1, 2**63 - 1, 2**53, 2**31, 2**31 - 1]


def test_a_claimed_length_is_refused_at_the_header(server, upgraded):
    # Case 1: a thousand connections at a time, each sends a header and no payload.
    def claim():
        claims = CLAIMS * 143
        connections = [upgraded() for _ in claims]
        before = server.anonymous_bytes()
        for connection, length in zip(connections, claims, strict=True):
            connection.send(frame_header(TEXT, length, form=8))
            connection.expect_close(1002 if length >= 2**63 else 1009)
            connection.close()
        return server.anonymous_bytes() - before

    claim()  # The first round allocates memory that the server keeps.
    assert claim() <= MEBIBYTE


def test_a_claim_that_stays_open_holds_no_memory(server, upgraded):
    # Case 1: many at once, each with the largest length that is still allowed.
    for connection in [upgraded() for _ in range(20)]:
        connection.close()
    before = server.anonymous_bytes()
    held = [upgraded() for _ in range(200)]
    for connection in held:
        connection.send(frame_header(TEXT, LIMIT))
    for connection in held:
        connection.send(b"x" * LIMIT)
        connection.answers()
    assert server.anonymous_bytes() - before <= 2 * MEBIBYTE


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_the_limit_is_exact_for_one_frame(upgraded, opcode):
    # Case 2.
    with upgraded() as at_limit:
        at_limit.send_frame(opcode, b"x" * LIMIT)
        at_limit.answers()
    with upgraded() as above:
        if opcode == BINARY:
            above.send(frame_header(opcode, LIMIT + 1))  # The header suffices; no payload follows.
        else:
            above.send_frame(opcode, b"x" * (LIMIT + 1))  # An auth message may be this long.
        assert above.expect_close(1009) == f"message over {LIMIT} bytes"
    with upgraded() as far_above:
        far_above.send(frame_header(opcode, AUTH_LIMIT + 1))
        far_above.expect_close(1009)


def test_the_limit_is_exact_for_the_sum_of_fragments(upgraded):
    # Case 2.
    with upgraded() as at_limit:
        at_limit.send_frame(TEXT, b"x" * (LIMIT - 2), final=False)
        at_limit.answers()
        at_limit.send_frame(CONTINUATION, b"xx")
        at_limit.answers()
    with upgraded() as above:
        above.send_frame(TEXT, b"x" * (LIMIT - 2), final=False)
        above.answers()
        above.send_frame(CONTINUATION, b"xxx", final=False)  # The message never ends.
        above.expect_close(1009)
    with upgraded() as far_above:
        far_above.send_frame(TEXT, b"x" * LIMIT, final=False)
        far_above.send(frame_header(CONTINUATION, AUTH_LIMIT - LIMIT + 1))
        far_above.expect_close(1009)
    with upgraded() as wrapping:
        wrapping.send_frame(TEXT, b"x" * LIMIT, final=False)
        wrapping.send(frame_header(CONTINUATION, 2**63 - LIMIT, form=8))
        wrapping.expect_close(1009)


@pytest.mark.parametrize("limit", [125, 512, 65_536])
def test_the_configured_limit_is_in_force(make_server, limit):
    # Case 2: exactly at the limit, five times each, and above it from the header alone.
    server = make_server(arguments=["--message-bytes", str(limit)])
    path, ping = f"{FLAT_PATH}?token={user_token('hostile')}", frame(PING, b"between")

    def send_all(connection, frames):
        for each in frames:
            connection.send(each)
        if ping in frames:
            connection.expect_pong(b"between")
        connection.answers()

    def accepted(*frames):
        with RawWebSocket(server, path) as connection:
            send_all(connection, frames)

    def refused(*frames):
        with RawWebSocket(server, path) as connection:
            send_all(connection, frames[:-1])
            connection.send(frames[-1])
            connection.expect_close(1009)

    for _ in range(5):
        accepted(frame(BINARY, b"x" * limit))
        refused(frame_header(BINARY, limit + 1))
        part = limit * 40_000 // 65_536
        first = frame(TEXT, b"x" * part, final=False)
        accepted(first, ping, frame(CONTINUATION, b"x" * (limit - part)))
        refused(first, frame_header(CONTINUATION, part))
        nearly = frame(TEXT, b"x" * (limit - 1), final=False)
        accepted(nearly, ping, frame(CONTINUATION, b"x"))
        refused(nearly, ping, frame_header(CONTINUATION, 2))
        refused(nearly, frame_header(CONTINUATION, 2**63 - 1, form=8))
        # The sizes of two messages in a row do not add up.
        accepted(frame(TEXT, b"x" * limit), frame(TEXT, b"x" * limit))


def test_one_byte_fragments_end_at_the_limit(server, upgraded):
    # Case 3: the sum reaches 512 bytes before the count reaches 1,024 frames.
    with upgraded() as connection:
        connection.send_frame(TEXT, b"x", final=False)
        fragment = frame(CONTINUATION, b"x", final=False)
        connection.send(fragment * (LIMIT - 1))
        connection.answers()
        connection.send(fragment)
        connection.expect_close(1009)
    before = server.anonymous_bytes()
    held = [upgraded() for _ in range(300)]
    for connection in held:
        connection.send(frame(TEXT, b"x", final=False) + fragment * (LIMIT - 1))
    for connection in held:
        connection.answers()
    # Twice the payload and a page each, as the case allows.
    assert server.anonymous_bytes() - before <= 300 * (2 * LIMIT + 4_096) + MEBIBYTE


def test_empty_fragments_are_counted(upgraded):
    # Case 4.
    with upgraded() as connection:
        connection.send(frame(TEXT, b"", final=False) + frame(CONTINUATION, final=False) * 1_023)
        connection.answers()
        connection.send(frame(CONTINUATION, final=False))
        connection.expect_close(1008)


def test_a_million_empty_fragments_cost_no_more_than_the_first_ones(server, upgraded):
    # Case 4.
    flood = frame(TEXT, b"", final=False) + frame(CONTINUATION, final=False) * 1_000_000
    before = server.total("frames_received_total")
    for _ in range(3):
        with upgraded() as connection:
            connection.send_if_open(flood)
            connection.drain()
    # The frame over the limit is the last one that the server looks at.
    assert server.total("frames_received_total") - before == 3 * 1_025


@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
def test_an_unmasked_frame_is_1002(upgraded, opcode):
    # Case 5.
    with upgraded() as connection:
        if opcode == CONTINUATION:
            connection.send_frame(TEXT, b"x", final=False)
        connection.send_frame(opcode, close_payload(1000) if opcode == CLOSE else b"x", mask=False)
        connection.expect_close(1002)


def test_a_mask_of_zero_is_legal(upgraded):
    # Case 5.
    with upgraded() as connection:
        connection.send_frame(PING, b"zero", mask=b"\0\0\0\0")
        connection.expect_pong(b"zero")


def test_none_of_a_million_server_frames_is_masked(upgraded):
    # Case 5. Every byte of a pong is known in advance, so the test compares a million of them.
    with upgraded() as connection:
        for number in range(1_000):
            payload = struct.pack("!I", number)
            connection.send(frame(PING, payload) * 1_000)
            unmasked = bytes([0x80 | PONG, len(payload)]) + payload
            assert connection.read_exactly(1_000 * len(unmasked)) == unmasked * 1_000


def verdict(first, length, is_inside):
    """The outcome RFC 6455, 5.2 to 5.5 demands: None to accept the frame, else the close code."""
    final, reserved, opcode = first & 0x80, first & 0x70, first & 0x0F
    if reserved or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
        return 1002
    if opcode >= CLOSE:
        return 1002 if not final or length > 125 or (opcode == CLOSE and length == 1) else None
    if (opcode == CONTINUATION) != is_inside:
        return 1002
    return 1009 if length > LIMIT else None


def test_every_first_byte_gets_its_verdict(upgraded):
    # Case 6: 2,560 of 2,560. Case 17: a compressed frame is among those refused.
    whole = itertools.product(range(256), (0, 1, 125, 126, 65_536), (False, True))
    for first, length, is_inside in whole:
        with upgraded() as connection:
            if is_inside:
                connection.send_frame(TEXT, b"", final=False)
            payload = b"x" * length
            if first & 0x0F == CLOSE and length >= 2:
                payload = close_payload(1000, b"x" * (length - 2))
            connection.send_if_open(frame(0, payload, first=first))
            expected = verdict(first, length, is_inside)
            shown = f"first byte {first:#04x}, length {length}, inside {is_inside}"
            try:
                if first & 0x0F == CLOSE and expected is None:
                    code, _ = connection.read_close()
                    assert code in (None, 1000) if length == 0 else code == 1000
                    connection.expect_end()
                elif expected is None:
                    if first & 0x0F == PING:
                        connection.expect_pong(payload)
                    connection.answers()
                else:
                    connection.expect_close(expected)
            except Closed as closed:
                # The server refuses the frame midway: the reset may discard the close.
                assert closed.reset and length == 65_536 and expected, shown
            except AssertionError as failure:
                raise AssertionError(shown) from failure


@pytest.mark.parametrize("length, form", [(0, 2), (125, 2), (0, 8), (125, 8), (126, 8), (512, 8)])
def test_a_length_in_a_longer_form_than_needed_is_1002(upgraded, length, form):
    # Case 7.
    with upgraded() as connection:
        connection.send(frame_header(TEXT, length, form=form))
        connection.expect_close(1002)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_is_short_and_whole(upgraded, opcode):
    # Case 10.
    with upgraded() as connection:
        connection.send(frame_header(opcode, 126))
        connection.expect_close(1002)
    with upgraded() as connection:
        connection.send_frame(opcode, close_payload(1000), final=False)
        connection.expect_close(1002)


def test_pings_inside_a_message_are_answered_at_once(upgraded):
    # Case 10.
    with upgraded() as connection:
        connection.send_frame(TEXT, b"frag", final=False)
        for number in range(5):
            payload = struct.pack("!I", number) * 31
            connection.send_frame(PING, payload)
            connection.expect_pong(payload)
            connection.send_frame(CONTINUATION, b"ment", final=False)
        connection.send_frame(CONTINUATION)
        connection.answers()


def test_a_message_with_pings_in_it_arrives_whole(server):
    # Case 10, in the dialect that answers messages.
    with RawWebSocket(server, f"{EVENT_PATH}?token={user_token('hostile')}") as connection:
        assert connection.read_frame()[0] == TEXT  # The greeting.
        message = b'{"type":"ping"}'
        for at in range(len(message) + 1):
            connection.send_frame(TEXT, message[:at], final=False)
            connection.send_frame(PING, bytes([at]))
            connection.expect_pong(bytes([at]))
            connection.send_frame(CONTINUATION, message[at:])
            opcode, answer = connection.read_frame()
            assert opcode == TEXT and json.loads(answer)["type"] == "pong"


def test_unsolicited_pongs_are_ignored(upgraded):
    # Case 10.
    with upgraded() as connection:
        connection.send(frame(PONG, b"unasked") * 100_000)
        connection.answers()


def test_every_close_code_is_echoed_or_refused(upgraded):
    # Case 11.
    valid = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
    for code in [*range(5_000), 5_000, 65_535]:
        with upgraded() as connection:
            connection.send_frame(CLOSE, close_payload(code))
            got, _ = connection.read_close()
            assert got == (code if code in valid else 1002), f"close code {code}"
            connection.expect_end()


@pytest.mark.parametrize(
    "payload, code",
    [
        (b"", None),
        (b"\x03", 1002),
        (close_payload(1000, b"\xff"), 1007),
        (close_payload(1000, b"\xed\xa0\x80"), 1007),
        (close_payload(1000, "é".encode()[:1]), 1007),
        (close_payload(1000, b"x" * 123), 1000),
        (close_payload(1000, b"x" * 124), 1002),
    ],
    ids=["empty", "one byte", "bad UTF-8", "a surrogate", "half a character", "123", "124"],
)
def test_the_reason_of_a_close(upgraded, payload, code):
    # Case 11.
    with upgraded() as connection:
        connection.send_if_open(frame(CLOSE, payload))
        got, _ = connection.read_close()
        assert got in (None, 1000) if code is None else got == code
        connection.expect_end()


def test_frames_after_a_close_are_ignored(upgraded):
    # Case 13.
    with upgraded() as connection:
        connection.send_if_open(frame(CLOSE, close_payload(1000)) + frame(PING, b"late") * 100)
        got, _ = connection.read_close()
        assert got == 1000
        connection.expect_end()


def test_random_bytes_leave_no_connection_open(server, upgraded, chance):
    """Random bytes after the handshake: the connection ends or answers in every case."""
    before = server.open_file_count()
    for _ in range(200):
        with upgraded() as connection:
            connection.send_if_open(chance.randbytes(chance.randrange(1, 2_000)))
    wait_until("the files are closed", lambda: server.open_file_count() <= before)
