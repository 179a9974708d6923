// Answers that are read slowly, and bodies that are sent slowly: progress counts, and not the total
// time.

import Notifications
import TestSupport
import Testing

@testable import Server

@Suite("Slow answers and slow bodies")
struct SlowAnswerTests {
  /// A page of 100 notifications of 4 KB.
  static let page: StoreAnswer = .page(
    (1...100).map { offset in
      Notification(
        id: NotificationID(high: 1, low: offset), userID: "u", type: "t", priority: .normal,
        title: "n\(offset)", message: String(repeating: "m", count: 4_000),
        data: Array("{}".utf8), createdAt: 0, offset: offset)
    }, next: nil, Counts())

  /// A client that has asked for the page and takes `byteCount` bytes of it.
  private static func reader(
    _ fixture: ShardFixture, taking byteCount: Int, fields: String = ""
  ) throws -> VirtualSocket {
    let socket = try fixture.arrive()
    socket.room = byteCount
    socket.send(
      "GET /api/v1/notifications HTTP/1.1\r\nHost: x\r\n\(fields)"
        + "Authorization: Bearer \(ShardFixture.token("u"))\r\n\r\n")
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.store.answer(page)
    try fixture.turn(until: { socket.connection.isBlocked })
    return socket
  }

  @Test(
    "an answer read at 600 bytes a second for more than 620 s arrives whole",
    arguments: ["", "Connection: close\r\n"])
  func steady(fields: String) throws {
    let fixture = try ShardFixture()
    let socket = try Self.reader(fixture, taking: 0, fields: fields)
    var seconds = 0
    while socket.connection.isBlocked {
      socket.open(for: 600)
      try fixture.pass(milliseconds: 1_000)
      seconds += 1
    }
    // Longer than the user's connection may idle.
    #expect(seconds > 620)
    let head = try #require(socket.received.headEnd)
    #expect(socket.received[..<head].map { $0 }.text.contains("Content-Length: "))
    #expect(socket.received.suffix(2).map { $0 } == Array("}}".utf8))
    #expect(fixture.core.metrics[0].value(.timedOut) == 0)
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 0)
    #expect(socket.isEnded == !fields.isEmpty)
    guard fields.isEmpty else { return }
    // Only now begins the time in which the next request must come: 620 s for a user.
    try fixture.pass(milliseconds: 615_000)
    #expect(!socket.isEnded)
    try fixture.pass(milliseconds: 10_000)
    #expect(socket.connection.hasEnded)
  }

  @Test(
    "a reader that stops in the middle of an answer is dropped after 10 s",
    arguments: ["", "Connection: close\r\n"])
  func stopped(fields: String) throws {
    let fixture = try ShardFixture()
    let socket = try Self.reader(fixture, taking: 4_000, fields: fields)
    try fixture.pass(milliseconds: 9_000)
    #expect(!socket.connection.hasEnded)
    try fixture.pass(milliseconds: 2_000)
    #expect(socket.connection.hasEnded)
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 1)
    #expect(fixture.shard.blockedByteCount == 0)
  }

  @Test func `a reader that takes the kernel's bytes is kept while the kernel accepts no more`()
    throws
  {
    let fixture = try ShardFixture()
    let socket = try Self.reader(fixture, taking: 4_000)
    for _ in 0..<60 {
      socket.millisecondsSinceProgress = 3_000
      try fixture.pass(milliseconds: 1_000)
      try #require(!socket.connection.hasEnded)
    }
    // It stops: the kernel counts on from there.
    for second in UInt32(0)...12 {
      socket.millisecondsSinceProgress = 3_000 + 1_000 * second
      try fixture.pass(milliseconds: 1_000)
    }
    #expect(socket.connection.hasEnded)
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 1)
  }

  @Test func `a session that takes some bytes of its frames at times is kept`() throws {
    let fixture = try ShardFixture()
    let socket = try fixture.arrive("u", path: "/ws/connect")
    try fixture.turn(4)
    socket.room = 0
    for offset in 1...8 { try fixture.publish(SlowReaderTests.stored(UInt64(offset))) }
    try fixture.turn()
    #expect(socket.connection.isBlocked && socket.connection.rangeCount > 0)
    for _ in 0..<12 {
      try fixture.pass(milliseconds: 4_000)
      try #require(!socket.connection.hasEnded)
      socket.open(for: 100)
      try fixture.turn()
    }
    #expect(socket.connection.rangeCount > 0)
    try fixture.pass(milliseconds: 11_000)
    #expect(socket.connection.hasEnded)
  }

  private static func batch(_ fixture: ShardFixture, byteCount: Int) throws -> VirtualSocket {
    let socket = try fixture.arrive()
    socket.send(
      "POST /api/v1/notifications/batch HTTP/1.1\r\nHost: x\r\nContent-Length: \(byteCount)\r\n"
        + "Authorization: Bearer \(ShardFixture.token("p", scopes: ["publish"]))\r\n\r\n")
    try fixture.turn(until: { socket.unreadCount == 0 })
    return socket
  }

  @Test func `a long body that arrives at 10 KB a second for 100 s is read`() throws {
    let fixture = try ShardFixture()
    let socket = try Self.batch(fixture, byteCount: 1_000_000)
    for second in 1...100 {
      try #require(socket.received.isEmpty, "second \(second)")
      socket.send([UInt8](repeating: 0x0A, count: 10_000))
      try fixture.pass(milliseconds: 1_000)
    }
    #expect(socket.received.text.hasPrefix("HTTP/1.1 200 "))
  }

  @Test(
    "a long body that stops, or goes on by the byte, is answered 408 after 30 s",
    arguments: [0, 1])
  func stoppedBody(bytesPerSecond: Int) throws {
    let fixture = try ShardFixture()
    let socket = try Self.batch(fixture, byteCount: 1_000_000)
    socket.send([UInt8](repeating: 0x0A, count: 500_000))
    try fixture.turn(until: { socket.unreadCount == 0 })
    for second in 0..<32 where !socket.isEnded {
      if second < 30 { #expect(socket.received.isEmpty, "second \(second)") }
      if bytesPerSecond > 0 { socket.send([UInt8](repeating: 0x0A, count: bytesPerSecond)) }
      try fixture.pass(milliseconds: 1_000)
    }
    #expect(socket.received.text.hasPrefix("HTTP/1.1 408 "))
    #expect(fixture.shard.bodyBytesInFlight == 0)
  }
}
