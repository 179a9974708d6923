// The rate of a user's HTTP requests, over all of its connections.

import TestSupport
import Testing

@testable import Server

@Suite("The rate of a user's requests")
struct RequestRateTests {
  /// A user's request for its inbox, as it comes from another machine.
  private static func ask(
    _ peer: TestPeer, _ user: String, scopes: [String] = [], _ fixture: ShardFixture
  ) throws -> (head: String, body: String) {
    peer.send(
      EndpointTests.request(
        "GET /api/notifications/stats", user: user, fields: "X-Forwarded-For: 203.0.113.9\r\n",
        scopes: scopes))
    let answer = try EndpointTests.answer(to: peer, fixture)
    return (answer.head, answer.body)
  }

  /// A request that is refused, after the time for which refusals are held back.
  private static func refused(
    _ peer: TestPeer, _ user: String, _ fixture: ShardFixture
  ) throws -> (head: String, body: String) {
    peer.send(
      EndpointTests.request(
        "GET /api/notifications/stats", user: user, fields: "X-Forwarded-For: 203.0.113.9\r\n",
        scopes: []))
    try fixture.turn(until: { peer.connection.hasPendingAnswer })
    try fixture.pass(milliseconds: fixture.core.configuration.limits.heldRefusalMilliseconds)
    let answer = try EndpointTests.answer(to: peer, fixture)
    return (answer.head, answer.body)
  }

  @Test func `a user's request over its rate gets 429, on any connection and any endpoint`() throws
  {
    let fixture = try LimitingTests.fixture { $0.requestRate = RateLimit(perSecond: 1, burst: 3) }
    let (first, second) = (try fixture.connect(), try fixture.connect())
    for peer in [first, second, first] {
      #expect(try Self.ask(peer, "u", fixture).head.hasPrefix("HTTP/1.1 200"))
    }
    let answer = try Self.refused(second, "u", fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 429 ") && answer.head.contains("Retry-After: 1\r\n"))
    #expect(answer.body.contains(#""code":"rate_limited""#))
    #expect(answer.body.contains("a user makes at most 1 requests a second"))
    // The connection stays, and others are served.
    #expect(try Self.ask(second, "other", fixture).head.hasPrefix("HTTP/1.1 200"))
    // A request to an endpoint for publishers counts, too: a user gets no more answers by it.
    second.send(EndpointTests.request("GET /api/v1/users/online", user: "u", scopes: []))
    try fixture.turn(until: { second.connection.hasPendingAnswer })
    try fixture.pass(milliseconds: 100)
    #expect(try EndpointTests.answer(to: second, fixture).head.hasPrefix("HTTP/1.1 429"))
    #expect(fixture.core.metrics[0].value(.requestsRefusedByRate) == 2)
    try fixture.pass(milliseconds: 1_000)
    #expect(try Self.ask(first, "u", fixture).head.hasPrefix("HTTP/1.1 200"))
    #expect(try Self.refused(first, "u", fixture).head.hasPrefix("HTTP/1.1 429"))
  }

  @Test func `the default rate of requests counts users of other machines alone`() throws {
    let fixture = try LimitingTests.fixture { _ in }
    let peer = try fixture.connect()
    for _ in 0..<Limits.standardRequestRate.burst {
      #expect(try Self.ask(peer, "u", fixture).head.hasPrefix("HTTP/1.1 200"))
    }
    #expect(try Self.refused(peer, "u", fixture).head.hasPrefix("HTTP/1.1 429"))
    let local = try fixture.connect()
    local.send(EndpointTests.request("GET /api/notifications/stats", user: "u", scopes: []))
    #expect(try EndpointTests.answer(to: local, fixture).head.hasPrefix("HTTP/1.1 200"))
    // A publisher has the rate of publishing.
    #expect(try Self.ask(peer, "u", scopes: ["publish"], fixture).head.hasPrefix("HTTP/1.1 200"))
  }

  @Test func `the refusals of a client that pipelines requests are paced`() throws {
    let fixture = try LimitingTests.fixture { $0.requestRate = RateLimit(perSecond: 1, burst: 1) }
    let peer = try fixture.connect()
    let request = EndpointTests.request(
      "GET /api/notifications/stats", user: "u", fields: "X-Forwarded-For: 203.0.113.9\r\n",
      scopes: [])
    for _ in 0..<100 { peer.send(request) }
    try fixture.turn(until: { peer.connection.hasPendingAnswer })
    for _ in 0..<9 { try fixture.pass(milliseconds: 100) }
    let text = peer.receive().text
    #expect(text.ranges(of: "HTTP/1.1 200").count == 1)
    // One each 100 ms.
    #expect(fixture.core.metrics[0].value(.requestsRefusedByRate) == 10)
    #expect(text.ranges(of: "HTTP/1.1 429").count == 9)
    // A body would have to be read meanwhile, so its request is refused at once.
    let other = try fixture.connect()
    other.send(
      EndpointTests.request(
        "POST /api/v1/notifications/read", user: "u",
        fields: "X-Forwarded-For: 203.0.113.9\r\n", body: "{}", scopes: []))
    let answer = try EndpointTests.answer(to: other, fixture).head
    #expect(answer.hasPrefix("HTTP/1.1 429") && answer.contains("Connection: close"))
  }
}
