// The outbox: events recorded with their change, their deliveries, and what a crash leaves of them.

import Notifications
import Storage
import Testing

@Suite("Outbox of the store", .timeLimit(.minutes(10)))
struct StoreOutboxTests {
  @Test("without an endpoint nothing is recorded")
  func nothing() throws {
    let fixture = try StoreFixture()
    fixture.publish("ann")
    _ = fixture.change("ann", .readAll)
    #expect(fixture.outboxRows == "0 0")
    #expect(fixture.store.metrics.outbox == OutboxMetrics())
  }

  @Test("each change is recorded once, in the order of the commits, for endpoints that want it")
  func recording() throws {
    let fixture = try StoreFixture()
    let all = try #require(fixture.addWebhook("wh_all"))
    let reads = try #require(
      fixture.addWebhook("wh_reads", types: WebhookTypes([.notificationRead])))
    let ids = (0..<3).map { _ in fixture.makeID() }
    for id in ids { fixture.publish("ann", id: id, content: Content(type: "t", title: "T")) }
    _ = fixture.change("ann", .seen([ids[0]]), at: 10)
    _ = fixture.change("ann", .read([ids[0], ids[1]]), at: 11)
    _ = fixture.change("ann", .read([ids[0]]), at: 12)
    _ = fixture.change("ann", .delete([ids[2]]), at: 13)
    _ = fixture.change("ann", .seenAll, at: 14)
    _ = fixture.change("ann", .deleteAll, at: 15)
    let rows = fixture.first(all)
    #expect(
      rows.map(\.type) == [
        .notificationCreated, .notificationCreated, .notificationCreated, .notificationSeen,
        .notificationRead, .notificationDeleted, .notificationDeleted,
      ])
    #expect(rows.map(\.sequence) == Array(1...7))
    #expect(rows.allSatisfy { $0.subject == .user("ann") && $0.attempts == 0 })
    #expect(Set(rows.map(\.messageID)).count == 7)
    #expect(
      rows[4].text
        == #"{"type":"notification.read","timestamp":"1970-01-01T00:00:00.011Z","#
        + #""data":{"user_id":"ann","ids":["\#(ids[0].text)","\#(ids[1].text)"],"seq":5}}"#)
    #expect(
      rows[6].text
        == #"{"type":"notification.deleted","timestamp":"1970-01-01T00:00:00.015Z","#
        + #""data":{"user_id":"ann","all":true,"seq":7}}"#)
    #expect(rows[0].text.hasPrefix(#"{"type":"notification.created","#))
    #expect(rows[0].text.contains(#""id":"\#(ids[0].text)","user_id":"ann","type":"t""#))
    #expect(rows[0].text.hasSuffix(#","seq":1}}"#))
    #expect(fixture.first(reads).map(\.sequence) == [5])
    #expect(fixture.outboxRows == "7 8")
    #expect(fixture.store.metrics.outbox.recorded == 7)
    #expect(fixture.store.metrics.outbox.current == 8)
  }

  @Test("a change of many ids becomes several events, so that each message is short")
  func manyIDs() throws {
    let fixture = try StoreFixture()
    let all = try #require(fixture.addWebhook())
    let drafts = (0..<300).map { _ in fixture.draft("ann") }
    _ = fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: []))
    _ = fixture.change("ann", .read(drafts.map(\.id)))
    let reads = fixture.first(all, limit: 1_000).filter { $0.type == .notificationRead }
    #expect(reads.count == 2)
    #expect(reads.allSatisfy { $0.body.map { $0.count < 20_000 } ?? false })
  }

  @Test("a notification for everyone is one event, and so is its removal")
  func everyone() throws {
    let fixture = try StoreFixture()
    let all = try #require(fixture.addWebhook())
    let id = fixture.makeID()
    _ = fixture.submit(
      .publish(
        drafts: [
          PendingNotification(
            forEveryone: id, createdAt: 1,
            content: Content(type: "t", title: "T", expiresAt: 1_000))
        ], idempotency: nil, answer: []))
    _ = fixture.submit(.expire(at: 2_000))
    let rows = fixture.first(all)
    #expect(rows.map(\.type) == [.notificationCreated, .notificationDeleted])
    #expect(rows.allSatisfy { $0.subject == .everyone && $0.text.contains(#""user_id":null"#) })
  }

  @Test("a user's preferences decide whether new notifications are sent to webhooks")
  func preferences() throws {
    let fixture = try StoreFixture()
    let all = try #require(fixture.addWebhook())
    let off = Preferences.Channels(webhook: false)
    let rules = [
      "muted": Preferences.Rule(isMuted: true), "off": Preferences.Rule(channels: off),
      "silent": Preferences.Rule(channels: Preferences.Channels(websocket: false)),
    ]
    _ = fixture.submit(.setPreferences(user: "ann", Preferences(rules: rules)))
    for type in ["muted", "off", "silent", "other"] {
      fixture.publish("ann", content: Content(type: type, title: "T"))
    }
    let texts = fixture.first(all).map(\.text)
    #expect(texts.count == 2)
    #expect(texts[0].contains(#""type":"silent""#) && texts[1].contains(#""type":"other""#))
  }

  @Test("a delivered message is deleted with its last delivery")
  func delivered() throws {
    let fixture = try StoreFixture()
    let one = try #require(fixture.addWebhook("wh_1"))
    let two = try #require(fixture.addWebhook("wh_2"))
    fixture.publish("ann")
    #expect(fixture.outboxRows == "1 2")
    #expect(fixture.settle(one, 1, .delivered) == .outbox(.saved))
    #expect(fixture.outboxRows == "1 1")
    // A second result of the same delivery changes nothing.
    fixture.settle(one, 1, .delivered)
    #expect(fixture.outboxRows == "1 1")
    fixture.settle(two, 1, .delivered)
    #expect(fixture.outboxRows == "0 0")
    #expect(fixture.store.metrics.outbox.current == 0)
  }

  @Test("delivered ones of consecutive events are deleted together, and others stay")
  func deliveredRuns() throws {
    let fixture = try StoreFixture()
    let one = try #require(fixture.addWebhook("wh_1"))
    let two = try #require(
      fixture.addWebhook("wh_2", types: WebhookTypes([.notificationRead])))
    let ids = (0..<6).map { _ in fixture.makeID() }
    for id in ids { fixture.publish("ann", id: id) }
    for id in ids { _ = fixture.change("ann", .read([id])) }
    // Events 1 to 6 have one delivery, and 7 to 12 have two.
    #expect(fixture.outboxRows == "12 18")
    let results = { (sequences: [Int64]) -> StoreOutcome in
      fixture.outbox(
        .settle(
          sequences.map {
            DeliveryResult(
              webhook: one.key, sequence: $0, attempts: 1, outcome: .delivered, status: 200,
              reason: "", time: 1)
          }))
    }
    _ = results([3, 2, 8, 7, 6, 5, 12])
    #expect(fixture.first(one).map(\.sequence) == [1, 4, 9, 10, 11])
    #expect(fixture.first(two).map(\.sequence) == [7, 8, 9, 10, 11, 12])
    #expect(fixture.outboxRows == "8 11")
    // Some of these no longer exist.
    _ = results([1, 2, 3, 4, 8, 9])
    #expect(fixture.first(one).map(\.sequence) == [10, 11])
    for sequence in Int64(7)...12 { fixture.settle(two, sequence, .delivered) }
    #expect(fixture.outboxRows == "2 2")
    _ = results([10, 11])
    #expect(fixture.outboxRows == "0 0")
    #expect(fixture.store.metrics.outbox.current == 0)
  }

  @Test("a failed delivery is retried when it is due, dies, and is replayed")
  func retries() throws {
    let fixture = try StoreFixture()
    let one = try #require(fixture.addWebhook())
    fixture.publish("ann")
    fixture.publish("bob")
    fixture.settle(one, 1, .retry(at: 7_000), status: 500, reason: "answered 500")
    #expect(fixture.first(one).map(\.sequence) == [2])
    #expect(fixture.retries(one, dueBy: 6_999).isEmpty)
    #expect(
      fixture.due(.retries(webhook: one.key, dueBy: 6_999, limit: 10)).nextRetryAt == 7_000)
    #expect(fixture.retries(one, dueBy: 7_000).map(\.attempts) == [1])
    let waiting = fixture.deliveries(state: .retry).rows
    #expect(waiting.map(\.reason) == ["answered 500"] && waiting[0].status == 500)
    fixture.settle(one, 1, .dead, attempts: 2, reason: "timed out", at: 8_000)
    #expect(fixture.retries(one).isEmpty)
    #expect(fixture.deliveries(state: .dead).rows.map(\.sequence) == [1])
    #expect(fixture.deliveries().rows.map(\.state) == [.first, .dead])
    // A late result does not revive it.
    fixture.settle(one, 1, .retry(at: 9_000), attempts: 3)
    #expect(fixture.deliveries(state: .dead).rows.map(\.attempts) == [2])
    #expect(
      fixture.outbox(.replay("wh_1", .events([1, 2, 99]), at: 10_000))
        == .outbox(.changed(count: 1, hasMore: false)))
    #expect(fixture.retries(one, dueBy: 10_000).map(\.attempts) == [0])
    #expect(fixture.deliveries(state: .dead).rows.isEmpty)
  }

  @Test("a replay of all dead deliveries goes on in steps, from a time on")
  func replay() throws {
    let fixture = try StoreFixture()
    let one = try #require(fixture.addWebhook())
    let drafts = (0..<1_200).map { _ in fixture.draft("ann") }
    _ = fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: []))
    fixture.publish("ann", at: 1)
    let results = (1...1_201).map {
      DeliveryResult(
        webhook: one.key, sequence: $0, attempts: 1, outcome: .dead, status: nil, reason: "",
        time: 1)
    }
    _ = fixture.outbox(.settle(results))
    let since = ReplaySelection.since(2)
    #expect(
      fixture.outbox(.replay("wh_1", since, at: 5))
        == .outbox(.changed(count: 1_000, hasMore: true)))
    #expect(
      fixture.outbox(.replay("wh_1", since, at: 5)) == .outbox(.changed(count: 200, hasMore: false))
    )
    #expect(fixture.deliveries(state: .dead).rows.map(\.sequence) == [1_201])
  }

  @Test("a page lists the newest deliveries, and the next one goes on before it")
  func pages() throws {
    let fixture = try StoreFixture()
    fixture.addWebhook()
    for _ in 0..<5 { fixture.publish("ann") }
    let page = fixture.deliveries(limit: 2)
    #expect(page.rows.map(\.sequence) == [5, 4] && page.next == 4)
    #expect(fixture.deliveries(before: page.next, limit: 3).rows.map(\.sequence) == [3, 2, 1])
    #expect(fixture.deliveries(state: .first, limit: 10).rows.count == 5)
    guard
      case .outbox(.unknownWebhook) = fixture.read(
        .outbox(.deliveries("wh_9", state: nil, before: nil, limit: 1)))
    else {
      Issue.record("an endpoint that does not exist has deliveries")
      return
    }
  }

  @Test("an endpoint with too many deliveries gets no further ones, and the others do")
  func bounds() throws {
    let fixture = try StoreFixture {
      $0.outbox.ofDestination = 3
      $0.outbox.ofAll = 5
      $0.outbox.dead = 2
    }
    let one = try #require(fixture.addWebhook("wh_1"))
    for _ in 0..<4 { fixture.publish("ann") }
    #expect(fixture.first(one).count == 3)
    #expect(fixture.store.metrics.outbox.overflowed == 1)
    let two = try #require(fixture.addWebhook("wh_2"))
    for _ in 0..<3 { fixture.publish("ann") }
    #expect(fixture.first(two).count == 2)
    #expect(fixture.store.metrics.outbox.current == 5)
    // Of three dead ones, the oldest is evicted.
    for sequence in Int64(1)...3 { fixture.settle(one, sequence, .dead) }
    #expect(fixture.deliveries("wh_1").rows.map(\.sequence) == [3, 2])
    #expect(fixture.store.metrics.outbox.evicted == 1)
  }

  @Test("a deleted endpoint gets nothing more, and its rows are swept in steps")
  func deletion() throws {
    let fixture = try StoreFixture()
    let one = try #require(fixture.addWebhook("wh_1"))
    let drafts = (0..<600).map { _ in fixture.draft("ann") }
    _ = fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: []))
    #expect(fixture.outbox(.delete("wh_1")) == .outbox(.saved))
    #expect(fixture.outbox(.delete("wh_1")) == .outbox(.unknownWebhook))
    #expect(fixture.webhooks().isEmpty)
    fixture.publish("ann")
    fixture.settle(one, 1, .retry(at: 1))
    // An endpoint that is created later has another key, also as the only one.
    let next = try #require(fixture.addWebhook("wh_1"))
    #expect(next.key != one.key)
    #expect(fixture.first(next).isEmpty)
    #expect(fixture.outbox(.sweep) == .outbox(.changed(count: 512, hasMore: true)))
    #expect(fixture.outbox(.sweep) == .outbox(.changed(count: 88, hasMore: false)))
    #expect(fixture.sql("SELECT count(*) FROM webhook_gone") == "0")
    #expect(fixture.outbox(.sweep) == .outbox(.changed(count: 0, hasMore: false)))
    #expect(fixture.outboxRows == "0 0")
  }

  @Test("numbers of events go on after a restart, also when the outbox is empty")
  func numbers() throws {
    let directory = TemporaryDirectory()
    let names = try {
      let fixture = try StoreFixture(in: directory)
      let one = try #require(fixture.addWebhook())
      for _ in 0..<3 { fixture.publish("ann") }
      let names = fixture.first(one).map(\.messageID)
      for sequence in Int64(1)...3 { fixture.settle(one, sequence, .delivered) }
      fixture.store.close()
      return names
    }()
    let fixture = try StoreFixture(in: directory)
    let one = try #require(fixture.webhooks().first)
    fixture.publish("ann")
    let row = try #require(fixture.first(one).first)
    #expect(row.sequence == 4)
    // A copy of the store that runs elsewhere gives its messages other names.
    let run = { (name: String) in name.split(separator: "_")[1] }
    #expect(run(row.messageID) != run(names[0]))
  }

  @Test("a damaged number of the latest event is read from the events")
  func damagedNumber() throws {
    let directory = TemporaryDirectory()
    do {
      let fixture = try StoreFixture(in: directory)
      fixture.addWebhook()
      for _ in 0..<3 { fixture.publish("ann") }
      fixture.store.close()
    }
    StoreFixture.sql("UPDATE store SET outbox_sequence = 1", at: directory.databasePath)
    let fixture = try StoreFixture(in: directory)
    let one = try #require(fixture.webhooks().first)
    #expect(fixture.publish("ann") == .published)
    #expect(fixture.first(one).map(\.sequence) == [1, 2, 3, 4])
  }

  @Test("a rolled back group leaves no deliveries, and uses no number")
  func rollback() throws {
    let fixture = try StoreFixture()
    let one = try #require(fixture.addWebhook())
    let id = fixture.makeID()
    fixture.publish("ann", id: id)
    // The id exists, so this publish fails after the first of its notifications was stored.
    _ = fixture.submit(
      .publish(
        drafts: [fixture.draft("ann"), fixture.draft("ann", id: id)], idempotency: nil,
        answer: []))
    fixture.publish("ann")
    #expect(fixture.first(one).map(\.sequence) == [1, 2])
    #expect(fixture.store.metrics.outbox.current == 2)
  }

  @Test("the observer is called after each commit with news, and for no other")
  func observer() throws {
    let fixture = try StoreFixture()
    let calls = Latch<[OutboxNews]>([])
    fixture.store.observeOutbox { news in calls.change { $0.append(news) } }
    fixture.publish("ann")
    #expect(calls.current == [])
    let one = try #require(fixture.addWebhook())
    fixture.publish("ann")
    #expect(calls.current == [.changes, .deliveries])
    fixture.settle(one, 1, .dead)
    #expect(calls.current == [.changes, .deliveries])
    _ = fixture.outbox(.replay("wh_1", .since(0), at: 1))
    #expect(calls.current == [.changes, .deliveries, .changes])
  }
}
