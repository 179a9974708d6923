// The list of the numbers that come from outside, and of the tests that hunt traps in each.
//
// A number that nobody thought of is where a server traps. So the places that make numbers of
// bytes are found by what such code looks like, and each must stand in this list with its hunter.

import Testing

/// The places in the product that read numbers.
enum NumericFields {
  /// Where a number is read, as "file function", and what becomes of that.
  struct Place: Sendable, CustomTestStringConvertible {
    let name: String
    /// The test that feeds it every kind of number, as "file function"; nil: it reads none from
    /// outside.
    let hunter: String?
    var testDescription: String { name }
  }

  /// Targets that parse what a peer sends.
  static let parsing = ["Wire", "Tokens", "Notifications", "Server"]

  static let places: [Place] = [
    hunted("Wire/EngineIO/EngineIOPacket.swift init", "Wire/EngineIO/EngineIOPacket", "everyByte"),
    hunted("Wire/HTTP/ChunkedBodyDecoder.swift acceptSize", "Wire/HTTP/ChunkedBody", "anySize"),
    hunted("Wire/HTTP/ContentCoding.swift weight", "Wire/HTTP/ContentCoding", "anyWeight"),
    hunted("Wire/HTTP/HTTPFraming.swift length", "Wire/HTTP/HTTPFraming", "anyNumber"),
    hunted("Wire/HTTP/HTTPResponseHead.swift accept", "Wire/HTTP/HTTPResponse", "anyStatus"),
    hunted("Wire/HTTP/HTTPTarget.swift checkPort", "Wire/HTTP/HTTPFraming", "anyPort"),
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
    hunted("Notifications/NotificationID.swift init", "Notifications/Value", "invalid"),
    hunted("Notifications/NotificationID.swift hexValue", "Notifications/Value", "invalid"),
    hunted(
      "Notifications/PreferencesParser.swift twoDigits", "Notifications/Preferences", "everyText"),
    hunted("Notifications/RecoveryID.swift init", "Notifications/RecoveryID", "refused"),
    Place(
      name: "Server/Endpoints/Inbox.swift number",
      hunter: "Tests/EndToEnd/test_trap_hunt.py test_no_number_in_a_query_is_a_trap"),
    hunted("Server/Endpoints/BroadcastFields.swift takeNumber", "Server/Payment", "wrong"),
    Place(
      name: "Server/Dialects/InboxDialect.swift request",
      hunter: "Tests/EndToEnd/test_trap_hunt.py test_no_number_in_a_fetch_is_a_trap"),
    // Of one byte, which is looked at and not added up.
    Place(name: "Wire/HTTP/HTTPCharacter.swift isDigit", hunter: nil),
    Place(name: "Wire/HTTP/HTTPCharacter.swift hexValue", hunter: nil),
    Place(name: "Wire/HTTP/HTTPTarget.swift literalEnd", hunter: nil),
    // Bytes and no number: what does not fit is shifted out of the word.
    Place(name: "Wire/HTTP/HTTPMethod.swift init", hunter: nil),
    Place(name: "Wire/Text/Base64.swift decode", hunter: nil),
    // Writers.
    Place(name: "Wire/HTTP/HTTPDate.swift string", hunter: nil),
    Place(name: "Wire/Text/Base64.swift encode", hunter: nil),
    Place(name: "Server/Core/Probe.swift sendProbe", hunter: nil),
    Place(name: "Server/Core/RoomHome.swift tell", hunter: nil),
  ]

  private static func hunted(_ name: String, _ suite: String, _ test: String) -> Place {
    Place(name: name, hunter: "Tests/\(suite)Tests.swift \(test)")
  }

  /// The places that read numbers in `file`, by the look of the code, each once.
  static func places(in file: SourceFile) -> [String] {
    var function = ""
    var found: [String] = []
    let code = SwiftCode(of: file.text).text.split(separator: "\n")
    for line in code {
      if let name = declaredFunction(line) { function = name }
      let place = "\(file.path.dropFirst("Sources/".count)) \(function)"
      if looksLikeReading(line), !found.contains(place) { found.append(place) }
    }
    return found
  }

  private static func declaredFunction(_ line: Substring) -> String? {
    guard let match = line.firstMatch(of: /^ *(?:[@\w()]+ )*(?:func +(\w+)|(init|subscript)[?(<])/)
    else { return nil }
    return String(match.1 ?? match.2 ?? "")
  }

  private static func looksLikeReading(_ line: Substring) -> Bool {
    // The value of a digit.
    line.contains(/- *(?:UInt8\(ascii:|0x30(?!\d))/)
      || line.contains(/hexValue\(/)
      // Digits gathered, decimal ones or those of a power of two.
      || line.contains(/\* 10 \+|multipliedReportingOverflow\(by: 10\)|<< (?:4|6|8|16) \|/)
      // The library's own readers, whose result may be missing.
      || line.contains(/read(?:Integer|Double)\(|radix:|strto\w+\(|ato[il]\(|sscanf\(/)
      || line.contains(/let \w+ = (?:U?Int(?:8|16|32|64)?|Double|Float)\((?!exactly).*(?:,|\{)\s*$/)
      || line.contains(/\((?:U?Int(?:8|16|32|64)?|Double|Float)\.init\)/)
  }

  /// The names of query parameters and of the command's flags that are read as numbers.
  static func numberNames(in file: SourceFile) -> [String] {
    file.text.matches(of: /number\(\s*"([\w-]+)"/).map { String($0.1) }
  }
}

@Suite("Every numeric field is hunted")
struct NumericFieldTests {
  private static let files = SourceTree.productFiles.filter { file in
    NumericFields.parsing.contains { $0 == file.target }
  }

  // Case 33
  @Test("the list has every place that reads a number, and no place that is gone")
  func completeness() {
    let found = Set(Self.files.flatMap(NumericFields.places))
    let listed = Set(NumericFields.places.map(\.name))
    #expect(found.subtracting(listed).sorted() == [], "read a number and are not in the list")
    #expect(listed.subtracting(found).sorted() == [], "are in the list and read none")
  }

  // Case 33
  @Test("each has a test that hunts it", arguments: NumericFields.places)
  func hunters(place: NumericFields.Place) throws {
    guard let hunter = place.hunter?.split(separator: " ") else { return }
    let file = try #require(SourceTree.files.first { $0.path == hunter[0] }, "\(hunter[0])")
    let name = hunter[1]
    #expect(file.text.contains("func \(name)(") || file.text.contains("def \(name)("))
  }

  // Case 33
  @Test("each number in a query or a flag stands in the hunt over the wire")
  func names() throws {
    let hunt = try #require(
      SourceTree.files.first { $0.path == "Tests/EndToEnd/test_trap_hunt.py" })
    let readers = SourceTree.productFiles.filter { file in
      // The load test is the tester's own: it asks nothing of a stranger.
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
    "reading a number is seen, and what only looks like it is not",
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
