// Five minutes of metrics: their sampling by the first shard, and the event that carries them.

import Broadcast
import Notifications
import Reactor
import Testing
import Wire

@testable import Server

@Suite("The history of the metrics")
struct MetricsHistoryTests {
  /// The columns that a new console is sent, by name, each value as its text.
  static func columns(
    of fixture: ShardFixture, token: String = ShardFixture.token("p", scopes: ["publish"])
  ) throws -> [String: [Substring]] {
    let (peer, _) = try MetricsStreamTests.open(fixture, token: token)
    var opening = try MetricsStreamTests.takeOpening(fixture, peer, end: "}\n\n\r\n")
    let chunks = try ChunkedText.take(&opening).chunks
    try #require(chunks.count == 2)
    return try columns(in: chunks[0])
  }

  static func columns(in event: String) throws -> [String: [Substring]] {
    try #require(event.contains(#"data: {"type":"history","data":{"interval":1000,"#))
    var columns: [String: [Substring]] = [:]
    for match in event.matches(of: /"([a-z0-9_]+)":\[([^\]]*)\]/) {
      columns[String(match.1)] = match.2.split(separator: ",")
    }
    #expect(columns.keys.sorted() == MetricsSample.names.sorted())
    return columns
  }

  @Test func `a sample a second has gauges, rates and latencies of all shards together`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let peers = try [0, 1].map { try fixture.session("u\($0)", on: $0) }
    defer { withExtendedLifetime(peers) {} }
    try fixture.turn(2)
    // The first sample includes the greetings.
    try fixture.pass(milliseconds: 1_000)
    try fixture.publish(LatencyTests.published(fixture, ago: 7))
    try fixture.turn(2)
    try fixture.pass(milliseconds: 1_000)
    try fixture.pass(milliseconds: 1_000)
    let columns = try Self.columns(of: fixture)
    let start = Int(ShardFixture.startWall)
    #expect(columns["time"] == [1, 2, 3].map { "\(start + $0 * 1_000)" })
    #expect(columns["connections"] == ["2", "2", "2"])
    #expect(columns["sessions"] == ["2", "2", "2"])
    #expect(columns["users"] == ["2", "2", "2"])
    #expect(columns["delivered"]?.dropFirst() == ["2", "0"])
    #expect(columns["p99"] == ["null", "7168", "null"])
    #expect(columns["p50"] == columns["p99"] && columns["max"] == columns["p99"])
    #expect(columns["bytes_sent"]?.last == "0" && columns["bytes_sent"]?[1] != "0")
    #expect(columns["memory"]?.allSatisfy { Int($0) ?? 0 > 1 << 20 } == true)
  }

  @Test func `each shard sends the same history`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    try fixture.pass(milliseconds: 3_000)
    let token = ShardFixture.token("p", scopes: ["publish"])
    var histories: [String] = []
    for index in [0, 1] {
      let peer = try fixture.connect(to: index)
      peer.send("GET /api/v1/metrics/stream?token=\(token) HTTP/1.0\r\nHost: x\r\n\r\n")
      try fixture.turn(until: { peer.receive().text.contains(#""type":"metrics""#) })
      let lines = peer.received.text.split(separator: "\n").filter { $0.contains("history") }
      histories.append(lines.joined())
    }
    #expect(try Self.columns(in: histories[0])["time"]?.count == 3)
    #expect(histories[0] == histories[1])
  }

  @Test func `five minutes are kept, the oldest first`() throws {
    let fixture = try ShardFixture()
    try fixture.pass(milliseconds: 307_000)
    let columns = try Self.columns(of: fixture)
    #expect(columns.values.allSatisfy { $0.count == 300 })
    let start = Int(ShardFixture.startWall)
    #expect(columns["time"] == (8...307).map { "\(start + $0 * 1_000)" })
  }

  @Test func `a stalled shard takes one sample of the whole time`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    try fixture.turn(2)
    try fixture.pass(milliseconds: 1_000)
    for _ in 0..<9 { try fixture.publish(TurnTests.broadcast()) }
    fixture.script.elapsed += 4_500
    try fixture.turn(3)
    // The rate belongs to the turn after the events, so take them before the clock moves on.
    fixture.script.elapsed += 4_500
    try fixture.turn(3)
    let columns = try Self.columns(of: fixture)
    let start = Int(ShardFixture.startWall)
    #expect(columns["time"] == [1_000, 5_500, 10_000].map { "\(start + $0)" })
    #expect(columns["delivered"]?.suffix(2) == ["0", "2"])
    withExtendedLifetime(peer) {}
  }

  @Test func `the first shard wakes for each sample, and no other does`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    fixture.script.elapsed += 700
    try fixture.turn()
    #expect(fixture.shard.sleepLimitMilliseconds == 300)
    #expect(fixture.shards[1].sleepLimitMilliseconds == 1_000)
  }

  @Test func `a second stream gets the history up to its own start`() throws {
    let fixture = try ShardFixture()
    try fixture.pass(milliseconds: 2_000)
    #expect(try Self.columns(of: fixture)["time"]?.count == 2)
    try fixture.pass(milliseconds: 2_000)
    #expect(try Self.columns(of: fixture)["time"]?.count == 4)
  }

  @Test func `the longest history stays below the backlog limit of a client`() {
    var history = MetricsHistory()
    // A time has 13 digits; ten digits are more than any other value has in practice.
    let names = MetricsSample.names
    let values = names.map { $0 == "time" ? 9_999_999_999_999 : 9_999_999_999 }
    for _ in 0..<(MetricsHistory.capacity + 1) { history.append(MetricsSample(values: values)) }
    var frames = FrameWriter(epoch: nil, framing: .chunkedEventStream)
    history.write(to: &frames)
    #expect(history.sampleCount == 300)
    #expect(frames.bytes.count > 40_000)
    #expect(frames.bytes.count < Limits().backlogBytesLimit)
  }

  @Test func `the figures name a store that has failed, and the time since the start`() throws {
    let fixture = try ShardFixture { $0.dataPath = "somewhere" }
    fixture.store.metrics.writeQueueDepth = 3
    fixture.store.metrics.writeQueueLimit = 8
    fixture.store.metrics.readQueueDepth = 2
    let peer = try MetricsStreamTests.watch(fixture)
    fixture.store.status = .readOnly(reason: "the store is read-only: \"disk\"")
    try fixture.pass(milliseconds: 61_999)
    let events = try MetricsStreamTests.taken(fixture, peer)
    let last = try #require(events.last)
    #expect(last.contains(#""uptime":61,"memory":"#))
    #expect(
      last.contains(
        #""store":{"state":"read_only","reason":"the store is read-only: \"disk\"","#
          + #""persistent":true,"write_queue":3,"write_queue_limit":8,"read_queue":2}"#))
  }
}
