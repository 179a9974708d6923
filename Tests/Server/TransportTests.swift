// The seam for encryption: a connection with a transport gets the bytes of a plain one, changed.

import Delivery
import Glibc
import Reactor
import TestSupport
import Testing

@testable import Server

/// Changes each byte, and holds those that the socket does not accept, as encryption does.
private final class ChangingTransport: Transport {
  static func changed(_ bytes: [UInt8]) -> [UInt8] { bytes.map { $0 ^ 0x5A } }

  private var held: [UInt8] = []
  /// Bytes taken in all.
  private(set) var takenCount = 0
  var holdsBytes: Bool { !held.isEmpty }

  func send(
    _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, to fd: Int32,
    _ kernel: Kernel
  ) -> Int {
    if let refusal = offer(to: fd, kernel) { return refusal }
    held = Self.changed(Array(first) + Array(second))
    let count = held.count
    takenCount += count
    if let refusal = offer(to: fd, kernel), refusal != -Int(EAGAIN) { return refusal }
    return count
  }

  /// Offers the held bytes to the socket; the negated errno if it does not accept all of it.
  private func offer(to fd: Int32, _ kernel: Kernel) -> Int? {
    while !held.isEmpty {
      let count = kernel.send(fd, held, from: 0)
      guard count >= 0 else { return count }
      held.removeFirst(count)
    }
    return nil
  }
}

@Suite("Transports")
struct TransportTests {
  /// A member of room "r", with a transport if `isChanging`.
  private static func member(
    _ user: String, isChanging: Bool, _ fixture: ShardFixture
  ) throws -> TestPeer {
    let peer = try RoomSessionTests.member(user, fixture)
    if isChanging { peer.connection.attach(ChangingTransport()) }
    return peer
  }

  @Test func `everyone gets the same frames in the same order, with and without a transport`()
    throws
  {
    var random = SeededGenerator.announced()
    let fixture = try ShardFixture()
    let peers = try (0..<6).map { index in
      try Self.member("u", isChanging: index.isMultiple(of: 2), fixture)
    }
    for peer in peers {
      _ = try fixture.frames(of: peer)
      peer.received = []
    }
    for step in 0..<400 {
      let event =
        switch Int.random(in: 0..<3, using: &random) {
        case 0: RoomSessionTests.system("s\(step)")
        case 1: RoomSessionTests.said("m\(step)")
        default: RoomSessionTests.own("o\(step)", "u")
        }
      fixture.shard.unsettled { $0.deliver(event) }
      if Int.random(in: 0..<3, using: &random) == 0 {
        for peer in peers {
          fixture.script.room[peer.serverDescriptor] = Int.random(in: 0..<2_000, using: &random)
        }
        try fixture.turn()
      }
      for peer in peers { peer.receive() }
    }
    for peer in peers { fixture.script.room[peer.serverDescriptor] = nil }
    // A batch of the last step counts as unsent bytes of no connection until a turn flushes it.
    try fixture.turn()
    try fixture.turn(until: { peers.allSatisfy { $0.connection.unsentByteCount == 0 } })
    var frames: [[String]] = []
    for (index, peer) in peers.enumerated() {
      try fixture.turn(until: { !peer.connection.isBlocked })
      try fixture.receiveAll(peer)
      var bytes = index.isMultiple(of: 2) ? ChangingTransport.changed(peer.received) : peer.received
      frames.append(try bytes.takeFrames())
      #expect(bytes.isEmpty)
    }
    #expect(frames[1].count == 400)
    for other in frames { #expect(other == frames[1]) }
  }

  @Test func `a slow reader gets a large answer, and the connection ends after its last byte`()
    throws
  {
    let fixture = try ShardFixture(files: SharedBodyTests.files)
    let peer = try fixture.connect()
    peer.connection.attach(ChangingTransport())
    fixture.script.room[peer.serverDescriptor] = 1_000
    peer.send(SharedBodyTests.request("large.css", "Connection: close\r\n"))
    try fixture.turn(until: { peer.connection.isBlocked })
    var random = SeededGenerator.announced()
    while peer.receivedCount < SharedBodyTests.large.count {
      fixture.script.room[peer.serverDescriptor, default: 0] += Int.random(
        in: 1...40_000, using: &random)
      try fixture.turn(2)
      peer.receive()
    }
    fixture.script.room[peer.serverDescriptor] = .max
    try fixture.turn(until: {
      peer.receive()
      return peer.isEnded
    })
    let answer = ChangingTransport.changed(peer.received)
    let end = try #require(answer.headEnd)
    #expect(Array(answer[end...]) == SharedBodyTests.large)
  }

  @Test func `the transport of a connection that has ended is released`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    weak var transport: ChangingTransport?
    do {
      let attached = ChangingTransport()
      transport = attached
      peer.connection.attach(attached)
    }
    #expect(transport != nil)
    peer.connection.end()
    #expect(transport == nil)
  }

  @Test func `a socket that fails under a transport ends its connection`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    peer.connection.attach(ChangingTransport())
    fixture.script.sends[peer.serverDescriptor] = [-Int(ECONNRESET)]
    fixture.shard.deliver(RoomSessionTests.system("x"))
    try fixture.turn(until: { peer.connection.hasEnded })
  }
}
