// Clients that read less than they are sent: the memory held for each is bounded, and the other
// clients get everything.

import Notifications
import TestSupport
import Testing

@testable import Server

@Suite("Slow readers")
struct SlowReaderTests {
  static func stored(_ offset: UInt64, byteCount: Int = 1_000) -> Event {
    let notification = Notification(
      id: NotificationID(high: 1, low: offset), userID: "u", type: "t", priority: .normal,
      title: "n\(offset)", message: String(repeating: "m", count: byteCount),
      data: Array("{}".utf8), createdAt: 0, offset: offset)
    return Event(
      audience: .user("u"), body: .stored(notification, Counts(total: Int(offset))), timestamp: 0,
      offset: offset)
  }

  /// The audience of a burst, and so the logs that carry it.
  enum Burst: CaseIterable {
    case user, everyone, room, userBehindEveryone, roomBehindUser, userAndRoom

    func event(_ number: UInt64) -> Event {
      let text = String(repeating: "m", count: 1_000)
      let everyone = Event(
        audience: .everyone, body: TurnTests.broadcast(1_000).body, timestamp: 0)
      return switch self {
      case .user: stored(number)
      case .everyone: everyone
      case .room: RoomSessionTests.said(text)
      case .userBehindEveryone: number % 220 == 0 ? stored(number) : everyone
      case .roomBehindUser: number % 220 < 20 ? stored(number) : RoomSessionTests.said(text)
      // Enough ranges that they are copied together.
      case .userAndRoom: number % 2 == 0 ? stored(number) : RoomSessionTests.said(text)
      }
    }
  }

  // Case 62
  @Test(
    "a burst holds at most the limit for each of many zero-window clients",
    arguments: Burst.allCases, [0, 12_000])
  func zeroWindow(burst: Burst, taken: Int) throws {
    let fixture = try ShardFixture()
    let limit = fixture.core.configuration.limits.backlogBytesLimit
    let reader = try fixture.arrive("u", path: "/ws/connect")
    let stalledClients = try (0..<size(40, full: 1_000)).map { _ in
      try fixture.arrive("u", path: "/ws/connect")
    }
    for socket in [reader] + stalledClients { socket.connection.join("r") }
    try fixture.turn(4)
    _ = try reader.frames()
    // Only now, so that no client lags when the burst comes.
    for stalledClient in stalledClients {
      stalledClient.keeps = false
      stalledClient.room = 0
    }
    var told: UInt64 = 0
    // A whole burst in one turn, four times the backlog limit; for clients that take some bytes,
    // smaller bursts come first, so that they already lag.
    for count in (taken == 0 ? [] : [20, 20, 20]) + [220, 220, 220, 220] {
      for _ in 0..<count {
        told += 1
        try fixture.publish(burst.event(told))
      }
      try fixture.turn()
      for stalledClient in stalledClients where !stalledClient.connection.hasEnded {
        let buffer = stalledClient.connection.privateBuffer
        // The missing bytes stay in the logs, except the rest of a frame that was sent in part.
        let most = burst == .userAndRoom ? limit + limit / 10 : 8_192
        try #require(buffer.capacity <= most, "\(buffer.count) of \(buffer.capacity)")
        if count == 20 { stalledClient.open(for: taken) }
      }
      try fixture.turn()
    }
    #expect(fixture.core.metrics[0].value(.slowConsumers) == stalledClients.count)
    let heard = try reader.frames().filter { $0.contains("mmm") || $0.contains("xxx") }
    #expect(heard.count == Int(told))
    #expect(reader.connection.state == .session)
    // The connections go, with all that was held for them.
    try fixture.pass(milliseconds: 6_000)
    #expect(fixture.shard.connectionCount == 1)
    #expect(fixture.shard.blockedByteCount == 0)
  }

  // Case 62
  @Test(
    "a client that was only too busy to read gets a raised send buffer, once",
    arguments: Burst.allCases)
  func raisedBuffer(burst: Burst) throws {
    let fixture = try ShardFixture()
    let (late, zeroWindowClient, slow) = try (
      fixture.arrive("u", path: "/ws/connect"), fixture.arrive("u", path: "/ws/connect"),
      fixture.arrive("u", path: "/ws/connect")
    )
    for socket in [late, zeroWindowClient, slow] { socket.connection.join("r") }
    try fixture.turn(4)
    _ = try late.frames()
    for socket in [late, zeroWindowClient, slow] { socket.room = 0 }
    for socket in [late, zeroWindowClient] { socket.burstRoom = 1 << 20 }
    let limits = fixture.core.configuration.limits
    late.sleptMilliseconds = limits.zeroWindowMilliseconds - 1
    zeroWindowClient.sleptMilliseconds = limits.zeroWindowMilliseconds
    try fixture.tell(burst, 1...220)
    #expect(late.connection.state == .session)
    #expect(zeroWindowClient.connection.state != .session && slow.connection.state != .session)
    #expect(
      zeroWindowClient.burstRoom == 1 << 20, "the buffer of a zero-window client is not raised")
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 2)
    late.open()
    try fixture.turn(2)
    #expect(try late.frames().filter { $0.contains("mmm") || $0.contains("xxx") }.count == 220)
    // Not a second time.
    late.room = 0
    late.burstRoom = 1 << 20
    try fixture.tell(burst, 221...440)
    #expect(late.connection.state != .session)
  }

  // Case 62
  @Test("the heap is trimmed after the last of many slow clients, too", arguments: [true, false])
  func afterwards(areGone: Bool) throws {
    let fixture = try ShardFixture()
    // Each of these clients holds much memory.
    for _ in 0..<2 {
      let stalledClients = try (0..<20).map { _ in try fixture.arrive("u", path: "/api/ws") }
      for stalledClient in stalledClients { stalledClient.room = 0 }
      for offset in 1...50 { try fixture.publish(Self.stored(UInt64(offset))) }
      try fixture.turn(2)
      #expect(stalledClients.allSatisfy { $0.connection.isBlocked })
      #expect(fixture.shard.heapTrimDelayMilliseconds == nil)
      // As before a log overwrites their ranges.
      for stalledClient in stalledClients { stalledClient.connection.copyOutRanges() }
      for stalledClient in stalledClients {
        if areGone { stalledClient.connection.end() } else { stalledClient.open() }
      }
      try fixture.turn(2)
      #expect(!stalledClients.contains { $0.connection.isBlocked })
      #expect(fixture.shard.heapTrimDelayMilliseconds == 5_000)
      try fixture.pass(milliseconds: 5_000)
      #expect(fixture.shard.heapTrimDelayMilliseconds == nil)
      for stalledClient in stalledClients where !areGone { stalledClient.connection.end() }
    }
  }

  // Cases 62, 81
  @Test(
    "pinned ranges are copied out before their log overwrites them", arguments: [0, 5_000])
  func copiedOut(taken: Int) throws {
    let fixture = try ShardFixture()
    let behind = try fixture.arrive("u", path: "/ws/connect")
    let others = try ["v", "w"].map { try fixture.arrive($0, path: "/ws/connect") }
    for socket in [behind] + others { socket.connection.join("r") }
    for socket in others { socket.connection.join("s") }
    try fixture.turn(4)
    _ = try behind.frames()
    behind.room = taken
    for number in 1...12 {
      try fixture.publish(RoomSessionTests.said("#\(number)#" + Self.text, in: "r"))
      try fixture.publish(RoomSessionTests.own("#\(number)#" + Self.text, "u"))
      if number % 4 == 0 { try fixture.turn() }
    }
    #expect(behind.connection.privateBuffer.count == 0 && behind.connection.isBlocked)
    let capacity = fixture.core.configuration.limits.frameLogCapacity
    // Other traffic wraps each of the two logs three times, with some messages in between for the
    // blocked client.
    for number in 0..<(3 * capacity / 1_000) {
      let text = "#other#" + Self.text
      try fixture.publish(RoomSessionTests.said(text, in: "s"))
      try fixture.publish(RoomSessionTests.own(text, "v"))
      if number % 600 == 0 {
        try fixture.publish(RoomSessionTests.own("#\(13 + number / 600)#", "u"))
      }
      if number % 100 == 0 { try fixture.turn() }
      for other in others { other.received = [] }
    }
    try fixture.turn()
    #expect(behind.connection.privateBuffer.count > 15_000)
    behind.open()
    try fixture.turn(2)
    let heard = try behind.frames().compactMap { $0.split(separator: "#").dropFirst().first }
    let due = (1...12).flatMap { ["\($0)", "\($0)"] } + (13...18).map { "\($0)" }
    #expect(heard.map(String.init) == due)
    #expect(!fixture.shard.hasPinnedRanges)
  }

  /// Nearly the longest possible notification: most of its text takes six bytes a character.
  private static let longest: Notification = {
    let url = "https://" + String(repeating: "u", count: Draft.urlByteCountLimit - 8)
    let action = #"{"label":"l","url":"\#(url)"}"#
    let actions = [String](repeating: action, count: Draft.actionCountLimit)
    return Notification(
      id: NotificationID(high: 1, low: 1), userID: "u", type: "t",
      title: String(repeating: "\u{1}", count: Draft.titleByteCountLimit),
      message: String(repeating: "\u{1}", count: Draft.messageByteCountLimit),
      data: Array(#"{"x":"\#(String(repeating: "x", count: 16_000))"}"#.utf8), entityURL: url,
      actions: Array("[\(actions.joined(separator: ","))]".utf8), createdAt: 0, offset: 1)
  }()

  // Case 81
  @Test("frames for single clients are written over again only once all are sent")
  func rewound() throws {
    let fixture = try ShardFixture()
    let reader = try fixture.arrive("v", path: "/ws/connect")
    let slow = try fixture.arrive("u", path: "/ws/connect")
    try fixture.turn(2)
    _ = try slow.frames()
    #expect(fixture.shard.directLogStart == fixture.shard.directLogEnd)
    slow.room = 0
    try fixture.publish(RoomSessionTests.own("#1#" + Self.text, "u"))
    try fixture.turn()
    #expect(slow.connection.isBlocked && fixture.shard.hasPinnedRanges)
    for _ in 0..<4 {
      try fixture.publish(RoomSessionTests.own("#other#" + Self.text, "v"))
      try fixture.turn()
    }
    let held = fixture.shard.directLogEnd - fixture.shard.directLogStart
    #expect(held > 5 * Self.text.utf8.count)
    slow.open()
    try fixture.turn(2)
    let received = try slow.frames().compactMap { $0.split(separator: "#").dropFirst().first }
    #expect(received.map(String.init) == ["1"])
    #expect(try reader.frames().filter { $0.contains("#other#") }.count == 4)
    #expect(fixture.shard.directLogStart == fixture.shard.directLogEnd)
  }

  @Test(
    "an event that is long in many dialects overwrites no pinned range",
    arguments: [560, 590, 610, 630])
  func longest(kilobytesBehind: Int) throws {
    let fixture = try ShardFixture()
    let devices = try DialectRegistry.ofUsers.flatMap { dialect in
      try ["", "?since=test.0"].map { query in
        let device = try fixture.arrive("u", path: dialect.path, query: query)
        if !query.isEmpty { try fixture.store.answer(ReplaySessionTests.page([], through: 0)) }
        return device
      }
    }
    let (behind, other) = (try fixture.arrive("v"), try fixture.arrive("w"))
    try fixture.turn(4)
    _ = try behind.frames()
    behind.room = 0
    let start = fixture.shard.directLogEnd
    for number in 1...12 {
      try fixture.publish(RoomSessionTests.own("#\(number)#" + Self.text, "v"))
    }
    while fixture.shard.directLogEnd - start < kilobytesBehind * 1_024 {
      for _ in 0..<10 { try fixture.publish(RoomSessionTests.own(Self.text, "w")) }
      try fixture.turn()
      other.received = []
    }
    let end = fixture.shard.directLogEnd
    try fixture.publish(
      Event(
        audience: .user("u"), body: .stored(Self.longest, Counts(total: 1)), timestamp: 0, offset: 1
      ))
    try fixture.turn()
    let added = fixture.shard.directLogEnd - end
    #expect(added > ShardView.flushBytes + UInt64(ShardView.largestFrameBytes))
    // An event stream gets only its short form.
    #expect(devices.count { $0.received.count > 40_000 } == 8)
    behind.open()
    try fixture.turn(2)
    let heard = try behind.frames().compactMap { $0.split(separator: "#").dropFirst().first }
    #expect(heard.map(String.init) == (1...12).map { "\($0)" })
  }

  // Case 62
  @Test func `small ranges that are many are copied together in order`() throws {
    let fixture = try ShardFixture()
    let behind = try fixture.arrive("u", path: "/ws/connect")
    behind.connection.join("r")
    try fixture.turn(4)
    _ = try behind.frames()
    behind.room = 0
    for number in 1...50 {
      try fixture.publish(RoomSessionTests.said("#\(number)#", in: "r"))
      try fixture.publish(RoomSessionTests.own("#\(number)#", "u"))
      if number % 5 == 0 { try fixture.turn() }
      #expect(behind.connection.rangeCount <= 32)
    }
    #expect(behind.connection.privateBuffer.count > 0)
    behind.open()
    try fixture.turn(2)
    let heard = try behind.frames().compactMap { $0.split(separator: "#").dropFirst().first }
    #expect(heard.map(String.init) == (1...50).flatMap { ["\($0)", "\($0)"] })
  }

  private static let text = String(repeating: "m", count: 900)

  // Case 62
  @Test func `ranges that a lagging client has read are not kept`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.arrive("u", path: "/api/ws")
    try fixture.turn()
    peer.room = 0
    for offset in 1...20 { try fixture.publish(Self.stored(UInt64(offset))) }
    try fixture.turn()
    var largest = 0
    for offset in 21...2_000 {
      try fixture.publish(Self.stored(UInt64(offset)))
      // About as much as it is sent, so that it neither catches up nor falls further behind.
      peer.open(for: Self.frameBytes(offset))
      try fixture.turn()
      try #require(peer.connection.state == .session)
      try #require(peer.connection.isBlocked)
      largest = max(largest, peer.connection.privateBuffer.capacity)
    }
    #expect(largest <= 2 * fixture.core.configuration.limits.backlogBytesLimit)
    peer.open()
    try fixture.turn(until: { !peer.connection.isBlocked })
    let titles = try peer.frames().map {
      $0.split(separator: #""title":""#)[1].prefix { $0 != "\"" }
    }
    #expect(titles == (1...2_000).map { "n\($0)" })
    #expect(peer.connection.privateBuffer.capacity == 0)
  }

  // Case 62
  @Test func `answers that a lagging client has read are not kept`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.arrive()
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    peer.send(request)
    try fixture.turn(until: { peer.receivedCount > 0 })
    let answerBytes = peer.receivedCount
    peer.keeps = false
    peer.room = 0
    peer.send(String(repeating: request, count: 100))
    try fixture.turn(2)
    var largest = 0
    for _ in 0..<500 {
      peer.send(String(repeating: request, count: 20))
      peer.open(for: 20 * answerBytes)
      try fixture.turn()
      try #require(peer.connection.isBlocked)
      largest = max(largest, peer.connection.privateBuffer.capacity)
    }
    #expect(largest <= 4 * fixture.core.configuration.limits.responseBytesLimit)
  }

  /// The size of the frame of the notification at that offset.
  private static func frameBytes(_ offset: Int) -> Int {
    var frames = FrameWriter(epoch: nil)
    FlatDialect().write(stored(UInt64(offset)), to: &frames)
    return frames.bytes.count
  }
}

extension ShardFixture {
  /// Publishes a burst in two turns.
  ///
  /// A blocked client exceeds the limit in the second turn if the burst is for everyone.
  fileprivate func tell(_ burst: SlowReaderTests.Burst, _ numbers: ClosedRange<UInt64>) throws {
    for number in numbers.dropLast() { try publish(burst.event(number)) }
    try turn()
    try publish(burst.event(numbers.last!))
    try turn()
  }
}
