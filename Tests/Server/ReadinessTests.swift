// Readiness by the state of the store: /readyz, and the log's lines about a stall.

import Notifications
import Testing

@testable import Server

@Suite("Readiness by the state of the store")
struct ReadinessTests {
  private static let request = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"

  /// The answer to one request, once it has come.
  private static func ask(
    _ fixture: ShardFixture
  ) throws -> (head: String, body: String) {
    let peer = try fixture.connect()
    peer.send(request)
    return try EndpointTests.answer(to: peer, fixture)
  }

  // Case 86
  @Test(
    "a store that cannot commit is 503 with its reason",
    arguments: [
      (StoreStatus.unavailable(reason: "a lock"), "store_unavailable", "a lock"),
      (.readOnly(reason: "a disk"), "read_only", "a disk"),
    ])
  func unavailable(status: StoreStatus, code: String, reason: String) throws {
    let fixture = try ShardFixture()
    fixture.store.checkResult = status
    let answer = try Self.ask(fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 503 ") && answer.head.contains("Retry-After"))
    #expect(answer.body.contains(#"{"code":"\#(code)","message":"\#(reason)"}"#))
    fixture.store.checkResult = .ready
    #expect(try Self.ask(fixture).head.hasPrefix("HTTP/1.1 200 "))
  }

  // Case 86
  @Test("a store that was unavailable is ready when it can commit again, without a publish")
  func recovered() throws {
    let fixture = try ShardFixture()
    fixture.store.status = .unavailable(reason: "a lock")
    #expect(try Self.ask(fixture).head.hasPrefix("HTTP/1.1 200 "))
  }

  // Case 86
  @Test("a check that does not end is 503 in time, and at once from then on")
  func hungStore() throws {
    let fixture = try ShardFixture()
    fixture.store.checkResult = nil
    let peer = try fixture.connect()
    for round in 0..<3 {
      peer.send(Self.request)
      if round == 0 {
        try fixture.turn(until: { fixture.store.checks.count == 1 })
        try fixture.pass(milliseconds: 1_900)
        #expect(peer.receive().isEmpty)
        try fixture.pass(milliseconds: 1_000)
      }
      let answer = try EndpointTests.answer(to: peer, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 503 "))
      #expect(answer.body.contains("store_stalled"))
      #expect(fixture.store.checks.count == 1)
    }
    fixture.store.checks.removeFirst()(.ready)
    try fixture.turn(2)
    fixture.store.checkResult = .ready
    peer.send(Self.request)
    #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200 "))
  }

  // Case 86
  @Test("requests at the same time share one check of the store")
  func together() throws {
    let fixture = try ShardFixture()
    fixture.store.checkResult = nil
    let peers = try (0..<5).map { _ in try fixture.connect() }
    for peer in peers { peer.send(Self.request) }
    try fixture.turn(until: { fixture.store.checks.count == 1 })
    try fixture.turn(5)
    #expect(fixture.store.checks.count == 1)
    fixture.store.checks.removeFirst()(.ready)
    for peer in peers {
      #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200 "))
    }
    #expect(fixture.store.checks.isEmpty)
  }

  // Case 86
  @Test("the metrics name the state of the store")
  func metrics() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    let names = ["store_read_only", "store_unavailable", "store_stalled"]
    for (status, name) in [
      (StoreStatus.readOnly(reason: "a disk"), names[0]),
      (.unavailable(reason: "a lock"), names[1]), (.stalled(milliseconds: 4_000), names[2]),
      (.ready, ""),
    ] {
      fixture.store.status = status
      peer.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
      let lines = try EndpointTests.answer(to: peer, fixture).body.split(separator: "\n")
      for other in names {
        #expect(lines.contains("carillon_\(other) \(other == name ? 1 : 0)"), "\(name) \(other)")
      }
    }
  }

  // Case 86
  @Test("a stall of the store and its end are one line of the log each")
  func stallIsLogged() throws {
    let log = try ReadLog(.info)
    let fixture = try ShardFixture(log: log.log)
    fixture.store.status = .stalled(milliseconds: 4_000)
    try fixture.pass(milliseconds: 5_000)
    #expect(log.lines() == ["the store has been waiting for the disk for 4 s"])
    let answer = try Self.ask(fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 503 ") && answer.body.contains("store_stalled"))
    fixture.store.status = .ready
    try fixture.pass(milliseconds: 5_000)
    #expect(log.lines() == ["the disk has answered the store"])
  }
}
