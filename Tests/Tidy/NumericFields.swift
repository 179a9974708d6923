// The functions that parse numbers from input, each with a test that feeds it extreme numbers.
//
// An untested number in the input is a likely cause of a trap. So the functions that turn bytes
// into numbers are found by patterns in their code, and each must be in this list with its test.

import Testing

/// The functions of the product that parse numbers.
enum NumericFields {
  /// A function that parses a number, as "file function", and the test for it.
  struct Place: Sendable, CustomTestStringConvertible {
    let name: String
    /// The test that feeds the function every kind of number, as "file function".
    ///
    /// Nil if the function reads no number from input.
    let hunter: String?
    var testDescription: String { name }
  }

  /// Targets that parse input from a peer.
  static let parsing = ["Wire", "Tokens", "Notifications", "Channels", "Server"]

  static let places: [Place] = [
    hunted("Wire/EngineIO/EngineIOPacket.swift init", "Wire/EngineIO/EngineIOPacket", "everyByte"),
    hunted("Wire/HTTP/ChunkedBodyDecoder.swift acceptSize", "Wire/HTTP/ChunkedBody", "anySize"),
    hunted("Wire/HTTP/ChunkedBodyDecoder.swift smallChunk", "Wire/HTTP/ChunkedBody", "anySize"),
    hunted("Wire/HTTP/ChunkedBodyDecoder.swift takeSizeLine", "Wire/HTTP/ChunkedBody", "anySize"),
    hunted("Wire/HTTP/ContentCoding.swift weight", "Wire/HTTP/ContentCoding", "anyWeight"),
    hunted("Wire/HTTP/HTTPFraming.swift length", "Wire/HTTP/HTTPFraming", "anyNumber"),
    hunted("Wire/HTTP/HTTPResponseHead.swift accept", "Wire/HTTP/HTTPResponse", "anyStatus"),
    hunted("Wire/HTTP/HTTPTarget.swift checkPort", "Wire/HTTP/HTTPFraming", "anyPort"),
    hunted("Wire/HTTP/ProxyHeader.swift binary", "Wire/HTTP/ProxyHeader", "lengths"),
    hunted("Wire/JSON/JSONReader.swift readInteger", "Wire/JSON/JSONNumber", "powersOfTwo"),
    hunted("Wire/JSON/JSONReader.swift readDouble", "Wire/JSON/JSONNumber", "doubles"),
    hunted("Wire/JSON/JSONString.swift takeHexadecimal", "Wire/JSON/JSONFuzz", "mutatedDocuments"),
    hunted("Wire/JSON/JSONString.swift hexadecimalValue", "Wire/JSON/JSONFuzz", "mutatedDocuments"),
    hunted(
      "Wire/JSON/JSONString.swift checkedHexadecimal", "Wire/JSON/JSONFuzz", "mutatedDocuments"),
    hunted(
      "Wire/SocketIO/SocketIOContents.swift integer", "Wire/SocketIO/SocketIOPacket",
      "placeholderNumber"),
    hunted("Wire/SocketIO/SocketIOPacket.swift init", "Wire/SocketIO/SocketIOPacket", "everyByte"),
    hunted(
      "Wire/SocketIO/SocketIOPacketParser.swift takeDecimal", "Wire/SocketIO/SocketIOPacket",
      "anyNumber"),
    hunted("Wire/Text/Cursor.swift parseOffset", "Wire/Text/Cursor", "refused"),
    hunted("Wire/Text/Percent.swift decode", "Wire/HTTP/QueryString", "everyByte"),
    hunted("Wire/Text/Percent.swift isEscape", "Wire/HTTP/QueryString", "everyByte"),
    hunted("Wire/Text/RFC3339.swift digit", "Wire/Text/RFC3339", "fuzz"),
    hunted("Wire/Text/RFC3339.swift digits", "Wire/Text/RFC3339", "fuzz"),
    hunted("Wire/WebSocket/FrameHeader.swift parse", "Wire/WebSocket/FrameHeader", "fuzz"),
    hunted(
      "Wire/WebSocket/FrameHeader.swift parseLength16", "Wire/WebSocket/FrameHeader",
      "nonMinimal16"),
    hunted(
      "Wire/WebSocket/FrameHeader.swift parseLength64", "Wire/WebSocket/FrameSequence",
      "claimedLengths"),
    hunted(
      "Wire/WebSocket/WebSocketFrame.swift parseClose", "Wire/WebSocket/WebSocketFrame",
      "closeCodes"),
    hunted("Tokens/NumericDate.swift seconds", "Tokens/Time", "unreadable"),
    hunted("Channels/CacheControl.swift maxAgeSeconds", "Channels/DownloadURL", "anyMaxAge"),
    hunted("Tokens/NumericDate.swift isMilliseconds", "Tokens/Diagnosis", "time"),
    hunted("Notifications/NotificationID.swift init", "Notifications/Value", "invalid"),
    hunted("Notifications/NotificationID.swift hexValue", "Notifications/Value", "invalid"),
    hunted(
      "Notifications/PreferencesParser.swift twoDigits", "Notifications/Preferences", "everyText"),
    hunted(
      "Notifications/TimeZoneRules.swift readNumber", "Notifications/TimeZoneRules",
      "damagedCounts"),
    hunted(
      "Notifications/PosixRuleParser.swift takeNumber", "Notifications/TimeZoneRules",
      "refusedStrings"),
    hunted("Notifications/RecoveryID.swift init", "Notifications/RecoveryID", "refused"),
    hunted("Channels/RetryAfter.swift seconds", "Channels/RetryAfter", "seconds"),
    hunted("Notifications/Outbox.swift sequence", "Notifications/OutboxMessageID", "ids"),
    Place(
      name: "Server/HTTP/Endpoints/WebhookFields.swift take",
      hunter: "Tests/EndToEnd/test_webhooks.py test_no_number_in_an_overlap_is_a_trap"),
    hunted("Channels/RetrySchedule.swift seconds", "Channels/Retry", "refused"),
    Place(
      name: "Server/HTTP/Endpoints/Inbox.swift number",
      hunter: "Tests/EndToEnd/test_trap_hunt.py test_no_number_in_a_query_is_a_trap"),
    hunted("Channels/Stripe/StripeSignature.swift seconds", "Channels/StripeSignature", "anyTime"),
    hunted("Channels/Stripe/StripeObject.swift take", "Channels/StripeEvent", "anyAmount"),
    hunted("Channels/Stripe/StripeObject.swift item", "Channels/StripeEvent", "anyItem"),
    hunted("Wire/JSON/DocumentParser.swift readInteger", "Server/Payment", "wrong"),
    hunted(
      "Server/HTTP/Endpoints/KeyManagement.swift overlapSeconds", "Server/KeyManagement",
      "overlaps"),
    hunted("Server/HTTP/Endpoints/BroadcastFields.swift take", "Server/Payment", "wrong"),
    Place(
      name: "Server/Dialects/InboundMessage.swift read",
      hunter: "Tests/EndToEnd/test_trap_hunt.py test_no_number_in_a_fetch_is_a_trap"),
    // One byte, which is compared and not accumulated.
    Place(name: "Wire/HTTP/HTTPCharacter.swift isDigit", hunter: nil),
    Place(name: "Wire/HTTP/HTTPCharacter.swift hexValue", hunter: nil),
    Place(name: "Wire/HTTP/HTTPTarget.swift literalEnd", hunter: nil),
    // Bytes, not numbers: bits that do not fit are shifted out of the word.
    Place(name: "Wire/HTTP/ChunkedBodyDecoder.swift word", hunter: nil),
    Place(name: "Wire/HTTP/HTTPMethod.swift init", hunter: nil),
    Place(name: "Wire/Text/Base64.swift decode", hunter: nil),
    // Functions that write numbers.
    Place(name: "Wire/HTTP/HTTPDate.swift string", hunter: nil),
    Place(name: "Wire/Text/Base64.swift encode", hunter: nil),
    Place(name: "Server/Shard/Readiness.swift begin", hunter: nil),
    Place(name: "Server/Sessions/UserOwner.swift updates", hunter: nil),
  ]

  private static func hunted(_ name: String, _ suite: String, _ test: String) -> Place {
    Place(name: name, hunter: "Tests/\(suite)Tests.swift \(test)")
  }

  /// Returns the functions in `file` that parse numbers, each once, found by code patterns.
  static func places(in file: SourceFile) -> [String] {
    var function = ""
    var found: [String] = []
    let code = file.code.split(separator: "\n")
    for line in code {
      if contains(line, oneOf: declarations), let name = declaredFunction(line) { function = name }
      guard contains(line, oneOf: hints), looksLikeReading(line) else { continue }
      let place = "\(file.path.dropFirst("Sources/".count)) \(function)"
      if !found.contains(place) { found.append(place) }
    }
    return found
  }

  /// Texts of which a line has one if a pattern of `declaredFunction` matches it.
  private static let declarations = ["func", "init", "subscript"].map { Array($0.utf8) }

  /// Texts of which a line has one if a pattern of `looksLikeReading` matches it.
  private static let hints = [
    "ascii:", "0x30", "hexValue", "* 10", "by: 10", "<< ", "read", "radix:", "strto", "ato",
    "sscanf", "Int", "Double", "Float",
  ].map { Array($0.utf8) }

  /// Whether a line has one of the texts: much faster than a regular expression.
  private static func contains(_ line: Substring, oneOf texts: [[UInt8]]) -> Bool {
    line.utf8.withContiguousStorageIfAvailable { bytes in
      texts.contains { text in
        bytes.count >= text.count
          && (0...(bytes.count - text.count)).contains { bytes[$0...].starts(with: text) }
      }
    } ?? true
  }

  private static func declaredFunction(_ line: Substring) -> String? {
    guard let match = line.firstMatch(of: /^ *(?:[@\w()]+ )*(?:func +(\w+)|(init|subscript)[?(<])/)
    else { return nil }
    return String(match.1 ?? match.2 ?? "")
  }

  private static func looksLikeReading(_ line: Substring) -> Bool {
    // The value of one digit.
    line.contains(/- *(?:UInt8\(ascii:|0x30(?!\d))/)
      || line.contains(/hexValue\(/)
      // Accumulated digits, decimal or of a power of two.
      || line.contains(/\* 10 \+|multipliedReportingOverflow\(by: 10\)|<< (?:4|6|8|16) \|/)
      // The standard library's parsers, which return an optional, and those of JSON and C.
      || line.contains(/read(?:Integer|Double)\(|radix:|strto\w+\(|ato[il]\(|sscanf\(/)
      || line.contains(/let \w+ = (?:U?Int(?:8|16|32|64)?|Double|Float)\((?!exactly).*(?:,|\{)\s*$/)
      || line.contains(/\((?:U?Int(?:8|16|32|64)?|Double|Float)\.init\)/)
  }

  /// Returns the names of query parameters and command-line flags that are parsed as numbers.
  static func numberNames(in file: SourceFile) -> [String] {
    file.text.matches(of: /number\(\s*"([\w-]+)"/).map { String($0.1) }
  }
}

@Suite("Every numeric field has a test with extreme numbers")
struct NumericFieldTests {
  private static let files = SourceTree.productFiles.filter { file in
    NumericFields.parsing.contains { $0 == file.target }
  }

  // Case 33
  @Test("the list has every function that parses a number, and no other")
  func completeness() {
    let found = Set(Self.files.flatMap(NumericFields.places))
    let listed = Set(NumericFields.places.map(\.name))
    #expect(found.subtracting(listed).sorted() == [], "parse a number but are not in the list")
    #expect(listed.subtracting(found).sorted() == [], "are in the list but parse no number")
  }

  // Case 33
  @Test("each function in the list has an existing test", arguments: NumericFields.places)
  func hunters(place: NumericFields.Place) throws {
    guard let hunter = place.hunter?.split(separator: " ") else { return }
    let file = try #require(SourceTree.files.first { $0.path == hunter[0] }, "\(hunter[0])")
    let name = hunter[1]
    #expect(file.text.contains("func \(name)(") || file.text.contains("def \(name)("))
  }

  // Case 33
  @Test("each number in a query or a flag is tested end to end")
  func names() throws {
    let hunt = try #require(
      SourceTree.files.first { $0.path == "Tests/EndToEnd/test_trap_hunt.py" })
    let readers = SourceTree.productFiles.filter { file in
      // The bench command's flags come from the tester and not from a peer.
      (file.target == "Server" || file.target == "CarillonCommand")
        && !file.path.hasSuffix("/BenchCommand.swift")
    }
    let names = Set(readers.flatMap(NumericFields.numberNames))
    #expect(names.isSuperset(of: ["limit", "before", "port", "jwt-leeway", "count"]))
    for name in names.sorted() {
      #expect(hunt.text.contains("\"\(name)\""), "\(name)")
    }
  }

  @Test(
    "code that parses a number is found, and similar code is not",
    arguments: [
      ("  guard let n = Int(text), n > 0 else {", true), ("value = value * 10 + digit", true),
      ("let digit = byte &- 0x30", true), ("let digit = byte - UInt8(ascii: \"0\")", true),
      ("size = size << 4 | UInt64(nibble)", true), ("try reader.readInteger()", true),
      ("if let port = UInt16(text) {", true), ("let numbers = parts.compactMap(Int.init)", true),
      ("Int(text, radix: 16)", true), ("// let n = Int(text),", false),
      ("let n = Int(byte)", false), ("let s = \"value * 10 + digit\"", false),
      ("if let small = Int64(exactly: number) {", false),
    ])
  func signs(line: String, isSeen: Bool) {
    let file = SourceFile(path: "Sources/Wire/A.swift", text: "package func f() {\n\(line)\n}\n")
    #expect(NumericFields.places(in: file) == (isSeen ? ["Wire/A.swift f"] : []))
  }
}
