"""Guards of the WebSocket framing: cases 1 to 11."""

from edits import drop_condition, remove, replace, rewrite
from guard import Guard, c, unit, wire

GUARDS = [
    Guard(
        1,
        "a payload length over 63 bits is refused at its first byte",
        "length-top-bit",
        remove(),
        (unit("FrameHeaderTests"), wire("test_hostile_frames.py", "claimed_length")),
    ),
    Guard(
        1,
        "a claimed length is checked before the payload arrives",
        "claim-checked-before-payload",
        remove(),
        (wire("test_hostile_frames.py", "claimed_length"),),
    ),
    Guard(
        2,
        "the message limit applies to the sum of its frames",
        "message-limit-is-a-sum",
        replace("byteCount <=", "header.payloadLength <="),
        (unit("FrameSequenceTests/limitBySum"), wire("test_hostile_frames.py", "configured")),
    ),
    Guard(
        2,
        "a sum over 63 bits is refused and does not wrap",
        "message-sum-overflow",
        replace("= @1.addingReportingOverflow(@2)", "= (@1 &+ @2, @1 < 0)"),
        (unit("FrameSequenceTests/sumOverflow"),),
    ),
    Guard(
        2,
        "the message limit is the configured one",
        "message-limit-is-configured",
        replace("<= @1 else", "<= 512 else"),
        (wire("test_hostile_frames.py", "configured"),),
    ),
    Guard(
        4,
        "fragments are counted",
        "fragments-counted",
        rewrite("@1 ? 0 : @2", "@1 ? 0 : 1"),
        (
            unit("FrameSequenceTests/fragmentCount"),
            wire("test_hostile_frames.py", "test_empty_fragments_are_counted"),
            wire("test_hostile_frames.py", "million_empty_fragments"),
        ),
    ),
    Guard(
        4,
        "empty fragments are counted, too",
        "empty-fragments-counted",
        rewrite(
            "@1 ? 0 : @2 + 1",
            "@1 ? 0 : @2 + (startsMessage || header.payloadLength > 0 ? 1 : 0)",
        ),
        (
            unit("FrameSequenceTests/fragmentCount"),
            wire("test_hostile_frames.py", "test_empty_fragments_are_counted"),
        ),
    ),
    Guard(
        5,
        "an unmasked client frame is refused",
        "client-must-mask",
        rewrite("case @1: @2", "case @1: break"),
        (unit("FrameHeaderTests/unmasked"), wire("test_hostile_frames.py", "unmasked_frame")),
    ),
    Guard(
        5,
        "the server never masks",
        "server-never-masks",
        rewrite("@1 = @2 ? 0 : 0x80", "@1 = 0x80"),
        (
            unit("WebSocketFrameTests/roundTrip"),
            wire("test_hostile_frames.py", "million_server_frames"),
        ),
    ),
    Guard(
        6,
        "reserved bits are refused",
        "reserved-bits",
        remove(),
        (unit("FrameHeaderTests/matrix"), wire("test_hostile_frames.py", "every_first_byte")),
    ),
    Guard(
        6,
        "a continuation needs a message",
        "continuation-needs-message",
        remove(),
        (unit("FrameHeaderTests/matrix"), wire("test_hostile_frames.py", "every_first_byte")),
    ),
    Guard(
        6,
        "a new message cannot begin inside another one",
        "messages-do-not-interleave",
        remove(),
        (unit("FrameHeaderTests/matrix"), wire("test_hostile_frames.py", "every_first_byte")),
    ),
    Guard(
        7,
        "a length that fits in seven bits must not use two bytes",
        "length-16-is-minimal",
        remove(),
        (unit("FrameHeaderTests/nonMinimal16"), wire("test_hostile_frames.py", "longer_form")),
    ),
    Guard(
        7,
        "a length that fits in two bytes must not use eight",
        "length-64-is-minimal",
        remove(),
        (unit("FrameHeaderTests/violations"), wire("test_hostile_frames.py", "longer_form")),
    ),
    Guard(
        8,
        "text is validated at each frame, not at the message's end",
        "text-checked-per-frame",
        replace("guard @1, @2 || @3 else", "guard @2 || @1 && @3 else"),
        (wire("test_hostile_text.py", "at_the_frame_that_shows_it"),),
    ),
    Guard(
        8,
        "a text message must not end inside a character",
        "text-ends-with-whole-character",
        drop_condition(2),
        (wire("test_hostile_text.py", "never_ends"),),
    ),
    Guard(
        8,
        "surrogates are not valid UTF-8",
        "utf8-surrogates",
        replace("LEAD_ED", "LEAD_3"),
        (c("sequences of three bytes"), wire("test_hostile_text.py", "invalid_text")),
    ),
    Guard(
        10,
        "a control frame is not fragmented",
        "control-frame-is-final",
        remove(),
        (unit("FrameHeaderTests/violations"), wire("test_hostile_frames.py", "short_and_whole")),
    ),
    Guard(
        10,
        "a control frame has at most 125 bytes",
        "control-frame-is-short",
        remove(),
        (unit("FrameHeaderTests/violations"), wire("test_hostile_frames.py", "short_and_whole")),
    ),
    Guard(
        10,
        "a control frame inside a message is not one of its fragments",
        "control-frame-inside-message",
        replace("if @1 {", "if @1, !isInsideMessage {"),
        (
            unit("FrameSequenceTests/roles"),
            wire("test_hostile_frames.py", "pings_inside_a_message or pings_in_it"),
        ),
    ),
    Guard(
        11,
        "an invalid close code is refused",
        "close-code-is-valid",
        remove(),
        (
            unit("WebSocketFrameTests/closeCodes"),
            wire("test_hostile_frames.py", "every_close_code"),
        ),
    ),
    Guard(
        11,
        "reserved close codes are refused",
        "close-code-gaps",
        replace("1000...1003, 1007...1014, 3000...4999", "1000...4999"),
        (
            unit("WebSocketFrameTests/closeCodes"),
            wire("test_hostile_frames.py", "every_close_code"),
        ),
    ),
    Guard(
        11,
        "a close payload of one byte is refused",
        "close-payload-of-one-byte",
        rewrite(
            "guard @1 else { @2 }",
            'guard @1 else { return ClosePayload(code: nil, reason: "") }',
        ),
        (
            unit("WebSocketFrameTests/closePayloads"),
            wire("test_hostile_frames.py", "reason_of_a_close"),
        ),
    ),
    Guard(
        11,
        "a close reason must be UTF-8",
        "close-reason-is-utf8",
        rewrite("guard let @1(validating: @2) else { @3 }", "let @1(decoding: @2)"),
        (
            unit("WebSocketFrameTests/closePayloads"),
            wire("test_hostile_frames.py", "reason_of_a_close"),
        ),
    ),
]
