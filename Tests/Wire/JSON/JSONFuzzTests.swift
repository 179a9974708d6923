// Mutated documents, and strings written and read back.

import TestSupport
import Testing

@testable import Wire

// Case 98
@Suite("JSON: mutated documents and written strings")
struct JSONFuzzTests {
  @Test("mutants never trap, and reading and skipping agree on each, to the byte")
  func mutatedDocuments() {
    var generator = SeededGenerator.announced()
    let seeds =
      JSONSuiteTests.accepted + [
        #"{"user_id":"u1","type":"order.shipped","priority":"high","title":"T","message":"é😀\n","#
          + #""data":{"n":[1,-2.5e3,true,null]},"actions":[{"label":"\u00e9","url":"/x"}]}"#,
        #"{"type":"auth","token":"eyJhbGciOiJIUzI1NiJ9.e30.abc"}"#,
      ]
    var acceptedCount = 0
    var refusedCount = 0
    for seed in seeds {
      for mutant in mutants(of: Array(seed.utf8), count: 700, using: &generator) {
        let violation = skipViolation(mutant)
        if walkViolation(mutant) != violation { Issue.record("\(mutant)") }
        if let violation {
          refusedCount += 1
          if !(0...mutant.count ~= violation.position) { Issue.record("\(mutant)") }
        } else {
          acceptedCount += 1
          if String(validating: mutant, as: UTF8.self) == nil { Issue.record("\(mutant)") }
        }
      }
    }
    // Some mutants must be accepted and some refused, or the test proves nothing.
    #expect(acceptedCount > 1_000)
    #expect(refusedCount > 10_000)
  }

  @Test("mutants read for the wrong types never trap")
  func typedReads() {
    var generator = SeededGenerator.announced()
    for seed in JSONSuiteTests.accepted {
      for mutant in mutants(of: Array(seed.utf8), count: 200, using: &generator) {
        var reader = JSONReader(mutant)
        // Using a reader after it has thrown must not trap.
        for _ in 0..<12 {
          do {
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: _ = try reader.readInteger()
            case 1: _ = try reader.readDouble()
            case 2: _ = try reader.readString()
            case 3: _ = try reader.readBool()
            case 4: try reader.readNull()
            case 5: try reader.readArray { (_) throws(JSONViolation) in }
            case 6: try reader.readObject { (_, _) throws(JSONViolation) in }
            default: _ = try reader.skipValue()
            }
          } catch {
            if !(0...mutant.count ~= error.position) { Issue.record("\(mutant)") }
          }
        }
      }
    }
  }

  @Test("any written string is read back unchanged")
  func stringRoundTrip() throws {
    var generator = SeededGenerator.announced()
    var texts = ["", "\"", "\\", "\u{0}", "\u{1F}", "\u{7F}", "\u{2028}", "é", "😀", "\r\n"]
    texts.append(String(String.UnicodeScalarView((0..<0x300).compactMap(Unicode.Scalar.init))))
    for _ in 0..<1_500 {
      var scalars = String.UnicodeScalarView()
      for _ in 0..<Int.random(in: 0...24, using: &generator) {
        let limit: UInt32 = [0x20, 0x80, 0x800, 0x10000, 0x110000].randomElement(using: &generator)!
        scalars.append(
          Unicode.Scalar(UInt32.random(in: 0..<limit, using: &generator)) ?? "\u{FFFD}")
      }
      texts.append(String(scalars))
    }
    for text in texts {
      var bytes: [UInt8] = []
      bytes.appendJSONString(text)
      var reader = JSONReader(bytes)
      let read = try reader.readString()
      try reader.finish()
      #expect(Array(read.utf8) == Array(text.utf8))
    }
  }

  @Test("only the characters that RFC 8259 requires are escaped, in the short form if there is one")
  func escapes() {
    let short: [UInt8: String] = [
      0x08: #"\b"#, 0x09: #"\t"#, 0x0A: #"\n"#, 0x0C: #"\f"#, 0x0D: #"\r"#, 0x22: #"\""#,
      0x5C: #"\\"#,
    ]
    let hexadecimal = Array("0123456789abcdef")
    for byte: UInt8 in 0...0x7F {
      var bytes: [UInt8] = []
      bytes.appendJSONString("é" + String(Unicode.Scalar(byte)))
      var expected = String(Unicode.Scalar(byte))
      if let escape = short[byte] {
        expected = escape
      } else if byte < 0x20 {
        expected = #"\u00"# + String([hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]])
      }
      #expect(String(decoding: bytes, as: UTF8.self) == "\"é" + expected + "\"")
    }
  }
}
