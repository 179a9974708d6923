// Base 64: one value, one spelling.

import TestSupport
import Testing

@testable import Wire

@Suite("RFC 4648: base 64")
struct Base64Tests {
  static func decodeURL(_ text: String) -> [UInt8]? { Base64.decodeURL(text.utf8.span) }

  @Test("the vectors of section 10 hold for both alphabets")
  func vectors() {
    let table: [(String, String)] = [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
      ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ]
    for (text, encoded) in table {
      let bytes = Array(text.utf8)
      let unpadded = String(encoded.prefix { $0 != "=" })
      #expect(Base64.encode(bytes) == encoded)
      #expect(Base64.decode(encoded) == bytes)
      #expect(Base64.encodeURL(bytes) == unpadded)
      #expect(Self.decodeURL(unpadded) == bytes)
    }
    let high: [UInt8] = [0xFB, 0xFF, 0xBF, 0xFE]
    #expect(Base64.encode(high) == "+/+//g==")
    #expect(Base64.encodeURL(high) == "-_-__g")
  }

  // Case 47
  @Test("padding, spaces, foreign characters and unused bits are refused")
  func refused() {
    let standard = [
      "Zg", "Zg=", "Zg===", "Zm8", "Zm9v=", "Zm9v====", "=", "==", "===", "====", "Z===", "Z",
      "Zh==", "Zm9=", "Zg==Zg==", "Zg=v", "Z=g=", "Zm 9v", " Zm9v", "Zm9v\n", "Zm9v\0\0\0\0",
      "-_-__g==", "Zm9*", "Zm9é", "ＺZm9",
    ]
    for text in standard { #expect(Base64.decode(text) == nil, "\(text)") }
    let url = [
      "Zg==", "Zm8=", "Z", "Zm9vY", "Zh", "Zm9", "+/+//g", "Zm 8", "Zm8\n", "Zm8.", "Zm9*", "=",
    ]
    for text in url { #expect(Self.decodeURL(text) == nil, "\(text)") }
  }

  @Test("of all texts of two and three characters exactly one spells each value")
  func oneSpelling() {
    var spellings: [[UInt8]: Int] = [:]
    for first in UInt8.min...UInt8.max {
      for second in UInt8.min...UInt8.max {
        if let bytes = Base64.decodeURL([first, second].span) { spellings[bytes, default: 0] += 1 }
      }
    }
    #expect(spellings.count == 256)
    #expect(spellings.values.allSatisfy { $0 == 1 })
    // The third character carries two unused bits.
    var count = 0
    for third in UInt8.min...UInt8.max where Base64.decodeURL([0x41, 0x41, third].span) != nil {
      count += 1
    }
    #expect(count == 16)
  }

  @Test("random bytes are decoded unchanged, and an accepted mutant is its own value's spelling")
  func fuzz() {
    var generator = SeededGenerator.announced()
    for count in 0..<200 {
      let bytes = generator.bytes(count: count)
      let text = Base64.encode(bytes)
      let urlText = Base64.encodeURL(bytes)
      #expect(Base64.decode(text) == bytes)
      #expect(Self.decodeURL(urlText) == bytes)
      for mutant in mutants(of: Array(text.utf8), count: 20, using: &generator) {
        guard let text = String(validating: mutant, as: UTF8.self) else { continue }
        if let decoded = Base64.decode(text) { #expect(Base64.encode(decoded) == text) }
      }
      for mutant in mutants(of: Array(urlText.utf8), count: 30, using: &generator) {
        if let decoded = Base64.decodeURL(mutant.span) {
          #expect(Array(Base64.encodeURL(decoded).utf8) == mutant)
        }
      }
    }
  }
}
