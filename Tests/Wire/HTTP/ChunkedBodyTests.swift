import Testing

@testable import Wire

@Suite("RFC 9112, 7.1: chunked bodies")
struct ChunkedBodyTests {
  enum Outcome: Equatable {
    case body([UInt8], consumed: Int)
    case incomplete([UInt8])
    case violation(UInt16)
  }

  /// Feeds a decoder the pieces between `ends`; each call continues where the last one stopped.
  static func decode(_ wire: [UInt8], ends: some Sequence<Int>, limit: Int = 1_000) -> Outcome {
    var decoder = ChunkedBodyDecoder(bodyBytesLimit: limit)
    var body: [UInt8] = []
    var start = 0
    do {
      for end in ends where end >= start {
        start += try decoder.decode(wire.span.extracting(start..<end), into: &body)
        if decoder.isComplete { return .body(body, consumed: start) }
        if start != end { return .violation(0) }
      }
    } catch {
      return body.count <= limit ? .violation(error.status) : .violation(1)
    }
    return .incomplete(body)
  }

  static func decodeEveryWay(
    _ wire: [UInt8], limit: Int = 1_000, sourceLocation: SourceLocation = #_sourceLocation
  ) -> Outcome {
    let whole = decode(wire, ends: [wire.count], limit: limit)
    #expect(
      decode(wire, ends: 0...wire.count, limit: limit) == whole, "byte by byte",
      sourceLocation: sourceLocation)
    for split in 0...wire.count {
      #expect(
        decode(wire, ends: [split, wire.count], limit: limit) == whole, "split at \(split)",
        sourceLocation: sourceLocation)
    }
    return whole
  }

  static let sound: [(String, String)] = [
    ("0\r\n\r\n", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello"),
    ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"), ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
    ("a\r\n0123456789\r\n00\r\n\r\n", "0123456789"),
    ("0000000000000001\r\n\r\r\n0000000000000000\r\n\r\n", "\r"),
    ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
    ("1;a\r\nx\r\n0;b=c;d=\"e\"\r\n\r\n", "x"),
    ("1;a=\"\\\"\\\\ ;\t\u{E9}\"\r\nx\r\n0\r\n\r\n", "x"),
    ("0\r\nX-Digest: abc\r\nY:\r\n\r\n", ""),
  ]

  @Test("a valid body is read the same however it is split", arguments: sound)
  func readSound(wire: String, body: String) {
    let bytes = Array(wire.utf8)
    let expected = Outcome.body(Array(body.utf8), consumed: bytes.count)
    #expect(Self.decodeEveryWay(bytes) == expected)
    #expect(Self.decodeEveryWay(bytes + Array("GET /".utf8)) == expected)
  }

  @Test("every proper prefix of a valid body is incomplete", arguments: sound)
  func prefixes(wire: String, body: String) {
    let bytes = Array(wire.utf8)
    for end in 0..<bytes.count {
      guard case .incomplete(let part) = Self.decode(Array(bytes[..<end]), ends: 0...end) else {
        Issue.record("prefix of \(end) bytes")
        continue
      }
      #expect(Array(body.utf8).starts(with: part))
    }
  }

  // Case 30
  static let refused: [String] = [
    "0x1\r\na\r\n", "1_0\r\n", " 1\r\na\r\n", "\t1\r\n", "+1\r\na\r\n", "-1\r\na\r\n",
    "1 \r\na\r\n",
    "1\t\r\n", "g\r\n", "\r\n", ";a\r\n", "\"1\"\r\n", "1.0\r\n", "\u{FF11}\r\n", "#1\r\n",
    "00000000000000001\r\na\r\n", "10000000000000000\r\n", "\(String(repeating: "0", count: 400))",
    "1\na\r\n0\r\n\r\n", "1\ra\r\n", "1\r\ra", "\n1\r\n", "1\r\na\n0\r\n\r\n", "1\r\na\r0\r\n",
    "1\r\naXX0\r\n\r\n", "1\r\naX\n0\r\n\r\n", "1\r\na\rX0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n",
    "1\r\na0\r\n\r\n", "0\r\n\n", "0\n\r\n",
    "0\r\n\rX",
    "1;\r\na\r\n", "1; a\r\n", "1 ;a\r\n", "1;a \r\n", "1;a=\r\n", "1;=b\r\n", "1;a=b=c\r\n",
    "1;a=\"\r\n", "1;a=\"b\"c\r\n", "1;a;\r\n", "1;a=\"b\\\r\n", "1;a\nb\r\n", "1;a\rb\r\n",
    "1;\u{0}\r\n", "1;a=\u{E9}\r\n", "1;a=\"\u{1}\"\r\n", "1;a=\"\u{7F}\"\r\n",
    "1;\(String(repeating: "a", count: 65_536))",
    "0\r\nX : y\r\n\r\n", "0\r\n X: y\r\n\r\n", "0\r\n: y\r\n\r\n", "0\r\nX\r\n\r\n",
    "0\r\nX: y\nZ: w\r\n\r\n", "0\r\nX: \u{0}\r\n\r\n", "0\r\nX: y\r\n z\r\n\r\n",
    "0\r\nContent-Length: 5\r\n\r\n", "0\r\ntransfer-encoding: chunked\r\n\r\n",
    "0\r\nHost: b\r\n\r\n", "0\r\nAuthorization: x\r\n\r\n", "0\r\nX: y\r\nContent-Type: x\r\n\r\n",
    "0\r\nX-API-Key: x\r\n\r\n", "0\r\nIdempotency-Key: x\r\n\r\n",
  ]

  @Test("anything outside the grammar is refused however it is split", arguments: refused)
  func refuse(wire: String) {
    let bytes = Array(wire.utf8)
    if bytes.count > 2_000 {
      #expect(Self.decode(bytes, ends: [bytes.count]) == .violation(400))
      #expect(Self.decode(bytes, ends: 0...bytes.count) == .violation(400))
    } else {
      #expect(Self.decodeEveryWay(bytes) == .violation(400))
    }
  }

  // Case 33
  @Test("a size of any number is read, too large, or refused")
  func anySize() {
    var sizes = HTTPFramingTests.numbers
    for bits in 15...63 {
      let power = UInt64(1) << UInt64(bits)
      for number in [power - 1, power, power + 1] { sizes.append(String(number, radix: 16)) }
    }
    sizes += ["ffffffffffffffff", "10000000000000000", "10000000000000001", "8000000000000000"]
    for text in sizes {
      let isDigits = text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x61...0x66).contains($0) || (0x41...0x46).contains($0)
      }
      let outcome = Self.decodeEveryWay(Array("\(text)\r\n".utf8), limit: 100_000)
      if isDigits, text.count <= 16, let size = UInt64(text, radix: 16) {
        #expect(outcome == (size <= 100_000 ? .incomplete([]) : .violation(413)), "\(text)")
      } else {
        #expect(outcome == .violation(400), "\(text)")
      }
    }
  }

  @Test("the limit applies to the sum, and an excess is refused when the size is read")
  func sumLimit() {
    let atLimit = Array("6\r\nabcdef\r\n4\r\nghij\r\n0\r\n\r\n".utf8)
    #expect(
      Self.decodeEveryWay(atLimit, limit: 10)
        == .body(Array("abcdefghij".utf8), consumed: atLimit.count))
    #expect(Self.decodeEveryWay(Array("6\r\nabcdef\r\n5\r\n".utf8), limit: 10) == .violation(413))
    let excess = Array("6\r\nabcdef\r\n5\r\nabcde\r\n".utf8)
    #expect(Self.decodeEveryWay(excess, limit: 10) == .violation(413))
    let bytes = Array("9\r\nabcdefghi\r\n1\r\nj\r\n".utf8)
    #expect(Self.decodeEveryWay(bytes, limit: 10) == .incomplete(Array("abcdefghij".utf8)))
    #expect(
      Self.decodeEveryWay(bytes + Array("1\r\nk\r\n".utf8), limit: 10) == .violation(413))
    #expect(Self.decodeEveryWay(Array("b\r\n".utf8), limit: 10) == .violation(413))
    #expect(Self.decodeEveryWay(Array("7fffffffffffffff\r\n".utf8), limit: .max) == .incomplete([]))
    let wraps = Array("1\r\na\r\n7fffffffffffffff\r\n".utf8)
    #expect(Self.decodeEveryWay(wraps, limit: .max) == .violation(413))
    #expect(Self.decodeEveryWay(Array("1\r\n".utf8), limit: 0) == .violation(413))
    for size in 1...4 {
      let data = [UInt8](repeating: 0x78, count: size)
      let chunk = Array("\(size)\r\n".utf8) + data + Array("\r\n".utf8)
      let chunks = Array(repeatElement(chunk, count: 10).joined())
      let body = Array(repeatElement(data, count: 10).joined())
      #expect(Self.decodeEveryWay(chunks, limit: 10 * size) == .incomplete(body))
      // The first excess chunk is followed by another, so that it is not the last of the bytes.
      #expect(
        Self.decodeEveryWay(chunks + chunk + chunk, limit: 11 * size - 1) == .violation(413),
        "chunks of \(size)")
    }
  }

  @Test("256 bytes of extension are accepted, one more is refused")
  func extensionBytes() {
    for (count, isRead) in [(255, true), (256, false)] {
      // The semicolon does not count; the line's CR does.
      let wire = Array("0;\(String(repeating: "a", count: count))\r\n\r\n".utf8)
      let expected = isRead ? Outcome.body([], consumed: wire.count) : .violation(400)
      #expect(Self.decodeEveryWay(wire) == expected)
    }
    // Each chunk has its own limit.
    let chunk = "1;\(String(repeating: "a", count: 200))\r\nx\r\n"
    let wire = Array("\(chunk)\(chunk)0\r\n\r\n".utf8)
    #expect(Self.decode(wire, ends: [wire.count]) == .body(Array("xx".utf8), consumed: wire.count))
  }

  @Test("the refusal of a chunk over a limit names the bound")
  func namedBounds() {
    let wrong = [
      ("00000000000000000\r\n", "chunk size over 16 digits"),
      ("0;\(String(repeating: "a", count: 256))\r\n", "chunk extension over 256 bytes"),
    ]
    for (text, reason) in wrong {
      var decoder = ChunkedBodyDecoder(bodyBytesLimit: 10)
      var body: [UInt8] = []
      let violation = #expect(throws: HTTPViolation.self) {
        try decoder.decode([UInt8](text.utf8).span, into: &body)
      }
      #expect(violation?.reason == reason)
    }
  }

  @Test("too many or too large trailers are refused")
  func trailerLimits() {
    func trailers(_ count: Int, value: Int) -> [UInt8] {
      var text = "0\r\n"
      for number in 0..<count { text += "X\(number): \(String(repeating: "v", count: value))\r\n" }
      return Array((text + "\r\n").utf8)
    }
    let fits = trailers(16, value: 100)
    #expect(Self.decodeEveryWay(fits) == .body([], consumed: fits.count))
    for wire in [trailers(17, value: 1), trailers(1, value: 2_049), trailers(3, value: 2_000)] {
      #expect(Self.decode(wire, ends: [wire.count]) == .violation(431))
      #expect(Self.decode(wire, ends: 0...wire.count) == .violation(431))
    }
  }

  @Test("a body in chunks of any size is moved a few times only, not once for each chunk")
  func growth() throws {
    for size in [1, 2, 16, 255, 4_096] {
      let chunk = Array("\(String(size, radix: 16))\r\n".utf8) + repeatElement(0x61, count: size)
      let wire = chunk + [0x0D, 0x0A]
      var decoder = ChunkedBodyDecoder(bodyBytesLimit: 1_000_000)
      var body: [UInt8] = []
      var capacities: Set<Int> = []
      while body.count < 100_000 {
        let consumed = try decoder.decode(wire.span, into: &body)
        #expect(consumed == wire.count)
        capacities.insert(body.capacity)
      }
      #expect(capacities.count <= 20, "chunks of \(size): moved \(capacities.count) times")
      #expect(body.capacity <= 2 * body.count + 64)
    }
  }

  @Test("a decoder that refused a body refuses everything after it")
  func staysRefused() {
    var decoder = ChunkedBodyDecoder(bodyBytesLimit: 10)
    var body: [UInt8] = []
    #expect(throws: HTTPViolation.self) { try decoder.decode([UInt8]("x".utf8).span, into: &body) }
    #expect(throws: HTTPViolation.self) {
      try decoder.decode([UInt8]("0\r\n\r\n".utf8).span, into: &body)
    }
    #expect(!decoder.isComplete)
  }

  @Test func `written chunks are the bytes between them, and no bytes are no chunk`() {
    var wire: [UInt8] = Array("head".utf8)
    var body: [UInt8] = []
    for count in [1, 0, 15, 16, 255, 256, 70_000] {
      let start = wire.count
      let content = [UInt8](repeating: 0x61, count: count)
      wire += content
      ChunkedBody.frame(from: start, in: &wire)
      body += content
      let size = String(count, radix: 16).utf8.count
      #expect(wire.count - start == (count == 0 ? 0 : count + size + 4), "\(count)")
    }
    ChunkedBody.appendEnd(into: &wire)
    #expect(wire.starts(with: "head1\r\na\r\nf\r\n".utf8))
    wire.removeFirst(4)
    let whole = Self.decode(wire, ends: [wire.count], limit: 100_000)
    #expect(whole == .body(body, consumed: wire.count))
  }
}
