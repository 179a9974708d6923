// Documents that must be accepted and documents that must be refused, grouped by reason, in the
// manner of the parsing test suites: y_ and n_.

import TestSupport
import Testing

@testable import Wire

/// Reads a whole document with the recursive half of the reader: objects, arrays, typed values.
func walk(_ reader: inout JSONReader) throws(JSONViolation) {
  switch try reader.nextKind() {
  case .object:
    try reader.readObject { (reader, _) throws(JSONViolation) in try walk(&reader) }
  case .array: try reader.readArray { (reader) throws(JSONViolation) in try walk(&reader) }
  case .string: _ = try reader.readString()
  case .number:
    // Numbers too large for either type are still JSON: this test compares the grammar.
    _ = try reader.skipValue()
  case .boolean: _ = try reader.readBool()
  case .null: try reader.readNull()
  }
}

/// The violation found by skipping a document; nil if it is accepted.
func skipViolation(_ bytes: [UInt8], depthLimit: Int = 32) -> JSONViolation? {
  var reader = JSONReader(bytes, depthLimit: depthLimit)
  do {
    _ = try reader.skipValue()
    try reader.finish()
    return nil
  } catch { return error }
}

/// The violation found by reading a document; nil if it is accepted.
func walkViolation(_ bytes: [UInt8], depthLimit: Int = 32) -> JSONViolation? {
  var reader = JSONReader(bytes, depthLimit: depthLimit)
  do {
    try walk(&reader)
    try reader.finish()
    return nil
  } catch { return error }
}

@Suite("RFC 8259: legal and illegal documents")
struct JSONSuiteTests {
  static let accepted: [String] = [
    // Section 2: any value is a text; white space is these four.
    "null", "true", "false", "0", "\"\"", "[]", "{}", " \t\r\n[ \t\r\n1 \t\r\n, \n2 ] \n",
    " { \"a\" : 1 , \"b\" : [ ] } ",
    // Section 4: objects; names may be empty, and equal (the reader passes on both).
    #"{"":0}"#, #"{"a":1,"a":2}"#, #"{"a":{"b":{"c":{}}}}"#, #"{"a\u0000b":1}"#,
    #"{"é😀":"é😀"}"#,
    // Section 5: arrays of anything.
    #"[[],{},"",0,true,false,null]"#, "[[[[[[[[]]]]]]]]", "[1,[2,[3]],4]",
    // Section 6: numbers.
    "-0", "-1", "1234567890", "0.0", "-0.0", "1.5", "0e0", "0E+0", "1e5", "1E-5", "1.25e+10",
    "[0,-0,0.1e1]", "123456789012345678901234567890", "1e400", "-1e-400",
    "0." + String(repeating: "0", count: 400) + "1",
    // Section 7: strings.
    #""\"\\\/\b\f\n\r\t""#, #""\u0041\u00e9\u20AC\uD83D\uDE00""#, #""\u0000""#,
    #""\uFFFF\uFFFE\uFDD0""#, #""\uDBFF\uDFFF\uD800\uDC00""#, "\"\u{7F}\u{80}\u{10FFFF}\"",
    "\"\u{2028}\u{2029}\"", #""a/b""#, #""\\u0041""#,
  ]

  static let refused: [String] = [
    // No value, or more than one.
    "", " ", "\n", "1 2", "[] []", "{}{}", "null,", ",", "[1]x", "\"a\"\"b\"", "1\u{0}",
    // White space that JSON does not allow.
    "\u{0C}1", "\u{0B}1", "\u{A0}1", "\u{2003}1", "[\u{0}]", "[1\u{FEFF}]", "\u{FEFF}{}",
    // Words.
    "nul", "nulll", "True", "TRUE", "tru", "fals", "falsee", "undefined", "NaN", "Infinity",
    "-Infinity", "n", "t", "f",
    // Arrays.
    "[", "]", "[1", "[1,", "[,", "[,1]", "[1,]", "[1,,2]", "[1 2]", "[1:2]", "[1}", "[[1]", "[}",
    "[1,\n]", "[\"a\"", "[\"a", "[a]",
    // Objects.
    "{", "}", "{1:1}", "{a:1}", "{'a':1}", "{\"a\"}", "{\"a\":}", "{\"a\"::1}", "{\"a\":1,}",
    "{,\"a\":1}", "{\"a\":1 \"b\":2}", "{\"a\" 1}", "{\"a\":1", "{\"a\":1]", "{\"a\":1,,\"b\":2}",
    "{\"a\",\"b\":1}", "{null:1}", "{\"a\":1,\"b\"}", "{[]:1}", "{]", "{\"a\":1,b:2}", "{\"a\":",
    "{\"a", "{\"a\"", "{\"a\":1;\"b\":2}", "{\"a\":1,1}",
    // Numbers.
    "-", "+1", "01", "-01", "00", "1.", ".1", "-.1", "1.e1", "1e", "1e+", "1e-", "1E", "0x10",
    "1_000", "1,000", "--1", "-+1", "1+1", "1.1.1", "1e1.5", "1e1e1", "0e", "١", "1a", "-a", "2.",
    "1 .5", "1e 5", "- 1", "0b1", "0.1.",
    // Strings.
    "\"", "\"a", "'a'", "\"\\\"", "\"\\x41\"", "\"\\a\"", "\"\\'\"", "\"\\u\"", "\"\\u12\"",
    "\"\\u123\"", "\"\\u123g\"", "\"\\u 123\"", "\"\\u+123\"", "\"\\u12\\u34\"", "\"\\U0041\"",
    "\"\\", "\"\\u", "\"\\u004", "\"\t\"", "\"\n\"", "\"\u{0}\"", "\"\u{1F}\"", "\"\\\n\"",
    "\"\\\u{0}\"", "\"\\é\"",
    // Lone surrogates, low before high, high before something else.
    "\"\\uD800\"", "\"\\uDC00\"", "\"\\uDBFF\"", "\"\\uDFFF\"", "\"\\uD800\\uD800\"",
    "\"\\uDC00\\uD800\"", "\"\\uD800x\"", "\"\\uD800\\n\"", "\"\\uD800\\u0041\"",
    "\"\\uD83D\\uD83D\\uDE00\"", "\"\\uD800\\uE000\"", "\"\\uD800\\", "\"\\uD800\\u",
    "\"\\uD800\\uDC0", "\"\\uD83D\u{1F600}\"",
    // Comments and other dialects.
    "/**/1", "1//", "[1/**/]", "#1", "{\"a\":1}/*", "<null>", "(1)", "`a`", "[1;2]", "{a:\"b\"}",
    "$", "*", "&", "\\u0031", "[\\n]",
  ]

  /// Bytes that are not UTF-8: RFC 3629, sections 3 and 4.
  static let notUTF8: [[UInt8]] = [
    [0x80], [0xBF], [0xFF], [0xFE], [0xC0, 0x80], [0xC0, 0xAF], [0xC1, 0xBF], [0xE0, 0x80, 0x80],
    [0xE0, 0x9F, 0xBF], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xED, 0xA0, 0x80],
    [0xED, 0xBF, 0xBF], [0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80], [0xF4, 0x90, 0x80, 0x80],
    [0xF5, 0x80, 0x80, 0x80], [0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xC3, 0x28],
    [0xE2, 0x28, 0xA1], [0xE2, 0x82, 0x28], [0xF0, 0x28, 0x8C, 0xBC], [0xF0, 0x90, 0x28, 0xBC],
    [0xF0, 0x9F, 0x98, 0x28], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFC, 0x84, 0x80, 0x80, 0x80, 0x80],
    [0xE9],
  ]

  @Test("y: every legal document is accepted, by reading and by skipping")
  func legal() {
    for text in Self.accepted {
      let bytes = Array(text.utf8)
      #expect(skipViolation(bytes) == nil, "\(text)")
      #expect(walkViolation(bytes) == nil, "\(text)")
    }
  }

  @Test("n: every illegal document is refused, by reading and by skipping, at the same position")
  func illegal() {
    for text in Self.refused {
      let bytes = Array(text.utf8)
      let violation = skipViolation(bytes)
      #expect(violation != nil, "\(text)")
      #expect(walkViolation(bytes) == violation, "\(text)")
      if let violation { #expect(0...bytes.count ~= violation.position, "\(text)") }
    }
  }

  @Test("n: invalid UTF-8 is refused in values, in names and outside strings")
  func encoding() {
    for bytes in Self.notUTF8 {
      let quoted = [UInt8(ascii: "\"")] + bytes + [UInt8(ascii: "\"")]
      let documents: [[UInt8]] = [
        quoted, [UInt8(ascii: "[")] + quoted + [UInt8(ascii: "]")],
        [UInt8(ascii: "{")] + quoted + Array(":1}".utf8),
        Array("{\"a\":".utf8) + quoted + Array("}".utf8), bytes,
        Array("\"\\n".utf8) + bytes + Array("\"".utf8), [UInt8(ascii: "\"")] + bytes,
      ]
      for document in documents {
        #expect(skipViolation(document) != nil, "\(document)")
        #expect(walkViolation(document) != nil, "\(document)")
      }
    }
  }

  @Test("every proper prefix of a legal document is refused, except a number's")
  func prefixes() {
    for text in Self.accepted {
      let bytes = Array(text.utf8)
      let trimmed = Array(bytes.reversed().drop { $0 <= 0x20 }.reversed())
      let isNumber = trimmed.first.map { $0 == 0x2D || 0x30...0x39 ~= $0 } ?? false
      for prefix in properPrefixes(of: trimmed) {
        let violation = skipViolation(prefix)
        #expect(walkViolation(prefix) == violation, "\(prefix)")
        if !isNumber { #expect(violation != nil, "\(prefix)") }
      }
    }
  }

  @Test("a document inside a larger array of bytes is read in its range and no further")
  func ranges() throws {
    for text in Self.accepted + Self.refused {
      let bytes = Array(text.utf8)
      let padded = Array("\"[{1,".utf8) + bytes + Array("1}]\"".utf8)
      var reader = JSONReader(padded, in: 5..<(5 + bytes.count))
      var violation: JSONViolation?
      do {
        let range = try reader.skipValue()
        try reader.finish()
        #expect(padded[range].elementsEqual(bytes[(range.lowerBound - 5)..<(range.upperBound - 5)]))
      } catch { violation = error }
      let expected = skipViolation(bytes)
      #expect(violation?.reason == expected?.reason, "\(text)")
      #expect(violation.map { $0.position - 5 } == expected?.position, "\(text)")
    }
  }

  @Test("a range that ends inside a string, an escape or a scalar is refused at its end")
  func tornRanges() {
    // The bytes after the range would complete the document: they must not be read.
    let bytes = Array(#"{"é😀\u00e9\uD83D\uDE00":[true,-1.5e+10,null,"x"]}"#.utf8)
    for end in bytes.indices {
      var reader = JSONReader(bytes, in: 0..<end)
      do {
        let range = try reader.skipValue()
        Issue.record("\(range) of 0..<\(end)")
      } catch {
        #expect(error == skipViolation(Array(bytes[..<end])), "\(end)")
        #expect(error.position <= end)
      }
    }
  }
}
