// The shares of publishers, users and strangers in the bodies that a shard holds.

import Notifications
import Reactor
import Testing
import Wire

@testable import Server

@Suite("Shares of request bodies")
struct BodyShareTests {
  private static let kibibyte = 1_024

  private static func bodies() -> BodiesInFlight {
    var limits = Limits()
    limits.publisherBodiesBytesLimit = 800
    limits.userBodiesBytesLimit = 800
    limits.strangerBodiesBytesLimit = 800
    return BodiesInFlight(limits)
  }

  private static func head(_ length: Int) throws -> HTTPRequestHead {
    var parser = HTTPRequestHeadParser(limits: HTTPLimits())
    let text = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \(length)\r\n\r\n"
    return try #require(try parser.parse(Array(text.utf8).span))
  }

  private static func user(_ name: String) -> BodyHolder { .user(TextKey(name)) }

  private static func stranger(_ address: String) throws -> BodyHolder {
    .stranger(AddressKey(try #require(PeerAddress(address))))
  }

  /// A request of which that many bytes have come.
  private static func exchange(
    _ holder: BodyHolder, _ count: Int, in bodies: inout BodiesInFlight
  ) -> Exchange {
    let exchange = Exchange()
    exchange.bodyHolder = holder
    exchange.body = [UInt8](repeating: 0x20, count: count)
    bodies.count(exchange)
    return exchange
  }

  @Test("a class that has used up its share leaves those of the others alone")
  func classes() throws {
    let holders = try [.publishers, Self.user("u"), Self.stranger("192.0.2.1")]
    let others = try [.publishers, Self.user("other"), Self.stranger("192.0.2.2")]
    for (full, holder) in holders.enumerated() {
      var bodies = Self.bodies()
      let exchange = Self.exchange(holder, 800, in: &bodies)
      #expect(!bodies.isOverLimit(exchange))
      for (index, other) in others.enumerated() {
        let hasRoom = bodies.hasRoom(for: try Self.head(800), bodyLimit: 0, of: other)
        #expect(hasRoom == (index != full))
        #expect(
          bodies.hasRoom(for: try Self.head(1), bodyLimit: 0, of: other) == (index != full))
      }
      exchange.body.append(0)
      bodies.count(exchange)
      #expect(bodies.isOverLimit(exchange))
      exchange.body = []
      bodies.count(exchange)
      #expect(bodies.byteCount == 0 && bodies.heldByteCount == 0)
    }
  }

  @Test("a user, and an address without a token, has an eighth of its share, or a single body")
  func holders() throws {
    let pairs = try [
      (Self.user("u"), Self.user("v")),
      (Self.stranger("192.0.2.1"), Self.stranger("192.0.2.2")),
      (Self.stranger("2001:db8::1"), Self.stranger("2001:db8:0:1::1")),
    ]
    for (holder, other) in pairs {
      var bodies = Self.bodies()
      #expect(bodies.hasRoom(for: try Self.head(800), bodyLimit: 0, of: holder))
      let first = Self.exchange(holder, 60, in: &bodies)
      #expect(bodies.hasRoom(for: try Self.head(40), bodyLimit: 0, of: holder))
      #expect(!bodies.hasRoom(for: try Self.head(41), bodyLimit: 0, of: holder))
      #expect(bodies.hasRoom(for: try Self.head(41), bodyLimit: 0, of: other))
      let second = Self.exchange(holder, 41, in: &bodies)
      #expect(bodies.isOverLimit(first) && bodies.isOverLimit(second))
      let third = Self.exchange(other, 100, in: &bodies)
      #expect(!bodies.isOverLimit(third))
    }
    var bodies = Self.bodies()
    _ = Self.exchange(.publishers, 400, in: &bodies)
    #expect(bodies.hasRoom(for: try Self.head(400), bodyLimit: 0, of: .publishers))
  }

  @Test("an IPv6 network of 64 bits is one holder")
  func network() throws {
    #expect(try Self.stranger("2001:db8::1") == Self.stranger("2001:db8::ffff"))
  }

  @Test("a publish that was answered early counts for publishers")
  func relayed() throws {
    var bodies = Self.bodies()
    bodies.beginRelay(byteCount: 800)
    #expect(!bodies.hasRoom(for: try Self.head(1), bodyLimit: 0, of: .publishers))
    #expect(bodies.hasRoom(for: try Self.head(1), bodyLimit: 0, of: Self.user("u")))
    #expect(bodies.byteCount == 800 && bodies.requestByteCount == 0)
    bodies.endRelay(byteCount: 800)
    #expect(bodies.hasRoom(for: try Self.head(800), bodyLimit: 0, of: .publishers))
  }

  private static func fixture(
    _ change: (inout Limits) -> Void = { _ in }
  ) throws -> ShardFixture {
    try ShardFixture.engine { configuration in
      configuration.limits.publisherBodiesBytesLimit = 256 * kibibyte
      configuration.limits.userBodiesBytesLimit = 256 * kibibyte
      configuration.limits.strangerBodiesBytesLimit = 256 * kibibyte
      change(&configuration.limits)
    }
  }

  // Case 63
  @Test("bodies that strangers hold refuse neither a publish nor a user's request")
  func strangers() throws {
    // One body of an address may take all of the share.
    let fixture = try Self.fixture { $0.strangerBodiesBytesLimit = 30_000 }
    var holders: [TestPeer] = []
    // Sessions without a token: the first has a body under way, the others are refused theirs.
    for number in 0..<5 {
      let client = try PollingClient(fixture)
      client.posts.send(
        "POST /engine.io/?EIO=4&transport=polling&sid=\(client.sid) HTTP/1.1\r\nHost: x\r\n"
          + "Content-Length: 30000\r\n\r\n")
      try fixture.turn(2)
      if number == 0 {
        client.posts.send(String(repeating: "4", count: 29_999))
        try fixture.turn(2)
      } else {
        #expect(try EndpointTests.answer(to: client.posts, fixture).head.hasPrefix("HTTP/1.1 503"))
      }
      holders += [client.polls, client.posts]
    }
    #expect(fixture.shard.bodyBytesInFlight == 29_999)
    let publisher = try fixture.connect()
    publisher.send(EndpointTests.request("POST /api/v1/notifications", body: EndpointTests.draft))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    try fixture.store.answer(.published)
    let status = try EndpointTests.answer(to: publisher, fixture).head
    #expect(status.hasPrefix("HTTP/1.1 201"))
    let user = try fixture.connect()
    user.send(
      EndpointTests.request(
        "POST /api/v1/notifications/read", user: "u",
        body: #"{"ids":["\#(NotificationID(high: 1, low: 2).text)"]}"#, scopes: []))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    try fixture.store.answer(.changed(count: 0, Counts()))
    #expect(try EndpointTests.answer(to: user, fixture).head.hasPrefix("HTTP/1.1 200"))
    for peer in holders { peer.endSending() }
    try fixture.turn(until: { fixture.shard.bodyBytesInFlight == 0 })
  }

  @Test("a refused token is answered before the body is read")
  func authenticatedFirst() throws {
    let fixture = try ShardFixture()
    for (path, status) in [
      ("/api/v1/notifications", 401), ("/api/v1/notifications/batch", 401),
      ("/api/v1/notifications/read", 401), ("/api/v1/websocket/send/room", 401),
    ] {
      let peer = try fixture.connect()
      peer.send(
        "POST \(path) HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer no\r\n"
          + "Content-Length: 60000\r\n\r\n")
      let head = try EndpointTests.answer(to: peer, fixture).head
      #expect(head.hasPrefix("HTTP/1.1 \(status) "), "\(path)")
      #expect(fixture.shard.bodyBytesInFlight == 0)
    }
  }

  @Test("before a namespace a body has 64 KiB, and one byte more ends the session")
  func beforeNamespace() throws {
    let fixture = try ShardFixture.engine()
    func post(_ length: Int, to client: PollingClient) {
      client.posts.send(
        "POST /namespaces/?EIO=4&transport=polling&sid=\(client.sid) HTTP/1.1\r\nHost: x\r\n"
          + "Content-Length: \(length)\r\n\r\n")
    }
    let first = try PollingClient(fixture, "/namespaces/")
    post(65_537, to: first)
    #expect(try fixture.answer(to: first.posts).status == 413)
    #expect(first.session == nil)
    let second = try PollingClient(fixture, "/namespaces/")
    post(65_536, to: second)
    try fixture.turn(3)
    #expect(second.session != nil && second.posts.receive().isEmpty)
    let third = try PollingClient(fixture, "/namespaces/")
    #expect(try third.post("40") == 200)
    post(65_537, to: third)
    try fixture.turn(3)
    #expect(third.session != nil && third.posts.receive().isEmpty)
  }
}
