// The event stream against a parser written from the standard's text alone.

import TestSupport
import Testing

@testable import Wire

@Suite("WHATWG HTML, 9.2: server-sent events")
struct ServerSentEventTests {
  static func line(_ text: String) throws -> EventStreamLine {
    try #require(EventStreamLine(text))
  }

  @Test func `an event is its id, its name, its data lines and an empty line`() throws {
    var stream: [UInt8] = []
    ServerSentEvent.append(data: [], retryMilliseconds: 5_000, into: &stream)
    ServerSentEvent.append(comment: try Self.line(""), into: &stream)
    ServerSentEvent.append(
      data: Array("a\r\nb".utf8), id: try Self.line("e.1"), name: try Self.line("n"), into: &stream)
    #expect(
      String(decoding: stream, as: UTF8.self)
        == "retry: 5000\ndata: \n\n: \nid: e.1\nevent: n\ndata: a\ndata: b\n\n")
  }

  @Test(
    "data arrives unchanged, except for the kind of its line ends",
    arguments: [
      ("", ""), (" ", " "), ("a", "a"), (":a", ":a"), ("\n", "\n"), ("\r", "\n"), ("\r\n", "\n"),
      ("\n\r", "\n\n"), ("a\n", "a\n"), ("\n\na", "\n\na"), ("a\rid: x", "a\nid: x"),
      ("a\n\nevent: x\ndata: y", "a\n\nevent: x\ndata: y"), ("\u{2028}\u{85}", "\u{2028}\u{85}"),
      ("a\u{0}b", "a\u{0}b"), ("\u{FEFF}a", "\u{FEFF}a"),
    ])
  func data(_ sent: String, _ received: String) {
    var stream: [UInt8] = []
    ServerSentEvent.append(data: Array(sent.utf8), into: &stream)
    let parsed = StrictParser.parse(stream)
    #expect(parsed.events == [ParsedEvent(id: "", name: "message", data: received)])
    #expect(parsed.strangeLines.isEmpty)
  }

  @Test(
    "an id or a name of more than one line is refused",
    arguments: ["\n", "\r", "\r\n", "a\nb", "a\rb", "a\u{0}", "\u{0}", "x\r\ndata: y"])
  func lines(_ text: String) {
    #expect(EventStreamLine(text) == nil)
  }

  @Test("Unicode's other line ends are not line ends of the format")
  func unicodeLineEnds() throws {
    for text in ["\u{2028}", "\u{2029}", "\u{85}", "\u{0B}", "\u{0C}"] {
      var stream: [UInt8] = []
      ServerSentEvent.append(data: [0x61], id: try Self.line(text), into: &stream)
      #expect(StrictParser.parse(stream).events.map(\.id) == [text])
    }
  }

  // Case 36.
  @Test("100,000 random payloads: a strict parser reads exactly the written events")
  func random() throws {
    var generator = SeededGenerator.announced("server-sent events")
    var refused = 0
    var stream: [UInt8] = []
    var expected: [ParsedEvent] = []
    var lastID = ""
    for round in 1...100_000 {
      let data = text(using: &generator)
      var id: EventStreamLine?
      var name: EventStreamLine?
      if Bool.random(using: &generator) {
        id = EventStreamLine(text(using: &generator))
        if id == nil { refused += 1 }
      }
      if Bool.random(using: &generator) {
        name = EventStreamLine(text(using: &generator))
        if name == nil { refused += 1 }
      }
      ServerSentEvent.append(data: Array(data.utf8), id: id, name: name, into: &stream)
      lastID = id?.text ?? lastID
      let shown = name?.text ?? ""
      expected.append(
        ParsedEvent(id: lastID, name: shown.isEmpty ? "message" : shown, data: folded(data)))
      if round.isMultiple(of: 7), let comment = EventStreamLine(text(using: &generator)) {
        ServerSentEvent.append(comment: comment, into: &stream)
      }
      if round.isMultiple(of: 1_000) {
        let parsed = StrictParser.parse(stream)
        // Only the first difference, for a readable report.
        let wrong = zip(parsed.events, expected).first { $0 != $1 }
        try #require(wrong == nil)
        try #require(parsed.events.count == expected.count)
        try #require(parsed.strangeLines.isEmpty)
        stream = []
        expected = []
        lastID = ""
      }
    }
    // Without payloads that try to break out of their line the test would prove nothing.
    #expect(refused > 10_000)
  }

  private static let pieces = [
    "\r", "\n", "\r\n", "\u{0}", "\u{2028}", "\u{85}", ":", " ", "a", "data: x", "id: 9", "\n\n",
    "event: evil", "retry: 1", "\u{FEFF}", "é", "\u{1F514}", "{\"a\":1}",
  ]

  private func text(using generator: inout SeededGenerator) -> String {
    (0..<Int.random(in: 0...6, using: &generator)).reduce(into: "") { text, _ in
      text.unicodeScalars.append(
        contentsOf: Self.pieces.randomElement(using: &generator)!.unicodeScalars)
    }
  }

  /// The text with each line end as LF, by scalars: Swift treats "\r\n" as one character.
  private func folded(_ text: String) -> String {
    var scalars = String.UnicodeScalarView()
    var isAfterReturn = false
    for scalar in text.unicodeScalars {
      if scalar == "\r" {
        scalars.append("\n")
      } else if scalar != "\n" || !isAfterReturn {
        scalars.append(scalar)
      }
      isAfterReturn = scalar == "\r"
    }
    return String(scalars)
  }
}

/// An event as a browser would dispatch it.
struct ParsedEvent: Equatable {
  var id: String
  var name: String
  var data: String

  /// By scalars: Swift's own equality treats canonically equivalent texts as equal.
  static func == (a: ParsedEvent, b: ParsedEvent) -> Bool {
    a.id.unicodeScalars.elementsEqual(b.id.unicodeScalars)
      && a.name.unicodeScalars.elementsEqual(b.name.unicodeScalars)
      && a.data.unicodeScalars.elementsEqual(b.data.unicodeScalars)
  }
}

/// The algorithm of section 9.2.6, and a list of the lines that it would ignore.
struct StrictParser {
  private(set) var events: [ParsedEvent] = []
  /// Lines that are not a field of the standard: a writer has no reason to write any.
  private(set) var strangeLines: [String] = []
  private var id = ""
  private var name = ""
  private var data = ""

  static func parse(_ stream: [UInt8]) -> StrictParser {
    var parser = StrictParser()
    var line = String.UnicodeScalarView()
    var previous: Unicode.Scalar?
    for scalar in String(decoding: stream, as: UTF8.self).unicodeScalars {
      if scalar == "\n", previous == "\r" {
        previous = nil
        continue
      }
      previous = scalar
      if scalar == "\n" || scalar == "\r" {
        parser.take(line)
        line = .init()
      } else {
        line.append(scalar)
      }
    }
    return parser
  }

  private mutating func take(_ line: String.UnicodeScalarView) {
    guard let colon = line.firstIndex(of: ":") else {
      if line.isEmpty { dispatch() } else { strangeLines.append(String(line)) }
      return
    }
    var value = line[line.index(after: colon)...]
    if value.first == " " { value = value.dropFirst() }
    switch String(line[..<colon]) {
    case "": break
    case "event": name = String(value)
    case "data":
      data.unicodeScalars.append(contentsOf: value)
      data.unicodeScalars.append("\n")
    case "id":
      if !value.contains("\u{0}") { id = String(value) }
    case "retry": break
    default: strangeLines.append(String(line))
    }
  }

  private mutating func dispatch() {
    if !data.isEmpty {
      var shown = data.unicodeScalars
      shown.removeLast()
      events.append(
        ParsedEvent(id: id, name: name.isEmpty ? "message" : name, data: String(shown)))
    }
    data = ""
    name = ""
  }
}
