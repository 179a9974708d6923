// A thousand sessions over every transport with tokens that expire in the same second.

import Broadcast
import Notifications
import TestSupport
import Testing
import Tokens

@testable import Server

@Suite("Token expiry")
struct ExpiryTests {
  static let leeway: Int64 = 3
  static let life: Int64 = 20

  /// A client of one transport.
  struct Client {
    let user: String
    let path: String
    let socket: VirtualSocket
    let isRefreshed: Bool
  }

  static let transports = [
    "/api/ws", "/api/v1/ws/notifications", "/ws/connect", "/api/notifications/ws",
    "/notifications/events", "/api/v1/notifications/poll",
  ]

  static func client(_ fixture: ShardFixture, _ number: Int) throws -> Client {
    let path = transports[number % transports.count]
    let user = "u\(number)"
    let socket = try fixture.arrive()
    let token = ShardFixture.token(user, seconds: life)
    let query = path.hasSuffix("/poll") ? "?since=test.0&wait=60" : ""
    socket.send(ShardFixture.request(path + query, token: token))
    let reads = fixture.store.reads.count
    // A client that reads from the store gets an empty answer.
    try fixture.turn(until: {
      fixture.store.reads.count > reads || !socket.received.isEmpty
    })
    try fixture.turn()
    while !fixture.store.reads.isEmpty {
      if path.hasSuffix("/poll") {
        try fixture.store.answer(ReplaySessionTests.page([], through: 0))
      } else {
        try fixture.store.answer(.position(0, ReplaySessionTests.counts(0)))
      }
      try fixture.turn()
    }
    // An event stream has no way to send a new token.
    let isWebSocket = !path.hasSuffix("/poll") && !path.hasSuffix("/events")
    return Client(
      user: user, path: path, socket: socket, isRefreshed: isWebSocket && number % 12 < 6)
  }

  static func stored(_ user: String) -> Event {
    let notification = Notification(
      id: NotificationID(high: 1, low: 1), userID: user, type: "t", priority: .normal,
      title: "for \(user)", message: "", data: Array("{}".utf8), createdAt: 0, offset: 1)
    return Event(
      audience: .user(user), body: .stored(notification, Counts(total: 1)), timestamp: 0,
      offset: 1)
  }

  // Case 50
  @Test func `1,000 sessions end within a second of their token, unless it was refreshed`() throws {
    let fixture = try ShardFixture { $0.tokenPolicy.leewaySeconds = Self.leeway }
    let clients = try (0..<1_000).map { try Self.client(fixture, $0) }
    #expect(fixture.shard.sessionCount == clients.count)
    for client in clients where client.isRefreshed {
      client.socket.say(#"{"type":"auth","token":"\#(ShardFixture.token(client.user))"}"#)
    }
    try fixture.pass(milliseconds: 10_000)
    for client in clients where !client.path.hasSuffix("/poll") {
      // Heartbeats by messages require an answer.
      client.socket.say(#"{"type":"pong"}"#)
    }
    let end = UInt64(Self.life + Self.leeway) * 1_000
    while fixture.script.elapsed < end - 250 { try fixture.pass(milliseconds: 250) }
    #expect(fixture.shard.sessionCount == clients.count)
    #expect(fixture.core.metrics[0].value(.sessionsClosed) == 0)
    try fixture.pass(milliseconds: end + 1_000 - fixture.script.elapsed)
    let refreshed = clients.filter(\.isRefreshed)
    #expect(fixture.shard.sessionCount == refreshed.count)
    for client in clients where !client.isRefreshed {
      switch client.path {
      case "/api/v1/notifications/poll":
        // A poll gets an empty answer, and the connection stays for the next request.
        #expect(client.socket.received.text.hasPrefix("HTTP/1.1 200 "))
        continue
      case "/notifications/events":
        #expect(client.socket.isEnded)
      default:
        client.socket.received.removeFirst(client.socket.received.headEnd ?? 0)
        let code = client.path == "/api/v1/ws/notifications" ? 4002 : 1008
        #expect(try client.socket.frames().last == "close \(code)", "\(client.path)")
      }
      #expect(client.socket.isEnded)
    }
    try Self.expectSilence(fixture, clients)
  }

  /// Only the sessions that go on receive an event.
  static func expectSilence(_ fixture: ShardFixture, _ clients: [Client]) throws {
    for client in clients { client.socket.received = [] }
    for client in clients {
      while fixture.core.ring.hasWork(consumer: 0) { try fixture.turn() }
      try fixture.publish(stored(client.user))
    }
    try fixture.publish(TurnTests.broadcast())
    try fixture.turn(5)
    for client in clients {
      let isTold =
        client.socket.received.text.contains("for \(client.user)")
        || client.path == "/api/notifications/ws"
      if client.isRefreshed {
        #expect(isTold, "\(client.path) \(client.user)")
        #expect(!client.socket.isEnded)
      } else {
        #expect(client.socket.received.isEmpty, "\(client.path) \(client.user)")
      }
    }
  }
}
