// Publish-to-socket latency: its scale of buckets, and the events that it counts.

import Notifications
import Reactor
import Testing

@testable import Server

@Suite("Latency from a publish to the socket")
struct LatencyTests {
  private static func counts(_ microseconds: [UInt64]) -> LatencyCounts {
    let metrics = ShardMetrics()
    for time in microseconds { metrics.addLatency(nanoseconds: time * 1_000, count: 1) }
    return metrics.latencies
  }

  // MARK: The scale

  @Test func `buckets are adjacent, and none is wider than an eighth of its lower end`() {
    for bucket in 0..<(LatencyScale.bucketCount - 1) {
      let (from, end) = (LatencyScale.lowerEnd(of: bucket), LatencyScale.upperEnd(of: bucket))
      #expect(from < end && (end - from) * 8 <= max(8, from), "\(bucket)")
      #expect(LatencyScale.bucket(nanoseconds: UInt64(from) * 1_000) == bucket)
      #expect(LatencyScale.bucket(nanoseconds: UInt64(end) * 1_000 - 1) == bucket)
      #expect(LatencyScale.bucket(nanoseconds: UInt64(end) * 1_000) == bucket + 1)
    }
    #expect(LatencyScale.lowerEnd(of: LatencyScale.bucketCount - 1) == 1 << 26)
  }

  @Test(
    "no time is past the last bucket",
    arguments: [
      UInt64(1) << 26 * 1_000, UInt64(1) << 27 * 1_000, UInt64(Int64.max), .max - 1, .max,
    ])
  func longest(nanoseconds: UInt64) {
    let metrics = ShardMetrics()
    metrics.addLatency(nanoseconds: nanoseconds, count: 3)
    #expect(metrics.latencies.counts.last == 3)
    #expect(metrics.latencies.summary.longest == 1 << 26)
  }

  @Test func `the bounds reported to a scrape are bounds of buckets`() {
    for exponent in LatencyScale.reportedExponents {
      let count = LatencyScale.bucketCount(below: exponent)
      #expect(LatencyScale.upperEnd(of: count - 1) == 1 << exponent)
    }
  }

  // MARK: Summaries

  @Test func `a percentile is the upper end of its bucket`() {
    #expect(LatencyCounts().summary == LatencySummary())
    #expect(Self.counts([3]).summary == .init(count: 1, median: 4, percentile99: 4, longest: 4))
    // Half of two is the first; half of three includes the second.
    #expect(Self.counts([1, 5]).percentile(50) == 2)
    #expect(Self.counts([1, 5, 6]).percentile(50) == 6)
    let many = Self.counts([UInt64](repeating: 100, count: 99) + [5_000])
    #expect(many.summary == .init(count: 100, median: 104, percentile99: 104, longest: 5_120))
    let more = Self.counts([UInt64](repeating: 100, count: 98) + [5_000, 70_000])
    #expect(
      more.summary == .init(count: 100, median: 104, percentile99: 5_120, longest: 73_728))
  }

  @Test func `the difference of two readings holds only the counts in between`() {
    let metrics = ShardMetrics()
    metrics.addLatency(nanoseconds: 60_000_000, count: 50)
    let before = metrics.latencies
    #expect(metrics.latencies.since(before) == LatencyCounts())
    metrics.addLatency(nanoseconds: 3_000, count: 2)
    let since = metrics.latencies.since(before)
    #expect(since.summary == .init(count: 2, median: 4, percentile99: 4, longest: 4))
    #expect(since.sumNanoseconds == 6_000)
  }

  @Test func `the counts of shards add up`() {
    var all = Self.counts([1, 2])
    all.add(Self.counts([2, 300]))
    #expect(all == Self.counts([1, 2, 2, 300]))
    #expect(all.sumNanoseconds == 305_000)
  }

  // MARK: Counted events

  /// The summary of a second without a publish.
  static let none = #"{"count":0,"p50":0,"p99":0,"max":0}"#

  static func latencies(of fixture: ShardFixture, shard index: Int = 0) -> LatencySummary {
    fixture.core.metrics[index].latencies.summary
  }

  /// A broadcast that was accepted `milliseconds` ago.
  static func published(_ fixture: ShardFixture, ago milliseconds: UInt64 = 0) -> Event {
    Event(
      audience: .everyone, body: TurnTests.broadcast().body, timestamp: 0,
      takenAt: fixture.core.kernel.monotonicNanoseconds - milliseconds * 1_000_000)
  }

  @Test func `an event counts once, from its publish to the end of the flush`() throws {
    let fixture = try ShardFixture()
    let peers = try (0..<3).map { _ in try fixture.session("u") }
    try fixture.turn(2)
    try fixture.publish(Self.published(fixture))
    fixture.script.elapsed += 20
    try fixture.turn(2)
    for peer in peers { #expect(try fixture.frames(of: peer).last?.contains("system") == true) }
    #expect(Self.latencies(of: fixture).count == 1)
    #expect(fixture.core.metrics[0].latencies.sumNanoseconds == 20_000_000)
    #expect(Self.latencies(of: fixture).median == 20_480)
  }

  @Test func `events accepted at different times are counted separately`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    try fixture.turn(2)
    try fixture.publish(Self.published(fixture, ago: 1_000))
    try fixture.publish(Self.published(fixture, ago: 8))
    try fixture.publish(Self.published(fixture, ago: 8))
    try fixture.turn(2)
    #expect(try fixture.frames(of: peer).count == 4)
    #expect(
      Self.latencies(of: fixture)
        == .init(count: 3, median: 8_192, percentile99: 1_048_576, longest: 1_048_576))
  }

  @Test func `only published events count, and only on shards that have a recipient`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let peer = try fixture.session("u", on: 1)
    try fixture.turn(2)
    // These events have no time of a publish.
    try fixture.publish(TurnTests.broadcast())
    try fixture.publish(MutedEventTests.counted(1))
    try fixture.turn(2)
    #expect(Self.latencies(of: fixture, shard: 1).count == 0)
    for user in ["u", "nobody"] {
      try fixture.publish(
        Event(
          audience: .user(user), body: DialectTests.stored().body, timestamp: 0, offset: 2,
          takenAt: fixture.core.kernel.monotonicNanoseconds))
    }
    try fixture.turn(2)
    #expect(peer.receive().text.contains("notification:new"))
    #expect(Self.latencies(of: fixture, shard: 0).count == 0)
    #expect(Self.latencies(of: fixture, shard: 1).count == 1)
  }

  @Test func `latency includes the store, as the command carries the request's time`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    let taken = fixture.core.kernel.monotonicNanoseconds
    peer.send(EndpointTests.request("POST /api/v1/notifications", body: EndpointTests.draft))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    guard case .publish(_, _, _, let told) = fixture.store.commands[0].command else {
      Issue.record("no publish")
      return
    }
    #expect(told == taken)
  }

  @Test func `a time in the future counts as zero`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.session("u")
    defer { withExtendedLifetime(peer) {} }
    try fixture.turn(2)
    try fixture.publish(
      Event(audience: .everyone, body: TurnTests.broadcast().body, timestamp: 0, takenAt: .max))
    try fixture.turn(2)
    #expect(Self.latencies(of: fixture) == .init(count: 1, median: 1, percentile99: 1, longest: 1))
  }

  // MARK: Scrapes

  @Test func `a scrape gets one histogram for all shards`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    fixture.core.metrics[0].addLatency(nanoseconds: 31_999, count: 2)
    fixture.core.metrics[1].addLatency(nanoseconds: 32_000, count: 1)
    fixture.core.metrics[1].addLatency(nanoseconds: 100_000_000_000, count: 1)
    let peer = try fixture.connect()
    peer.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    let text = try EndpointTests.answer(to: peer, fixture).body
    let name = "carillon_publish_to_socket_seconds"
    let lines = text.split(separator: "\n").filter { $0.hasPrefix(name) }
    #expect(lines.count == LatencyScale.reportedExponents.count + 3)
    #expect(text.contains("# TYPE \(name) histogram\n"))
    #expect(lines.first == "\(name)_bucket{le=\"0.000032\"} 2")
    #expect(lines[1] == "\(name)_bucket{le=\"0.000064\"} 3")
    #expect(lines.contains("\(name)_bucket{le=\"16.777216\"} 3"))
    #expect(
      lines.suffix(3) == [
        "\(name)_bucket{le=\"+Inf\"} 4", "\(name)_sum 100.000095998", "\(name)_count 4",
      ])
  }

  @Test(
    "a time in seconds without trailing zeros",
    arguments: [
      (0, "0.0"), (1, "0.000000001"), (32_000, "0.000032"), (1_000_000_000, "1.0"),
      (16_777_216_000, "16.777216"), (100_000_095_998, "100.000095998"),
    ])
  func seconds(nanoseconds: Int, text: String) {
    #expect(MetricsText.seconds(nanoseconds: nanoseconds) == text)
  }
}
