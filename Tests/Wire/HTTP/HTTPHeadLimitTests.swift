internal import Glibc
import Testing

@testable import Wire

// Case 24, 25 and 26
@Suite("Limits of a request head")
struct HTTPHeadLimitTests {
  private func head(fieldCount: Int) -> [UInt8] {
    var text = "GET / HTTP/1.1\r\nHost: a\r\n"
    for number in 1..<fieldCount { text += "X-\(number): v\r\n" }
    return Array((text + "\r\n").utf8)
  }

  private func head(value: Int) -> [UInt8] {
    Array("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "v", count: value))\r\n\r\n".utf8)
  }

  @Test("64 fields are accepted, the 65th is refused at its first byte", arguments: [64, 65, 2000])
  func fieldCount(count: Int) {
    let wire = head(fieldCount: count)
    let (outcome, given) = feed(wire, upTo: 0...wire.count)
    if count == 64 {
      #expect(given == wire.count)
      guard case .head = outcome else {
        Issue.record("\(outcome)")
        return
      }
    } else {
      #expect(outcome.status == 431)
      // The bytes of 64 fields, without the end of the empty line.
      #expect(given == head(fieldCount: 64).count - 1)
      #expect(feedWhole(wire) == outcome)
    }
  }

  @Test("a value of 8 KiB is accepted, one byte more is refused at that byte")
  func valueBytes() {
    let sound = head(value: 8_192)
    #expect(feedWhole(sound) == feed(sound, upTo: 0...sound.count).outcome)
    #expect(feedWhole(sound).status == nil)
    let long = head(value: 8_193)
    let (outcome, given) = feed(long, upTo: 0...long.count)
    #expect(outcome.status == 431)
    #expect(given == sound.count - 3)
    #expect(feedWhole(long) == outcome)
  }

  @Test(
    "of a 20 MB field the parser takes at most 16 KiB and the piece that passes the limit",
    arguments: [
      ("X: ", "v", 8_192), ("X: v", " ", 8_192), ("X:", " ", 16_384), ("", "n", 256),
      ("X: v\r\n", "n", 256),
    ] as [(String, String, Int)])
  func endlessField(start: String, filler: String, limit: Int) throws {
    let filling = try #require(filler.utf8.first)
    let before = Array("GET / HTTP/1.1\r\nHost: a\r\n\(start)".utf8)
    let wire = before + [UInt8](repeating: filling, count: 20_000_000)
    for piece in [1, 7, 4_096, 65_536] {
      // Far past the limit the rest is fed at once: a build without the limit then fails fast.
      let ends = stride(from: 0, through: 4 * 65_536, by: piece)
      let (outcome, given) = feed(wire, upTo: Array(ends) + [wire.count])
      #expect(outcome.status == 431, "pieces of \(piece)")
      #expect(given <= min(16_384, before.count + limit) + piece, "pieces of \(piece)")
    }
  }

  @Test("a name of 256 bytes is accepted, one byte more is refused")
  func nameBytes() {
    for (count, status) in [(256, nil), (257, 431)] as [(Int, UInt16?)] {
      let name = String(repeating: "n", count: count)
      let wire = Array("GET / HTTP/1.1\r\nHost: a\r\n\(name): v\r\n\r\n".utf8)
      #expect(feedEveryWay(wire).status == status)
    }
  }

  @Test("a target at the limit is accepted, one byte more is 414 at that byte")
  func targetBytes() {
    let limits = HTTPLimits(targetBytes: 100)
    for (count, status) in [(100, nil), (101, 414), (5_000, 414)] as [(Int, UInt16?)] {
      let path = "/" + String(repeating: "p", count: count - 1)
      let wire = Array("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
      let (outcome, given) = feed(wire, upTo: 0...wire.count, limits: limits)
      #expect(outcome.status == status)
      #expect(given == (status == nil ? wire.count : 4 + 101))
      #expect(feedWhole(wire, limits: limits) == outcome)
    }
  }

  @Test("a token of 8 KiB fits the target")
  func tokenInTarget() throws {
    let token = String(repeating: "t", count: 8_192)
    let head = try parse("GET /api/v1/ws/notifications?token=\(token) HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(head.query == "token=\(token)")
  }

  @Test("a method of 32 bytes is accepted, one byte more is refused")
  func methodBytes() {
    for (count, status) in [(32, nil), (33, 400), (100_000, 400)] as [(Int, UInt16?)] {
      let method = String(repeating: "M", count: count)
      let wire = Array("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
      let (outcome, given) = feed(wire, upTo: 0...wire.count)
      #expect(outcome.status == status)
      #expect(given == (status == nil ? wire.count : 33))
      #expect(feedWhole(wire) == outcome)
    }
  }

  @Test("a head at its limit is accepted; an incomplete one of that size is refused")
  func headBytes() {
    let wire = Array("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n".utf8)
    let exact = HTTPLimits(headBytes: wire.count)
    #expect(feedEveryWay(wire, limits: exact) == feedWhole(wire))
    for count in 1..<wire.count {
      let outcome = feedEveryWay(wire, limits: HTTPLimits(headBytes: count))
      #expect(outcome.status == 431, "limit \(count)")
    }
  }

  @Test(
    "no limit, however small or large, traps", arguments: [0, 1, 2, Int(Int32.max), .max])
  func extremeLimits(limit: Int) {
    // Adding Int.max to an offset would overflow; a configuration may set that limit.
    let limits = HTTPLimits(
      headBytes: limit, targetBytes: limit, fieldCount: limit, fieldNameBytes: limit,
      fieldValueBytes: limit)
    let wire = Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    #expect((feedEveryWay(wire, limits: limits).status == nil) == (limit > 2))
  }

  @Test("each byte is read once, however a head is split")
  func looksOnce() throws {
    // The bytes that the parser has read are overwritten with NUL before the next byte arrives. A
    // second read would make it refuse the head. So feeding byte by byte costs as much as feeding
    // the whole.
    let wire = Array(
      "\r\nPOST /a/b?c=d HTTP/1.1\r\nHost: a\r\nX:  v w \t \r\nContent-Length: 5\r\n\r\n".utf8)
    var parser = HTTPRequestHeadParser()
    for end in 1..<wire.count {
      let poisoned = [UInt8](repeating: 0, count: end - 1) + [wire[end - 1]]
      #expect(try parser.parse(poisoned.span) == nil, "after \(end) bytes")
    }
    #expect(try parser.parse(wire.span)?.byteCount == wire.count)
  }

  @Test("white space, commas and quotes in a list cost no more than other bytes")
  func linearLists() throws {
    // This thread's processor time, which excludes other work on the machine.
    func threadTime() -> Int {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
    func shortestTime(_ value: String) throws -> Int {
      let wire = Array("GET / HTTP/1.1\r\nHost: a\r\nConnection: \(value)\r\n\r\n".utf8)
      let limits = HTTPLimits(headBytes: .max, fieldValueBytes: .max)
      var shortest = Int.max
      for _ in 0..<5 {
        let start = threadTime()
        var parser = HTTPRequestHeadParser(limits: limits)
        let head = try #require(try parser.parse(wire.span))
        let isFound = head.hasToken("upgrade", in: "connection")
        let time = threadTime() - start
        #expect(!isFound)
        shortest = min(shortest, time)
      }
      return shortest
    }
    for unit in [" ", ",", ", ", "\"", "\"a, ", "upgrad, ", "a"] {
      let small = try shortestTime("b" + String(repeating: unit, count: 4_000) + "x")
      let large = try shortestTime("b" + String(repeating: unit, count: 64_000) + "x")
      // Sixteen times the bytes: 16 times the work if linear, 256 if quadratic.
      #expect(large < small * 64, "\(unit.debugDescription): \(small) ns, then \(large) ns")
    }
  }
}
