// Queries to all shards, turn by turn: each shard answers once, and no client waits for ever.

import Broadcast
import Delivery
import Testing
import Wire

@testable import Server

@Suite("A query to all shards")
struct ShardQueryTests {
  static let hub = "/api/v1/websocket"

  static func get(
    _ path: String, user: String = "p", _ peer: TestPeer, _ fixture: ShardFixture
  ) throws -> (head: String, body: String) {
    peer.send(EndpointTests.request("GET \(path)", user: user))
    return try EndpointTests.answer(to: peer, fixture)
  }

  static func disconnect(
    _ user: String, reason: String? = nil, _ peer: TestPeer, _ fixture: ShardFixture
  ) throws -> (head: String, body: String) {
    let rest = reason.map { #","reason":"\#($0)""# } ?? ""
    peer.send(
      EndpointTests.request("POST /api/v1/disconnect", body: #"{"user_id":"\#(user)"\#(rest)}"#))
    return try EndpointTests.answer(to: peer, fixture)
  }

  @Test func `a user's connections are found on any shard`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let first = try fixture.session("u", fields: "User-Agent: Tab/1\r\n")
    fixture.script.elapsed += 1_500
    let second = try fixture.session("u", path: "/api/ws", on: 1)
    let other = try fixture.session("v", on: 1)
    let ids = [first, second].map { "\($0.connection.id.slot)-\($0.connection.id.generation)" }
    for index in 0...1 {
      let asking = try fixture.connect(to: index)
      let answer = try Self.get(Self.hub + "/connections/user", user: "u", asking, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 200"))
      #expect(
        answer.body == #"""
          {"success":true,"data":{"connections":[{"id":"0-\#(ids[0])",\#
          "dialect":"event","connected_at":"2023-11-14T22:13:20.000Z",\#
          "remote_address":"127.0.0.1","user_agent":"Tab/1","rooms":[]},\#
          {"id":"1-\#(ids[1])","dialect":"flat",\#
          "connected_at":"2023-11-14T22:13:21.500Z","remote_address":"127.0.0.1",\#
          "user_agent":null,"rooms":[]}]}}
          """#)
    }
    #expect(!other.isEnded)
  }

  @Test func `a waiting poll is a connection, and an answered one is none`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let polling = try PollTests.poll(fixture)
    let asking = try fixture.connect(to: 1)
    let path = Self.hub + "/connections/user"
    #expect(try Self.get(path, user: "u", asking, fixture).body.contains(#""dialect":"poll""#))
    let online = try Self.get("/api/v1/users/u/online", asking, fixture).body
    #expect(online.contains(#"{"user_id":"u","online":true,"connections":1,"status":"online"}"#))
    try fixture.store.answer(PollTests.page([6], through: 6))
    try fixture.turn(until: { PollTests.isAnswered(polling, with: #""title":"n6""#) })
    #expect(try Self.get(path, user: "u", asking, fixture).body.contains(#""connections":[]"#))
    // A page that reloads has not left.
    let still = try Self.get("/api/v1/users/u/online", asking, fixture).body
    #expect(still.contains(#"{"user_id":"u","online":true,"connections":0,"status":"online"}"#))
    try fixture.pass(milliseconds: 3_000)
    let offline = try Self.get("/api/v1/users/u/online", asking, fixture).body
    #expect(offline.contains(#"{"user_id":"u","online":false,"connections":0,"status":"offline"}"#))
  }

  @Test(arguments: [1, 2])
  func `a user's list holds as many connections as configured, the oldest first`(
    shards: Int
  ) throws {
    let fixture = try ShardFixture(shardCount: shards) { $0.limits.listedConnectionsLimit = 3 }
    let peers = try (0..<8).map { number in
      fixture.script.elapsed += 1_000
      return try fixture.session("u", fields: "User-Agent: n\(number)\r\n", on: number % shards)
    }
    let asking = try fixture.connect()
    let body = try Self.get(Self.hub + "/connections/user", user: "u", asking, fixture).body
    let names = body.matches(of: /"user_agent":"(n\d)"/).map { String($0.1) }
    #expect(names == ["n0", "n1", "n2"])
    #expect(peers.allSatisfy { !$0.isEnded })
  }

  @Test(arguments: [1, 2, 3])
  func `each user is counted once, and a page continues after the last one`(shards: Int) throws {
    let fixture = try ShardFixture(shardCount: shards)
    // By bytes a capital is before a small letter, and one letter in two spellings is two users.
    let users = ["B", "a", "a/b", "b", "e\u{301}", "u", "z", "\u{e9}", "\u{1F600}"]
    let peers = try users.shuffled().enumerated().flatMap { number, user in
      try [number, number + 1].map { try fixture.session(user, on: $0 % shards) }
    }
    let asking = try fixture.connect()
    let all = try Self.get("/api/v1/users/online", asking, fixture).body
    let listed = users.map { "\"\($0)\"" }.joined(separator: ",")
    #expect(
      Array(all.utf8)
        == Array(#"{"success":true,"data":{"users":[\#(listed)],"total":9}}"#.utf8))
    for limit in 1...9 {
      var found: [String] = []
      var after: String?
      repeat {
        let query = after.map { "&after=" + Self.escaped($0) } ?? ""
        let body = try Self.get("/api/v1/users/online?limit=\(limit)\(query)", asking, fixture).body
        let page = try Page(body)
        #expect(page.users.count <= limit && page.total == 9)
        found += page.users
        after = page.next
      } while after != nil
      #expect(found.map { Array($0.utf8) } == users.map { Array($0.utf8) }, "limit \(limit)")
    }
    let end = try Page(Self.get("/api/v1/users/online?after=%F0%9F%98%80", asking, fixture).body)
    #expect(end.users.isEmpty && end.next == nil && end.total == 9)
    #expect(peers.allSatisfy { !$0.isEnded })
  }

  @Test func `a user is online until three seconds after the last of its connections`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let first = try fixture.session("u", on: 0)
    let second = try fixture.session("u", on: 1)
    let asking = try fixture.connect()
    for (peer, left) in [(first, 1), (second, 0)] {
      peer.endSending()
      try fixture.turn(until: {
        fixture.shards.reduce(0) { $0 + $1.sessionCount } == left
      })
      let body = try Self.get("/api/v1/users/u/online", asking, fixture).body
      #expect(body.contains(#""online":true,"connections":\#(left)"#))
      let page = try Page(Self.get("/api/v1/users/online", asking, fixture).body)
      #expect(page.users == ["u"] && page.total == 1)
    }
    try fixture.pass(milliseconds: 3_000)
    let body = try Self.get("/api/v1/users/u/online", asking, fixture).body
    #expect(body.contains(#""online":false,"connections":0"#))
    let page = try Page(Self.get("/api/v1/users/online", asking, fixture).body)
    #expect(page.users == [] && page.total == 0)
  }

  @Test func `a disconnected user gets the reason after everything published before`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let near = try fixture.session("u", on: 0)
    let far = try fixture.session("u", path: "/api/ws", on: 1)
    let other = try fixture.session("v", on: 1)
    let asking = try fixture.connect()
    try fixture.publish(ReplaySessionTests.stored(6))
    let answer = try Self.disconnect("u", reason: "account locked", asking, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 200"))
    #expect(answer.body == #"{"success":true,"data":{"disconnected":2}}"#)
    try fixture.turn(until: { near.receive().count > 0 && far.receive().count > 0 })
    for peer in [near, far] {
      try fixture.turn(until: { peer.receive().text.contains("account locked") })
      let frames = try peer.frames()
      let told = try #require(frames.firstIndex { $0.contains(#""title":"n6""#) })
      #expect(told < frames.count - 1)
      #expect(frames.last == "close 1008")
    }
    other.say(#"{"type":"ping"}"#)
    try fixture.turn(until: { (try? other.frames())?.contains { $0.contains("pong") } == true })
    #expect(try Self.disconnect("u", asking, fixture).body.contains(#""disconnected":0"#))
  }

  @Test func `a disconnect ends a stream and answers a waiting poll`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let polling = try PollTests.poll(fixture)
    try fixture.store.answer(PollTests.page([], through: 5))
    try fixture.turn(2)
    let stream = try fixture.connect(to: 1)
    stream.send(
      "GET /notifications/events HTTP/1.1\r\nHost: x\r\n"
        + "Authorization: Bearer \(ShardFixture.token("u"))\r\n\r\n")
    try fixture.turn(until: { stream.receive().headEnd != nil })
    let asking = try fixture.connect()
    #expect(try Self.disconnect("u", asking, fixture).body.contains(#""disconnected":2"#))
    try fixture.turn(until: {
      stream.receive()
      return stream.isEnded
    })
    try fixture.turn(until: { PollTests.isAnswered(polling, with: #""notifications":[]"#) })
    #expect(polling.received.text.contains(#""cursor":"test.5""#))
    #expect(fixture.shards.allSatisfy { $0.sessionCount == 0 })
  }

  @Test func `a shard that does not answer is waited for two seconds, and no longer`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let session = try fixture.session("u", on: 1)
    let asking = try fixture.connect()
    asking.send(EndpointTests.request("GET /api/v1/users/online"))
    func turnAlone(until condition: () -> Bool) throws {
      for _ in 0..<2_000 where !condition() { try fixture.shard.turn() }
      try #require(condition())
    }
    try turnAlone(until: { fixture.shard.pendingQueryCount == 1 })
    fixture.script.elapsed += 1_999
    for _ in 0..<5 { try fixture.shard.turn() }
    #expect(asking.receive().isEmpty)
    fixture.script.elapsed += 1
    try turnAlone(until: { asking.receive().headEnd != nil })
    #expect(asking.received.text.hasPrefix("HTTP/1.1 503"))
    #expect(asking.received.text.contains("Retry-After: 1\r\n"))
    asking.received = []
    // The late answer is dropped and does not count for the next query either.
    asking.send(EndpointTests.request("GET /api/v1/users/u/online"))
    try turnAlone(until: { fixture.shard.pendingQueryCount == 1 })
    let online = try EndpointTests.answer(to: asking, fixture)
    #expect(online.body.contains(#""online":true,"connections":1"#) && !session.isEnded)
    #expect(fixture.shard.pendingQueryCount == 0)
  }

  @Test func `a shard wakes for the timeout of a shard query`() throws {
    let fixture = try ShardFixture(shardCount: 2) { $0.limits.shardQueryTimeoutMilliseconds = 300 }
    let asking = try fixture.connect()
    asking.send(EndpointTests.request("GET /api/v1/users/online"))
    for _ in 0..<2_000 where fixture.shard.pendingQueryCount == 0 { try fixture.shard.turn() }
    #expect(fixture.shard.pendingQueryCount > 0)
    #expect(fixture.shard.sleepLimitMilliseconds <= 300)
  }

  @Test func `a client that goes during its query leaves no state`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let asking = try fixture.connect()
    asking.send(EndpointTests.request("GET /api/v1/users/online"))
    for _ in 0..<2_000 where fixture.shard.pendingQueryCount == 0 { try fixture.shard.turn() }
    asking.connection.end()
    // The next connection has the same slot and asks a query of its own.
    let next = try TestPeer(port: fixture.ports[0])
    next.send(EndpointTests.request("GET /api/v1/users/u/online"))
    for _ in 0..<2_000 where fixture.shard.pendingQueryCount < 2 { try fixture.shard.turn() }
    #expect(fixture.shard.newestConnection?.slot == asking.connection.slot)
    let answer = try EndpointTests.answer(to: next, fixture)
    #expect(answer.body.contains(#""user_id":"u","online":false"#))
    try fixture.turn(3)
    #expect(fixture.shard.pendingQueryCount == 0 && next.receive().isEmpty)
  }

  @Test func `publishers' queries over the configured number wait, and more are refused`() throws {
    let fixture = try ShardFixture(shardCount: 2) {
      $0.limits.shardQueriesLimit = 2
      $0.limits.waitingShardQueriesLimit = 1
    }
    let peers = try (0..<4).map { _ in try fixture.connect() }
    for peer in peers {
      peer.send(EndpointTests.request("GET /api/v1/users/online"))
      for _ in 0..<5 { try fixture.shard.turn() }
    }
    #expect(fixture.shard.pendingQueryCount == 2)
    #expect(peers[3].receive().text.hasPrefix("HTTP/1.1 503"))
    #expect(peers[3].received.text.contains("Retry-After"))
    for peer in peers.prefix(3) {
      #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 200"))
    }
  }

  @Test func `no page is made while too many bytes are queued for slow clients`() throws {
    let fixture = try ShardFixture { $0.limits.blockedBytesLimit = 0 }
    let asking = try fixture.connect()
    for path in ["/api/v1/users/online", Self.hub + "/connections/user"] {
      #expect(try Self.get(path, asking, fixture).head.hasPrefix("HTTP/1.1 503"))
    }
  }

  @Test func `a query from outside is answered when the shard ends`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let told = Told()
    fixture.core.mailboxes[0].append(
      .outsideQuery(.users(limit: 1, after: nil, online: false)) { told.take($0) })
    try fixture.shard.turn()
    #expect(told.results.isEmpty)
    fixture.core.mailboxes[0].append(.stop)
    try fixture.shard.run()
    #expect(told.results == [.stopping])
  }

  /// The results of a query from outside, on the test's own thread.
  private final class Told: @unchecked Sendable {
    var results: [ShardQueryFailure?] = []

    func take(_ result: ShardQueryResult) {
      switch result {
      case .success: results.append(nil)
      case .failure(let failure): results.append(failure)
      }
    }
  }

  /// The answer of `users/online`.
  private struct Page {
    var users: [String] = []
    var total = -1
    var next: String?

    init(_ body: String) throws {
      var reader = JSONReader(Array(body.utf8))
      var found = (users: [String](), total: -1, next: String?.none)
      try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONViolation) in
        guard name == "data" else { return }
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONViolation) in
          switch name {
          case "users":
            try reader.readArray { (reader: inout JSONReader) throws(JSONViolation) in
              found.users.append(try reader.readString())
            }
          case "total": found.total = Int(try reader.readInteger())
          case "next": found.next = try reader.readString()
          default: break
          }
        }
      }
      (users, total, next) = found
    }
  }

  private static func escaped(_ text: String) -> String {
    text.utf8.map { byte in
      let digits = Array("0123456789ABCDEF")
      return "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
    }.joined()
  }
}
