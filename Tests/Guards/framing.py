"""Guards of the WebSocket framing: cases 1 to 11."""

from guard import Guard, c, unit, wire

FRAME_HEADER = "Sources/Wire/WebSocket/FrameHeader.swift"
FRAME_SEQUENCE = "Sources/Wire/WebSocket/FrameSequence.swift"
FRAME = "Sources/Wire/WebSocket/WebSocketFrame.swift"
FRAMES_IN = "Sources/Server/Core/WebSocketInput.swift"
UTF8 = "Sources/CReactor/utf8.c"

GUARDS = [
    Guard(
        1,
        "a length over 63 bits is refused at its first byte",
        FRAME_HEADER,
        "    guard bytes[2] & 0x80 == 0 else { throw .lengthTopBit }\n",
        "",
        (unit("FrameHeaderTests"), wire("test_hostile_frames.py", "claimed_length")),
    ),
    Guard(
        1,
        "what a frame claims is judged before its payload is awaited",
        FRAMES_IN,
        "          try checkUnfinished(header, at: place)\n",
        "",
        (wire("test_hostile_frames.py", "claimed_length"),),
    ),
    Guard(
        2,
        "the limit is on the sum of a message's frames",
        FRAME_SEQUENCE,
        "guard !overflow, byteCount <= messageBytesLimit else",
        "guard !overflow, header.payloadLength <= messageBytesLimit else",
        (unit("FrameSequenceTests/limitBySum"), wire("test_hostile_frames.py", "configured")),
    ),
    Guard(
        2,
        "a sum past 63 bits is no small one",
        FRAME_SEQUENCE,
        "messageByteCount.addingReportingOverflow(header.payloadLength)",
        "(messageByteCount &+ header.payloadLength, messageByteCount < 0)",
        (unit("FrameSequenceTests/sumOverflow"),),
    ),
    Guard(
        2,
        "the limit is the configured one",
        FRAMES_IN,
        "guard message.bytes.count <= core.configuration.limits.messageBytesLimit else {",
        "guard message.bytes.count <= 512 else {",
        (wire("test_hostile_frames.py", "configured"),),
    ),
    Guard(
        4,
        "fragments are counted",
        FRAME_SEQUENCE,
        "fragmentCount = header.isFinal ? 0 : fragmentCount + 1",
        "fragmentCount = header.isFinal ? 0 : 1",
        (
            unit("FrameSequenceTests/fragmentCount"),
            wire("test_hostile_frames.py", "test_empty_fragments_are_counted"),
            wire("test_hostile_frames.py", "million_empty_fragments"),
        ),
    ),
    Guard(
        4,
        "empty fragments are counted as well",
        FRAME_SEQUENCE,
        "fragmentCount = header.isFinal ? 0 : fragmentCount + 1",
        "fragmentCount = header.isFinal ? 0 : fragmentCount\n"
        "      + (startsMessage || header.payloadLength > 0 ? 1 : 0)",
        (
            unit("FrameSequenceTests/fragmentCount"),
            wire("test_hostile_frames.py", "test_empty_fragments_are_counted"),
        ),
    ),
    Guard(
        5,
        "a client masks",
        FRAME_HEADER,
        "case .client: guard isMasked else { throw .unmasked }",
        "case .client: break",
        (unit("FrameHeaderTests/unmasked"), wire("test_hostile_frames.py", "unmasked_frame")),
    ),
    Guard(
        5,
        "the server never masks",
        FRAME,
        "let maskBit: UInt8 = maskingKey == nil ? 0 : 0x80",
        "let maskBit: UInt8 = 0x80",
        (unit("WebSocketFrameTests/roundTrip"), wire("test_hostile_frames.py", "million_frames")),
    ),
    Guard(
        6,
        "reserved bits are refused",
        FRAME_HEADER,
        "    guard first & 0x70 == 0 else { throw .reservedBits }\n",
        "",
        (unit("FrameHeaderTests/matrix"), wire("test_hostile_frames.py", "every_first_byte")),
    ),
    Guard(
        6,
        "a continuation needs a message",
        FRAME_SEQUENCE,
        "      guard isInsideMessage else { throw .strayContinuation }\n",
        "",
        (unit("FrameHeaderTests/matrix"), wire("test_hostile_frames.py", "every_first_byte")),
    ),
    Guard(
        6,
        "a message does not begin inside another",
        FRAME_SEQUENCE,
        "      guard !isInsideMessage else { throw .interleavedMessage }\n",
        "",
        (unit("FrameHeaderTests/matrix"), wire("test_hostile_frames.py", "every_first_byte")),
    ),
    Guard(
        7,
        "no two bytes for a length that seven bits hold",
        FRAME_HEADER,
        "    guard length > 125 else { throw .nonMinimalLength }\n",
        "",
        (unit("FrameHeaderTests/nonMinimal16"), wire("test_hostile_frames.py", "longer_form")),
    ),
    Guard(
        7,
        "no eight bytes for a length that two bytes hold",
        FRAME_HEADER,
        "    guard length > 0 else { throw .nonMinimalLength }\n",
        "",
        (unit("FrameHeaderTests/violations"), wire("test_hostile_frames.py", "longer_form")),
    ),
    Guard(
        8,
        "text is judged at each frame, not at the message's end",
        FRAMES_IN,
        "guard isValid, !endsMessage || message.utf8.isComplete else",
        "guard !endsMessage || isValid && message.utf8.isComplete else",
        (wire("test_hostile_text.py", "at_the_frame_that_shows_it"),),
    ),
    Guard(
        8,
        "a message does not end inside a character",
        FRAMES_IN,
        "guard isValid, !endsMessage || message.utf8.isComplete else",
        "guard isValid else",
        (wire("test_hostile_text.py", "never_ends"),),
    ),
    Guard(
        8,
        "surrogates are no characters",
        UTF8,
        "[0xED] = LEAD_ED,",
        "[0xED] = LEAD_3,",
        (c("sequences of three bytes"), wire("test_hostile_text.py", "invalid_text")),
    ),
    Guard(
        10,
        "a control frame is whole",
        FRAME_HEADER,
        "    guard isFinal || !opcode.isControl else { throw .fragmentedControl }\n",
        "",
        (unit("FrameHeaderTests/violations"), wire("test_hostile_frames.py", "short_and_whole")),
    ),
    Guard(
        10,
        "a control frame is short",
        FRAME_HEADER,
        "    guard shortLength <= 125 || !opcode.isControl else { throw .controlTooLong }\n",
        "",
        (unit("FrameHeaderTests/violations"), wire("test_hostile_frames.py", "short_and_whole")),
    ),
    Guard(
        10,
        "a control frame inside a message is none of its fragments",
        FRAME_SEQUENCE,
        "if header.opcode.isControl { return .control(header.opcode) }",
        "if header.opcode.isControl, !isInsideMessage { return .control(header.opcode) }",
        (
            unit("FrameSequenceTests/roles"),
            wire("test_hostile_frames.py", "pings_inside_a_message or pings_in_it"),
        ),
    ),
    Guard(
        11,
        "a close code is one that may be sent",
        FRAME,
        "    guard isValidCloseCode(Int(code)) else { throw .closeCode }\n",
        "",
        (
            unit("WebSocketFrameTests/closeCodes"),
            wire("test_hostile_frames.py", "every_close_code"),
        ),
    ),
    Guard(
        11,
        "the registry's gaps are gaps",
        FRAME,
        "case 1000...1003, 1007...1014, 3000...4999: true",
        "case 1000...4999: true",
        (
            unit("WebSocketFrameTests/closeCodes"),
            wire("test_hostile_frames.py", "every_close_code"),
        ),
    ),
    Guard(
        11,
        "a close payload of one byte is refused",
        FRAME,
        "guard payload.count >= 2 else { throw .closePayload }",
        'guard payload.count >= 2 else { return ClosePayload(code: nil, reason: "") }',
        (
            unit("WebSocketFrameTests/closePayloads"),
            wire("test_hostile_frames.py", "reason_of_a_close"),
        ),
    ),
    Guard(
        11,
        "a reason is UTF-8",
        FRAME,
        "guard let reason = String(validating: payload.dropFirst(2), as: UTF8.self) else {\n"
        "      throw .invalidUTF8\n    }",
        "let reason = String(decoding: payload.dropFirst(2), as: UTF8.self)",
        (
            unit("WebSocketFrameTests/closePayloads"),
            wire("test_hostile_frames.py", "reason_of_a_close"),
        ),
    ),
]
