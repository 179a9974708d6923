// The store's state, which its threads share and its operator sees.

internal import Broadcast
internal import Notifications

/// The store's observable state.
struct StoreState {
  var metrics = StoreMetrics()
  var status = StoreStatus.ready
  /// See `Store.nextExpiry`.
  var nextExpiry: Int64?
  var checkpoint = CheckpointProgress()
  /// When the group in progress began, in monotonic milliseconds; nil between groups.
  var groupBeganAt: UInt64?
  /// When the latest group was committed, in monotonic milliseconds; 0 if none was.
  var committedAt: UInt64 = 0
}

/// The state under its lock, and the report of its changes.
///
/// Any thread. Invariant: once the status is `readOnly` it stays.
final class StoreCondition: Sendable {
  private let state = Guarded(StoreState())
  private let report: @Sendable (StoreNotice) -> Void

  init(report: @escaping @Sendable (StoreNotice) -> Void) {
    self.report = report
  }

  func withLock<Result>(_ body: (inout StoreState) -> Result) -> Result { state.withLock(body) }

  var status: StoreStatus { state.withLock { $0.status } }

  /// The status, or that the group in progress takes too long.
  func status(at now: UInt64) -> StoreStatus {
    state.withLock { state in
      if case .readOnly = state.status { return state.status }
      let began = state.groupBeganAt ?? now
      let waiting = now - min(now, began)
      // guard: stall-is-a-status
      if waiting >= StoreConfiguration.stallMilliseconds {
        return .stalled(milliseconds: waiting)
      }
      return state.status
    }
  }

  /// Records the start of a group; false if the store accepts none.
  func beginGroup(at now: UInt64) -> Bool {
    state.withLock { state in
      if case .readOnly = state.status { return false }
      state.groupBeganAt = now
      return true
    }
  }

  /// Whether a write or a checkpoint has failed.
  var hasFailed: Bool {
    if case .readOnly = status { true } else { false }
  }

  /// Makes the store read-only until it is restarted.
  func fail(_ error: StoreError) {
    change(to: .readOnly(reason: "the store is read-only until it is restarted: \(error)"))
  }

  /// Sets the status and reports it if it differs.
  func change(to status: StoreStatus) {
    let isChange = state.withLock { state in
      // guard: read-only-until-restart
      if case .readOnly = state.status { return false }
      defer { state.status = status }
      return state.status != status
    }
    // guard: status-change-is-reported, status-reported-once
    if isChange { report(.status(status)) }
  }

  /// Reports something that changes no status.
  func note(_ notice: StoreNotice) { report(notice) }

  /// Records the end of a checkpoint; nil if it copied nothing.
  func endCheckpoint(copiedPages: Int?) {
    state.withLock { state in
      state.checkpoint.isRunning = false
      guard let copiedPages else { return }
      state.checkpoint.copiedPages = copiedPages
      state.metrics.checkpoints += 1
    }
  }
}
