// Messages of clients of the typed dialect, damaged at random: the connection stays whatever its
// text, each invalid message is answered, and no state is left.

import TestSupport
import Testing
import Wire

@testable import Server

// Case 98
@Suite("Typed dialect: damaged messages")
struct TypedFuzzTests {
  private static let messages = [
    #"{"type":"ping"}"#,
    #"{"type":"join_room","data":{"room":"lobby"}}"#,
    #"{"type":"leave_room","data":{"room":"lobby"}}"#,
    #"{"type":"join_room","data":{"room":"r\u00e9\ud83d\ude00"}}"#,
    #"{"type":"typing_indicator","data":{"room":"lobby","is_typing":true}}"#,
    #"{"type":"typing_indicator","data":{"is_typing":false,"room":"lobby"}}"#,
    #"{"type":"presence_update","data":{"status":"away"}}"#,
    #"{"data":{"status":"offline","x":[1,-2.5e3,null]},"type":"presence_update"}"#,
    #"{"type":"auth","token":"a.b.c"}"#,
  ].map { Array($0.utf8) }

  private static func frame(_ payload: [UInt8]) -> [UInt8] {
    var frame: [UInt8] = []
    WebSocketFrame.append(.text, payload: payload, maskingKey: 0x1234_5678, into: &frame)
    return frame
  }

  private static func isText(_ bytes: [UInt8]) -> Bool {
    String(validating: bytes, as: UTF8.self) != nil
  }

  @Test func `a connection stays whatever its text, and an invalid message is answered`() throws {
    var random = SeededGenerator.announced()
    let fixture = try ShardFixture()
    let socket = try fixture.arrive("a", path: RoomSessionTests.path)
    let dialect = TypedDialect()
    for _ in 0..<500 {
      var sent: [UInt8] = []
      var invalidCount = 0
      for _ in 0..<200 {
        let message = Self.messages.randomElement(using: &random)!
        let mutant = mutants(of: message, count: 1, using: &random)[0]
        let text = InboundMessage(mutant)
        guard Self.isText(mutant), text.token == nil else { continue }
        if case .invalid = dialect.request(in: text) { invalidCount += 1 }
        sent += Self.frame(mutant)
      }
      let last = #"{"type":"status","data":{}}"#
      socket.send(sent + Self.frame(Array(last.utf8)))
      try fixture.turn(until: { socket.unreadCount == 0 })
      // To the owner shards and back.
      try fixture.turn(4)
      try #require(socket.connection.state == .session)
      let frames = try socket.frames()
      let errors = frames.filter { $0.hasPrefix(#"{"type":"error""#) }
      let own = [#""not_in_room""#, #""too_many_rooms""#]
      let wrong = errors.filter { error in !own.contains { error.contains($0) } }
      #expect(wrong.count == invalidCount + 1)
    }
    socket.connection.end()
    try fixture.pass(milliseconds: 12_000)
    #expect(fixture.shard.rosters.isEmpty && fixture.shard.localRooms.isEmpty)
    #expect(fixture.shard.presenceEntryCount == 0 && fixture.shard.typingEntryCount == 0)
  }

  @Test func `a frame that is not UTF-8 or a bad token ends the connection`() throws {
    var random = SeededGenerator.announced()
    let fixture = try ShardFixture()
    var ends: [String: Int] = [:]
    for _ in 0..<3_000 {
      let message = Self.messages.randomElement(using: &random)!
      let mutant = mutants(of: message, count: 1, using: &random)[0]
      let isAuth = Self.isText(mutant) && InboundMessage(mutant).token != nil
      guard !Self.isText(mutant) || isAuth else { continue }
      let socket = try fixture.arrive("a", path: RoomSessionTests.path)
      socket.send(Self.frame(mutant))
      try fixture.turn(until: { socket.connection.state != .session })
      try fixture.turn(2)
      let end = try socket.frames().last ?? "nothing"
      #expect(end == (isAuth ? "close 1008" : "close 1007"))
      ends[end, default: 0] += 1
      socket.connection.end()
    }
    #expect(ends.count == 2)
  }
}
