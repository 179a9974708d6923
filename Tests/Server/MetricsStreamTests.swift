// The stream of metrics for the operator's page, turn by turn.

import Broadcast
import Testing
import Wire

@testable import Server

@Suite("A stream of metrics")
struct MetricsStreamTests {
  /// Asks for a stream and takes the answer's head.
  static func open(
    _ fixture: ShardFixture, token: String = ShardFixture.token("p", scopes: ["publish"]),
    method: String = "GET", version: String = "1.1"
  ) throws -> (peer: TestPeer, head: String) {
    let peer = try fixture.connect()
    peer.send("\(method) /api/v1/metrics/stream?token=\(token) HTTP/\(version)\r\nHost: x\r\n\r\n")
    try fixture.turn(until: { peer.receive().headEnd != nil })
    let end = try #require(peer.received.headEnd)
    defer { peer.received.removeFirst(end) }
    return (peer, Array(peer.received[..<end]).text)
  }

  /// An open stream, after its first two events.
  static func watch(_ fixture: ShardFixture) throws -> TestPeer {
    let (peer, head) = try open(fixture)
    #expect(head.hasPrefix("HTTP/1.1 200 "))
    try takeOpening(fixture, peer, end: "}\n\n\r\n")
    return peer
  }

  /// Takes the history and the first figures, which end with `end`.
  @discardableResult
  static func takeOpening(
    _ fixture: ShardFixture, _ peer: TestPeer, end: String
  ) throws -> [UInt8] {
    try fixture.turn(until: {
      let text = peer.receive().text
      return text.contains(#""type":"metrics""#) && text.hasSuffix(end)
    })
    defer { peer.received = [] }
    return peer.received
  }

  /// The events that have come since the last call, each of which must be a chunk.
  static func taken(_ fixture: ShardFixture, _ peer: TestPeer) throws -> [String] {
    // The kernel may need a moment to bring the sent bytes over loopback.
    _ = try fixture.turn()
    peer.receive()
    let chunks = try ChunkedText.take(&peer.received).chunks
    for chunk in chunks { #expect(chunk.hasPrefix("data: ") && chunk.hasSuffix("}\n\n")) }
    return chunks
  }

  static let quiet =
    #""blocked":0,"delivered":0,"bytes_sent":0,"published":0,"slow_consumers":0,"received":0,"#
    + #""latency":{"count":0,"p50":0,"p99":0,"max":0}}"#

  /// The history of a server that has just started.
  static let noHistory =
    #"{"type":"history","data":{"interval":1000,"#
    + MetricsSample.names.map { #""\#($0)":[]"# }.joined(separator: ",") + "}}"

  /// The figures of the server, of which the memory is not known in advance.
  static let server =
    #""server":{"version":"\#(CarillonServer.version)","uptime":0,"memory":0,"#
    + #""store":{"state":"ok","reason":null,"persistent":false,"write_queue":0,"#
    + #""write_queue_limit":0,"read_queue":0}}"#

  @Test func `the history and the figures of all shards come at once`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let other = try fixture.session("u", on: 1)
    defer { withExtendedLifetime(other) {} }
    try fixture.turn(2)
    let sent = fixture.core.metrics[1].value(.bytesSent)
    let (peer, head) = try Self.open(fixture)
    #expect(head.contains("Content-Type: text/event-stream"))
    #expect(head.contains("\r\nCache-Control: no-store, no-transform\r\n"))
    #expect(head.contains("\r\nTransfer-Encoding: chunked\r\n"))
    var opening = try Self.takeOpening(fixture, peer, end: "}\n\n\r\n")
    let ownerShard = fixture.core.ownerShard(of: "u")
    let shards = [0, 1].map { index in
      #"{"connections":1,"sessions":\#(index),"users":\#(index == ownerShard ? 1 : 0),"rooms":0,"#
        + Self.quiet.replacing(
          #""bytes_sent":0"#, with: #""bytes_sent":\#(index == 1 ? sent : 0)"#)
    }
    let data =
      #"{"time":\#(ShardFixture.startWall),\#(Self.server),"#
      + #""shards":[\#(shards.joined(separator: ","))]}"#
    let chunks = try ChunkedText.take(&opening).chunks
    #expect(
      chunks.map { $0.replacing(/"memory":[1-9][0-9]+/, with: "\"memory\":0") } == [
        "retry: 5000\ndata: \(Self.noHistory)\n\n",
        #"data: {"type":"metrics","data":\#(data)}"# + "\n\n",
      ])
  }

  @Test func `a stream over HTTP/1.0 has the same events and no chunks`() throws {
    let fixture = try ShardFixture()
    let chunked = try Self.watch(fixture)
    let (peer, head) = try Self.open(fixture, version: "1.0")
    #expect(head.contains("\r\nConnection: close\r\n") && !head.contains("Transfer-Encoding"))
    let opening = try Self.takeOpening(fixture, peer, end: "}\n\n")
    #expect(opening.text.hasPrefix("retry: 5000\ndata: {"))
    #expect(fixture.shard.metricsStreamCount == 2)
    try fixture.pass(milliseconds: 1_000)
    let events = try Self.taken(fixture, chunked)
    #expect(events.count == 1)
    // The kernel may bring the bytes of the two sockets one after the other.
    try fixture.turn(until: { peer.receive().text.hasSuffix("}\n\n") })
    #expect(peer.received.text == events.joined())
    // The feed goes on for the one that is left.
    chunked.endSending()
    try fixture.turn(until: { fixture.shard.metricsStreamCount == 1 })
    peer.received = []
    try fixture.pass(milliseconds: 2_000)
    #expect(peer.receive().text.hasPrefix("data: {"))
  }

  @Test func `all streams of a shard get one event a second`() throws {
    let fixture = try ShardFixture()
    let one = try Self.watch(fixture)
    fixture.script.elapsed += 500
    let two = try Self.watch(fixture)
    fixture.script.elapsed += 499
    try fixture.turn()
    #expect(try Self.taken(fixture, one) == [] && Self.taken(fixture, two) == [])
    fixture.script.elapsed += 1
    try fixture.turn()
    let (first, second) = try (Self.taken(fixture, one), Self.taken(fixture, two))
    #expect(first.count == 1 && first == second)
    #expect(first[0].contains("\"time\":\(ShardFixture.startWall + 1_000),"))
    for _ in 0..<5 {
      fixture.script.elapsed += 1_000
      try fixture.turn()
      #expect(try Self.taken(fixture, one).count == 1)
    }
    // A thread that was stalled sends one event, not sixty.
    fixture.script.elapsed += 60_000
    try fixture.turn(3)
    #expect(try Self.taken(fixture, one).count == 1)
  }

  @Test func `the next second wakes the shard only while there are streams`() throws {
    let fixture = try ShardFixture()
    #expect(!fixture.shard.isFeedingMetrics)
    let peer = try Self.watch(fixture)
    fixture.script.elapsed += 700
    try fixture.turn()
    #expect(fixture.shard.sleepLimitMilliseconds <= 300)
    peer.endSending()
    try fixture.turn(until: { fixture.shard.connectionCount == 0 })
    try fixture.pass(milliseconds: 1_000)
    #expect(!fixture.shard.isFeedingMetrics)
    #expect(fixture.core.metrics[0].value(.resets) == 0)
  }

  @Test func `latencies are those of the last second, totals those since the start`() throws {
    let fixture = try ShardFixture()
    let other = try fixture.session("u")
    defer { withExtendedLifetime(other) {} }
    let peer = try Self.watch(fixture)
    for expected in [#"{"count":2,"p50":8192,"p99":8192,"max":8192}"#, LatencyTests.none] {
      if expected != LatencyTests.none {
        try fixture.publish(LatencyTests.published(fixture, ago: 7))
        try fixture.publish(LatencyTests.published(fixture, ago: 7))
      }
      fixture.script.elapsed += 1
      try fixture.turn()
      fixture.script.elapsed += 999
      try fixture.turn()
      let events = try Self.taken(fixture, peer)
      #expect(events.count == 1 && events[0].contains("\"latency\":\(expected)}"), "\(events)")
      #expect(events[0].contains(#""delivered":2,"#))
    }
  }

  @Test func `only a publisher may open a stream`() throws {
    let fixture = try ShardFixture { $0.apiKey = "a key" }
    #expect(
      try Self.open(fixture, token: ShardFixture.token("u")).head.hasPrefix("HTTP/1.1 403 "))
    #expect(try Self.open(fixture, token: "").head.hasPrefix("HTTP/1.1 401 "))
    let peer = try fixture.connect()
    peer.send("GET /api/v1/metrics/stream HTTP/1.1\r\nHost: x\r\nX-API-Key: a key\r\n\r\n")
    try fixture.turn(until: { peer.receive().text.contains("data: ") })
    #expect(fixture.shard.metricsStreamCount == 1)
  }

  @Test func `a stream counts as a connection and not as a session`() throws {
    let fixture = try ShardFixture { $0.limits.sessionsPerUserLimit = 1 }
    let peers = try (0..<2).map { _ in try Self.watch(fixture) }
    defer { withExtendedLifetime(peers) {} }
    #expect(fixture.core.metrics[0].value(.connections) == 2)
    #expect(fixture.core.metrics[0].value(.sessions) == 0)
    #expect(fixture.shard.sessionCount == 0)
  }

  @Test func `streams over the limit get 503, and an ended stream frees its slot`() throws {
    let fixture = try ShardFixture { $0.limits.metricsStreamsPerShardLimit = 2 }
    let one = try Self.watch(fixture)
    let two = try Self.watch(fixture)
    defer { withExtendedLifetime(two) {} }
    #expect(try Self.open(fixture).head.hasPrefix("HTTP/1.1 503 "))
    #expect(try Self.open(fixture, method: "HEAD").head.hasPrefix("HTTP/1.1 503 "))
    one.endSending()
    try fixture.turn(until: { fixture.shard.metricsStreamCount == 1 })
    _ = try Self.watch(fixture)
    #expect(Limits().metricsStreamsPerShardLimit == 16)
  }

  @Test func `HEAD is answered and opens no stream`() throws {
    let fixture = try ShardFixture()
    let (peer, head) = try Self.open(fixture, method: "HEAD")
    #expect(head.hasPrefix("HTTP/1.1 200 ") && peer.received.isEmpty)
    try fixture.turn(until: {
      peer.receive()
      return peer.isEnded
    })
    #expect(peer.received.isEmpty && !fixture.shard.isFeedingMetrics)
  }

  @Test func `a stream ends with its token`() throws {
    let fixture = try ShardFixture()
    let (peer, _) = try Self.open(
      fixture, token: ShardFixture.token("p", scopes: ["publish"], seconds: 60))
    // With thirty seconds of leeway.
    for _ in 0..<90 {
      #expect(!peer.isEnded)
      try fixture.pass(milliseconds: 1_000)
      peer.receive()
    }
    try fixture.turn(until: {
      peer.receive()
      return peer.isEnded
    })
    #expect(peer.received.text.hasSuffix("}\n\n\r\n0\r\n\r\n"))
    #expect(fixture.core.metrics[0].value(.tokensExpired) == 1)
    #expect(fixture.shard.metricsStreamCount == 0)
  }

  @Test func `a reader that takes nothing is cut at the common backlog limit`() throws {
    let fixture = try ShardFixture { $0.limits.progressTimeoutMilliseconds = .max / 4 }
    let peer = try Self.watch(fixture)
    fixture.script.room[peer.serverDescriptor] = 100
    let limit = fixture.core.configuration.limits.backlogBytesLimit
    for _ in 0..<1_000 where peer.connection.state == .session {
      #expect(peer.connection.unsentByteCount <= limit)
      try fixture.pass(milliseconds: 1_000)
    }
    #expect(fixture.core.metrics[0].value(.slowConsumers) == 1)
    #expect(fixture.shard.metricsStreamCount == 0)
  }

  @Test func `a shutdown ends the stream, and no other begins`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.watch(fixture)
    let waiting = try fixture.connect()
    fixture.core.mailboxes[0].append(.drain)
    try fixture.turn()
    let token = ShardFixture.token("p", scopes: ["publish"])
    waiting.send("GET /api/v1/metrics/stream?token=\(token) HTTP/1.1\r\nHost: x\r\n\r\n")
    try fixture.turn(until: {
      peer.receive()
      return peer.isEnded && waiting.receive().headEnd != nil
    })
    #expect(peer.received.text == "0\r\n\r\n")
    #expect(waiting.received.text.hasPrefix("HTTP/1.1 503 "))
  }

  @Test func `a stream gets no notifications or broadcasts`() throws {
    let fixture = try ShardFixture()
    let peer = try Self.watch(fixture)
    try fixture.publish(TurnTests.broadcast())
    try fixture.publish(CatchUpTests.everyone(1))
    try fixture.turn(3)
    #expect(try Self.taken(fixture, peer) == [])
    #expect(fixture.store.reads.isEmpty)
  }
}
