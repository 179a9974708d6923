// The `metrics` dialect of GET /api/v1/metrics/stream. `Operators/MetricsStreams.swift` writes the
// messages, each `{"type":"metrics","data":{…}}`.

/// The dialect of watchers: they get none of the events of clients.
struct MetricsDialect: SilentDialect {
  let name = "metrics"
  let path = "/api/v1/metrics/stream"
  let admission = Admission.refusedBeforeUpgrade
  // The event each second keeps the connection alive.
  let heartbeat = Heartbeat(
    pingIntervalMilliseconds: .max / 2, silenceLimitMilliseconds: .max / 2)
  /// Not on the wire, where the stream just ends.
  let expiryCloseCode: UInt16 = 1008
}
