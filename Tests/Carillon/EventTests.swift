// The events of a bus, read in a loop.

import LoadClient
import Testing

@testable import Carillon

// Limited, because a missing event would be waited for without end.
@Suite("The events of a bus", .serialized, .ownThreads, .timeLimit(.minutes(10)))
struct EventTests {
  private let news = NotificationContent(type: "info", title: "news")

  @Test("changes of the inboxes and connections of users are events, in their order")
  func order() async throws {
    let bus = try startBus { $0.shardCount = 2 }
    try await bus.publish(news, to: "alice")
    var events = try await bus.events().makeAsyncIterator()
    let id = try await bus.publish(news, to: "alice")
    try await bus.markAsRead([id], of: "alice")
    try await bus.markAllAsRead(of: "alice")
    // Nothing that is not stored is an event.
    try await bus.broadcast(.systemMessage(title: "t"))
    try await bus.publishToEveryone(news)
    guard case .published(let notification)? = await events.next() else {
      Issue.record("no notification first")
      return
    }
    #expect(notification.id == id && notification.user == "alice" && notification.content == news)
    #expect(await events.next() == .read(ids: [id], user: "alice"))
    #expect(await events.next() == .read(ids: nil, user: "alice"))
    #expect(await events.next() == .publishedToEveryone)
    let first = try Listener("bob", at: bus)
    #expect(await events.next() == .userConnected("bob"))
    let second = try Listener("bob", at: bus)
    #expect(await comesTrue { bus.stats.totalConnections == 2 })
    first.client.close()
    second.client.close()
    // The second device is no event, only the end of the last one.
    #expect(await events.next() == .userDisconnected("bob"))
    await bus.stop()
    #expect(await events.next() == nil)
  }

  @Test("every subscription gets all events from its start on, and ends with its reader")
  func subscriptions() async throws {
    let bus = try startBus()
    var early = try await bus.events().makeAsyncIterator()
    let first = try await bus.publish(news, to: "alice")
    do {
      var late = try await bus.events().makeAsyncIterator()
      let second = try await bus.publish(news, to: "alice")
      #expect(await Self.id(late.next()) == second)
      #expect(await Self.id(early.next()) == first)
      #expect(await Self.id(early.next()) == second)
    }
    #expect(await comesTrue { await bus.subscriptionCount == 1 })
    let third = try await bus.publish(news, to: "alice")
    #expect(await Self.id(early.next()) == third)
    await bus.stop()
  }

  private static func id(_ event: BusEvent?) -> String? {
    if case .published(let notification)? = event { notification.id } else { nil }
  }

  @Test("a program that reads too slowly learns how many events it missed")
  func missing() async throws {
    let bus = try startBus()
    let events = try await bus.events(bufferLimit: 2)
    var ids: [String] = []
    for _ in 0..<5 { ids.append(try await bus.publish(news, to: "alice")) }
    // The shard offers the events after the publishes return: this query comes after them.
    _ = try await bus.isUserConnected("alice")
    var iterator = events.makeAsyncIterator()
    #expect(await Self.id(iterator.next()) == ids[0])
    #expect(await Self.id(iterator.next()) == ids[1])
    let last = try await bus.publish(news, to: "alice")
    #expect(await iterator.next() == .missed(3))
    #expect(await Self.id(iterator.next()) == last)
    for limit in [0, 1_000_001] {
      await #expect(throws: BusError.self) { try await bus.events(bufferLimit: limit) }
    }
    await bus.stop()
  }

  @Test("a loop over the events ends when its task is cancelled, and when the bus is released")
  func ending() async throws {
    var bus: NotificationBus? = try startBus()
    let (one, other) = try await (bus?.events(), bus?.events())
    let (cancelled, released) = (try #require(one), try #require(other))
    let loop = Task {
      for await _ in cancelled {}
      return true
    }
    loop.cancel()
    #expect(await loop.value)
    bus = nil
    for await _ in released {}
  }
}
