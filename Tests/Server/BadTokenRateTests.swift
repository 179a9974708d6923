// The rate of tokens with a wrong signature: case 55.

import TestSupport
import Testing
import Tokens

@testable import Server

@Suite("The rate of tokens with a wrong signature")
struct BadTokenRateTests {
  static let forged = TokenSigner.sign(
    userID: "alice", issuedAtSeconds: 0, expiresAtSeconds: 253_402_300_799,
    secret: Array("another secret".utf8))

  /// The head of the answer to a request with that token.
  static func answer(
    to token: String, _ peer: TestPeer, _ fixture: ShardFixture, isHeld: Bool = false
  ) throws -> String {
    peer.send(
      "GET /api/notifications/stats HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n"
        + "Authorization: Bearer \(token)\r\n\r\n")
    if isHeld {
      try fixture.turn(until: { peer.connection.hasPendingAnswer })
      try fixture.pass(milliseconds: fixture.core.configuration.limits.heldRefusalMilliseconds)
    }
    return try EndpointTests.answer(to: peer, fixture).head
  }

  @Test("past its rate no token of an address is verified, and after a time they are again")
  func rate() throws {
    let fixture = try LimitingTests.fixture {
      $0.badTokenRate = RateLimit(perSecond: 1, burst: 3)
    }
    for _ in 0..<3 {
      let peer = try fixture.connect()
      #expect(try Self.answer(to: Self.forged, peer, fixture).hasPrefix("HTTP/1.1 401 "))
    }
    // Valid or not: no signature is verified.
    let valid = ShardFixture.token("alice")
    for token in [Self.forged, valid] {
      let peer = try fixture.connect()
      let head = try Self.answer(to: token, peer, fixture, isHeld: true)
      #expect(head.hasPrefix("HTTP/1.1 429 ") && head.contains("Retry-After: 1\r\n"), "\(head)")
    }
    #expect(fixture.core.metrics[0].value(.tokensRefusedByRate) == 2)
    try fixture.pass(milliseconds: 1_000)
    #expect(
      try Self.answer(to: valid, try fixture.connect(), fixture).hasPrefix("HTTP/1.1 200 "))
  }

  @Test("valid tokens, and tokens that are refused for another reason, do not count")
  func otherTokens() throws {
    let fixture = try LimitingTests.fixture {
      $0.badTokenRate = RateLimit(perSecond: 1, burst: 1)
    }
    let expired = TokenSigner.sign(
      userID: "alice", issuedAtSeconds: 0, expiresAtSeconds: 1, secret: ShardFixture.secret)
    for token in [expired, "a.b.c", "", ShardFixture.token("alice")] {
      for _ in 0..<3 {
        let head = try Self.answer(to: token, try fixture.connect(), fixture)
        #expect(!head.hasPrefix("HTTP/1.1 429 "), "\(token)")
      }
    }
    #expect(fixture.core.metrics[0].value(.tokensRefusedByRate) == 0)
  }

  @Test("asking for the wait takes no token, also from the shared bucket")
  func waits() {
    var table = BucketTable<Int>(limit: RateLimit(perSecond: 1, burst: 2), capacity: 1)
    for _ in 0..<10 { #expect(table.wait(1, at: 0) == nil) }
    #expect(table.count == 0)
    #expect(table.take(1, at: 0) == nil)
    #expect(table.take(1, at: 0) == nil)
    #expect(table.wait(1, at: 0) == 1_000_000_000)
    #expect(table.wait(1, at: 1_000_000_000) == nil)
    // Without room, further callers share a bucket.
    #expect(table.wait(2, at: 0) == nil)
    #expect(table.take(2, at: 0) == nil)
    #expect(table.take(3, at: 0) == nil)
    #expect(table.wait(4, at: 0) == 1_000_000_000)
  }
}
