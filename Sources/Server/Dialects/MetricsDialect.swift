// The `metrics` dialect of GET /api/v1/metrics/stream. `Operators/MetricsStreams.swift` writes the
// messages, each `{"type":"metrics","data":{…}}`.

internal import Notifications
internal import Wire

/// The dialect of watchers: they get none of the events of clients.
struct MetricsDialect: Dialect {
  let name = "metrics"
  let path = "/api/v1/metrics/stream"
  let admission = Admission.refusedBeforeUpgrade
  // The event each second keeps the connection alive.
  let heartbeat = Heartbeat(
    pingIntervalMilliseconds: .max / 2, silenceLimitMilliseconds: .max / 2)
  /// Not on the wire, where the stream just ends.
  let expiryCloseCode: UInt16 = 1008

  func write(_ event: Event, to frames: inout FrameWriter) {}
  func write(_ greeting: Greeting, to frames: inout FrameWriter) {}
  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {}
  func writeMissed(_ notification: Notification, _ counts: Counts, to frames: inout FrameWriter) {}
  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {}
}
