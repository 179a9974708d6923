// What other threads see of the thread that sends webhooks.

internal import Broadcast
package import Notifications

/// A delivery that has succeeded.
package struct DeliveredRecord: Sendable, Equatable {
  package let sequence: Int64
  package let messageID: String
  package let type: WebhookEventType
  package let attempts: Int
  package let status: Int
  /// When the answer came, in milliseconds since 1970.
  package let time: Int64
  /// From the start of the attempt to the end of the answer.
  package let milliseconds: Int64
}

/// Counts of attempts since the start.
package struct WebhookMetrics: Sendable, Equatable {
  package var delivered = 0
  /// Attempts that failed, and are followed by a retry.
  package var failed = 0
  /// Deliveries without an attempt left.
  package var dead = 0
  /// Attempts in flight.
  package var inFlight = 0

  package init() {}
}

/// Counts and the latest deliveries, written by the sending thread.
final class WebhookObservations: Sendable {
  private struct State {
    var metrics = WebhookMetrics()
    var recent: [WebhookID: [DeliveredRecord]] = [:]
  }

  private let state = Guarded(State())
  var metrics: WebhookMetrics { state.withLock { $0.metrics } }

  func recent(of id: WebhookID) -> [DeliveredRecord] {
    state.withLock { $0.recent[id] ?? [] }.reversed()
  }

  func note(_ record: DeliveredRecord, of id: WebhookID) {
    state.withLock { state in
      state.metrics.delivered += 1
      state.recent[id, default: []].append(record)
      // Twice the limit before the oldest half goes, so that a delivery costs no copy.
      let limit = WebhookLimits.recentCountLimit
      // guard: recent-deliveries-bounded
      if let count = state.recent[id]?.count, count >= limit * 2 {
        state.recent[id]?.removeFirst(count - limit)
      }
    }
  }

  func note(_ outcome: DeliveryResult.Outcome) {
    state.withLock { state in
      switch outcome {
      case .delivered: break
      case .retry: state.metrics.failed += 1
      case .dead: state.metrics.dead += 1
      }
    }
  }

  func set(inFlight: Int) { state.withLock { $0.metrics.inFlight = inFlight } }

  func forget(_ kept: Set<WebhookID>) {
    state.withLock { state in state.recent = state.recent.filter { kept.contains($0.key) } }
  }
}
