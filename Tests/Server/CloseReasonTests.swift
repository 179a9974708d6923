// A close frame holds its code and its reason, and not a byte of what the memory held before.

import TestSupport
import Testing
import Wire

@testable import Server

@Suite("Reasons for a close")
struct CloseReasonTests {
  /// The frame, written out from RFC 6455 alone.
  static func expected(_ code: UInt16, _ reason: String) -> [UInt8] {
    var kept: [UInt8] = []
    for scalar in reason.unicodeScalars {
      let bytes = Array(String(scalar).utf8)
      guard kept.count + bytes.count <= 123 else { break }
      kept += bytes
    }
    return [0x88, UInt8(kept.count + 2), UInt8(code >> 8), UInt8(code & 0xFF)] + kept
  }

  static func reason(_ number: Int, using generator: inout SeededGenerator) -> String {
    // Each length from 0 to 123 and some way over, of scalars of one to four bytes.
    let length = number % 200
    let scalars: [Unicode.Scalar] = ["a", " ", "\"", "é", "€", "\u{1F514}", "\u{301}"]
    var text = String.UnicodeScalarView()
    while String(text).utf8.count < length {
      text.append(number.isMultiple(of: 3) ? "x" : scalars.randomElement(using: &generator)!)
    }
    return String(text)
  }

  static let codes: [UInt16] = [1000, 1001, 1002, 1007, 1008, 1009, 1011, 1012, 1013, 4001, 4002]

  // Case 12
  @Test func `of 100,000 reasons each is its exact bytes, over memory that held something else`() {
    var generator = SeededGenerator.announced()
    var bytes: [UInt8] = []
    for number in 0..<100_000 {
      let code = Self.codes[number % Self.codes.count]
      let reason = Self.reason(number, using: &generator)
      // What lies behind the end of an array's content is its earlier content.
      bytes.append(contentsOf: repeatElement(0xA5, count: 300))
      bytes.removeAll(keepingCapacity: true)
      Framing.webSocket.writeClose(code: code, reason: reason, into: &bytes)
      guard bytes != Self.expected(code, reason) else { continue }
      Issue.record("\(number): \(code) \(reason.debugDescription): \(bytes)")
      return
    }
  }

  // Case 12
  @Test func `what a client is closed with is the reason and the end, whatever was queued before`()
    throws
  {
    var generator = SeededGenerator.announced()
    let fixture = try ShardFixture()
    for number in 0..<size(1_000, full: 20_000) {
      let socket = try fixture.arrive("u", path: "/api/ws")
      let code = Self.codes[number % Self.codes.count]
      let reason = Self.reason(number, using: &generator)
      // The logs and the heap are full of what nobody else may see.
      if number.isMultiple(of: 50) {
        try fixture.publish(TurnTests.broadcast(4_000))
        try fixture.turn()
        socket.received = []
      }
      socket.connection.close(code: code, reason: reason)
      try fixture.turn(2)
      try #require(socket.received == Self.expected(code, reason), "\(number): \(reason)")
      try #require(socket.isEnded)
      socket.connection.end()
    }
  }
}
