// The same conversation, whole and byte by byte: the server sends the same bytes.
//
// The messages are those of the Autobahn test suite's groups 1 (framing) and 5 (fragmentation) that
// are within a client's limit, in the dialect that answers every message that it understands.

import Notifications
import TestSupport
import Testing
import Wire

@testable import Server

@Suite("Messages in small pieces")
struct DripTests {
  struct Conversation: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let wire: [UInt8]
  }

  /// One frame, masked.
  static func frame(
    _ opcode: WebSocketOpcode, _ text: String = "", isFinal: Bool = true
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    WebSocketFrame.append(
      opcode, payload: Array(text.utf8), maskingKey: 0xA1B2_C3D4, into: &bytes)
    // Changed here because a writer refuses to write a fragmented control frame.
    if !isFinal { bytes[0] &= 0x7F }
    return bytes
  }

  static let close: [UInt8] = {
    var bytes: [UInt8] = []
    WebSocketFrame.appendClose(code: 1000, reason: "", maskingKey: 5, into: &bytes)
    return bytes
  }()

  /// A message that is answered, so a transcript shows that the server took the message before it.
  static let question = frame(.text, #"{"type":"ping"}"#)

  static let conversations: [Conversation] = {
    var all: [Conversation] = []
    func add(_ name: String, _ pieces: [UInt8]...) {
      all.append(Conversation(testDescription: name, wire: Array(pieces.joined())))
    }
    for size in [0, 1, 125, 126, 127, 128, 511, 512, 513, 8_449] {
      let text = String(repeating: "*", count: size)
      add("1.1, text of \(size)", frame(.text, text), question, close)
      add("1.2, binary of \(size)", frame(.binary, text), question, close)
    }
    add("5.1, fragmented ping", frame(.ping, "a", isFinal: false), frame(.continuation, "b"))
    add("5.2, fragmented pong", frame(.pong, "a", isFinal: false), frame(.continuation, "b"))
    add(
      "5.3, two fragments", frame(.text, #"{"type":"#, isFinal: false),
      frame(.continuation, #""ping"}"#), close)
    add(
      "5.6, a ping between two fragments", frame(.text, #"{"type":"#, isFinal: false),
      frame(.ping, "between"), frame(.continuation, #""ping"}"#), close)
    add("5.9, nothing to continue", frame(.continuation, "x", isFinal: true), question)
    add("5.12, nothing to continue", frame(.continuation, "x", isFinal: false), question)
    add("5.15, a stray continuation behind a message", question, frame(.continuation, "x"))
    add("5.18, text in the midst of text", frame(.text, "a", isFinal: false), frame(.text, "b"))
    add(
      "5.19, pings and five fragments", frame(.text, #"{"ty"#, isFinal: false),
      frame(.continuation, #"pe":"#, isFinal: false), frame(.ping, "one"),
      frame(.continuation, #""pi"#, isFinal: false), frame(.continuation, "n", isFinal: false),
      frame(.ping, "two"), frame(.continuation, #"g"}"#), close)
    let empty = frame(.continuation, isFinal: false)
    add("empty fragments", frame(.text, isFinal: false), empty, empty, frame(.continuation), close)
    return all
  }()

  /// All bytes that the server sends until the connection ends.
  static func transcript(_ pieces: [ArraySlice<UInt8>]) throws -> [UInt8] {
    let fixture = try ShardFixture()
    let socket = try fixture.arrive("u")
    try fixture.turn(until: { !socket.received.isEmpty })
    socket.received = []
    for piece in pieces where !socket.isEnded {
      socket.send(Array(piece))
      try fixture.turn(until: { socket.unreadCount == 0 || socket.isEnded })
    }
    try fixture.turn(until: { socket.isEnded })
    return socket.received
  }

  // Case 14
  @Test(
    "whole, by the byte and split at each offset, a conversation gets the same answers",
    arguments: conversations)
  func drip(_ conversation: Conversation) throws {
    let wire = conversation.wire
    let whole = try Self.transcript([wire[...]])
    try #require(!whole.isEmpty)
    // Splitting at each offset is quadratic; 1,200 bytes are more than any header and message of
    // the limit.
    guard wire.count <= 1_200 else {
      for step in [1, 7, 126] {
        let pieces = stride(from: 0, to: wire.count, by: step).map {
          wire[$0..<min($0 + step, wire.count)]
        }
        #expect(try Self.transcript(pieces) == whole, "pieces of \(step)")
      }
      return
    }
    for feed in [ByteFeed.byByte(wire)] + Self.splits(wire) {
      #expect(try Self.transcript(feed.pieces) == whole, "\(feed)")
    }
  }

  @Test func `a frame in many pieces is moved a few times only, not once for each piece`() throws {
    let fixture = try ShardFixture.engine(settings: { $0.messageBytesLimit = 256 * 1_024 })
    let socket = try fixture.arrive("u", path: "/engine.io/", query: "?EIO=4&transport=websocket")
    let payload = [UInt8](repeating: 0x61, count: 200_000)
    var wire: [UInt8] = []
    WebSocketFrame.append(.binary, payload: payload, maskingKey: 0x1234_5678, into: &wire)
    var capacities: Set<Int> = []
    for start in stride(from: 0, to: wire.count, by: 100) {
      socket.send(Array(wire[start..<min(start + 100, wire.count)]))
      try fixture.turn(until: { socket.unreadCount == 0 })
      capacities.insert(socket.connection.unparsedBuffer.capacity)
    }
    #expect(capacities.count <= 20, "moved \(capacities.count) times")
    #expect(socket.connection.unparsedBuffer.count == 0)
    // The application sends every message back.
    try fixture.turn(until: { socket.receivedCount >= payload.count })
  }

  /// The offsets near the edges of frames and some others; in the full size all offsets.
  static func splits(_ wire: [UInt8]) -> [ByteFeed] {
    let step = size(wire.count / 40 + 1, full: 1)
    return (1..<wire.count).filter { $0 < 16 || wire.count - $0 < 16 || $0.isMultiple(of: step) }
      .map { ByteFeed.split(wire, at: $0) }
  }
}
