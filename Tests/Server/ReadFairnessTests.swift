// Attacks with reads: however much one user asks, and however little it takes of the answers, other
// users and publishers get theirs.

import Notifications
import Testing
import Wire

@testable import Server

@Suite("Fair reads")
struct ReadFairnessTests {
  static let list = "/api/v1/notifications"

  private static func ask(
    _ path: String, _ user: String, _ fixture: ShardFixture, scopes: [String] = []
  ) throws -> TestPeer {
    let peer = try fixture.connect()
    try send(
      "GET \(path) HTTP/1.1\r\nHost: x\r\n"
        + "Authorization: Bearer \(ShardFixture.token(user, scopes: scopes))\r\n\r\n",
      peer, fixture)
    return peer
  }

  /// Sends a request, and turns until it was handled.
  private static func send(_ request: String, _ peer: TestPeer, _ fixture: ShardFixture) throws {
    let before = fixture.core.metrics[0].value(.requests)
    peer.send(request)
    try fixture.turn(until: { fixture.core.metrics[0].value(.requests) > before })
    try fixture.turn()
  }

  /// The users of the reads that the store has not answered, oldest first.
  private static func users(_ fixture: ShardFixture) -> [String] {
    fixture.store.reads.map(\.query.user)
  }

  private static func page(of user: String, messageBytes: Int = 1) -> StoreAnswer {
    let rows = (1...25).map { offset in
      Notification(
        id: NotificationID(high: 1, low: UInt64(offset)), userID: user, type: "t", title: "t",
        message: String(repeating: "m", count: messageBytes), createdAt: 0,
        offset: UInt64(offset))
    }
    return .page(rows, next: nil, Counts(total: 25))
  }

  @Test func `a user that asks on fifty connections delays another one's page by one`() throws {
    let fixture = try ShardFixture()
    let greedy = try (1...50).map { try Self.ask("\(Self.list)?before=\($0)", "a", fixture) }
    #expect(Self.users(fixture) == ["a"])
    let honest = try Self.ask(Self.list, "b", fixture)
    #expect(Self.users(fixture) == ["a", "b"])
    try fixture.store.answer(Self.page(of: "a"))
    try fixture.turn()
    // Its next page is read after the page of the other.
    #expect(Self.users(fixture) == ["b", "a"])
    try fixture.store.answer(Self.page(of: "b"))
    #expect(try EndpointTests.answer(to: honest, fixture).head.hasPrefix("HTTP/1.1 200"))
    for peer in greedy {
      if let read = fixture.store.reads.first, read.query.user == "a" {
        try fixture.store.answer(Self.page(of: "a"))
      }
      #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200"))
    }
    #expect(fixture.shard.storeReads == (0, 0) && fixture.shard.pageByteCount == 0)
  }

  @Test func `equal questions share one read and one body, but none that is in flight`() throws {
    let fixture = try ShardFixture()
    let first = try Self.ask(Self.list, "a", fixture)
    let peers = try (0..<20).map { _ in try Self.ask(Self.list, "a", fixture) }
    for peer in peers { fixture.script.room[peer.serverDescriptor] = 1_000 }
    let other = try Self.ask(Self.list + "?limit=7", "a", fixture)
    #expect(fixture.store.reads.count == 1)
    try fixture.store.answer(Self.page(of: "a"))
    #expect(try EndpointTests.answer(to: first, fixture).body.contains(#""total":25"#))
    // The first answer may be older than the other questions.
    for peer in peers { #expect(peer.receive().isEmpty) }
    #expect(fixture.store.reads.count == 1 && fixture.shard.storeReads.waiting == 1)
    try fixture.store.answer(Self.page(of: "a", messageBytes: 4_000))
    try fixture.turn(2)
    let addresses = Set(peers.map(\.connection.sharedBodyAddress))
    #expect(addresses.count == 1 && addresses.first != nil)
    // One body, and the reservation of the read in flight.
    let bodyBytes = fixture.shard.pageByteCount - StoreQuery.pageBytesLimit
    #expect((100_000..<130_000).contains(bodyBytes))
    #expect(fixture.store.reads.count == 1, "the question that differs has a read of its own")
    try fixture.store.answer(Self.page(of: "a"))
    #expect(try EndpointTests.answer(to: other, fixture).body.contains(#""total":25"#))
    for peer in peers {
      #expect(fixture.shard.pageByteCount > 0)
      fixture.script.room[peer.serverDescriptor] = nil
      #expect(try EndpointTests.answer(to: peer, fixture).body.hasSuffix(#""total":25}}"#))
    }
    #expect(fixture.shard.pageByteCount == 0)
  }

  @Test func `groups of other bytes are other questions`() throws {
    let fixture = try ShardFixture()
    let peers = try ["%C3%A9", "x", "e%CC%81", "e", "%C3%A9", "x"].map {
      try Self.ask(Self.list + "?group_key=" + $0, "a", fixture)
    }
    var groupings: [PageGrouping] = []
    while !fixture.store.reads.isEmpty {
      if case .page(_, _, _, _, _, let grouping, _) = fixture.store.reads[0].query {
        groupings.append(grouping)
      }
      try fixture.store.answer(Self.page(of: "a"))
      try fixture.turn(2)
    }
    // The first one was in flight when the same was asked again.
    #expect(groupings.count == 5 && peers.count == 6)
  }

  @Test func `a user that takes none of its pages cannot use up the memory of others`() throws {
    let fixture = try ShardFixture()
    var peers: [TestPeer] = []
    var refused = 0
    for number in 1...60 {
      let peer = try Self.ask("\(Self.list)?before=\(number)", "a", fixture)
      fixture.script.room[peer.serverDescriptor] = 100
      peers.append(peer)
      if fixture.store.reads.isEmpty {
        refused += 1
        continue
      }
      try fixture.store.answer(Self.page(of: "a", messageBytes: 8_000))
      try fixture.turn(2)
    }
    let limits = fixture.core.configuration.limits
    #expect(refused > 20, "\(refused)")
    #expect(fixture.core.metrics[0].value(.pagesRefused) == refused)
    #expect(fixture.core.metrics[0].value(.pageBytes) <= limits.userPageBytesLimit)
    let honest = try Self.ask(Self.list, "b", fixture)
    try fixture.store.answer(Self.page(of: "b", messageBytes: 8_000))
    #expect(try EndpointTests.answer(to: honest, fixture).head.hasPrefix("HTTP/1.1 200"))
  }

  @Test func `nothing is read for a client that takes nothing, and the last wish is kept`() throws {
    let fixture = try ShardFixture()
    let peer = try InboxSessionTests.greeted(fixture)
    fixture.script.room[peer.serverDescriptor] = 10
    try fixture.publish(InboxSessionTests.read(1))
    try fixture.turn(2)
    #expect(peer.connection.isBlocked)
    for limit in 1...40 {
      try fixture.say(#"{"type":"fetch_notifications","limit":\#(limit)}"#, peer)
    }
    #expect(fixture.store.reads.isEmpty)
    fixture.script.room[peer.serverDescriptor] = nil
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
    try fixture.store.answer(FetchTests.page(1))
    try fixture.turn(2)
    guard
      case .page("u", 40, nil, false, nil, .collapsed, let bytesLimit)? =
        fixture.store.reads.first?.query
    else {
      Issue.record("not the last page that was asked for")
      return
    }
    // No more is read than is sent.
    #expect(bytesLimit == fixture.core.configuration.limits.backlogBytesLimit / 2)
    try fixture.store.answer(FetchTests.page(1))
    try fixture.turn(2)
    #expect(fixture.store.reads.isEmpty)
    #expect(try fixture.frames(of: peer).count == 3)
  }

  @Test func `publishers read while more users wait than may read at once`() throws {
    let fixture = try ShardFixture()
    let peers = try (0..<(StoreReads.kindLimit + 10)).map {
      try Self.ask(Self.list, "u\($0)", fixture)
    }
    #expect(fixture.store.reads.count == StoreReads.kindLimit)
    let publisher = try Self.ask(
      "/api/v1/users/u0/notifications", "p", fixture, scopes: ["publish"])
    #expect(fixture.store.reads.count == StoreReads.kindLimit + 1)
    fixture.store.reads.removeLast().reply(Self.page(of: "u0"))
    #expect(try EndpointTests.answer(to: publisher, fixture).head.hasPrefix("HTTP/1.1 200"))
    for peer in peers { #expect(peer.receive().isEmpty) }
  }

  @Test func `a waiting read ends with its connection`() throws {
    let fixture = try ShardFixture()
    let peers = try (1...30).map { try Self.ask("\(Self.list)?before=\($0)", "a", fixture) }
    for peer in peers { peer.connection.end() }
    try fixture.store.answer(Self.page(of: "a"))
    try fixture.turn(2)
    #expect(fixture.store.reads.isEmpty && fixture.shard.storeReads == (0, 0))
    #expect(fixture.shard.pageByteCount == 0)
  }

  @Test func `an operator disconnects users while a user asks for its list on every connection`()
    throws
  {
    let fixture = try ShardFixture(shardCount: 2)
    fixture.stalled = [1]
    let own = "/api/v1/websocket/connections/user"
    let greedy = try (0..<60).map { _ in try Self.ask(own, "a", fixture) }
    #expect(fixture.shard.pendingQueryCount == 1)
    let honest = try Self.ask(own, "b", fixture)
    var operators: [TestPeer] = []
    for number in 0..<40 {
      let peer = try fixture.connect()
      try Self.send(
        EndpointTests.request("POST /api/v1/disconnect", body: #"{"user_id":"u\#(number)"}"#),
        peer, fixture)
      operators.append(peer)
    }
    #expect(fixture.shard.pendingQueryCount == 42)
    fixture.stalled = []
    for peer in operators + [honest] + greedy {
      #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200"))
    }
    #expect(fixture.shard.pendingQueryCount == 0 && fixture.shard.pageByteCount == 0)
  }

  @Test func `polls that share a read differ in their loss of continuity`() throws {
    let fixture = try ShardFixture()
    let poll = "/api/v1/notifications/poll"
    let first = try Self.ask(Self.list, "a", fixture)
    let fresh = try Self.ask(poll, "a", fixture)
    let lost = try Self.ask(poll + "?since=other.9", "a", fixture)
    try fixture.store.answer(Self.page(of: "a"))
    _ = try EndpointTests.answer(to: first, fixture)
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    try fixture.store.answer(.position(5, Counts()))
    #expect(try !EndpointTests.answer(to: fresh, fixture).body.contains("resync"))
    #expect(try EndpointTests.answer(to: lost, fixture).body.contains("resync"))
  }

  // The reservation of a user's read was returned only after its next read had been refused.
  @Test func `a read that ends leaves its memory to the next one of its user`() throws {
    let fixture = try ShardFixture { $0.limits.blockedBytesLimit = 80 << 20 }
    let peers = try (0..<2).map { _ in try fixture.session("a", since: "test.0") }
    for count in [2, 1] {
      try fixture.turn(until: { fixture.store.reads.count == 1 })
      #expect(peers.count { $0.connection.isReplaying } == count)
      try fixture.store.answer(ReplaySessionTests.page([], through: 0))
      try fixture.turn(2)
    }
    #expect(peers.allSatisfy { $0.connection.state == .session && !$0.connection.isReplaying })
  }
}
