// The result of a load test, as a value and as JSON.

internal import Wire

/// The figures of one measurement.
package struct LoadReport: Sendable {
  /// The pace of the publisher.
  package var pace: LoadPace
  /// Requested connections, and those that were established when the measurement began.
  package var connections = 0
  package var established = 0
  package var connectSeconds = 0.0
  /// From the first publish to the last delivery.
  package var seconds = 0.0
  package var published = 0
  package var accepted = 0
  /// Publishes answered with another status than 2xx, per status.
  package var refused: [Int: Int] = [:]
  /// The counts of the connections; `tally.latency` is measured from the intended send time.
  package var tally = FleetTally()
  /// Deliveries of accepted publishes that did not reach a live connection.
  package var missing: UInt64 = 0
  /// Whether the measurement was aborted after the stall time without progress.
  package var hasStalled = false
  /// Whether the user ended the measurement before its time.
  package var wasInterrupted = false
  /// The count of failed or ended connections per reason.
  package var endings: [String: Int] = [:]

  package var publishesPerSecond: Double { seconds > 0 ? Double(accepted) / seconds : 0 }
  package var deliveriesPerSecond: Double { seconds > 0 ? Double(tally.delivered) / seconds : 0 }

  /// The report as one JSON object; times in nanoseconds, the histogram as [lower, upper, count].
  package var json: String {
    var text: [UInt8] = []
    text.appendText("{\"mode\":")
    text.appendJSONString(pace.description)
    append("connections", connections, to: &text)
    append("established", established, to: &text)
    append("connect_seconds", connectSeconds, to: &text)
    append("seconds", seconds, to: &text)
    append("published", published, to: &text)
    append("accepted", accepted, to: &text)
    append("delivered", Int(clamping: tally.delivered), to: &text)
    append("missing", Int(clamping: missing), to: &text)
    append("repeated", Int(clamping: tally.repeated), to: &text)
    append("skipped", Int(clamping: tally.skipped), to: &text)
    append("other_frames", Int(clamping: tally.otherFrames), to: &text)
    append("disconnected", tally.disconnected, to: &text)
    append("frame_bytes", tally.frameByteCount, to: &text)
    append("bytes_received", Int(clamping: tally.bytesReceived), to: &text)
    append("publishes_per_second", publishesPerSecond, to: &text)
    append("deliveries_per_second", deliveriesPerSecond, to: &text)
    text.appendText(",\"stalled\":\(hasStalled),\"interrupted\":\(wasInterrupted),\"refused\":{")
    appendMembers(refused.sorted { $0.key < $1.key }.map { ("\($0.key)", $0.value) }, to: &text)
    text.appendText("},\"endings\":{")
    appendMembers(endings.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, to: &text)
    text.appendText("},\"latency\":{")
    appendLatency(to: &text)
    text.appendText("}}")
    return String(decoding: text, as: UTF8.self)
  }

  private func appendLatency(to text: inout [UInt8]) {
    let latency = tally.latency
    text.appendText("\"count\":\(latency.count)")
    append("min", Int(clamping: latency.count == 0 ? 0 : latency.minimum), to: &text)
    append("mean", latency.mean, to: &text)
    append("p50", Int(clamping: latency.quantile(0.5)), to: &text)
    append("p99", Int(clamping: latency.quantile(0.99)), to: &text)
    append("p999", Int(clamping: latency.quantile(0.999)), to: &text)
    append("max", Int(clamping: latency.maximum), to: &text)
    let buckets = latency.filled.map { "[\($0.lower),\($0.upper),\($0.count)]" }
    text.appendText(",\"histogram\":[\(buckets.joined(separator: ","))]")
  }

  private func append(_ name: String, _ number: Int, to text: inout [UInt8]) {
    text.appendText(",\"\(name)\":\(number)")
  }

  private func append(_ name: String, _ number: Double, to text: inout [UInt8]) {
    // JSON has no infinities; the divisions above never produce one.
    text.appendText(",\"\(name)\":\(number.isFinite ? number : 0)")
  }

  private func appendMembers(_ members: [(String, Int)], to text: inout [UInt8]) {
    for (position, member) in members.enumerated() {
      if position > 0 { text.appendText(",") }
      text.appendJSONString(member.0)
      text.appendText(":\(member.1)")
    }
  }
}
