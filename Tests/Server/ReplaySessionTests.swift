// Resuming, turn by turn: the store's answers and the ring's events in every order that matters.

import Notifications
import TestSupport
import Testing

@testable import Server

@Suite("A session that resumes")
struct ReplaySessionTests {
  static func notification(_ offset: UInt64) -> Notification {
    Notification(
      id: NotificationID(high: 1, low: offset), userID: "u", type: "t", priority: .normal,
      title: "n\(offset)", message: "", data: Array("{}".utf8), createdAt: 0, offset: offset)
  }

  static func stored(_ offset: UInt64) -> Event {
    Event(
      audience: .user("u"), body: .stored(notification(offset), counts(offset)), timestamp: 0,
      offset: offset)
  }

  /// Counts that show their version in their total.
  static func counts(_ version: UInt64) -> Counts {
    Counts(total: Int(version), unread: 0, unseen: 0, version: version)
  }

  static func page(
    _ offsets: [UInt64], through: UInt64, next: UInt64? = nil
  ) -> StoreAnswer {
    .missed(
      offsets.map { notification($0) }, through: through, next: next, total: offsets.count,
      counts(through))
  }

  @Test func `answers to a client that resumes and does not read are bounded`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u", since: "0")
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    fixture.script.room[peer.serverDescriptor] = 0
    var largest = 0
    for _ in 0..<4_000 where peer.connection.state == .session {
      for _ in 0..<16 { peer.say(#"{"type":"ping"}"#) }
      try fixture.turn()
      largest = max(largest, peer.connection.queuedByteCount)
    }
    #expect(!peer.connection.hasEnded)
    #expect(peer.connection.state == .closing)
    let limits = fixture.core.configuration.limits
    #expect(largest <= limits.backlogBytesLimit + ShardView.missedBytesLimit + 4_096)
  }

  @Test func `a blocked client that resumes never keeps an overwritten range of its log`() throws {
    // The largest backlog that the command line allows.
    let fixture = try ShardFixture { $0.limits.backlogBytesLimit = 256 * 1_024 }
    let peer = try fixture.session("u", since: "0")
    let other = try fixture.session("v", since: "0")
    fixture.script.room[peer.serverDescriptor] = 0
    for _ in 0..<40 {
      for _ in 0..<4 { try fixture.publish(TurnTests.broadcast(30 * 1_024)) }
      try fixture.turn()
      other.receive()
      other.received = []
      guard peer.connection.state == .session else { break }
      #expect(peer.connection.isGroupCursorInLog)
    }
    #expect(peer.connection.state == .closing)
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 1)
  }

  @Test func `a change of a sent notification is sent even long after its page`() throws {
    let fixture = try ShardFixture()
    for offset in 1...2 { try fixture.publish(Self.stored(UInt64(offset))) }
    let peer = try fixture.session("u", since: "0")
    var texts: [String] = []
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.store.answer(Self.page([1], through: 2, next: 1))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    // The first notification is deleted now: the reader sees it before the ring brings it.
    try fixture.store.answer(Self.page([2], through: 3))
    try fixture.turn(3)
    try fixture.publish(
      Event(
        audience: .user("u"), body: .deleted([NotificationID(high: 1, low: 1)], Self.counts(3)),
        timestamp: 0, offset: 3))
    try fixture.turn(until: {
      texts += (try? peer.frames()) ?? []
      return texts.filter { $0.contains("stats:updated") }.count == 2
    })
    let deleted = NotificationID(high: 1, low: 1).text
    #expect(
      texts.contains { $0.contains("notification:deleted") && $0.contains(deleted) })
    #expect(texts.filter { $0.contains("notification:new") }.count == 2)
    #expect(!peer.connection.isReplaying)
  }

  @Test func `a session that begins now is greeted before it gets a change`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u", since: "")
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.publish(
      Event(
        audience: .user("u"), body: .deleted([NotificationID(high: 1, low: 1)], Self.counts(5)),
        timestamp: 0, offset: 5))
    try fixture.turn(3)
    #expect(try peer.frames().isEmpty)
    try fixture.store.answer(.position(4, Self.counts(4)))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.store.answer(.position(5, Self.counts(5)))
    try fixture.turn(until: { peer.connection.state == .session && !peer.receive().isEmpty })
    let texts = try peer.frames()
    #expect(texts.count == 1 && texts[0].contains("connection:established"))
    #expect(texts[0].contains(#""cursor":"test.5""#))
    // Live from here on.
    try fixture.publish(Self.stored(6))
    try fixture.turn(until: { !peer.receive().isEmpty })
    #expect(try peer.frames()[0].contains("notification:new"))
  }

  @Test func `a session that begins now gets what is published after it was opened`() throws {
    let fixture = try ShardFixture()
    fixture.store.metrics.lastOffset = 4
    let peer = try fixture.session("u", since: "")
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    // Its client has the head of the response, so it expects this one.
    try fixture.publish(Self.stored(5))
    try fixture.turn(3)
    try fixture.store.answer(.position(5, Self.counts(5)))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    guard case .missed(_, after: 4, _) = fixture.store.reads[0].query else {
      Issue.record("read \(fixture.store.reads[0].query)")
      return
    }
    try fixture.store.answer(Self.page([5], through: 5))
    try fixture.turn(until: { !peer.connection.isReplaying })
    let texts = try peer.frames()
    #expect(texts[0].contains("connection:established"))
    #expect(texts[0].contains(#""cursor":"test.4""#))
    #expect(texts[1].contains("notification:new") && texts[1].contains(#""title":"n5""#))
  }

  @Test func `a session that begins now does not get what was published before`() throws {
    let fixture = try ShardFixture()
    // Its commit came before the session, and its event comes after it.
    fixture.store.metrics.lastOffset = 4
    let peer = try fixture.session("u", since: "")
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.publish(Self.stored(4))
    try fixture.turn(3)
    try fixture.store.answer(.position(4, Self.counts(4)))
    try fixture.turn(until: { !peer.connection.isReplaying })
    #expect(fixture.store.reads.isEmpty)
    let texts = try peer.frames()
    #expect(texts.count == 1 && texts[0].contains(#""cursor":"test.4""#))
  }

  // Case 99
  /// The store and the ring as one history: a writer that commits, readers that see commits before
  /// the ring does, and a client that is compared with both.
  @Test func `nothing is lost, doubled or out of order in random histories`() throws {
    var random = SeededGenerator.announced()
    for _ in 0..<50 {
      try Self.resume(&random)
    }
  }

  private static func resume(_ random: inout SeededGenerator) throws {
    let fixture = try ShardFixture()
    var committed: [Event] = []
    var published = 0
    var rows: [UInt64] = []
    func commit() {
      let offset = UInt64(committed.count + 1)
      if let victim = rows.randomElement(using: &random), random.next() % 3 == 0 {
        rows.removeAll { $0 == victim }
        committed.append(
          Event(
            audience: .user("u"),
            body: .deleted([NotificationID(high: 1, low: victim)], counts(offset)), timestamp: 0,
            offset: offset))
      } else {
        rows.append(offset)
        committed.append(stored(offset))
      }
    }
    for _ in 0..<Int.random(in: 0..<8, using: &random) { commit() }
    for event in committed { try fixture.publish(event) }
    published = committed.count
    try fixture.turn()
    let peer = try fixture.session("u", since: "0")
    var client = ResumingClient()
    var steps = 0
    while steps < 60 || published < committed.count
      || peer.connection.isReplaying
    {
      steps += 1
      switch random.next() % 4 {
      case 0 where steps < 40: commit()
      case 1 where published < committed.count:
        try fixture.publish(committed[published])
        published += 1
      case 2 where !fixture.store.reads.isEmpty:
        guard case .missed(_, let after, _) = fixture.store.reads[0].query else { continue }
        let left = rows.filter { $0 > after }
        let page = Array(left.prefix(2))
        try fixture.store.answer(
          .missed(
            page.map { notification($0) }, through: UInt64(committed.count),
            next: page.count == left.count ? nil : page.last, total: left.count,
            counts(UInt64(committed.count))))
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

/// The state that a client derives from its frames.
struct ResumingClient {
  var rows: [UInt64] = []
  var version: UInt64 = 0
  /// Whether nothing came twice, out of order, or with counts that go back.
  var isSound = true
  var log: [String] = []
  private var newest: UInt64 = 0

  mutating func take(_ texts: [String]) throws {
    for text in texts {
      log.append(text)
      if text.contains("notification:new") {
        let offset = try #require(number(behind: #""title":"n"#, in: text))
        if offset <= newest { isSound = false }
        newest = offset
        rows.append(offset)
      } else if text.contains("notification:deleted") {
        let id = try #require(text.range(behind: #""id":""#))
        let name = String(text[id...].prefix(36))
        rows.removeAll { NotificationID(high: 1, low: $0).text == name }
      } else if text.contains("stats:updated") {
        let total = try #require(number(behind: #""total":"#, in: text))
        if total < version { isSound = false }
        version = total
      }
    }
  }

  private func number(behind name: String, in text: String) -> UInt64? {
    guard let start = text.range(behind: name) else { return nil }
    return UInt64(text[start...].prefix { $0.isNumber })
  }
}

extension String {
  /// The index at which the text after the first `name` begins.
  fileprivate func range(behind name: String) -> Index? {
    firstRange(of: name)?.upperBound
  }
}
