"""Guards of Engine.IO and Socket.IO: cases 33, 34, 39, 40 and 43."""

from guard import Guard, unit

PAYLOAD = "Sources/Wire/EngineIO/EngineIOPayload.swift"
BASE64 = "Sources/Wire/Text/Base64.swift"
PARSER = "Sources/Wire/SocketIO/SocketIOPacketParser.swift"
PACKET = "Sources/Wire/SocketIO/SocketIOPacket.swift"
CONTENTS = "Sources/Wire/SocketIO/SocketIOContents.swift"
ASSEMBLY = "Sources/Wire/SocketIO/SocketIOAssembly.swift"

GUARDS = [
    Guard(
        33,
        "a number past 64 bits is no small one",
        PARSER,
        "value = overflow || carry ? .max : sum",
        "value = overflow || carry ? 1 : sum",
        (unit("SocketIOPacketTests/anyNumber"),),
    ),
    Guard(
        33,
        "an id is one that clients hold exactly",
        PARSER,
        "guard let id = takeDecimal(), id <= SocketIOPacket.acknowledgementIDLimit else",
        "guard let id = takeDecimal() else",
        (unit("SocketIOPacketTests/anyNumber"), unit("SocketIOViolationTests/ids")),
    ),
    Guard(
        33,
        "a number has one spelling",
        PARSER,
        'position > start, position == start + 1 || bytes[start] != UInt8(ascii: "0") else',
        "position > start else",
        (unit("SocketIOPacketTests/anyNumber"), unit("SocketIOViolationTests/ids")),
    ),
    Guard(
        34,
        "a packet's JSON is at most 32 deep",
        PACKET,
        "static let depthLimit = 32",
        "static let depthLimit = 33",
        (unit("SocketIOViolationTests/depth"), unit("SocketIOViolationTests/stack")),
    ),
    Guard(
        39,
        "attachments are counted before they are awaited",
        PARSER,
        "    guard count <= UInt64(SocketIOPacket.attachmentCountLimit) else"
        " { throw .tooManyAttachments }\n",
        "    guard count <= 1_000_000 else { throw .tooManyAttachments }\n",
        (unit("SocketIOPacketTests/attachmentCounts"), unit("SocketIOAssemblyTests/nothingLeft")),
    ),
    Guard(
        39,
        "a count ends with its hyphen",
        PARSER,
        'guard let count = takeDecimal(), peek() == UInt8(ascii: "-") else {',
        "guard let count = takeDecimal(), peek() != nil else {",
        (unit("SocketIOPacketTests/attachmentCounts"),),
    ),
    Guard(
        39,
        "there are as many placeholders as attachments",
        CONTENTS,
        "    guard candidates.count == attachmentCount else { throw .invalidPlaceholder }\n",
        "",
        (unit("SocketIOViolationTests/placeholders"),),
    ),
    Guard(
        39,
        "a placeholder stands for an attachment that there is",
        CONTENTS,
        "        0..<Int64(attachmentCount) ~= number,\n",
        "",
        (
            unit("SocketIOPacketTests/placeholderNumber"),
            unit("SocketIOViolationTests/placeholders"),
        ),
    ),
    Guard(
        39,
        "an attachment has one place",
        CONTENTS,
        "~= number,\n        !placeholders.contains(where: { $0.attachment == number })\n",
        "~= number\n",
        (unit("SocketIOViolationTests/placeholders"),),
    ),
    Guard(
        39,
        "a placeholder has no other members",
        CONTENTS,
        "number: memberCount == 2 ? number : nil",
        "number: number",
        (unit("SocketIOViolationTests/placeholders"),),
    ),
    Guard(
        39,
        "of many placeholders few are kept",
        CONTENTS,
        "guard isPlaceholder, candidates.count <= SocketIOPacket.attachmentCountLimit else",
        "guard isPlaceholder else",
        (unit("SocketIOViolationTests/manyPlaceholders"),),
    ),
    Guard(
        39,
        "nothing comes between a packet and its attachments",
        ASSEMBLY,
        "guard pending == nil else {",
        "guard pending == nil || true else {",
        (unit("SocketIOAssemblyTests/textInBetween"),),
    ),
    Guard(
        39,
        "the limit is on the sum of a packet and its attachments",
        ASSEMBLY,
        "guard !overflow, sum <= bytesLimit else {",
        "guard !overflow, data.count <= bytesLimit else {",
        (unit("SocketIOAssemblyTests/limit"), unit("SocketIOAssemblyTests/mostAttachments")),
    ),
    Guard(
        39,
        "a packet's text counts against the limit",
        ASSEMBLY,
        "    guard range.count <= bytesLimit else { throw .messageTooBig }\n",
        "",
        (unit("SocketIOAssemblyTests/limit"),),
    ),
    Guard(
        39,
        "what waits keeps its own part of a body only",
        ASSEMBLY,
        "let own = Array(bytes[range])\n"
        "    let message = SocketIOMessage(packet: try SocketIOPacket.decode(own), bytes: own)\n",
        "let own = bytes\n    let message = SocketIOMessage(\n"
        "      packet: try SocketIOPacket.decode(own, in: range), bytes: own)\n",
        (unit("SocketIOAssemblyTests/binary"),),
    ),
    Guard(
        40,
        "a body's text is UTF-8",
        PAYLOAD,
        "    guard union < 0x80 || isUTF8(start..<index) else { throw .invalidUTF8 }\n",
        "    guard union < 0x80 || isUTF8(start..<start) else { throw .invalidUTF8 }\n",
        (unit("EngineIOPayloadTests/invalidUTF8"),),
    ),
    Guard(
        40,
        "a violation ends a body",
        PAYLOAD,
        "    position = end + 1\n",
        "",
        (unit("EngineIOPayloadTests/ended"),),
    ),
    Guard(
        40,
        "base 64 is padded",
        BASE64,
        "    guard text.count % 4 == 0 else { return nil }\n",
        "",
        (unit("EngineIOPacketTests/invalidBase64"), unit("Base64Tests/refused")),
    ),
    Guard(
        43,
        "a namespace is bounded",
        PARSER,
        "guard range.count <= SocketIOPacket.namespaceBytesLimit,\n      let name",
        "guard let name",
        (unit("SocketIOViolationTests/namespaces"),),
    ),
    Guard(
        43,
        "a namespace has no control characters",
        PARSER,
        "      guard byte >= 0x20, byte != 0x7F else { throw .malformedNamespace }\n",
        "",
        (unit("SocketIOViolationTests/namespaces"),),
    ),
    Guard(
        43,
        "an id stands only where it means something",
        PARSER,
        "    guard type.isEvent || type.isAcknowledgement else"
        " { throw .misplacedAcknowledgementID }\n",
        "",
        (unit("SocketIOViolationTests/ids"),),
    ),
    Guard(
        43,
        "an acknowledgement has an id",
        PARSER,
        "      guard !type.isAcknowledgement else { throw .missingAcknowledgementID }\n",
        "",
        (unit("SocketIOViolationTests/ids"),),
    ),
    Guard(
        43,
        "a packet carries data of its kind",
        PARSER,
        "guard isRight else { throw .invalidPacketData }",
        "guard isRight || position < end else { throw .invalidPacketData }",
        (unit("SocketIOViolationTests/kinds"),),
    ),
    Guard(
        43,
        "an event has a name",
        CONTENTS,
        "case .missing: throw .invalidPacketData",
        "case .missing: return nil",
        (unit("SocketIOViolationTests/kinds"),),
    ),
    Guard(
        43,
        "the libraries' own events are not a client's",
        CONTENTS,
        "      guard !SocketIOPacket.reservedEventNames.contains(text)"
        " else { throw .reservedEventName }\n",
        "",
        (unit("SocketIOViolationTests/reservedNames"),),
    ),
    Guard(
        43,
        "nothing stands behind a packet's JSON",
        CONTENTS,
        "    try reader.finish()\n",
        "",
        (unit("SocketIOViolationTests/json"),),
    ),
]
