// The quotas by themselves: the addresses and users they count together or not at all, exactness
// under concurrent threads, and empty tables once all connections have left.

import Delivery
import Reactor
import TestSupport
import Testing

@testable import Server

@Suite("Quotas")
struct QuotaTests {
  static func v4(
    _ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, port: UInt16 = 1
  ) -> PeerAddress {
    PeerAddress([a, b, c, d], port: port)
  }

  /// An IPv6 address by the first and the last of its eight parts, and the fourth.
  static func v6(_ first: UInt16, network: UInt8, host: UInt8) -> PeerAddress {
    var bytes = [UInt8](repeating: 0, count: 16)
    (bytes[0], bytes[1], bytes[7], bytes[15]) = (
      UInt8(first >> 8), UInt8(first & 0xFF), network, host
    )
    return PeerAddress(bytes, port: 0)
  }

  private static func limits(_ change: (inout Limits) -> Void) -> Limits {
    var limits = Limits()
    limits.connectRate = .off
    change(&limits)
    return limits
  }

  private static func refusal(_ quotas: Quotas, _ peer: PeerAddress) -> AdmissionRefusal? {
    do throws(AdmissionRefusal) {
      _ = try quotas.enter(from: peer, isLocal: peer.isLoopback, at: 0)
      return nil
    } catch {
      return error
    }
  }

  private static func connection(
    _ slot: UInt32, generation: UInt32 = 0, on shard: Int
  ) -> ShardConnectionID {
    ShardConnectionID(
      shard: shard, connection: ConnectionID(slot: slot, generation: generation))
  }

  @Test
  func `one IPv4 address is one key, whatever the port, and so is an IPv6 network of 64 bits`() {
    #expect(AddressKey(Self.v4(10, 1, 2, 3)) == AddressKey(Self.v4(10, 1, 2, 3, port: 9)))
    #expect(AddressKey(Self.v4(10, 1, 2, 3)) != AddressKey(Self.v4(10, 1, 2, 4)))
    #expect(AddressKey(Self.v4(10, 1, 2, 3)) != AddressKey(Self.v4(11, 1, 2, 3)))
    let one = Self.v6(0x2001, network: 1, host: 1)
    #expect(AddressKey(one) == AddressKey(Self.v6(0x2001, network: 1, host: 200)))
    #expect(AddressKey(one) != AddressKey(Self.v6(0x2001, network: 2, host: 1)))
    #expect(AddressKey(one) != AddressKey(Self.v6(0x2002, network: 1, host: 1)))
    // The family counts: 0.0.0.1 and an IPv6 network with the number 1.
    #expect(AddressKey(Self.v4(0, 0, 0, 1)) != AddressKey(Self.v6(0, network: 1, host: 1)))
  }

  // Case 63
  @Test func `the hundredth connection of an address is admitted, and one more is not`() throws {
    let quotas = Quotas(Self.limits { _ in })
    for peer in [Self.v4(192, 0, 2, 1), Self.v6(0x2001, network: 1, host: 1)] {
      for _ in 0..<100 { #expect(try quotas.enter(from: peer, isLocal: peer.isLoopback, at: 0)) }
      #expect(Self.refusal(quotas, peer) == .address)
      quotas.leave(peer, at: 0)
      #expect(Self.refusal(quotas, peer) == nil)
      #expect(Self.refusal(quotas, peer) == .address)
    }
    #expect(Self.refusal(quotas, Self.v4(192, 0, 2, 2)) == nil)
    #expect(Self.refusal(quotas, Self.v6(0x2001, network: 1, host: 99)) == .address)
    #expect(Self.refusal(quotas, Self.v6(0x2001, network: 2, host: 1)) == nil)
  }

  @Test func `a default does not count this machine, a configured number does`() throws {
    let ownerShard = Self.v4(127, 0, 0, 1)
    let quotas = Quotas(Limits())
    for _ in 0..<1_000 {
      #expect(try !quotas.enter(from: ownerShard, isLocal: ownerShard.isLoopback, at: 0))
    }
    #expect(
      !quotas.countsSessions(isLocal: ownerShard.isLoopback)
        && !quotas.countsMessages(isLocal: ownerShard.isLoopback))
    #expect(quotas.sizes(at: 0) == QuotaSizes(addresses: 0, users: 0, buckets: 0))
    let away = Self.v4(192, 0, 2, 1)
    #expect(
      quotas.countsSessions(isLocal: away.isLoopback)
        && quotas.countsMessages(isLocal: away.isLoopback))

    let given = Quotas(
      Self.limits { limits in
        limits.connectionsPerAddressLimit = 3
        limits.sessionsPerUserLimit = 2
        limits.messageRate = RateLimit(perSecond: 1, burst: 1)
      })
    for _ in 0..<3 { #expect(Self.refusal(given, ownerShard) == nil) }
    #expect(Self.refusal(given, ownerShard) == .address)
    #expect(
      given.countsSessions(isLocal: ownerShard.isLoopback)
        && given.countsMessages(isLocal: ownerShard.isLoopback))
  }

  @Test func `zero means no limit for any address or user`() throws {
    let quotas = Quotas(
      Self.limits { limits in
        limits.connectionsPerAddressLimit = 0
        limits.sessionsPerUserLimit = 0
        limits.messageRate = .off
      })
    let away = Self.v4(192, 0, 2, 1)
    for _ in 0..<10_000 { #expect(try !quotas.enter(from: away, isLocal: away.isLoopback, at: 0)) }
    #expect(
      !quotas.countsSessions(isLocal: away.isLoopback)
        && !quotas.countsMessages(isLocal: away.isLoopback))
    for _ in 0..<10_000 { #expect(quotas.publish(by: "key", at: 0) == nil) }
  }

  @Test func `refused connections count against the address' rate, too`() throws {
    var limits = Limits()
    limits.connectionsPerAddressLimit = 1
    let quotas = Quotas(limits)
    let peer = Self.v4(192, 0, 2, 1)
    #expect(Self.refusal(quotas, peer) == nil)
    // A connection refused by the count uses up a token all the same.
    for _ in 1..<100 { #expect(Self.refusal(quotas, peer) == .address) }
    #expect(Self.refusal(quotas, peer) == .addressRate(wait: 50_000_000))
    #expect(Self.refusal(quotas, Self.v4(192, 0, 2, 2)) == nil)
    // The bucket outlives the connection.
    quotas.leave(peer, at: 0)
    #expect(Self.refusal(quotas, peer) == .addressRate(wait: 50_000_000))
    #expect(try quotas.enter(from: peer, isLocal: peer.isLoopback, at: 50_000_000))
  }

  @Test func `the oldest gives way, then the next oldest, and each is counted once`() {
    let quotas = Quotas(
      Self.limits { limits in
        limits.sessionsPerUserLimit = 3
        limits.whenUserFull = .replace
      })
    let slots = (0..<6).map { Self.connection(UInt32($0), generation: 7, on: $0 % 2) }
    for slot in slots[..<3] { #expect(quotas.begin("u", at: slot) == .admitted) }
    #expect(quotas.begin("u", at: slots[3]) == .replaces(slots[0]))
    quotas.end("u", at: slots[0])
    quotas.end("u", at: slots[2])
    #expect(quotas.begin("u", at: slots[4]) == .admitted)
    #expect(quotas.begin("u", at: slots[5]) == .replaces(slots[1]))
    for slot in slots { quotas.end("u", at: slot) }
    #expect(quotas.sizes(at: 0).users == 0)
  }

  @Test func `users are distinguished by their bytes`() {
    let quotas = Quotas(Self.limits { $0.sessionsPerUserLimit = 1 })
    let slot = Self.connection(1, generation: 1, on: 0)
    #expect(quotas.begin("caf\u{E9}", at: slot) == .admitted)
    #expect(quotas.begin("cafe\u{301}", at: slot) == .admitted)
    #expect(quotas.begin("caf\u{E9}", at: slot) == .refused)
  }

  // Case 63
  @Test(
    "concurrent threads are admitted exactly up to the limit and leave no counts",
    arguments: [FullUserPolicy.reject, .replace])
  func threads(policy: FullUserPolicy) throws {
    let quotas = Quotas(
      Self.limits { limits in
        limits.connectionsPerAddressLimit = 40
        limits.sessionsPerUserLimit = 20
        limits.whenUserFull = policy
      })
    let peer = Self.v4(127, 0, 0, 1)
    let tallies = (0..<4).map { _ in Tally() }
    // More than the limit, from each of four shards; none leaves.
    try Self.onThreads(4) { shard in
      for number in 0..<30 {
        if Self.refusal(quotas, peer) == nil { tallies[shard].entered += 1 }
        let slot = Self.connection(UInt32(number), on: shard)
        if quotas.begin("u", at: slot) == .admitted { tallies[shard].begun += 1 }
      }
    }
    #expect(tallies.reduce(0) { $0 + $1.entered } == 40)
    #expect(tallies.reduce(0) { $0 + $1.begun } == 20)
    for _ in 0..<40 { quotas.leave(peer, at: 0) }
    for shard in 0..<4 {
      for number in 0..<30 where policy == .replace {
        quotas.end("u", at: Self.connection(UInt32(number), on: shard))
      }
    }
    if policy == .reject {
      for number in 0..<20 {
        quotas.end("u", at: Self.connection(UInt32(number), on: 0))
      }
    }
    #expect(quotas.sizes(at: 0) == QuotaSizes(addresses: 0, users: 0, buckets: 0))
  }

  // Case 63
  @Test func `after a hundred thousand connections and sessions the tables are empty`() throws {
    var limits = Limits()
    limits.connectRate = RateLimit(perSecond: 1_000, burst: 1_000)
    let quotas = Quotas(limits)
    try Self.onThreads(4) { shard in
      for number in 0..<25_000 {
        let peer = Self.v4(192, 0, UInt8(number >> 6 & 0x0F), UInt8(number & 0x3F))
        let now = UInt64(number) * 1_000_000
        guard (try? quotas.enter(from: peer, isLocal: peer.isLoopback, at: now)) == true else {
          continue
        }
        let slot = Self.connection(UInt32(number), on: shard)
        if quotas.begin("user-\(number % 100)", at: slot) != .refused {
          quotas.end("user-\(number % 100)", at: slot)
        }
        quotas.leave(peer, at: now)
      }
    }
    let sizes = quotas.sizes(at: 30_000_000_000)
    #expect(sizes == QuotaSizes(addresses: 0, users: 0, buckets: 0))
  }

  /// The admissions of one thread.
  private final class Tally: @unchecked Sendable {
    // Unchecked: only its thread writes it, and the test reads it after the thread has ended.
    var entered = 0
    var begun = 0
  }

  private static func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
    let threads = try (0..<count).map { index in
      try Thread(name: "quota-\(index)", processor: nil) { body(index) }
    }
    for thread in threads { thread.join() }
  }
}
