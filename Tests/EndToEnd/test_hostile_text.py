"""RFC 6455, 8.1: text is UTF-8; invalid text ends the connection at the frame that shows it.

The sequences are the usual stress tests of UTF-8 decoders: every border of the ranges, every kind
of torn, overlong, forbidden and impossible character. Python's own decoder decides which are valid.
"""

import pytest

from harness.raw import CONTINUATION, PING, TEXT, frame

# One of these completes every valid beginning: a lead may restrict its second byte to the upper or
# the lower part of the range, but not the later bytes.
ENDINGS = [
    b"",
    *(bytes([second]) + b"\x80" * more for second in (0x80, 0x90, 0xA0) for more in range(3)),
]


def is_text(data):
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        return False


def is_beginning_of_text(data):
    """Whether these bytes can still become valid UTF-8."""
    return any(is_text(data + ending) for ending in ENDINGS)


def sequences():
    """Byte sequences, valid and invalid, without duplicates."""
    borders = [0, 1, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF]
    borders += [0x10000, 0x1FFFE, 0x1FFFF, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF]
    yield from (chr(scalar).encode() for scalar in borders)
    yield from ("κόσμε".encode(), "\U0001f514 é\u2028\ufeff".encode(), b"")
    # Characters of one to six bytes, as the original format would encode them.
    for scalar in [0, 0x2F, *borders, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0x110000, 0x1FFFFF]:
        yield from (spelled(scalar, count) for count in range(2, 7) if scalar < 1 << 5 * count + 1)
    for scalar in [0x200000, 0x3FFFFFF, 0x4000000, 0x7FFFFFFF]:
        yield from (spelled(scalar, count) for count in (5, 6) if scalar < 1 << 5 * count + 1)
    # Surrogate pairs: UTF-16 code units encoded as characters.
    for high in (0xD800, 0xDB7F, 0xDBFF):
        yield from (spelled(high, 3) + spelled(low, 3) for low in (0xDC00, 0xDFFF))
    # Each lead alone and before a letter, each continuation alone, and many of them.
    yield from (bytes([lead]) for lead in range(0x80, 0x100))
    yield from (bytes([lead]) + b"A" for lead in range(0xC0, 0x100))
    yield from (b"\x80" * count for count in range(2, 8))
    # Characters without their last byte, alone and with text after them.
    torn = [spelled(scalar, count)[:-1] for count in range(2, 7) for scalar in (0, 0x41, 0x7FF)]
    torn += ["é".encode()[:1], "☃".encode()[:2], "\U0001f514".encode()[:3]]
    yield from torn
    yield from (each + b"A" for each in torn)
    yield b"".join(torn)
    yield "κόσμε".encode() + spelled(0xD800, 3) + b"edited"


def spelled(scalar, count):
    """A number encoded as a character of `count` bytes, whether or not that is valid."""
    rest = [0x80 | scalar >> 6 * index & 0x3F for index in range(count - 1)]
    lead = 0xFF << 8 - count & 0xFF | scalar >> 6 * (count - 1)
    return bytes([lead, *reversed(rest)])


SEQUENCES = list(dict.fromkeys(sequences()))
VALID = [data for data in SEQUENCES if is_text(data)]
TORN = [data for data in SEQUENCES if is_beginning_of_text(data) and not is_text(data)]
INVALID = [data for data in SEQUENCES if not is_beginning_of_text(data)]


def test_the_sequences_are_of_all_kinds():
    assert len(VALID) > 20 and len(TORN) > 50 and len(INVALID) > 200
    assert b"\xed\xa0\x80" in INVALID and b"\xc0\x80" in INVALID and b"\xfe" in INVALID
    assert b"\xf4\x8f\xbf\xbf" in VALID and b"\xe2\x98" in TORN


def cuts(data):
    """All ways to cut the data into three parts, of which some may be empty."""
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            yield data[:first], data[first:second], data[second:]


def test_valid_text_is_valid_wherever_it_is_cut(upgraded):
    # Case 8.
    for data in VALID:
        with upgraded() as connection:
            for start, middle, end in cuts(data):
                connection.send_frame(TEXT, start, final=False)
                connection.send_frame(CONTINUATION, middle, final=False)
                connection.send_frame(CONTINUATION, end)
            connection.answers()


def test_invalid_text_is_1007_at_the_frame_that_shows_it(upgraded):
    # Case 8. Nothing follows the first impossible byte, so the close is the answer to its frame
    # and not to a later one; the server answers normally to everything before it.
    for data in INVALID:
        shown = next(n for n in range(len(data) + 1) if not is_beginning_of_text(data[:n]))
        for start, middle, end in cuts(data[:shown]):
            if not end:
                continue
            with upgraded() as connection:
                connection.send_frame(TEXT, start, final=False)
                connection.send_frame(CONTINUATION, middle, final=False)
                connection.answers()
                connection.send_frame(CONTINUATION, end, final=False)
                connection.expect_close(1007)


def test_invalid_text_is_1007_whatever_follows_it(upgraded):
    # Case 8.
    for data in INVALID:
        for cut in range(len(data) + 1):
            with upgraded() as connection:
                connection.send_frame(TEXT, data[:cut], final=False)
                connection.send_if_open(frame(CONTINUATION, data[cut:]))
                connection.expect_close(1007)


def test_a_character_that_never_ends_is_1007_at_the_end(upgraded):
    # Case 8.
    for data in TORN:
        with upgraded() as connection:
            connection.send_frame(TEXT, data, final=False)
            connection.answers()
            connection.send_frame(CONTINUATION)
            connection.expect_close(1007)


@pytest.mark.parametrize("data", [b"\xce\xba\xff", b"\xf0\x9f\xed", b"ok\xc0\x80"], ids=bytes.hex)
def test_text_sent_byte_by_byte_is_validated_the_same(upgraded, data):
    # Cases 8 and 14: each byte in a segment of its own.
    with upgraded() as connection:
        for byte in frame(TEXT, "κόσμε".encode()) + frame(PING, b"drip"):
            connection.send(bytes([byte]))
        connection.expect_pong(b"drip")
        for byte in frame(TEXT, data, final=False):
            connection.send_if_open(bytes([byte]))
        connection.expect_close(1007)
