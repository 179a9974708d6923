// Clients that send as many room messages as they can: the messages queued for the owner shards,
// the typing entries and the answers queued for a client are bounded.

import Broadcast
import TestSupport
import Testing
import Wire

@testable import Server

@Suite("Floods of rooms")
struct RoomFloodTests {
  private typealias Rooms = RoomSessionTests

  private static func frames(_ text: String, count: Int) -> [UInt8] {
    var frame: [UInt8] = []
    WebSocketFrame.append(.text, payload: Array(text.utf8), maskingKey: 0x1234_5678, into: &frame)
    return [UInt8](repeatElement(frame, count: count).joined())
  }

  private static func typing(_ isTyping: Bool) -> String {
    Rooms.message("typing_indicator", #"{"room":"r","is_typing":\#(isTyping)}"#)
  }

  @Test func `messages of one turn do not pile up in the owner's mailbox`() throws {
    let fixture = try ShardFixture()
    let sockets = try ["a", "b", "c"].map { try fixture.arrive($0, path: Rooms.path) }
    for socket in sockets { socket.connection.join("r") }
    try fixture.turn(4)
    let count = 3_000
    var largest = 0
    for _ in 0..<8 {
      for socket in sockets { socket.send(Self.frames(Self.typing(true), count: count)) }
      try fixture.turn(until: { sockets.allSatisfy { $0.unreadCount == 0 } })
      largest = max(largest, fixture.core.mailboxes[0].count)
    }
    // The messages of a turn, and the answers to them.
    #expect(largest <= 2 * sockets.count * count)
  }

  @Test func `typing on and off all the time keeps few entries`() throws {
    let fixture = try ShardFixture()
    let typingEntry = try fixture.arrive("a", path: Rooms.path)
    let other = try fixture.arrive("b", path: Rooms.path)
    for socket in [typingEntry, other] { socket.connection.join("r") }
    try fixture.turn(4)
    _ = try other.frames()
    var largest = 0
    for _ in 0..<400 {
      for isTyping in [true, false, true] {
        typingEntry.say(Self.typing(isTyping))
        try fixture.turn(until: { typingEntry.unreadCount == 0 })
      }
      try fixture.pass(milliseconds: 20)
      largest = max(largest, fixture.shard.typingEntryCount)
    }
    // One entry each half second.
    #expect(largest <= 11)
    _ = try other.frames()
    try fixture.pass(milliseconds: 4_400)
    #expect(try other.frames().isEmpty)
    try fixture.pass(milliseconds: 700)
    #expect(try other.frames().filter { $0.contains(#""is_typing":false"#) }.count == 1)
    #expect(fixture.shard.typingEntryCount == 0)
  }

  @Test func `answers to a client that resumes are bounded within a turn`() throws {
    let fixture = try ShardFixture()
    // A room with enough members to fill an answer.
    for number in 0..<100 {
      let name = "member-\(number)-" + String(repeating: "n", count: 100)
      let member = try fixture.arrive(name, path: Rooms.path)
      member.keeps = false
      member.connection.join("r")
    }
    try fixture.turn(4)
    let stalledClient = try fixture.arrive("stalledClient", path: Rooms.path, query: "?since=0")
    stalledClient.connection.join("r")
    try fixture.turn(4)
    #expect(stalledClient.connection.isReplaying)
    stalledClient.room = 0
    stalledClient.send(Self.frames(Rooms.message("join_room", #"{"room":"r"}"#), count: 4_000))
    var largest = 0
    for _ in 0..<10 {
      try fixture.turn()
      largest = max(largest, stalledClient.connection.queuedByteCount)
    }
    let limits = fixture.core.configuration.limits
    #expect(largest <= limits.backlogBytesLimit + ShardView.missedBytesLimit + 16 * 1_024)
    #expect(largest > ShardView.missedBytesLimit)
  }
}
