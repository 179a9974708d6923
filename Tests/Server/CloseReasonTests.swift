// A close frame holds its code and its reason, and no byte of the memory's earlier contents.

import TestSupport
import Testing
import Wire

@testable import Server

@Suite("Close reasons")
struct CloseReasonTests {
  /// The expected frame, built independently from RFC 6455.
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
    // Each length from 0 to 123 and some above, of scalars of one to four bytes.
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
  @Test func `each of 100,000 reasons is exactly its own bytes, in memory that held others`() {
    var generator = SeededGenerator.announced()
    var bytes: [UInt8] = []
    for number in 0..<100_000 {
      let code = Self.codes[number % Self.codes.count]
      let reason = Self.reason(number, using: &generator)
      // The memory past the end of an array still holds its earlier content.
      bytes.append(contentsOf: repeatElement(0xA5, count: 300))
      bytes.removeAll(keepingCapacity: true)
      Framing.webSocket.writeClose(code: code, reason: reason, into: &bytes)
      guard bytes != Self.expected(code, reason) else { continue }
      Issue.record("\(number): \(code) \(reason.debugDescription): \(bytes)")
      return
    }
  }

  // Case 12
  @Test func `a client that is closed gets exactly the close frame, whatever was queued before`()
    throws
  {
    var generator = SeededGenerator.announced()
    let fixture = try ShardFixture()
    for number in 0..<size(1_000, full: 20_000) {
      let socket = try fixture.arrive("u", path: "/api/ws")
      let code = Self.codes[number % Self.codes.count]
      let reason = Self.reason(number, using: &generator)
      // Fill the logs and the heap with bytes that must not leak.
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
