// Notifications for everyone, turn by turn: each session reads them from the store in their order
// among its user's own.

import Notifications
import TestSupport
import Testing
import Wire

@testable import Server

@Suite("Catching up with notifications for everyone")
struct CatchUpTests {
  static func everyone(_ offset: UInt64) -> Event {
    Event(audience: .everyone, body: .storedForEveryone, timestamp: 0, offset: offset)
  }

  static func expired(_ offset: UInt64, _ ids: [NotificationID]) -> Event {
    Event(audience: .everyone, body: .expiredForEveryone(ids), timestamp: 0, offset: offset)
  }

  /// A live session without its first frames, which have been read.
  static func live(
    _ fixture: ShardFixture, _ dialect: any Dialect = EventDialect(), since: String? = "test.0",
    of user: String = "u"
  ) throws -> TestPeer {
    let peer: TestPeer
    if dialect is StreamDialect {
      peer = try EventStreamTests.stream(fixture, user, lastID: since)
    } else {
      peer = try fixture.session(user, path: dialect.path, since: since)
    }
    if since != nil {
      try fixture.turn(until: { !fixture.store.reads.isEmpty })
      try fixture.store.answer(ReplaySessionTests.page([], through: 0))
    }
    try fixture.turn(until: {
      !peer.connection.isReplaying
        && peer.connection.state == .session
    })
    try fixture.turn(2)
    peer.receive()
    peer.received = []
    return peer
  }

  /// The framing of the sessions that `live` begins.
  private static func framing(of dialect: any Dialect) -> Framing {
    dialect is StreamDialect ? .chunkedEventStream : .webSocket
  }

  /// Turns until the store is asked for the notifications after `offset`.
  static func awaitQuestion(_ fixture: ShardFixture, after offset: UInt64) throws {
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    guard case .missed("u", offset, _) = fixture.store.reads[0].query else {
      Issue.record("\(fixture.store.reads[0].query)")
      return
    }
  }

  /// The text without its timestamps.
  static func timeless(_ bytes: [UInt8]) -> String {
    var text = bytes.text
    let name = #""timestamp":""#
    while let start = text.firstRange(of: name) {
      text.removeSubrange(start.lowerBound..<text.index(start.upperBound, offsetBy: 25))
    }
    return text
  }

  @Test func `notifications for everyone keep their order among the user's own`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.live(fixture, since: nil)
    try fixture.publish(ReplaySessionTests.stored(1))
    try fixture.publish(Self.everyone(2))
    try fixture.publish(ReplaySessionTests.stored(3))
    try Self.awaitQuestion(fixture, after: 1)
    #expect(ReplaySessionTests.titles(try peer.frames()) == ["n1", "stats"])
    try fixture.publish(Self.everyone(4))
    try fixture.turn(2)
    #expect(fixture.store.reads.count == 1)
    // The read ended before the fourth was committed.
    try fixture.store.answer(ReplaySessionTests.page([2, 3], through: 3))
    try Self.awaitQuestion(fixture, after: 3)
    try fixture.store.answer(ReplaySessionTests.page([4], through: 4))
    try fixture.turn(3)
    try fixture.publish(ReplaySessionTests.stored(5))
    try fixture.turn(3)
    #expect(
      ReplaySessionTests.titles(try peer.frames()) == ["n2", "n3", "n4", "stats", "n5", "stats"])
    let metrics = fixture.core.metrics[0]
    #expect(metrics.value(.catchUps) == 1)
    #expect(metrics.value(.replays) == 0 && metrics.value(.replayedNotifications) == 0)
    #expect(metrics.value(.resyncs) == 0)
  }

  @Test("a notification for everyone is written like any other", arguments: [true, false])
  func encoded(sendsCursors: Bool) throws {
    for dialect in sendsCursors ? DialectRegistry.ofUsers : DialectRegistry.webSockets {
      let fixture = try ShardFixture()
      let peer: TestPeer
      if sendsCursors {
        peer = try Self.live(fixture, dialect)
      } else if dialect.greetsWithCounts {
        peer = try InboxSessionTests.greeted(fixture)
      } else {
        peer = try Self.live(fixture, dialect, since: nil)
      }
      try fixture.publish(Self.everyone(1))
      try Self.awaitQuestion(fixture, after: 0)
      try fixture.store.answer(ReplaySessionTests.page([1], through: 1))
      try fixture.turn(3)
      var frames = FrameWriter(
        epoch: sendsCursors ? "test" : nil, framing: Self.framing(of: dialect))
      dialect.write(ReplaySessionTests.stored(1), to: &frames)
      #expect(Self.timeless(peer.receive()) == Self.timeless(frames.bytes), "\(dialect.name)")
      #expect(!peer.received.isEmpty)
    }
  }

  @Test func `an expired notification for everyone is sent as a deletion`() throws {
    for dialect in DialectRegistry.ofUsers {
      let fixture = try ShardFixture()
      let peer = try Self.live(fixture, dialect)
      try fixture.publish(Self.expired(1, [DialectTests.id]))
      try Self.awaitQuestion(fixture, after: 0)
      try fixture.store.answer(ReplaySessionTests.page([], through: 1))
      try fixture.turn(3)
      var frames = FrameWriter(epoch: "test", framing: Self.framing(of: dialect))
      let deleted = Event(
        audience: .user("u"), body: .deleted([DialectTests.id], ReplaySessionTests.counts(1)),
        timestamp: 0)
      dialect.write(deleted, to: &frames)
      #expect(Self.timeless(peer.receive()) == Self.timeless(frames.bytes), "\(dialect.name)")
    }
  }

  @Test func `an inbox gets the unread count when the notification has expired by the read`() throws
  {
    let fixture = try ShardFixture()
    let peer = try InboxSessionTests.greeted(fixture)
    try fixture.publish(Self.everyone(1))
    try Self.awaitQuestion(fixture, after: 0)
    try fixture.store.answer(ReplaySessionTests.page([], through: 1))
    try fixture.turn(3)
    #expect(try peer.frames() == [#"{"type":"unread_count","unreadCount":0}"#])
  }

  @Test func `an inbox gets the unread count when a muted notification follows another`() throws {
    let fixture = try ShardFixture()
    let peer = try InboxSessionTests.greeted(fixture)
    func page(_ offsets: [UInt64], through: UInt64) -> StoreAnswer {
      let rows = offsets.map { ReplaySessionTests.notification($0) }
      let counts = InboxSessionTests.counts(through)
      return .missed(rows, through: through, next: nil, total: rows.count, counts)
    }
    try fixture.publish(Self.everyone(1))
    try Self.awaitQuestion(fixture, after: 0)
    try fixture.publish(Self.everyone(2))
    try fixture.turn(2)
    // The read ended before the second notification, which this user has muted.
    try fixture.store.answer(page([1], through: 1))
    try Self.awaitQuestion(fixture, after: 1)
    try fixture.store.answer(page([], through: 2))
    try fixture.turn(3)
    let told = try peer.frames()
    #expect(told.count == 2)
    #expect(told.first?.contains(#""new_notification""#) == true)
    #expect(told.last == #"{"type":"unread_count","unreadCount":2}"#)
  }

  @Test func `a resuming session reads on and gets each notification once`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u", since: "test.0")
    try Self.awaitQuestion(fixture, after: 0)
    try fixture.publish(ReplaySessionTests.stored(1))
    try fixture.publish(Self.everyone(2))
    try fixture.publish(Self.expired(3, [NotificationID(high: 1, low: 1)]))
    try fixture.turn(2)
    #expect(fixture.store.reads.count == 1)
    try fixture.store.answer(ReplaySessionTests.page([1], through: 1))
    // The read ended before the expiry, so its page is stale.
    try Self.awaitQuestion(fixture, after: 0)
    try fixture.store.answer(ReplaySessionTests.page([2], through: 3))
    try fixture.turn(3)
    let texts = try peer.frames()
    #expect(
      ReplaySessionTests.titles(texts)
        == ["connection:established", "n2", "notification:deleted", "stats"])
    #expect(fixture.core.metrics[0].value(.catchUps) == 0)
  }

  @Test func `a pending fetch is answered after the catch-up, which waits for its read`() throws {
    let fixture = try ShardFixture()
    let peer = try InboxSessionTests.greeted(fixture)
    peer.say(#"{"type":"fetch_notifications","limit":7}"#)
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.publish(Self.everyone(1))
    try fixture.turn(until: { fixture.shard.storeReads.waiting == 1 })
    try fixture.store.answer(.page([], next: nil, InboxSessionTests.counts(0)))
    try Self.awaitQuestion(fixture, after: 0)
    try fixture.store.answer(ReplaySessionTests.page([1], through: 1))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    let query = fixture.store.reads[0].query
    guard case .page("u", 7, nil, false, nil, .collapsed, _) = query else {
      Issue.record("\(query)")
      return
    }
    let told = try peer.frames()
    #expect(told.count == 1 && told[0].contains("new_notification"))
    try fixture.store.answer(.page([], next: nil, InboxSessionTests.counts(1)))
    try fixture.turn(3)
    #expect(
      try peer.frames() == [
        #"{"type":"notification_update","unreadCount":1,"notifications":[]}"#
      ])
  }

  @Test func `a fragmented message continues across a catch-up`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.live(fixture, since: nil)
    func fragment(_ text: String, _ first: UInt8) {
      peer.send([first, UInt8(0x80 | text.utf8.count), 0, 0, 0, 0] + Array(text.utf8))
    }
    fragment(#"{"type":"#, 0x01)
    try fixture.turn(3)
    try fixture.publish(Self.everyone(1))
    try Self.awaitQuestion(fixture, after: 0)
    try fixture.store.answer(ReplaySessionTests.page([1], through: 1))
    try fixture.turn(3)
    #expect(ReplaySessionTests.titles(try peer.frames()) == ["n1", "stats"])
    fragment(#""ping"}"#, 0x80)
    try fixture.turn(3)
    #expect(try peer.frames().first?.contains("pong") == true)
  }

  @Test func `a blocked client gets everything in order once it reads again`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.live(fixture, since: nil)
    fixture.script.room[peer.serverDescriptor] = 10
    try fixture.publish(ReplaySessionTests.stored(1))
    try fixture.turn(2)
    #expect(peer.connection.isBlocked)
    try fixture.publish(Self.everyone(2))
    try fixture.publish(ReplaySessionTests.stored(3))
    try fixture.turn(2)
    #expect(fixture.store.reads.isEmpty, "nothing is read for a client that takes nothing")
    fixture.script.room[peer.serverDescriptor] = nil
    try Self.awaitQuestion(fixture, after: 1)
    try fixture.store.answer(ReplaySessionTests.page([2, 3], through: 3))
    try fixture.turn(until: { !peer.connection.isReplaying })
    try fixture.turn()
    #expect(
      ReplaySessionTests.titles(try peer.frames())
        == ["n1", "stats", "n2", "n3", "stats"])
  }

  @Test func `a client that has not authenticated gets nothing`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session(nil, path: InboxSessionTests.path)
    try fixture.publish(Self.everyone(1))
    try fixture.turn(3)
    #expect(fixture.store.reads.isEmpty)
    #expect(try peer.frames() == [])
  }

  @Test func `a catch-up wakes a poll, also during the poll's own read of the store`() throws {
    let fixture = try ShardFixture()
    let peer = try PollTests.poll(fixture)
    try fixture.publish(Self.everyone(6))
    try fixture.turn(2)
    try fixture.store.answer(ReplaySessionTests.page([], through: 5))
    try Self.awaitQuestion(fixture, after: 5)
    try fixture.store.answer(ReplaySessionTests.page([], through: 6))
    try fixture.turn(2)
    #expect(peer.receive().isEmpty)
    try fixture.publish(Self.everyone(7))
    try Self.awaitQuestion(fixture, after: 6)
    try fixture.store.answer(ReplaySessionTests.page([7], through: 7))
    try fixture.turn(until: { PollTests.isAnswered(peer, with: #""cursor":"test.7""#) })
    #expect(peer.received.text.contains(#""title":"n7""#))
  }

  // Each of them took one of the reads of the shard, and never returned it.
  @Test func `a session that ends before its user's turn returns its read`() throws {
    let fixture = try ShardFixture()
    let peers = try (0..<5).map { _ in try Self.live(fixture, since: nil) }
    try fixture.publish(Self.everyone(1))
    try fixture.turn(until: { fixture.shard.catchUpReadCount == 5 })
    #expect(fixture.store.reads.count == 1)
    for peer in peers.dropFirst() { peer.connection.end() }
    try fixture.store.answer(ReplaySessionTests.page([1], through: 1))
    try fixture.turn(3)
    #expect(fixture.shard.catchUpReadCount == 0 && fixture.store.reads.isEmpty)
  }

  // There was memory, but not for a page of a replay.
  @Test func `a session waits while there is no memory for its read`() throws {
    let fixture = try ShardFixture { $0.limits.blockedBytesLimit = 512 << 10 }
    let peer = try Self.live(fixture, since: nil)
    try fixture.publish(Self.everyone(1))
    for _ in 0..<5 { try fixture.pass(milliseconds: CatchUps.pauseMilliseconds) }
    #expect(peer.connection.state == .session && fixture.store.reads.isEmpty)
  }

  @Test func `a session whose turn comes while memory is short waits, too`() throws {
    // Memory for one page of a replay, and some.
    let fixture = try ShardFixture { $0.limits.blockedBytesLimit = 1_536 << 10 }
    let peer = try Self.live(fixture, since: nil)
    let other = try fixture.connect()
    other.send(
      "GET /api/v1/notifications/stats HTTP/1.1\r\nHost: x\r\n"
        + "Authorization: Bearer \(ShardFixture.token("u"))\r\n\r\n")
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.publish(Self.everyone(1))
    try fixture.turn(until: { fixture.shard.catchUpReadCount == 1 })
    // Another user takes the memory before the user's turn.
    let resuming = try fixture.session("v", since: "test.0")
    try fixture.turn(until: { fixture.store.reads.count == 2 })
    try fixture.store.answer(.counts(Counts()))
    try fixture.turn(3)
    #expect(peer.connection.state == .session && fixture.store.reads.count == 1)
    try fixture.store.answer(ReplaySessionTests.page([], through: 0))
    try fixture.turn(until: { !resuming.connection.isReplaying })
    try fixture.pass(milliseconds: CatchUps.pauseMilliseconds)
    try Self.awaitQuestion(fixture, after: 0)
    try fixture.store.answer(ReplaySessionTests.page([1], through: 1))
    try fixture.turn(3)
    #expect(ReplaySessionTests.titles(try peer.frames()) == ["n1", "stats"])
  }

  @Test func `catch-up reads are bounded, and no session ends while the store is full`() throws {
    let fixture = try ShardFixture()
    let peers = try (0..<150).map { try Self.live(fixture, since: nil, of: "u\($0)") }
    fixture.store.isFull = true
    try fixture.publish(Self.everyone(1))
    try fixture.turn(3)
    fixture.store.isFull = false
    try fixture.turn(2)
    #expect(fixture.store.reads.isEmpty, "the shard pauses before it asks the store again")
    try fixture.pass(milliseconds: CatchUps.pauseMilliseconds)
    #expect(fixture.shard.catchUpReadCount == CatchUps.readLimit)
    #expect(fixture.store.reads.count == StoreReads.kindLimit)
    // One session with a read under way ends, and two of the waiting ones.
    for index in [0, 100, 101] { peers[index].connection.end() }
    var answered = 0
    while answered < 148 {
      try fixture.turn(until: { !fixture.store.reads.isEmpty })
      #expect(fixture.store.reads.count <= StoreReads.kindLimit)
      try fixture.store.answer(ReplaySessionTests.page([1], through: 1))
      answered += 1
    }
    try fixture.turn(3)
    for (index, peer) in peers.enumerated() where ![0, 100, 101].contains(index) {
      #expect(ReplaySessionTests.titles(try peer.frames()) == ["n1", "stats"])
    }
    #expect(fixture.shard.catchUpReadCount == 0)
    #expect(fixture.store.reads.isEmpty)
  }

  @Test func `a client that cannot keep up with expired notifications is cut`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.live(fixture)
    for offset in 1...9 {
      let ids = (0..<256).map { NotificationID(high: UInt64(offset), low: $0) }
      try fixture.publish(Self.expired(UInt64(offset), ids))
      try fixture.turn(2)
    }
    #expect(try peer.frames().last == "close 1013")
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 1)
  }

  /// The store and the ring as one history, as for a resuming session; this session is live.
  @Test func `no notification is lost, doubled or out of order in random histories`() throws {
    var random = SeededGenerator.announced()
    for _ in 0..<30 {
      let fixture = try ShardFixture()
      var rows: [UInt64] = []
      var committed: [Event] = []
      func commit() {
        let offset = UInt64(committed.count + 1)
        switch random.next() % 6 {
        case 0 where !rows.isEmpty:
          let victim = rows.remove(at: Int(random.next() % UInt64(rows.count)))
          let ids = [NotificationID(high: 1, low: victim)]
          let body = Event.Body.deleted(ids, ReplaySessionTests.counts(offset))
          committed.append(
            random.next() % 2 == 0
              ? Self.expired(offset, ids)
              : Event(audience: .user("u"), body: body, timestamp: 0, offset: offset))
        case 1...3:
          rows.append(offset)
          committed.append(Self.everyone(offset))
        default:
          rows.append(offset)
          committed.append(ReplaySessionTests.stored(offset))
        }
      }
      let peer = try Self.live(fixture, since: nil)
      var client = ResumingClient()
      var published = 0
      var steps = 0
      while steps < 80 || published < committed.count
        || fixture.shard.appliedOffset < UInt64(committed.count)
        || peer.connection.isReplaying
      {
        steps += 1
        switch random.next() % 4 {
        case 0 where steps < 60: commit()
        case 1 where published < committed.count:
          try fixture.publish(committed[published])
          published += 1
        case 2 where !fixture.store.reads.isEmpty:
          guard case .missed(_, let after, _) = fixture.store.reads[0].query else { continue }
          let left = rows.filter { $0 > after }
          let page = Array(left.prefix(2))
          try fixture.store.answer(
            .missed(
              page.map { ReplaySessionTests.notification($0) }, through: UInt64(committed.count),
              next: page.count == left.count ? nil : page.last, total: left.count,
              ReplaySessionTests.counts(UInt64(committed.count))))
        default: try fixture.turn()
        }
        try client.take(peer.frames())
      }
      try fixture.turn(3)
      try client.take(peer.frames())
      #expect(client.isSound)
      #expect(client.rows == rows, "\(client.log)")
      #expect(client.version == UInt64(committed.count) || committed.isEmpty)
    }
  }
}

extension ReplaySessionTests {
  /// The subject of each frame of the `event` dialect: a title, `stats`, or the event's name.
  static func titles(_ texts: [String]) -> [String] {
    texts.map { text in
      if text.contains("stats:updated") { return "stats" }
      for name in [#""title":""#, #""event":""#] {
        if let start = text.firstRange(of: name)?.upperBound {
          return String(text[start...].prefix { $0 != "\"" })
        }
      }
      return text
    }
  }
}
