import Testing

@testable import Wire

// Case 29
@Suite("RFC 9112, 6 and 11.2: framing that two readers could read in two ways")
struct HTTPFramingTests {
  static let lengths: [(String, Int?)] = [
    ("0", 0), ("5", 5), ("  5", 5), ("5\t ", 5), ("9223372036854775807", .max),
    ("9223372036854775808", nil), ("99999999999999999999", nil), ("", nil), ("+5", nil),
    ("-5", nil), ("-0", nil), ("5.0", nil), ("0x5", nil), ("0o5", nil), ("5_0", nil), ("1 0", nil),
    ("5,5", nil), ("5, 5", nil), ("5;", nil), ("\"5\"", nil), ("05", nil), ("00", nil),
    ("1e3", nil), ("\u{663}", nil), ("abc", nil), ("5 GET", nil),
  ]

  @Test("a Content-Length is one plain number or refused", arguments: lengths)
  func contentLength(value: String, expected: Int?) throws {
    let text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\(value)\r\n\r\n"
    if let expected {
      let head = try parse(text)
      #expect(head.contentLength == expected)
      #expect(!head.isChunked)
      #expect(feedEveryWay(Array(text.utf8)).status == nil)
    } else {
      #expect(feedEveryWay(Array(text.utf8)).status == 400)
    }
  }

  static let codings: [(String, UInt16?)] = [
    ("chunked", nil), (" CHUNKED\t", nil), ("gzip", 501), ("identity", 501), ("xchunked", 501),
    ("chunkedx", 501), ("chunked, chunked", 400), ("chunked, gzip", 400), ("gzip, chunked", 400),
    ("chunked,", 400), (",chunked", 400), (", chunked", 400), ("", 400), ("chunked;q=1", 400),
    ("\"chunked\"", 400), ("'chunked'", 501), ("chunked\u{0}", 400), ("\u{B}chunked", 400),
    ("\u{C}chunked", 400), ("chunked chunked", 400), ("ch unked", 400), ("chunked\u{A0}", 400),
    ("\r\n chunked", 400), ("c\u{68}unked\u{301}", 400),
  ]

  @Test("the only accepted transfer coding is a single chunked", arguments: codings)
  func transferCoding(value: String, status: UInt16?) {
    let alone = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\(value)\r\n\r\n"
    #expect(feedEveryWay(Array(alone.utf8)).status == status)
    if status == nil { #expect((try? parse(alone))?.isChunked == true) }
  }

  static let conflicts: [String] = [
    "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nContent-Length: 5",
    "Content-Length: 5\r\nX: y\r\ncontent-length: 5", "Content-Length: 0\r\nContent-Length: 0",
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Transfer-Encoding: chunked\r\nContent-Length: 0",
    "Transfer-Encoding: xchunked\r\nContent-Length: 5",
    "Transfer-Encoding: chunked, chunked\r\nContent-Length: 5",
    "Transfer-Encoding:\r\nContent-Length: 5", "Transfer-Encoding: chunked,\r\nContent-Length: 5",
    "TRANSFER-ENCODING: CHUNKED\r\nCONTENT-LENGTH: 5",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nX: y\r\ntransfer-encoding: identity",
    "Transfer-Encoding : chunked\r\nContent-Length: 5", "Transfer-Encoding\t: chunked",
    "Content-Length : 5", "Transfer-Encoding:\r\n chunked", "Content-Length:\r\n 5",
    "X: y\r\n Content-Length: 5", "X: y\n\nGET /smuggled HTTP/1.1", "X: y\rContent-Length: 5",
    "X: y\u{0}\r\nContent-Length: 5", "\u{0}Content-Length: 5", "Content-Length\u{0}: 5",
    "Content-Length: 5\r\nContent-Length: 5, 5", "Content\u{2010}Length: 5",
  ]

  @Test("two framings, or one in an unusual spelling, are refused", arguments: conflicts)
  func conflict(lines: String) {
    let wire = Array("POST / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n\r\n".utf8)
    #expect(feedEveryWay(wire).status == 400)
  }

  @Test(
    "a credential or a key given twice is refused, even if both are equal",
    arguments: ["Authorization", "X-API-Key", "Idempotency-Key"])
  func credentials(name: String) {
    for second in [name, name.lowercased(), name.uppercased()] {
      for value in ["x", "y", ""] {
        let head = "GET / HTTP/1.1\r\nHost: a\r\n\(name): x\r\nX: y\r\n"
        #expect(feedEveryWay(Array("\(head)\r\n".utf8)).status == nil)
        let doubled = "\(head)\(second): \(value)\r\n\r\n"
        #expect(feedEveryWay(Array(doubled.utf8)).status == 400, "\(doubled)")
      }
    }
    let both = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nX-API-Key: x\r\n\r\n"
    #expect(feedEveryWay(Array(both.utf8)).status == nil)
  }

  @Test("names that only resemble framing fields have no effect")
  func lookalikes() throws {
    let head = try parse(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\nContent_Length: 5\r\n"
        + "XTransfer-Encoding: chunked\r\nContent-Lengthy: 5\r\nX-Content-Length: 6\r\n\r\n")
    #expect(!head.isChunked)
    #expect(head.contentLength == nil)
    #expect(!head.hasBody)
  }

  @Test("HTTP/1.0 has no transfer coding", arguments: ["chunked", "gzip", "identity"])
  func oldVersion(coding: String) {
    let wire = Array("POST / HTTP/1.0\r\nTransfer-Encoding: \(coding)\r\n\r\n".utf8)
    #expect(feedEveryWay(wire).status == 400)
  }

  // Case 33
  @Test("a Content-Length of any number is read exactly or refused", arguments: numbers)
  func anyNumber(text: String) throws {
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(text)\r\n\r\n"
    // A number is read exactly if it is in the form that Int writes.
    if let number = Int(text), number >= 0, String(number) == text {
      #expect(try parse(request).contentLength == number)
    } else {
      #expect(feedEveryWay(Array(request.utf8)).status == 400)
    }
  }

  // Case 33
  @Test("a port of any number is accepted up to 65535 or refused", arguments: numbers)
  func anyPort(text: String) {
    let wire = Array("GET / HTTP/1.1\r\nHost: a:\(text)\r\n\r\n".utf8)
    let isPort = text.count <= 5 && (Int(text).map { $0 >= 0 && $0 <= 65_535 } ?? false)
    #expect((feedEveryWay(wire).status == nil) == (isPort && !text.hasPrefix("+")))
  }

  /// Numbers that overflow some integer type.
  static let numbers: [String] = {
    var numbers = ["0", "1", "-1", "+1", "1e308", "1e-308", "nan", "inf", "1.5", "0x10"]
    for bits in 15...63 {
      let power = UInt64(1) << UInt64(bits)
      numbers += [String(power - 1), String(power), String(power + 1), "-\(power)"]
    }
    numbers += ["18446744073709551615", "18446744073709551616", "18446744073709551617"]
    numbers += [
      String(repeating: "9", count: 400), String(repeating: "0", count: 400),
      "1" + String(repeating: "0", count: 400),
    ]
    return numbers
  }()
}
