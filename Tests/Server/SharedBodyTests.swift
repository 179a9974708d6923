// Shared bodies: slow readers of one answer hold one copy, and each gets the whole body.

import TestSupport
import Testing

@testable import Server

@Suite("Shared bodies")
struct SharedBodyTests {
  static let large: [UInt8] = {
    var generator = SeededGenerator(seed: 7)
    return (0..<200_000).map { _ in UInt8.random(in: 0x20...0x7E, using: &generator) }
  }()
  static let files = ClientFiles([
    SourceFile(path: "client/large.css", bytes: large),
    SourceFile(path: "client/small.js", bytes: Array("export {}\n".utf8)),
  ])

  static func request(_ name: String, _ fields: String = "") -> String {
    "GET /client/\(files.hash)/\(name) HTTP/1.1\r\nHost: x\r\n\(fields)\r\n"
  }

  @Test func `slow readers of one body hold one copy between them`() throws {
    let fixture = try ShardFixture(files: Self.files)
    let peers = try (0..<50).map { _ in try fixture.connect() }
    for (index, peer) in peers.enumerated() {
      // Some have not even been sent the whole head.
      fixture.script.room[peer.serverDescriptor] = index * 500
      peer.send(Self.request("large.css"))
    }
    try fixture.turn(until: { peers.allSatisfy { $0.connection.isBlocked } })
    #expect(Set(peers.map(\.connection.sharedBodyAddress)).count == 1)
    #expect(peers[0].connection.sharedBodyAddress != nil)
    for peer in peers {
      let connection = peer.connection
      #expect(connection.privateBuffer.capacity < 1_024)
      #expect(connection.queuedByteCount > 150_000)
    }
    #expect(fixture.shard.blockedByteCount < 50 * 1_024)
    // Each reads at its own pace, a part of the head and single bytes among them.
    var generator = SeededGenerator(seed: 9)
    var left = peers
    while !left.isEmpty {
      for peer in left {
        let room = [0, 1, 100, 9_999, 70_000].randomElement(using: &generator)!
        fixture.script.room[peer.serverDescriptor, default: 0] += room
      }
      try fixture.turn(2)
      left.removeAll { !$0.connection.isBlocked }
    }
    for peer in peers {
      try Self.expectLarge(peer, fixture)
      #expect(peer.connection.sharedBodyAddress == nil)
      #expect(peer.connection.privateBuffer.count == 0)
    }
    #expect(fixture.shard.blockedByteCount == 0)
  }

  private static func expectLarge(_ peer: TestPeer, _ fixture: ShardFixture) throws {
    try fixture.turn(until: {
      guard let end = peer.receive().headEnd else { return false }
      return peer.received.count >= end + large.count
    })
    let end = try #require(peer.received.headEnd)
    #expect(Array(peer.received[end...].prefix(large.count)) == large)
    peer.received.removeFirst(end + large.count)
  }

  @Test func `requests after one for a shared body are answered after it`() throws {
    let fixture = try ShardFixture(files: Self.files)
    let peer = try fixture.connect()
    fixture.script.room[peer.serverDescriptor] = 1_000
    let health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    peer.send(Self.request("large.css") + health + Self.request("large.css") + health)
    try fixture.turn(until: { peer.connection.isBlocked })
    #expect(fixture.core.metrics[0].value(.requests) == 1)
    fixture.script.room[peer.serverDescriptor] = .max
    for _ in 0..<2 {
      try Self.expectLarge(peer, fixture)
      let (head, body) = try EndpointTests.answer(to: peer, fixture)
      #expect(head.hasPrefix("HTTP/1.1 200"))
      #expect(body.contains("ok"))
    }
    #expect(fixture.core.metrics[0].value(.requests) == 4)
  }

  @Test func `many pipelined requests are answered in order`() throws {
    let fixture = try ShardFixture(files: Self.files)
    let peer = try fixture.connect()
    let health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    peer.send(String(repeating: Self.request("small.js") + health, count: 20))
    for _ in 0..<20 {
      #expect(try EndpointTests.answer(to: peer, fixture).body == "export {}\n")
      #expect(try EndpointTests.answer(to: peer, fixture).body.contains("ok"))
    }
  }

  @Test func `a connection that closes with a shared body ends after its last byte`() throws {
    for endsSending in [false, true] {
      let fixture = try ShardFixture(files: Self.files)
      let peer = try fixture.connect()
      fixture.script.room[peer.serverDescriptor] = 1_000
      peer.send(Self.request("large.css", endsSending ? "" : "Connection: close\r\n"))
      if endsSending { peer.endSending() }
      try fixture.turn(until: { peer.connection.isBlocked })
      fixture.script.room[peer.serverDescriptor] = .max
      try fixture.turn(until: {
        peer.receive()
        return peer.isEnded
      })
      try Self.expectLarge(peer, fixture)
      #expect(peer.received.isEmpty)
    }
  }

  @Test func `a reader of single bytes gets the whole body through interrupted calls`() throws {
    let fixture = try ShardFixture(files: Self.files)
    let peer = try fixture.connect()
    fixture.script.shortPermille = 500
    fixture.script.interruptedPermille = 200
    for _ in 0..<20 {
      peer.send(Self.request("small.js"))
      let (head, body) = try EndpointTests.answer(to: peer, fixture)
      #expect(head.hasPrefix("HTTP/1.1 200"))
      #expect(body == "export {}\n")
    }
  }

  @Test func `a reader that stops is cut like any slow reader`() throws {
    let fixture = try ShardFixture(files: Self.files)
    let peer = try fixture.connect()
    fixture.script.room[peer.serverDescriptor] = 1_000
    peer.send(Self.request("large.css"))
    try fixture.turn(until: { peer.connection.isBlocked })
    try fixture.pass(milliseconds: 9_000)
    #expect(peer.connection.state == .http)
    try fixture.pass(milliseconds: 2_000)
    #expect(peer.connection.hasEnded)
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 1)
  }

  @Test func `a slow reader gets the whole body, and its next request a timeout of its own`() throws
  {
    let fixture = try ShardFixture(files: Self.files)
    let peer = try fixture.connect()
    fixture.script.room[peer.serverDescriptor] = 1_000
    // With a part of a next request, which alone would be answered 408.
    peer.send(Self.request("large.css") + "GET /hea")
    try fixture.turn(until: { peer.connection.isBlocked })
    for _ in 0..<90 {
      fixture.script.room[peer.serverDescriptor, default: 0] += 1_000
      try fixture.pass(milliseconds: 1_000)
      peer.receive()
      try #require(!peer.connection.hasEnded)
    }
    fixture.script.room[peer.serverDescriptor] = .max
    try Self.expectLarge(peer, fixture)
    try fixture.pass(milliseconds: 9_000)
    #expect(peer.receive().isEmpty)
    try fixture.pass(milliseconds: 2_000)
    #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 408 "))
  }
}
