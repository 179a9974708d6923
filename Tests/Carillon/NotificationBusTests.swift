// The bus with real clients: stored notifications, live messages and rejected input.

import LoadClient
import Server
import Testing
import Tokens
import Wire

@testable import Carillon

@Suite("A bus in the program's own process", .serialized, .ownThreads)
struct NotificationBusTests {
  private let news = NotificationContent(type: "info", title: "news")

  @Test("a notification reaches the user's connected devices, and a later one from the inbox")
  func publishing() async throws {
    let bus = try startBus()
    let alice = try Listener("alice", at: bus)
    let content = NotificationContent(
      type: "trade.created", title: "Trade \"created\"", message: "für Älice\n", priority: .high,
      data: ["symbol": "AAPL", "pnl": 125.5, "lots": [1, 2]], entityType: "trade",
      entityID: "t-1", entityURL: "/trades/t-1",
      actions: [.init(label: "Open", url: "/trades/t-1")], groupKey: "trades",
      expiresAtMilliseconds: 4_102_444_800_000)
    let id = try await bus.publish(content, to: "alice")
    let late = try Listener("alice", at: bus, since: "0")
    for listener in [alice, late] {
      let text = try listener.next()
      #expect(
        text.contains(
          #""data":{"id":"\#(id)","type":"trade.created","priority":"high","#
            + #""title":"Trade \"created\"","message":"für Älice\n","entity_type":"trade","#
            + #""entity_id":"t-1","entity_url":"/trades/t-1","is_read":false,"#))
      #expect(text.contains(#""data":{"symbol":"AAPL","pnl":125.5,"lots":[1,2]}"#))
    }
    await bus.stop()
  }

  @Test("each of several users receives a notification once, and the ids are in the users' order")
  func publishingToMany() async throws {
    let bus = try startBus { $0.shardCount = 2 }
    let listeners = [try Listener("alice", at: bus), try Listener("bob", at: bus)]
    let ids = try await bus.publish(news, to: ["alice", "bob", "alice", "carol"])
    #expect(Set(ids).count == 3)
    for (listener, id) in zip(listeners, ids) {
      #expect(try listener.next().contains(#""data":{"id":"\#(id)""#))
    }
    // No user received it twice: the next message is the next publish.
    try await bus.publish(
      NotificationContent(type: "info", title: "more"), to: ["alice", "bob"])
    for listener in listeners { #expect(try listener.next().contains(#""title":"more""#)) }
    await bus.stop()
  }

  @Test("a notification for everyone is in each inbox, also that of a new user")
  func publishingToEveryone() async throws {
    let bus = try startBus { $0.shardCount = 2 }
    let alice = try Listener("alice", at: bus)
    let id = try await bus.publishToEveryone(news)
    #expect(try alice.next().contains(#""data":{"id":"\#(id)""#))
    let newcomer = try Listener("newcomer", at: bus, since: "0")
    #expect(try newcomer.next().contains(#""data":{"id":"\#(id)""#))
    await bus.stop()
  }

  @Test("a published notification is there when another bus opens the same store")
  func durability() async throws {
    let directory = TemporaryDirectory()
    let first = try startBus { $0.dataPath = directory.path }
    let id = try await first.publish(news, to: "alice")
    #expect(throws: BusError.self) { try startBus { $0.dataPath = directory.path } }
    await first.stop()
    let second = try startBus { $0.dataPath = directory.path }
    #expect(try Listener("alice", at: second, since: "0").next().contains(id))
    await second.stop()
  }

  @Test(
    "content over the limits of the HTTP API is rejected with the field",
    arguments: [
      ("type", NotificationContent(type: "no spaces", title: "t")),
      ("title", NotificationContent(type: "t", title: String(repeating: "x", count: 257))),
      (
        "message",
        NotificationContent(type: "t", title: "t", message: String(repeating: "x", count: 4_097))
      ),
      ("data", NotificationContent(type: "t", title: "t", data: [1, 2])),
      ("entity_url", NotificationContent(type: "t", title: "t", entityURL: "//evil")),
      (
        "actions.url",
        NotificationContent(
          type: "t", title: "t", actions: [.init(label: "x", url: "javascript:alert(1)")])
      ),
    ])
  func refusedContent(field: String, content: NotificationContent) async throws {
    let bus = try startBus()
    #expect(await refusedField { try await bus.publish(content, to: "alice") } == field)
    await bus.stop()
  }

  @Test("invalid user ids and user counts are rejected")
  func refusedUsers() async throws {
    let bus = try startBus()
    #expect(await refusedField { try await bus.publish(news, to: "") } == "user_id")
    #expect(await refusedField { try await bus.publish(news, to: "a\nb") } == "user_id")
    #expect(await refusedField { try await bus.publish(news, to: []) } == "user_ids")
    let many = (0...10_000).map(String.init)
    #expect(await refusedField { try await bus.publish(news, to: many) } == "user_ids")
    #expect(
      await refusedField { try await bus.send(.systemMessage(title: "t"), to: many) }
        == "users")
    #expect(
      await refusedField { try await bus.send(.systemMessage(title: "t"), to: []) }
        == "users")
    #expect(
      await refusedField { try await bus.send(.systemMessage(title: "t"), to: ["a", "b\n"]) }
        == "users")
    #expect(
      await refusedField { try await bus.send(.systemMessage(title: "t"), to: "") } == "user")
    #expect(await refusedField { _ = try bus.makeToken(for: "") } == "user")
    await bus.stop()
  }

  @Test("a live message reaches each device of its audience once, and no other")
  func notice() async throws {
    let bus = try startBus { $0.shardCount = 2 }
    let alice = try Listener("alice", at: bus)
    let phone = try Listener("alice", at: bus)
    let bob = try Listener("bob", at: bus)
    try await bus.send(.liveUpdate(type: "price", payload: 187.25), to: "alice")
    try await bus.send(
      .dataUpdate(type: "board", payload: [3, 1]), to: ["alice", "bob", "bob"])
    try await bus.broadcast(
      .systemMessage(type: "maintenance", title: "Noon", message: "m", payload: ["a": nil]))
    let price = #"{"event":"live:update","data":{"update_type":"price","payload":187.25}"#
    let board = #"{"event":"data:update","data":{"update_type":"board","payload":[3,1]}"#
    let noon =
      #"{"event":"system:message","data":{"message_type":"maintenance","title":"Noon","#
      + #""message":"m","payload":{"a":null}}"#
    for device in [alice, phone] {
      for expected in [price, board, noon] { #expect(try device.next().hasPrefix(expected)) }
    }
    for expected in [board, noon] { #expect(try bob.next().hasPrefix(expected)) }
    await bus.stop()
  }

  @Test("a payment id is sent unchanged, in the dialects that have a message for payments")
  func payments() async throws {
    let bus = try startBus { $0.shardCount = 2 }
    let typed = try Listener(typed: "alice", at: bus)
    let event = try Listener("alice", at: bus)
    let ids: [(given: JSONValue, sent: String)] = [
      (123, "123"), ("pi_3Nx", #""pi_3Nx""#), ("123", #""123""#),
    ]
    for id in ids {
      try await bus.send(
        .paymentUpdate(id: id.given, amount: 1_000, currency: "usd", status: "succeeded"),
        to: "alice")
      #expect(
        try typed.next().hasPrefix(
          #"{"type":"payment_update","data":{"payment_id":\#(id.sent),"amount":1000,"#
            + #""currency":"usd","status":"succeeded"},"timestamp":"#))
    }
    try await bus.send(.systemMessage(title: "Noon"), to: "alice")
    #expect(try event.next().hasPrefix(#"{"event":"system:message""#))
    await bus.stop()
  }

  @Test(
    "a live message over the limits is rejected with the field",
    arguments: [
      ("update_type", LiveMessage.liveUpdate(type: String(repeating: "x", count: 65), payload: 1)),
      (
        "payload",
        .dataUpdate(type: "t", payload: .string(String(repeating: "x", count: 16_384)))
      ),
      ("title", .systemMessage(title: String(repeating: "x", count: 257))),
      ("payment_id", .paymentUpdate(id: 1.5, amount: 1, currency: "usd", status: "s")),
      ("payment_id", .paymentUpdate(id: nil, amount: 1, currency: "usd", status: "s")),
      ("amount", .paymentUpdate(id: 1, amount: .min, currency: "usd", status: "s")),
      ("currency", .paymentUpdate(id: 1, amount: 1, currency: "", status: "s")),
      ("status", .paymentUpdate(id: 1, amount: 1, currency: "usd", status: "not yet")),
    ])
  func refusedMessages(field: String, message: LiveMessage) async throws {
    let bus = try startBus()
    #expect(await refusedField { try await bus.broadcast(message) } == field)
    await bus.stop()
  }

  @Test("a full ring is a temporary error")
  func fullRing() async throws {
    var configuration = Configuration(tokenPolicy: TokenPolicy(keys: [.hmac(secret: [1])]))
    configuration.port = 0
    configuration.limits.ringCapacity = 2
    let bus = NotificationBus(
      try CarillonServer(configuration), BusConfiguration(dataPath: "", tokenSecret: ""))
    let message = LiveMessage.systemMessage(title: "t")
    let isRefused = await comesTrue {
      do throws(BusError) {
        try await bus.broadcast(message)
        return false
      } catch {
        return error == .busy
      }
    }
    #expect(isRefused)
    #expect(await comesTrue { (try? await bus.broadcast(message)) != nil })
    await bus.stop()
  }

  @Test("users and connections are counted until they disconnect")
  func counting() async throws {
    let bus = try startBus { $0.shardCount = 2 }
    #expect(bus.stats == .init(totalUsers: 0, totalConnections: 0))
    let devices = [try Listener("alice", at: bus), try Listener("alice", at: bus)]
    let bob = try Listener("bob", at: bus)
    #expect(await comesTrue { bus.stats == .init(totalUsers: 2, totalConnections: 3) })
    for device in devices { device.client.close() }
    #expect(await comesTrue { bus.stats == .init(totalUsers: 1, totalConnections: 1) })
    bob.client.close()
    #expect(await comesTrue { bus.stats == .init(totalUsers: 0, totalConnections: 0) })
    await bus.stop()
  }

  @Test("queries for connected users cover every shard")
  func online() async throws {
    let bus = try startBus { $0.shardCount = 2 }
    #expect(try await bus.isUserConnected("alice") == false)
    let listeners = try ["carol", "alice", "bob"].map { try Listener($0, at: bus) }
    for user in ["alice", "bob", "carol"] { #expect(try await bus.isUserConnected(user)) }
    #expect(try await bus.isUserConnected("dave") == false)
    let all = try await bus.connectedUsers()
    #expect(all == .init(users: ["alice", "bob", "carol"], total: 3, next: nil))
    let page = try await bus.connectedUsers(limit: 2)
    #expect(page == .init(users: ["alice", "bob"], total: 3, next: "bob"))
    let rest = try await bus.connectedUsers(limit: 2, after: page.next)
    #expect(rest.users == ["carol"] && rest.next == nil)
    for limit in [0, 10_001, Int.min] {
      #expect(await refusedField { _ = try await bus.connectedUsers(limit: limit) } == "limit")
    }
    listeners[1].client.close()
    #expect(try await comesTrue { try await !bus.isUserConnected("alice") })
    await bus.stop()
  }

  @Test("a token has the claims that its own bus requires, and the rights that it was made with")
  func tokens() async throws {
    let bus = try startBus {
      $0.tokenAlgorithm = .hs384
      $0.tokenUserClaim = "uid"
      ($0.tokenIssuer, $0.tokenAudience) = ("issuer", "audience")
    }
    let alice = try Listener("alice", at: bus)
    #expect(try await bus.isUserConnected("alice"))
    let server = ServerURL(numericHost: "127.0.0.1", port: bus.port)
    let body = Array(#"{"user_id":"alice","type":"info","title":"over HTTP"}"#.utf8)
    for (canPublish, status) in [(false, 403), (true, 201)] {
      let token = try bus.makeToken(for: "backend", canPublish: canPublish)
      let fields = [HTTPField.bearer(token), HTTPField("Content-Type", "application/json")]
      let request = HTTPRequest("POST", "/api/v1/notifications", fields: fields, body: body)
      // The answer 403 ends the connection, because the body is not read.
      #expect(try HTTPConnection(to: server).perform(request).status == status)
    }
    #expect(try alice.next().contains(#""title":"over HTTP""#))
    #expect(await refusedField { _ = try bus.makeToken(for: "a", rooms: [""]) } == "rooms")
    await bus.stop()
  }

  @Test("two buses in one process are independent")
  func twoBuses() async throws {
    let first = try startBus()
    let second = try startBus()
    #expect(first.port != second.port)
    let here = try Listener("alice", at: first)
    let there = try Listener("alice", at: second)
    try await first.publish(NotificationContent(type: "info", title: "first"), to: "alice")
    try await second.broadcast(.systemMessage(title: "second"))
    #expect(try here.next().contains(#""title":"first""#))
    #expect(try there.next().contains(#""title":"second""#))
    #expect(throws: ClientError.self) {
      let token = try first.makeToken(for: "alice")
      let url = ServerURL(numericHost: "127.0.0.1", port: second.port)
      _ = try WebSocketClient(to: url, target: "/api/ws", fields: [.bearer(token)])
    }
    await first.stop()
    try await second.publish(NotificationContent(type: "info", title: "still"), to: "alice")
    #expect(try there.next().contains(#""title":"still""#))
    await second.stop()
  }

  @Test("a stopped bus has closed its connections and rejects every call")
  func stopping() async throws {
    let bus = try startBus()
    let alice = try Listener("alice", at: bus)
    async let one: Void = bus.stop()
    async let other: Void = bus.stop()
    _ = await (one, other)
    #expect(try alice.closeCode() == 1001)
    let news = news
    await #expect(throws: BusError.stopped) { try await bus.publish(news, to: "alice") }
    await #expect(throws: BusError.stopped) { try await bus.publish(news, to: ["alice"]) }
    let message = LiveMessage.systemMessage(title: "t")
    await #expect(throws: BusError.stopped) { try await bus.send(message, to: "alice") }
    await #expect(throws: BusError.stopped) { try await bus.send(message, to: ["a"]) }
    await #expect(throws: BusError.stopped) { try await bus.send(message, toRoom: "lobby") }
    let greeting = RoomMessage(type: "hello", title: "Hello")
    await #expect(throws: BusError.stopped) { try await bus.send(greeting, toRoom: "lobby") }
    await #expect(throws: BusError.stopped) { try await bus.broadcast(message) }
    await #expect(throws: BusError.stopped) { try await bus.addUser("alice", toRoom: "lobby") }
    await #expect(throws: BusError.stopped) { try await bus.removeUser("alice", fromRoom: "lobby") }
    await #expect(throws: BusError.stopped) { try await bus.members(ofRoom: "lobby") }
    await #expect(throws: BusError.stopped) { try await bus.disconnect("alice") }
    await #expect(throws: BusError.stopped) { try await bus.inbox(of: "alice") }
    await #expect(throws: BusError.stopped) { try await bus.unreadCount(of: "alice") }
    await #expect(throws: BusError.stopped) { try await bus.markAsRead([], of: "alice") }
    await #expect(throws: BusError.stopped) { try await bus.markAllAsRead(of: "alice") }
    await #expect(throws: BusError.stopped) { try await bus.events() }
    await #expect(throws: BusError.stopped) { try await bus.isUserConnected("alice") }
    await #expect(throws: BusError.stopped) { try await bus.connectedUsers() }
    #expect(bus.stats == .init(totalUsers: 0, totalConnections: 0))
    await bus.stop()
  }

  @Test("a bus stops when its last reference goes away")
  func release() async throws {
    var bus: NotificationBus? = try startBus()
    let alice = try Listener("alice", at: try #require(bus))
    let events = try await #require(bus).events()
    bus = nil
    #expect(try alice.closeCode() == 1001)
    // They end when the server has.
    for await _ in events {}
  }
}
