// Documents of known fields: the first invalid one is named, and unknown ones get a suggestion.

import Testing

@testable import Wire

@Suite("Documents with known fields")
struct DocumentParserTests {
  /// Parses `text` with fields of several kinds, and returns the fields that were read.
  private func parse(
    _ text: String, isLine: Bool = false, ignoresUnknown: Bool = false,
    keepingNullOf nullable: String? = nil
  ) throws(DocumentError) -> [String] {
    var read: [String] = []
    try DocumentParser.parse(
      Array(text.utf8), isLine: isLine, ["text", "flag", "count", "json", "inner", "list"],
      ignoresUnknown: ignoresUnknown, keepingNullOf: nullable
    ) {
      (parser: inout DocumentParser, reader: inout JSONReader, name: String)
        throws(JSONViolation) in
      read.append(name)
      switch name {
      case "text":
        if let text = try parser.readText(from: &reader) { parser.check(text, byteCountLimit: 4) }
      case "flag": _ = try parser.readFlag(from: &reader)
      case "count": _ = try parser.readInteger(in: -10...10, from: &reader)
      case "json":
        _ = try parser.readJSON(
          byteCountLimit: 8, mustBeObject: nullable == nil, from: &reader)
      case "list":
        try parser.readArray(from: &reader) { (parser, reader) throws(JSONViolation) in
          _ = try parser.readFlag(from: &reader)
        }
      default:
        try parser.readObject(["deep"], from: &reader) {
          (parser, reader, _) throws(JSONViolation) in
          _ = try parser.readFlag(from: &reader)
        }
      }
    }
    return read
  }

  private func refusal(_ text: String, isLine: Bool = false) -> String? {
    do throws(DocumentError) {
      _ = try parse(text, isLine: isLine)
      return nil
    } catch {
      switch error {
      case .malformed(let reason): return "malformed: \(reason)"
      case .invalid(let field, let reason): return "\(field): \(reason)"
      }
    }
  }

  @Test("each known field is read once, and null is the same as absent")
  func fields() throws {
    let document =
      #"{"text":"é12","flag":true,"count":-10,"json":{"a":1},"inner":{"deep":false},"#
      + #""list":[true]}"#
    #expect(try parse(document) == ["text", "flag", "count", "json", "inner", "list"])
    #expect(try parse(#"{"text":null,"inner":{"deep":null},"list":[]}"#) == ["inner", "list"])
    #expect(try parse("{}") == [])
    #expect(try parse(#"{"json":null,"text":null}"#, keepingNullOf: "json") == ["json"])
  }

  @Test(
    "the first invalid field is named",
    arguments: [
      ("[]", "body: must be an object"), ("null", "body: must be an object"),
      (#"{"text":1,"flag":1}"#, "text: must be a string"),
      (#"{"text":"é123"}"#, "text: over 4 bytes"),
      (#"{"flag":"true"}"#, "flag: must be true or false"),
      (#"{"count":"1"}"#, "count: must be a whole number"),
      (#"{"json":[]}"#, "json: must be an object"), (#"{"json":{"a":123}}"#, "json: over 8 bytes"),
      (#"{"inner":7}"#, "inner: must be an object"),
      (#"{"inner":{"deep":7}}"#, "inner.deep: must be true or false"),
      (#"{"list":{}}"#, "list: must be an array"),
      (#"{"list":[7]}"#, "list: must be true or false"),
      (#"{"text":"a","text":"a"}"#, "text: given twice"),
      (#"{"text":null,"text":null}"#, "text: given twice"),
      (#"{"text":"a","\u0074ext":"a"}"#, "text: given twice"),
      (#"{"txet":"a"}"#, "txet: unknown field (did you mean text?)"),
      (#"{"inner":{"dep":1}}"#, "inner.dep: unknown field (did you mean deep?)"),
      (#"{"somewhat":1}"#, "somewhat: unknown field"),
    ])
  func invalid(text: String, expected: String) {
    #expect(refusal(text) == expected)
  }

  @Test(
    "a number that is no whole number of the range is invalid, never malformed",
    arguments: ["11", "-11", "1.0", "1e1", "1e999999999", "9223372036854775808", "-0.5"])
  func numbers(number: String) {
    #expect(
      refusal(#"{"count":\#(number)}"#) == "count: must be a whole number of -10 to 10")
  }

  @Test("an unknown name is repeated up to 64 bytes without control characters")
  func unknownNames() {
    let longest = String(repeating: "é", count: 32)
    #expect(refusal(#"{"\#(longest)":1}"#) == "\(longest): unknown field")
    for name in ["", longest + "x", #"a\u0000"#, #"a\n"#, #"\u0085"#, #"\u007f"#] {
      #expect(refusal(#"{"\#(name)":1}"#) == "body: has an unknown field", "\(name)")
      #expect(refusal(#"{"inner":{"\#(name)":1}}"#) == "inner: has an unknown field")
    }
  }

  @Test("a document whose unknown fields are ignored is checked for everything else")
  func leniency() throws {
    let document = #"{"new":[{}],"inner":{"newer":1},"text":"a"}"#
    #expect(try parse(document, ignoresUnknown: true) == ["inner", "text"])
    #expect(throws: DocumentError.invalid(field: "text", reason: "must be a string")) {
      try parse(#"{"new":1,"text":1}"#, ignoresUnknown: true)
    }
  }

  @Test(
    "broken JSON takes precedence, and its error has a line and a column",
    arguments: [
      ("", "unexpected end at line 1, column 1"), ("{", "member name expected at line 1, column 2"),
      (#"{"text":1,}"#, "member name expected at line 1, column 11"),
      ("{\n\n  \"text\" 1}", "':' expected at line 3, column 10"),
      ("{\r\n\"é😀\":x}", "value expected at line 2, column 6"),
      (#"{"new":[01]}"#, "leading zero at line 1, column 10"),
      ("{}\n{}", "end expected at line 2, column 1"),
    ])
  func malformed(text: String, expected: String) {
    #expect(refusal(text) == "malformed: \(expected)")
  }

  @Test("the error of a line has its column only")
  func lines() {
    #expect(refusal(#"{"é" 1}"#, isLine: true) == "malformed: ':' expected at column 6")
  }

  @Test("a place is inside of the document, wherever its range begins")
  func places() {
    let bytes = Array("a\nbc\nd".utf8)
    for (position, start, place) in [
      (0, 0, "line 1, column 1"), (1, 0, "line 1, column 2"), (2, 0, "line 2, column 1"),
      (6, 0, "line 3, column 2"), (99, 0, "line 3, column 2"), (4, 2, "line 1, column 3"),
      (5, 2, "line 2, column 1"), (6, 6, "line 1, column 1"),
    ] {
      let violation = JSONViolation(reason: "x", position: position)
      #expect(violation.located(in: bytes, from: start) == "x at \(place)")
    }
  }
}
