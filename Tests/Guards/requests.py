"""Guards of HTTP, of the upgrade, of streams, and of numbers and nesting: cases 24 to 36."""

from guard import Guard, unit, wire

HANDSHAKE = "Sources/Wire/WebSocket/WebSocketHandshake.swift"
FIELDS = "Sources/Wire/HTTP/HTTPFieldScanner.swift"
FRAMING = "Sources/Wire/HTTP/HTTPFraming.swift"
CHUNKS = "Sources/Wire/HTTP/ChunkedBodyDecoder.swift"
QUERY = "Sources/Wire/HTTP/QueryString.swift"
JSON = "Sources/Wire/JSON/JSONReader.swift"
CURSOR = "Sources/Wire/Text/Cursor.swift"
DATES = "Sources/Tokens/NumericDate.swift"
INPUT = "Sources/Server/Core/Input.swift"
UPGRADE = "Sources/Server/Core/Upgrade.swift"
INBOX = "Sources/Server/Endpoints/Inbox.swift"
BODIES = "Sources/Server/Endpoints/BroadcastFields.swift"
CHARACTER = "Sources/Wire/HTTP/HTTPCharacter.swift"
RESPONSE = "Sources/Wire/HTTP/HTTPResponse.swift"
EVENTS = "Sources/Wire/SSE/ServerSentEvent.swift"

GUARDS = [
    Guard(
        24,
        "fields are counted",
        FIELDS,
        "    guard fields.count < limits.fieldCount else {"
        ' throw .headTooLarge("too many header fields") }\n',
        "",
        (unit("HTTPHeadLimitTests/fieldCount"), wire("test_hostile_http.py", "sixty_four")),
    ),
    Guard(
        24,
        "a value is bounded while it arrives",
        FIELDS,
        "let stop = start + min(end - start, limits.fieldValueBytes)",
        "let stop = end",
        (
            unit("HTTPHeadLimitTests/valueBytes"),
            wire("test_hostile_http.py", "eight_kibibytes or refused_at_the_limit"),
        ),
    ),
    Guard(
        24,
        "a head is bounded while it arrives",
        FIELDS,
        '    guard position < limits.headBytes else { throw .headTooLarge("head too large") }\n',
        "",
        (unit("HTTPHeadLimitTests/endlessField"),),
    ),
    Guard(
        24,
        "of a connection that was refused no more is read",
        INPUT,
        "if table[place].state == .closing || table[place].state == .lingering {",
        "if total < 0 {",
        (wire("test_hostile_http.py", "little_is_read"),),
    ),
    Guard(
        30,
        "a chunk size has at most sixteen digits",
        CHUNKS,
        "guard digitCount <= ChunkedBodyDecoder.digitCountLimit else",
        "guard digitCount <= 400 else",
        (unit("ChunkedBodyTests"), wire("test_hostile_http.py", "as_the_grammar_says")),
    ),
    Guard(
        30,
        "a chunk ends with CR LF",
        CHUNKS,
        "      guard byte == HTTPCharacter.carriageReturn else {"
        ' throw .malformed("malformed chunk end") }\n',
        "",
        (unit("ChunkedBodyTests"),),
    ),
    Guard(
        30,
        "a size ends with CR LF",
        CHUNKS,
        "    case HTTPCharacter.carriageReturn: stage = .sizeLineFeed\n",
        "    case HTTPCharacter.carriageReturn: stage = .sizeLineFeed\n"
        "    case HTTPCharacter.lineFeed: try beginChunk()\n",
        (unit("ChunkedBodyTests"), wire("test_hostile_http.py", "as_the_grammar_says")),
    ),
    Guard(
        30,
        "a chunk's extension is bounded",
        CHUNKS,
        "guard extensionByteCount <= ChunkedBodyDecoder.extensionBytesLimit else",
        "guard extensionByteCount >= 0 else",
        (unit("ChunkedBodyTests"), wire("test_hostile_http.py", "as_the_grammar_says")),
    ),
    Guard(
        30,
        "chunks are bounded by their sum",
        CHUNKS,
        "guard size <= UInt64(max(0, bodyBytesLimit - bodyByteCount)) else",
        "guard size <= UInt64(max(0, bodyBytesLimit)) else",
        (unit("ChunkedBodyTests/sumLimit"), wire("test_hostile_http.py", "by_their_sum")),
    ),
    Guard(
        32,
        "an upgrade is a GET",
        HANDSHAKE,
        "guard head.method == .get else",
        "guard head.method != .connect else",
        (
            unit("WebSocketHandshakeTests/requestLine"),
            wire("test_hostile_http.py", "breaks_a_rule"),
        ),
    ),
    Guard(
        32,
        "an upgrade is HTTP/1.1",
        HANDSHAKE,
        "    guard head.minorVersion >= 1 else {"
        ' throw .malformed("a WebSocket needs HTTP/1.1") }\n',
        "",
        (
            unit("WebSocketHandshakeTests/requestLine"),
            wire("test_hostile_http.py", "breaks_a_rule"),
        ),
    ),
    Guard(
        32,
        "an upgrade says so in Connection",
        HANDSHAKE,
        'guard head.hasToken("upgrade", in: "connection") else',
        'guard head.value(of: "upgrade") != nil else',
        (unit("WebSocketHandshakeTests/refused"), wire("test_hostile_http.py", "breaks_a_rule")),
    ),
    Guard(
        32,
        "the version is 13",
        HANDSHAKE,
        'guard head.values(of: "sec-websocket-version") == ["13"] else',
        'guard head.value(of: "sec-websocket-version") != nil else',
        (unit("WebSocketHandshakeTests/refused"), wire("test_hostile_http.py", "another_version")),
    ),
    Guard(
        32,
        "another version is told which one is spoken",
        UPGRADE,
        'answer.with("Sec-WebSocket-Version", "13").with("Upgrade", "websocket")',
        'answer.with("Upgrade", "websocket")',
        (wire("test_hostile_http.py", "another_version"),),
    ),
    Guard(
        32,
        "a key is one, and of 16 bytes",
        HANDSHAKE,
        "guard keys.count == 1, keys[0].utf8.count == 24, Base64.decode(keys[0])?.count == 16 else",
        "guard keys.count >= 1 else",
        (unit("WebSocketHandshakeTests/refused"), wire("test_hostile_http.py", "breaks_a_rule")),
    ),
    Guard(
        32,
        "a frame behind the request is read when the request was",
        INPUT,
        "if table.holds(id), table[place].state == state { break }",
        "if table.holds(id), state != .free { break }",
        (wire("test_hostile_http.py", "frame_behind"),),
    ),
    Guard(
        33,
        "a Content-Length that overflows is refused",
        FRAMING,
        "      let (product, isTooLarge) = length.multipliedReportingOverflow(by: 10)\n"
        "      let (sum, carries) = product.addingReportingOverflow(Int(byte &- 0x30))\n"
        '      guard !isTooLarge, !carries else { throw .malformed("Content-Length too large") }\n'
        "      length = sum\n",
        "      length = length * 10 + Int(byte &- 0x30)\n",
        (
            unit("HTTPFramingTests/anyNumber"),
            wire("test_trap_hunt.py", "number_in_a_field and Content"),
        ),
    ),
    Guard(
        33,
        "a chunk size is compared before it becomes an Int",
        CHUNKS,
        "guard size <= UInt64(max(0, bodyBytesLimit - bodyByteCount)) else",
        "guard size <= UInt64.max / 2 + 9 else",
        (unit("ChunkedBodyTests/anySize"),),
    ),
    Guard(
        33,
        "a cursor's offset that overflows is none",
        CURSOR,
        "      let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)\n"
        "      guard !overflow else { return nil }\n",
        "      let shifted = value * 10\n",
        (unit("CursorTests"), wire("test_trap_hunt.py", "in_a_cursor")),
    ),
    Guard(
        33,
        "a JSON integer that overflows is refused",
        JSON,
        "guard !overflow, !carry else",
        "guard !carry || overflow else",
        (unit("JSONNumberTests"),),
    ),
    Guard(
        33,
        "a date that no Int64 holds is none",
        DATES,
        "seconds >= 0, seconds < Double(latestSeconds + 1)",
        "seconds >= 0",
        (unit("TimeTests/unreadable"), wire("test_trap_hunt.py", "in_a_token")),
    ),
    Guard(
        33,
        "a number in a query is within its range",
        INBOX,
        "      range.contains(number)\n",
        "      number >= 0\n",
        (wire("test_trap_hunt.py", "in_a_query and (limit or before)"),),
    ),
    Guard(
        33,
        "a number of a payment is one that every client reads as the same",
        BODIES,
        "if numbers.contains(number) {",
        "if numbers.contains(number) || number != 0 {",
        (
            unit("PaymentTests/wrong"),
            wire("test_http_rooms_hub.py", "what_is_sent_of_a_payment"),
        ),
    ),
    Guard(
        33,
        "every place that reads a number is known",
        CURSOR,
        "  private static func parseOffset(",
        "  private static func parseOther(_ value: Int) -> Int { value * 10 + 1 }\n\n"
        "  private static func parseOffset(",
        (unit("NumericFieldTests/completeness"),),
    ),
    Guard(
        34,
        "JSON nests 32 deep",
        JSON,
        '    guard depth < depthLimit else { throw violation("nested too deep") }\n',
        "",
        (unit("JSONCostTests"), wire("test_trap_hunt.py", "thirty_two_deep")),
    ),
    Guard(
        34,
        "a query has 64 pairs",
        QUERY,
        "guard pairCount <= QueryString.pairCountLimit else",
        "guard pairCount >= 0 else",
        (unit("QueryStringTests/pairCount"), wire("test_trap_hunt.py", "many_pairs")),
    ),
    Guard(
        25,
        "a value is read on where it was left",
        FIELDS,
        "let stop = start + min(end - start, limits.fieldValueBytes)\n    var index = position",
        "let stop = start + min(end - start, limits.fieldValueBytes)\n    var index = start",
        (unit("HTTPHeadLimitTests/looksOnce"),),
    ),
    Guard(
        27,
        "a token is ASCII",
        CHARACTER,
        "return byte < 128 && members >> UInt64(byte & 63) & 1 == 1",
        "return members >> UInt64(byte & 63) & 1 == 1",
        (
            unit("HTTPHeadViolationTests/everyByte"),
            wire("test_hostile_http.py", "taken_or_refused and in_a_name"),
        ),
    ),
    Guard(
        27,
        "a value has no controls",
        CHARACTER,
        "byte >= 0x20 && byte != 0x7F || byte == tab",
        "byte >= 0x20 || byte == tab",
        (
            unit("HTTPHeadViolationTests/everyByte"),
            wire("test_hostile_http.py", "taken_or_refused and in_a_value"),
            wire("test_hostile_http.py", "taken_or_refused and in_a_cookie"),
        ),
    ),
    Guard(
        27,
        "a target is visible ASCII",
        CHARACTER,
        "byte > 0x20 && byte < 0x7F && byte != 0x23",
        "byte > 0x20 && byte != 0x23",
        (
            unit("HTTPHeadViolationTests/everyByte"),
            wire("test_hostile_http.py", "taken_or_refused and in_a_path"),
            wire("test_hostile_http.py", "taken_or_refused and in_a_query"),
        ),
    ),
    Guard(
        27,
        "no value ends its line in an answer",
        RESPONSE,
        "output.append(HTTPCharacter.isFieldValue(byte) ? byte : HTTPCharacter.space)",
        "output.append(byte)",
        (unit("HTTPResponseTests/injection"),),
    ),
    Guard(
        27,
        "no name is anything but a token in an answer",
        RESPONSE,
        "guard !name.isEmpty, name.utf8.allSatisfy(HTTPCharacter.isToken) else { return }",
        "guard !name.isEmpty else { return }",
        (unit("HTTPResponseTests/injection"),),
    ),
    Guard(
        27,
        "what escapes stand for is UTF-8",
        "Sources/Wire/Text/Percent.swift",
        "return String(validating: decoded, as: UTF8.self)",
        "return String(decoding: decoded, as: UTF8.self)",
        (unit("QueryStringTests/everyByte"),),
    ),
    Guard(
        35,
        "names of clients' programs are counted",
        "Sources/Server/Core/UserAgents.swift",
        "if known.count >= countLimit, !known",
        "if known.count >= .max - 1, !known",
        (unit("UserAgentTests/.*made-up names"),),
    ),
    Guard(
        35,
        "a series is called the same whatever has come",
        "Sources/Server/Endpoints/Statistics.swift",
        r"carillon_\(counter.name){shard=\"\(index)\"} \(metrics.value(counter))",
        r"carillon_\(counter.name){shard=\"\(index).\(metrics.value(counter))\"} 1",
        (
            wire("test_http.py", "adds_a_series"),
            wire("test_floods.py", "leaves_a_series"),
        ),
    ),
    Guard(
        36,
        "an id and a name stay on their line",
        EVENTS,
        "for byte in text.utf8 where byte == 0x0A || byte == 0x0D || byte == 0 { return nil }",
        "for byte in text.utf8 where byte == 0x0A || byte == 0 { return nil }",
        (unit("ServerSentEventTests/random"),),
    ),
    Guard(
        36,
        "data is split wherever a parser would split it",
        EVENTS,
        "      guard byte == 0x0A || byte == 0x0D else {\n",
        "      guard byte == 0x0A else {\n",
        (unit("ServerSentEventTests/random"),),
    ),
]
