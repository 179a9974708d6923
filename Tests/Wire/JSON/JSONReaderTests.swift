// The reader's results: values, names, kinds and ranges.

import TestSupport
import Testing

@testable import Wire

@Suite("RFC 8259: reading values")
struct JSONReaderTests {
  static func reader(_ text: String) -> JSONReader { JSONReader(Array(text.utf8)) }

  @Test("a document with every kind of value is read exactly")
  func example() throws {
    var reader = Self.reader(
      #" {"user":"u\u00e9\n","count":-42,"ratio":2.5e-1,"on":true,"off":false,"no":null,"#
        + #""list":[1,"2",[3]],"raw":{"x":[1, 2]}} "#)
    var seen: [String] = []
    try reader.readObject { (reader, name) throws(JSONViolation) in
      switch name {
      case "user": seen.append(try reader.readString())
      case "count": seen.append("\(try reader.readInteger())")
      case "ratio": seen.append("\(try reader.readDouble())")
      case "on", "off": seen.append("\(try reader.readBool())")
      case "no":
        try reader.readNull()
        seen.append("null")
      case "list":
        try reader.readArray { (reader) throws(JSONViolation) in
          seen.append("\(try reader.nextKind())")
          _ = try reader.skipValue()
        }
      default:
        let range = try reader.skipValue()
        seen.append(String(decoding: reader.bytes[range], as: UTF8.self))
      }
    }
    try reader.finish()
    #expect(
      seen == [
        "ué\n", "-42", "0.25", "true", "false", "null", "number", "string", "array",
        #"{"x":[1, 2]}"#,
      ])
  }

  @Test("nextKind consumes nothing")
  func kinds() throws {
    let table: [(String, JSONKind)] = [
      (" {}", .object), ("[]", .array), ("\"\"", .string), ("-1", .number), ("0", .number),
      ("9", .number), ("true", .boolean), ("false", .boolean), ("\n null", .null),
    ]
    for (text, kind) in table {
      var reader = Self.reader(text)
      #expect(try reader.nextKind() == kind)
      #expect(try reader.nextKind() == kind)
      _ = try reader.skipValue()
      try reader.finish()
    }
  }

  @Test("a value of another kind than expected is refused at its first byte")
  func mismatches() {
    let values = ["{}", "[]", "\"a\"", "1", "true", "null"]
    for (index, value) in values.enumerated() {
      func refuses(_ own: Int, _ read: (inout JSONReader) throws(JSONViolation) -> Void) {
        var reader = Self.reader(" " + value)
        do {
          try read(&reader)
          #expect(own == index, "\(value)")
        } catch {
          #expect(own != index, "\(value)")
          #expect(error.position == 1)
        }
      }
      refuses(0) { (reader) throws(JSONViolation) in
        try reader.readObject { (_, _) throws(JSONViolation) in }
      }
      refuses(1) { (reader) throws(JSONViolation) in
        try reader.readArray { (_) throws(JSONViolation) in }
      }
      refuses(2) { (reader) throws(JSONViolation) in _ = try reader.readString() }
      refuses(3) { (reader) throws(JSONViolation) in _ = try reader.readInteger() }
      refuses(3) { (reader) throws(JSONViolation) in _ = try reader.readDouble() }
      refuses(4) { (reader) throws(JSONViolation) in _ = try reader.readBool() }
      refuses(5) { (reader) throws(JSONViolation) in try reader.readNull() }
    }
  }

  @Test("a value that the closure does not take is skipped and checked")
  func ignoredValues() throws {
    var reader = Self.reader(#"{"a": {"x":[1,{}]} ,"b":2, "c" : "s"}"#)
    var names: [String] = []
    try reader.readObject { (_, name) throws(JSONViolation) in names.append(name) }
    try reader.finish()
    #expect(names == ["a", "b", "c"])

    var count = 0
    reader = Self.reader("[1, [2,3], {} ]")
    try reader.readArray { (_) throws(JSONViolation) in count += 1 }
    try reader.finish()
    #expect(count == 3)

    for text in ["{\"a\":}", "{\"a\":01}", "{\"a\":[}"] {
      var reader = Self.reader(text)
      #expect(throws: JSONViolation.self) {
        try reader.readObject { (_, _) throws(JSONViolation) in }
      }
    }
  }

  @Test("an error thrown by a closure is rethrown by the container's read")
  func closureThrows() {
    let own = JSONViolation(reason: "own", position: 3)
    var reader = Self.reader(#"{"a":[1]}"#)
    #expect(throws: own) {
      try reader.readObject { (reader, _) throws(JSONViolation) in
        try reader.readArray { (_) throws(JSONViolation) in throw own }
      }
    }
  }

  @Test("duplicate names are all passed on, in order")
  func equalNames() throws {
    var reader = Self.reader(#"{"a":1,"b":2,"\u0061":3}"#)
    var members: [String] = []
    try reader.readObject { (reader, name) throws(JSONViolation) in
      members.append("\(name)=\(try reader.readInteger())")
    }
    #expect(members == ["a=1", "b=2", "a=3"])
  }

  @Test("escapes have the meaning of RFC 8259, section 7")
  func escapes() throws {
    let table: [(String, String)] = [
      (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"), (#""\u0041\u00e9\u20AC""#, "Aé€"),
      (#""\uD83D\uDE00x""#, "😀x"), (#""\ud800\udc00\uDBFF\uDFFF""#, "\u{10000}\u{10FFFF}"),
      (#""\u0000""#, "\0"), (#""a\\u0041""#, #"a\u0041"#), (#""é\né""#, "é\né"),
      (#""\uFFFF""#, "\u{FFFF}"), (#""\uD7FF\uE000""#, "\u{D7FF}\u{E000}"),
    ]
    for (text, expected) in table {
      var reader = Self.reader(text)
      let read = try reader.readString()
      #expect(Array(read.utf8) == Array(expected.utf8), "\(text)")
    }
  }

  @Test("strings are valid exactly if the standard library accepts them: all pairs, random bytes")
  func againstStandardLibrary() {
    func compare(_ contents: [UInt8]) {
      let document = [UInt8(ascii: "\"")] + contents + [UInt8(ascii: "\"")]
      var reader = JSONReader(document)
      var read: String?
      do {
        read = try reader.readString()
        try reader.finish()
      } catch { read = nil }
      let expected = String(validating: contents, as: UTF8.self)
      if read.map({ Array($0.utf8) }) != expected.map({ Array($0.utf8) }) {
        Issue.record("\(contents)")
      }
    }
    for first: UInt8 in 0x80...0xFF {
      compare([first])
      for second: UInt8 in 0x70...0xFF { compare([first, second]) }
    }
    var generator = SeededGenerator.announced()
    let firsts: [UInt8] = [0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4]
    let edges: [UInt8] = [0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0x41]
    for first in firsts {
      for second in edges {
        for third in edges {
          for fourth in edges { compare([first, second, third, fourth]) }
          compare([first, second, third])
        }
      }
    }
    for _ in 0..<5_000 {
      let count = Int.random(in: 1...12, using: &generator)
      compare(generator.bytes(count: count).map { $0 | 0x80 })
    }
  }

  @Test func `a range outside the bytes is a programming error`() async {
    await #expect(processExitsWith: .failure) { _ = JSONReader([1, 2, 3], in: 1..<4) }
  }

  @Test func `a depth limit over 64 is a programming error`() async {
    await #expect(processExitsWith: .failure) { _ = JSONReader([], depthLimit: 65) }
  }
}
