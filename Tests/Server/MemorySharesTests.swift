// The shares of users and addresses in a shard's memory for pages.

import Notifications
import Reactor
import TestSupport
import Testing

@testable import Server

@Suite("Shares of the memory for pages")
struct MemorySharesTests {
  private static let pageBytes = 256 << 10
  private static let limit = 256 << 20

  private static func holder(_ user: String, _ address: UInt8? = nil) -> PageHolder {
    PageHolder(
      user: TextKey(user),
      address: address.map { AddressKey(PeerAddress([10, 0, 0, $0], port: 1)) })
  }

  /// Takes pages until there is no memory for one more, and returns their number.
  private static func takeAll(_ holder: PageHolder, _ shares: inout MemoryShares) -> Int {
    var count = 0
    while shares.admits(pageBytes, for: holder, besides: 0) {
      shares.add(pageBytes, to: holder)
      count += 1
    }
    return count
  }

  @Test func `one user takes a 64th of the free memory, and another one as much`() {
    var shares = MemoryShares(byteLimit: Self.limit)
    let first = Self.takeAll(Self.holder("a"), &shares)
    #expect(first * Self.pageBytes <= Self.limit / 64 && first > 10)
    #expect(abs(Self.takeAll(Self.holder("b"), &shares) - first) <= 3)
    // Its other connections are no other holders, from whatever address.
    #expect(Self.takeAll(Self.holder("a", 7), &shares) == 0)
  }

  @Test func `one address takes a quarter with any number of users`() {
    var shares = MemoryShares(byteLimit: Self.limit)
    var count = 0
    for user in 0..<1_000 { count += Self.takeAll(Self.holder("\(user)", 1), &shares) }
    #expect(count * Self.pageBytes <= Self.limit / 4)
    #expect(Self.takeAll(Self.holder("other", 2), &shares) > 5)
    // On this machine only the users count.
    #expect(Self.takeAll(Self.holder("local"), &shares) > 5)
  }

  @Test func `whatever hundreds of users take, one more gets a page`() {
    var shares = MemoryShares(byteLimit: Self.limit)
    for user in 0..<200 {
      #expect(Self.takeAll(Self.holder("\(user)", UInt8(user)), &shares) > 0)
    }
    #expect(shares.admits(Self.pageBytes, for: Self.holder("new"), besides: 0))
  }

  @Test func `users leave an eighth to publishers`() {
    var shares = MemoryShares(byteLimit: Self.limit)
    for user in 0..<2_000 { _ = Self.takeAll(Self.holder("\(user)"), &shares) }
    #expect(!shares.admits(Self.pageBytes, for: Self.holder("new"), besides: 0))
    #expect(shares.total <= Self.limit / 8 * 7)
    let count = Self.takeAll(.publisher, &shares)
    #expect(count >= Self.limit / 8 / Self.pageBytes)
  }

  @Test func `memory that is used otherwise is not shared`() {
    let shares = MemoryShares(byteLimit: 1_000)
    #expect(shares.admits(800, for: Self.holder("a"), besides: 0))
    #expect(!shares.admits(800, for: Self.holder("a"), besides: 100))
  }

  @Test func `a random walk returns every byte`() {
    var random = SeededGenerator.announced()
    var shares = MemoryShares(byteLimit: 1 << 20)
    var held: [(PageHolder, Int)] = []
    for _ in 0..<20_000 {
      if Bool.random(using: &random), let index = held.indices.randomElement(using: &random) {
        let (holder, byteCount) = held.remove(at: index)
        shares.add(-byteCount, to: holder)
      } else {
        let isPublisher = Int.random(in: 0..<10, using: &random) == 0
        let holder =
          isPublisher
          ? PageHolder.publisher
          : Self.holder(
            "\(Int.random(in: 0..<30, using: &random))", UInt8.random(in: 0..<5, using: &random))
        let byteCount = Int.random(in: 1...100_000, using: &random)
        guard shares.admits(byteCount, for: holder, besides: 0) else { continue }
        shares.add(byteCount, to: holder)
        held.append((holder, byteCount))
      }
      #expect(shares.total == held.reduce(0) { $0 + $1.1 } && shares.total <= shares.byteLimit)
    }
    shares.checkInvariants()
    for (holder, byteCount) in held { shares.add(-byteCount, to: holder) }
    #expect(shares.total == 0)
    for user in 0..<30 { #expect(shares.byteCount(of: TextKey("\(user)")) == 0) }
    shares.checkInvariants()
  }
}
