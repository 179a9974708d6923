import Testing

@testable import Wire

@Suite("Queries and percent-encoding: RFC 3986, 2.1")
struct QueryStringTests {
  @Test("names and values are decoded")
  func decoded() throws {
    let query = try QueryString("a=1&b=x%20y+z&c&d=&e=1=2&%66=%E2%82%AC&=empty&+g=%2B")
    #expect(query["a"] == "1")
    #expect(query["b"] == "x y z")
    #expect(query["c"] == "")
    #expect(query["d"] == "")
    #expect(query["e"] == "1=2")
    #expect(query["f"] == "\u{20AC}")
    #expect(query[""] == "empty")
    #expect(query[" g"] == "+")
    #expect(query["A"] == nil)
    #expect(query.count == 8)
  }

  @Test("an empty part between separators is ignored", arguments: ["", "&", "&&&", "&a=1&"])
  func empty(raw: String) throws {
    let query = try QueryString(raw)
    #expect(query.count == (raw.contains("a") ? 1 : 0))
    #expect(query["a"] == (raw.contains("a") ? "1" : nil))
  }

  static let refused: [String] = [
    "a=%", "a=%4", "a=%4&b=1", "a=%zz", "a=%4g", "a=%g4", "%=1", "%2=1", "a=%%41", "a=%C3",
    "a=%C3%28", "a=%FF", "a=%C0%80", "a=%ED%A0%80", "a=%F4%90%80%80", "a=%E2%82", "%FF=1",
    "a=1&a=2", "a=1&%61=1", "a&a", "a=&a", "&a=1&&a=1", "a+b=1&a%20b=2", "=1&=2", "a=%u0041",
  ]

  @Test("an invalid escape, invalid UTF-8 or a duplicate name is refused", arguments: refused)
  func refuse(raw: String) {
    let violation = #expect(throws: HTTPViolation.self) { try QueryString(raw) }
    #expect(violation?.status == 400)
  }

  @Test("64 pairs are accepted, 65 are refused, and empty ones count")
  func pairCount() throws {
    func query(_ count: Int) -> String {
      (0..<count).map { "n\($0)=v\($0)" }.joined(separator: "&")
    }
    let most = try QueryString(query(64))
    #expect(most.count == 64)
    #expect(most["n63"] == "v63")
    #expect(throws: HTTPViolation.self) { try QueryString(query(65)) }
    // Case 34
    #expect(throws: HTTPViolation.self) { try QueryString(query(100_000)) }
    #expect(try QueryString(String(repeating: "&", count: 63)).count == 0)
    #expect(throws: HTTPViolation.self) { try QueryString(String(repeating: "&", count: 64)) }
  }

  // Case 27
  @Test("each escaped byte is decoded, or refused if it is not UTF-8 by itself")
  func everyByte() throws {
    let digits = Array("0123456789abcdef")
    for byte in UInt8.min...UInt8.max {
      let high = digits[Int(byte >> 4)]
      let low = digits[Int(byte & 15)]
      for escape in ["%\(high)\(low)", "%\(high)\(low)".uppercased()] {
        if byte < 0x80 {
          #expect(try QueryString("a=\(escape)")["a"] == String(UnicodeScalar(byte)))
        } else {
          #expect(throws: HTTPViolation.self) { try QueryString("a=\(escape)") }
        }
      }
    }
  }

  // Case 33
  @Test("numbers of any size are read as text", arguments: HTTPFramingTests.numbers)
  func anyNumber(text: String) throws {
    #expect(try QueryString("limit=\(Percent.encode(text))")["limit"] == text)
  }

  @Test("encoded text decodes to the original")
  func roundTrip() {
    let texts = ["", "abc", "a b+c%d/e?f&g=h", "\u{0}\r\n", "\u{1F514}\u{E9}", "~-._"]
    for text in texts {
      let encoded = Percent.encode(text)
      #expect(Percent.decode(encoded, plusIsSpace: false) == text)
      #expect(Percent.decode(encoded, plusIsSpace: true) == text)
      #expect(Percent.decode(encoded[...], plusIsSpace: true) == text)
      #expect(encoded.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
    }
    #expect(Percent.encode("a/\u{E9} ~") == "a%2F%C3%A9%20~")
    #expect(Percent.decode("a+b", plusIsSpace: false) == "a+b")
    #expect(Percent.decode("x%20y"[...].dropLast(3), plusIsSpace: false) == nil)
  }

  @Test("an escape does not extend past the end of its part")
  func escapeAtEnd() {
    let bytes = Array("%41%42".utf8)
    for end in 0...bytes.count {
      let decoded = Percent.decode(bytes.span, in: 0..<end, plusIsSpace: true)
      #expect(decoded == [0: "", 3: "A", 6: "AB"][end])
    }
  }
}
