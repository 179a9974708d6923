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
    text.openObject()
    text.member("mode", pace.description)
    text.member("connections", connections)
    text.member("established", established)
    text.member("connect_seconds", connectSeconds)
    text.member("seconds", seconds)
    text.member("published", published)
    text.member("accepted", accepted)
    text.member("delivered", Int(clamping: tally.delivered))
    text.member("missing", Int(clamping: missing))
    text.member("repeated", Int(clamping: tally.repeated))
    text.member("skipped", Int(clamping: tally.skipped))
    text.member("other_frames", Int(clamping: tally.otherFrames))
    text.member("disconnected", tally.disconnected)
    text.member("frame_bytes", tally.frameByteCount)
    text.member("bytes_received", Int(clamping: tally.bytesReceived))
    text.member("publishes_per_second", publishesPerSecond)
    text.member("deliveries_per_second", deliveriesPerSecond)
    text.member("stalled", hasStalled)
    text.member("interrupted", wasInterrupted)
    text.member("refused", counts: refused.sorted { $0.key < $1.key }.map { ("\($0)", $1) })
    text.member("endings", counts: endings.sorted { $0.key < $1.key })
    text.member("latency", object: appendLatency)
    text.closeObject()
    return String(decoding: text, as: UTF8.self)
  }

  private func appendLatency(to text: inout [UInt8]) {
    let latency = tally.latency
    text.member("count", Int(clamping: latency.count))
    text.member("min", Int(clamping: latency.count == 0 ? 0 : latency.minimum))
    text.member("mean", latency.mean)
    text.member("p50", Int(clamping: latency.quantile(0.5)))
    text.member("p99", Int(clamping: latency.quantile(0.99)))
    text.member("p999", Int(clamping: latency.quantile(0.999)))
    text.member("max", Int(clamping: latency.maximum))
    text.member("histogram", array: latency.filled) { text, bucket in
      text.array(of: [bucket.lower, bucket.upper, bucket.count]) { $0.appendDecimal($1) }
    }
  }
}

extension [UInt8] {
  fileprivate mutating func member(_ name: String, _ number: Double) {
    memberName(name)
    // JSON has no infinities; the divisions above never produce one.
    appendText("\(number.isFinite ? number : 0)")
  }

  fileprivate mutating func member(_ name: String, counts: [(key: String, value: Int)]) {
    member(
      name,
      object: { text in
        for (key, value) in counts {
          text.memberName(escaping: key)
          text.appendDecimal(value)
        }
      })
  }
}
