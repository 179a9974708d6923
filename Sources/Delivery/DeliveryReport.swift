// The report of sending.

/// The connections with news since the last report, in the order of the news.
package struct DeliveryReport {
  /// All queued bytes were sent.
  package var drained: [ConnectionID] = []
  /// The socket or the timer failed.
  package var failed: [ConnectionID] = []
  /// The backlog is over the limit.
  package var tooSlow: [ConnectionID] = []
  /// The connection has blocked, or no longer is.
  package var blockChanged: [ConnectionID] = []
  /// A slot without a socket has packets for a poll, or for the session's own slot.
  package var packets: [ConnectionID] = []
  /// For the events of a flush, the time since the server accepted them.
  package var latencies: [(nanoseconds: UInt64, count: Int)] = []
  package var sentByteCount = 0
  /// Bytes of buffers that were freed.
  package var freedByteCount = 0

  /// Whether no connection has news.
  package var isEmpty: Bool {
    drained.isEmpty && failed.isEmpty && tooSlow.isEmpty && blockChanged.isEmpty && packets.isEmpty
  }
}
