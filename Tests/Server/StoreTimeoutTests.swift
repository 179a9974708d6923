// The deadline of requests that wait for the store.

import Notifications
import Testing

@testable import Server

@Suite("Deadlines of the store's answers")
struct StoreTimeoutTests {
  // Case 86
  @Test("a command without an outcome is answered 504 in time, and its late outcome nothing")
  func lateCommand() throws {
    let fixture = try ShardFixture()
    for request in StoreOutcomeTests.requests {
      let peer = try fixture.connect()
      peer.send(request + EndpointTests.request("GET /healthz"))
      try fixture.turn(until: { fixture.store.commands.count == 1 })
      try fixture.pass(milliseconds: 7_000)
      #expect(peer.receive().isEmpty)
      try fixture.pass(milliseconds: 3_000)
      let answer = try EndpointTests.answer(to: peer, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 504 "))
      #expect(answer.body.contains(#""code":"outcome_unknown""#))
      #expect(answer.head.contains("Connection: close"))
      #expect(!answer.head.contains("Retry-After"))
      try fixture.store.answer(.published)
      try fixture.turn(until: { peer.isEnded || peer.receive().headEnd != nil })
      #expect(peer.receive().isEmpty)
      #expect(fixture.shard.bodyBytesInFlight == 0)
    }
    #expect(fixture.core.metrics[0].value(.storeTimeouts) == StoreOutcomeTests.requests.count)
  }

  // Case 86
  @Test("a query without an answer is answered 503 in time")
  func lateQuery() throws {
    let fixture = try ShardFixture()
    for path in ["", "/unread-count", "/stats"] {
      let peer = try fixture.connect()
      peer.send(EndpointTests.request("GET /api/v1/notifications\(path)", user: "u"))
      try fixture.turn(until: { fixture.store.reads.count == 1 })
      try fixture.pass(milliseconds: 14_000)
      let answer = try EndpointTests.answer(to: peer, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 503 ") && answer.head.contains("Retry-After"))
      #expect(answer.body.contains(#""code":"unreadable""#))
      try fixture.store.answer(.failed(reason: ""))
      try fixture.turn(until: { peer.isEnded || peer.receive().headEnd != nil })
      #expect(peer.receive().isEmpty)
    }
  }

  // Case 86
  @Test("while a command is overdue, further ones are refused without reaching the store")
  func stalled() throws {
    let fixture = try ShardFixture()
    let first = try fixture.connect()
    first.send(StoreOutcomeTests.requests[0])
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    try fixture.pass(milliseconds: 14_000)
    #expect(try EndpointTests.answer(to: first, fixture).head.hasPrefix("HTTP/1.1 504 "))
    let second = try fixture.connect()
    let relayed = EndpointTests.request(
      "POST /api/v1/notifications?ack=relayed", body: EndpointTests.draft)
    for request in StoreOutcomeTests.requests + [relayed] {
      second.send(request)
      let refused = try EndpointTests.answer(to: second, fixture)
      #expect(refused.head.hasPrefix("HTTP/1.1 503 ") && refused.head.contains("Retry-After"))
      #expect(refused.body.contains(#""code":"store_stalled""#))
      #expect(fixture.store.commands.count == 1)
    }
    try fixture.store.answer(.published)
    try fixture.turn(3)
    second.send(StoreOutcomeTests.requests[0])
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    try fixture.store.answer(.published)
    #expect(try EndpointTests.answer(to: second, fixture).head.hasPrefix("HTTP/1.1 201 "))
  }

  @Test("a caller of this process gets the outcome or, after its deadline, that it is unknown")
  func callers() {
    let callers = WaitingCallers()
    // Unchecked: no other thread runs here.
    nonisolated(unsafe) var outcomes: [[StoreOutcome]] = [[], []]
    let first = callers.add({ outcomes[0].append($0) }, until: 10)
    let second = callers.add({ outcomes[1].append($0) }, until: 20)
    first(.published)
    callers.expire(at: 19)
    #expect(outcomes == [[.published], []])
    callers.expire(at: 20)
    second(.published)
    callers.expire(at: 30)
    let late = StoreOutcome.unknown(reason: "the store has not finished the command in time")
    #expect(outcomes == [[.published], [late]])
  }
}
