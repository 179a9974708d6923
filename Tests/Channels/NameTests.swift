// Names of other servers: resolved on a thread of their own, checked, pinned and kept for a time.

import Broadcast
import Reactor
import Testing

@testable import Channels

@Suite("Names of other servers")
struct NameTests {
  /// A receiver that answers 200 and the `Host` of the request.
  private static func echo(_ host: String = "127.0.0.1", port: UInt16 = 0) -> ScriptedServer {
    ScriptedServer(host: host, port: port) { peer in
      while let request = peer.readRequest() {
        let name = request.firstMatch(of: /Host: ([\w.]+)/).map { String($0.1) } ?? ""
        peer.answer(200, body: name)
      }
    }
  }

  @Test("a name is resolved once for all requests in its time, and its connection is kept")
  func cached() throws {
    let server = Self.echo()
    let lookups = Guarded<[String]>([])
    let fixture = try OutgoingFixture(lookup: { name in
      lookups.withLock { $0.append(name) }
      return ["127.0.0.1"]
    })
    let url = server.url(host: "receiver.example")
    try fixture.start(url, id: 1)
    try fixture.start(url, id: 2)
    #expect(
      try fixture.results(2) == [
        1: .answer(200, "receiver.example"), 2: .answer(200, "receiver.example"),
      ])
    #expect(try fixture.outcome(url) == .answer(200, "receiver.example"))
    #expect(lookups.withLock { $0 } == ["receiver.example"])
    #expect(server.connectionCount <= 2)
  }

  @Test("a name that does not resolve fails, and is not looked up again at once")
  func unknown() throws {
    let count = Guarded(0)
    let fixture = try OutgoingFixture(lookup: { _ in
      count.withLock { $0 += 1 }
      return []
    })
    for _ in 0..<2 {
      #expect(try fixture.outcome("http://unknown.example/") == .failed(.nameUnknown))
    }
    #expect(count.withLock { $0 } == 1)
  }

  @Test("an address that does not answer is followed by the next one")
  func severalAddresses() throws {
    let server = Self.echo()
    let fixture = try OutgoingFixture(lookup: { _ in ["127.0.0.99", "127.0.0.1"] })
    #expect(try fixture.outcome(server.url(host: "a.example")) == .answer(200, "a.example"))
  }

  @Test("an IPv6 address is connected to, by itself and as a name's")
  func ipv6() throws {
    let server = Self.echo("::1")
    let fixture = try OutgoingFixture(allowing: ["::1"], lookup: { _ in ["::1"] })
    #expect(try fixture.outcome("http://[::1]:\(server.port)/") == .answer(200))
    #expect(try fixture.outcome(server.url(host: "a.example")) == .answer(200, "a.example"))
  }

  @Test(
    "an address that is not public is refused, by itself and as a name's",
    arguments: AddressPolicyTests.refused4 + AddressPolicyTests.refused6)
  func refused(address: String) throws {
    let fixture = try OutgoingFixture(allowing: [], lookup: { _ in [address] })
    let isIPv6 = address.utf8.contains(UInt8(ascii: ":"))
    try fixture.start("http://\(isIPv6 ? "[\(address)]" : address):1/", id: 1)
    try fixture.start("https://name.example:1/", id: 2)
    #expect(
      try fixture.results(2) == [1: .failed(.addressRefused), 2: .failed(.addressRefused)])
  }

  @Test("of several addresses only the allowed ones are connected to")
  func mixed() throws {
    let allowed = Self.echo("127.0.0.2")
    let refused = Self.echo("127.0.0.1", port: allowed.port)
    let fixture = try OutgoingFixture(
      allowing: ["127.0.0.2"], lookup: { _ in ["127.0.0.1", "::1", "127.0.0.2"] })
    #expect(try fixture.outcome(allowed.url(host: "a.example")) == .answer(200, "a.example"))
    #expect(refused.connectionCount == 0)
    #expect(allowed.connectionCount == 1)
  }

  @Test("a name is connected to at the addresses that were checked, whatever else resolves it to")
  func pinned() throws {
    let checked = Self.echo("127.0.0.2")
    let other = Self.echo("127.0.0.1", port: checked.port)
    let fixture = try OutgoingFixture(
      allowing: ["127.0.0.0/8"], lookup: { _ in ["127.0.0.2"] })
    #expect(try fixture.outcome(checked.url(host: "localhost")) == .answer(200, "localhost"))
    #expect(other.connectionCount == 0)
  }

  @Test("a name that changes between the check and the connection reaches nothing that is refused")
  func changed() throws {
    let server = Self.echo("127.0.0.1")
    let fixture = try OutgoingFixture(allowing: ["127.0.0.2"], lookup: { _ in ["127.0.0.2"] })
    fixture.client.pinsNames = false
    #expect(try fixture.outcome(server.url(host: "localhost")) == .failed(.addressRefused))
    #expect(server.connectionCount == 0)
  }

  @Test("a name that changes after its time is checked again, though a connection is kept")
  func changedLater() throws {
    let server = Self.echo()
    let answers = Guarded(["127.0.0.1", "127.0.0.2"])
    var limits = OutgoingLimits()
    limits.nameLifetime = 0
    let fixture = try OutgoingFixture(
      allowing: ["127.0.0.1"], limits: limits,
      lookup: { _ in answers.withLock { [$0.removeFirst()] } })
    let url = server.url(host: "a.example")
    #expect(try fixture.outcome(url) == .answer(200, "a.example"))
    #expect(try fixture.outcome(url) == .failed(.addressRefused))
    #expect(server.connectionCount == 1)
  }

  @Test("a slow name service delays new names alone")
  func slow() throws {
    let server = Self.echo()
    let isReleased = Guarded(false)
    let started = Guarded<[String]>([])
    let fixture = try OutgoingFixture(lookup: { name in
      started.withLock { $0.append(name) }
      while name == "slow.example" && !isReleased.withLock({ $0 }) { Kernel.real.pause() }
      return ["127.0.0.1"]
    })
    let known = server.url(host: "known.example")
    #expect(try fixture.outcome(known) == .answer(200, "known.example"))
    try fixture.start(server.url(host: "slow.example"), id: 10, timeoutMilliseconds: 200)
    try fixture.turn { started.withLock { $0.contains("slow.example") } }
    try fixture.start(server.url(host: "late.example"), id: 11, timeoutMilliseconds: 200)
    try fixture.start(known, id: 12)
    try fixture.start(server.url(), id: 13)
    var outcomes = try fixture.results(2)
    #expect(outcomes == [12: .answer(200, "known.example"), 13: .answer(200, "127.0.0.1")])
    outcomes = try fixture.results(2)
    #expect(outcomes == [10: .failed(.nameTimedOut), 11: .failed(.nameTimedOut)])
    isReleased.withLock { $0 = true }
    // The lookup that nothing waits for any more is skipped, and can be repeated.
    #expect(
      try fixture.outcome(server.url(host: "next.example")) == .answer(200, "next.example"))
    #expect(started.withLock { $0 } == ["known.example", "slow.example", "next.example"])
    #expect(
      try fixture.outcome(server.url(host: "late.example")) == .answer(200, "late.example"))
  }

  @Test("one that waits longer for a name is not ended by the first that is late")
  func longerDeadline() throws {
    let server = Self.echo()
    let isReleased = Guarded(false)
    let isStarted = Guarded(false)
    let fixture = try OutgoingFixture(lookup: { name in
      isStarted.withLock { $0 = true }
      while name == "slow.example" && !isReleased.withLock({ $0 }) { Kernel.real.pause() }
      return ["127.0.0.1"]
    })
    try fixture.start(server.url(host: "slow.example"), id: 1)
    try fixture.turn { isStarted.withLock { $0 } }
    try fixture.start(server.url(host: "a.example"), id: 2, timeoutMilliseconds: 50)
    try fixture.start(server.url(host: "a.example"), id: 3)
    #expect(try fixture.results(1) == [2: .failed(.nameTimedOut)])
    isReleased.withLock { $0 = true }
    #expect(
      try fixture.results(2) == [1: .answer(200, "slow.example"), 3: .answer(200, "a.example")])
  }

  @Test("names past the bound of waiting lookups fail at once")
  func busy() throws {
    let isReleased = Guarded(false)
    let isStarted = Guarded(false)
    var limits = OutgoingLimits()
    limits.lookups = 1
    let fixture = try OutgoingFixture(
      limits: limits,
      lookup: { _ in
        isStarted.withLock { $0 = true }
        while !isReleased.withLock({ $0 }) { Kernel.real.pause() }
        return []
      })
    try fixture.start("http://a.example/", id: 1)
    try fixture.turn { isStarted.withLock { $0 } }
    try fixture.start("http://b.example/", id: 2)
    try fixture.start("http://c.example/", id: 3)
    #expect(try fixture.results(1) == [3: .failed(.resolverBusy)])
    isReleased.withLock { $0 = true }
    #expect(try fixture.results(2) == [1: .failed(.nameUnknown), 2: .failed(.nameUnknown)])
  }
}

@Suite("The cache of addresses")
struct HostCacheTests {
  private let address = PeerAddress("127.0.0.1")!

  @Test("an entry is used until its end")
  func end() {
    var cache = HostCache(
      capacity: 2, lifetimeMilliseconds: 30, failureLifetimeMilliseconds: 5)
    cache.insert([address], for: "a", now: 100)
    cache.insert([], for: "b", now: 100)
    #expect(cache.addresses(of: "a", now: 129)?.count == 1)
    #expect(cache.addresses(of: "a", now: 130) == nil)
    #expect(cache.addresses(of: "b", now: 104)?.count == 0)
    #expect(cache.addresses(of: "b", now: 105) == nil)
    #expect(cache.addresses(of: "c", now: 100) == nil)
  }

  @Test("past its capacity it forgets the names that have ended, or the one that ends first")
  func bounded() {
    var cache = HostCache(
      capacity: 3, lifetimeMilliseconds: 30, failureLifetimeMilliseconds: 5)
    for (index, name) in ["a", "b", "c", "d"].enumerated() {
      cache.insert([address], for: name, now: UInt64(index))
    }
    #expect(cache.count == 3)
    #expect(cache.addresses(of: "a", now: 5) == nil)
    cache.insert([], for: "d", now: 6)
    #expect(cache.count == 3)
    cache.insert([address], for: "e", now: 40)
    #expect(cache.count == 1)
    for index in 0..<10_000 { cache.insert([address], for: "n\(index)", now: 41) }
    #expect(cache.count == 3)
  }
}
