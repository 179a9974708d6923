// A user's inbox, read and marked by the embedding program.

import LoadClient
import Testing

@testable import Carillon

@Suite("An inbox, as an embedding program reads it", .serialized, .ownThreads)
struct InboxTests {
  @Test("a page holds each notification as it was published, the newest first")
  func page() async throws {
    let bus = try startBus()
    let content = NotificationContent(
      type: "trade.created", title: "Trade \"created\"", message: "für Älice\n", priority: .urgent,
      data: ["symbol": "AAPL", "lots": [1, 2]], entityType: "trade", entityID: "t-1",
      entityURL: "/trades/t-1",
      actions: [
        .init(label: "Open \"it\"", url: "/trades/t-1"), .init(label: "Later", url: "/later"),
      ],
      groupKey: "trades", expiresAtMilliseconds: 4_102_444_800_000)
    let plain = NotificationContent(type: "info", title: "plain")
    let first = try await bus.publish(content, to: "alice")
    let second = try await bus.publish(plain, to: "alice")
    try await bus.publish(plain, to: "bob")
    let page = try await bus.inbox(of: "alice")
    #expect(page.notifications.map(\.id) == [second, first])
    #expect(page.notifications.map(\.content) == [plain, content])
    #expect(page.notifications.allSatisfy { $0.user == "alice" && !$0.isRead })
    #expect(page.notifications.allSatisfy { $0.createdAtMilliseconds > 1_700_000_000_000 })
    #expect(page.next == nil && page.unreadCount == 2 && page.totalCount == 2)
    let stranger = try await bus.inbox(of: "stranger")
    #expect(stranger.notifications.isEmpty && stranger.totalCount == 0)
    await bus.stop()
  }

  @Test("pages follow each other, and may be limited to a type or to unread notifications")
  func filters() async throws {
    let bus = try startBus()
    var ids: [String] = []
    for index in 0..<5 {
      let type = index % 2 == 0 ? "even" : "odd"
      // Notifications of one group are listed one by one.
      let content = NotificationContent(type: type, title: "\(index)", groupKey: "g")
      ids.append(try await bus.publish(content, to: "alice"))
    }
    let first = try await bus.inbox(of: "alice", limit: 3)
    let rest = try await bus.inbox(of: "alice", limit: 3, before: first.next)
    #expect(first.next != nil)
    #expect((first.notifications + rest.notifications).map(\.id) == ids.reversed())
    #expect(rest.next == nil)
    let odd = try await bus.inbox(of: "alice", type: "odd")
    #expect(odd.notifications.map(\.content.title) == ["3", "1"])
    #expect(try await bus.markAsRead([ids[3], ids[4]], of: "alice") == 2)
    let unread = try await bus.inbox(of: "alice", unreadOnly: true)
    #expect(unread.notifications.map(\.content.title) == ["2", "1", "0"])
    #expect(unread.unreadCount == 3 && unread.totalCount == 5)
    await bus.stop()
  }

  @Test("marking as read changes the counts, and the user's devices get the change")
  func marking() async throws {
    let bus = try startBus()
    let content = NotificationContent(type: "info", title: "news")
    let ids = [
      try await bus.publish(content, to: "alice"), try await bus.publish(content, to: "alice"),
      try await bus.publish(content, to: "alice"),
    ]
    let others = try await bus.publish(content, to: "bob")
    let alice = try Listener("alice", at: bus)
    #expect(try await bus.unreadCount(of: "alice") == 3)
    // An id of another user, and text that is no id, match nothing.
    #expect(try await bus.markAsRead([ids[0], others, "no id"], of: "alice") == 1)
    #expect(try alice.next().hasPrefix(#"{"event":"notification:read","data":{"id":"\#(ids[0])"}"#))
    #expect(try await bus.unreadCount(of: "alice") == 2)
    #expect(try await bus.unreadCount(of: "bob") == 1)
    #expect(try await bus.markAllAsRead(of: "alice") == 2)
    #expect(try await bus.unreadCount(of: "alice") == 0)
    let page = try await bus.inbox(of: "alice")
    #expect(page.notifications.allSatisfy { $0.isRead && $0.seenAtMilliseconds != nil })
    #expect(try await bus.markAllAsRead(of: "stranger") == 0)
    await bus.stop()
  }

  @Test("a value over the limits of the HTTP API is rejected with its name")
  func refusals() async throws {
    let bus = try startBus()
    #expect(await refusedField { _ = try await bus.inbox(of: "") } == "user")
    for limit in [0, 201, Int.min] {
      #expect(await refusedField { _ = try await bus.inbox(of: "a", limit: limit) } == "limit")
    }
    #expect(await refusedField { _ = try await bus.inbox(of: "a", type: "no type") } == "type")
    #expect(await refusedField { _ = try await bus.unreadCount(of: "a\n") } == "user")
    let many = [String](repeating: "x", count: 1_001)
    #expect(await refusedField { try await bus.markAsRead(many, of: "a") } == "ids")
    #expect(await refusedField { try await bus.markAsRead([], of: "") } == "user")
    #expect(await refusedField { try await bus.markAllAsRead(of: "") } == "user")
    await bus.stop()
  }
}
