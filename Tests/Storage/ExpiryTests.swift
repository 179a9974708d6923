// Expiry: expired notifications leave every inbox, in bounded steps, with an event for their users.

import Notifications
import Storage
import TestSupport
import Testing

@Suite("Expiry", .timeLimit(.minutes(10)))
struct ExpiryTests {
  private func content(_ expiresAt: Int64?, _ priority: Priority = .normal) -> Content {
    Content(type: "t", priority: priority, title: "T", expiresAt: expiresAt)
  }

  @Test("the store reports the next expiry, also after reopening")
  func next() throws {
    let directory = TemporaryDirectory()
    do {
      let fixture = try StoreFixture(in: directory)
      #expect(fixture.store.nextExpiry == nil)
      fixture.publish("u", content: content(900))
      fixture.publish("v", content: content(500))
      fixture.publishForEveryone(content: content(700))
      fixture.publish("w", content: content(nil))
      #expect(fixture.store.nextExpiry == 500)
      fixture.store.close()
    }
    let fixture = try StoreFixture(in: directory)
    #expect(fixture.store.nextExpiry == 500)
    #expect(fixture.submit(.expire(at: 500)) == .expired(hasMore: false))
    #expect(fixture.store.nextExpiry == 700)
    #expect(fixture.submit(.expire(at: 699)) == .expired(hasMore: false))
    #expect(fixture.inbox("u").count == 2)
    _ = fixture.submit(.expire(at: 700))
    #expect(fixture.store.nextExpiry == 900)
    #expect(fixture.inbox("u").map(\.expiresAt) == [900])
    #expect(fixture.inbox("v").isEmpty)
    #expect(fixture.store.metrics.expired == 2)
    #expect(fixture.inbox("w").count == 1)
  }

  @Test("each user gets one event, with the remaining counts")
  func oneEventPerUser() throws {
    let fixture = try StoreFixture()
    let ids = (0..<4).map { _ in fixture.makeID() }
    fixture.publish("u", id: ids[0], content: content(10, .urgent))
    fixture.publish("v", id: ids[1], content: content(20))
    fixture.publish("u", id: ids[2], content: content(30))
    fixture.publish("u", id: ids[3], content: content(40))
    _ = fixture.change("u", .read([ids[2]]))
    #expect(fixture.submit(.expire(at: 30)) == .expired(hasMore: false))
    let events = fixture.events.current
    try #require(events.count == 7)
    let left = Counts(total: 1, unread: 1, unseen: 1, byPriority: .init(normal: 1), version: 6)
    guard case .user("u") = events[5].audience, case .user("v") = events[6].audience,
      case .deleted([ids[0], ids[2]], left) = events[5].body,
      case .deleted([ids[1]], Counts(version: 7)) = events[6].body
    else {
      Issue.record("\(events.suffix(2).map(\.body))")
      return
    }
    #expect(fixture.counts("u") == left)
    #expect(fixture.inbox("u").map(\.id) == [ids[3]])
    #expect(fixture.change("u", .read([ids[0]])).count == 0)
    // Nothing more has expired, so nothing happens.
    #expect(fixture.submit(.expire(at: 30)) == .expired(hasMore: false))
    #expect(fixture.events.current.count == 7)
    #expect(fixture.store.metrics.lastOffset == 7)
  }

  @Test("a notification for everyone expires in every inbox, with its users' states")
  func everyone() throws {
    let fixture = try StoreFixture()
    let ids = (0..<3).map { _ in fixture.makeID() }
    fixture.publishForEveryone(id: ids[0], content: content(10))
    fixture.publishForEveryone(id: ids[1], content: content(nil))
    fixture.publishForEveryone(id: ids[2], content: content(20))
    _ = fixture.change("a", .read([ids[0]]))
    _ = fixture.change("b", .delete([ids[2]]))
    #expect(fixture.submit(.expire(at: 20)) == .expired(hasMore: false))
    let told = try #require(fixture.events.current.dropFirst(5).first)
    guard case .expiredForEveryone([ids[0], ids[2]]) = told.body else {
      Issue.record("\(told.body)")
      return
    }
    for user in ["a", "b", "c"] {
      #expect(fixture.inbox(user).map(\.id) == [ids[1]])
      #expect(
        fixture.counts(user)
          == Counts(
            total: 1, unread: 1, unseen: 1, byPriority: .init(normal: 1), version: 6))
    }
    #expect(fixture.sql("SELECT count(*) FROM everyone_state") == "0")
    #expect(fixture.sql("SELECT count(*) FROM everyone_gone") == "0")
    #expect(fixture.store.nextExpiry == nil)
    #expect(fixture.store.metrics.expired == 2)
    #expect(fixture.change("a", .read([ids[0]])).count == 0)
  }

  @Test("a command expires a limited number, and reports whether more are due")
  func bounded() throws {
    let fixture = try StoreFixture { $0.expiryLimit = 4 }
    for _ in 0..<9 { fixture.publish("u", content: content(10)) }
    for _ in 0..<6 { fixture.publishForEveryone(content: content(10)) }
    #expect(fixture.submit(.expire(at: 10)) == .expired(hasMore: true))
    #expect(fixture.counts("u").total == 7)
    #expect(fixture.inbox("u").count == 7)
    #expect(fixture.submit(.expire(at: 10)) == .expired(hasMore: true))
    #expect(fixture.submit(.expire(at: 10)) == .expired(hasMore: false))
    #expect(fixture.counts("u").total == 0)
    #expect(fixture.store.metrics.expired == 15)
  }

  @Test("states of expired notifications are swept a limited number at a time")
  func states() throws {
    let fixture = try StoreFixture()
    let id = fixture.makeID()
    fixture.publishForEveryone(id: id, content: content(10))
    fixture.sql(
      """
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
      INSERT INTO everyone_state SELECT i, 1, 5, 5, 0 FROM n
      """)
    #expect(fixture.submit(.expire(at: 10)) == .expired(hasMore: true))
    #expect(fixture.sql("SELECT count(*) FROM everyone_state") == "476")
    #expect(fixture.store.nextExpiry == 0)
    #expect(fixture.submit(.expire(at: 10)) == .expired(hasMore: false))
    #expect(fixture.sql("SELECT count(*) FROM everyone_state") == "0")
  }
}
