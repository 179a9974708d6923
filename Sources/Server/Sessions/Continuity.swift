// Cursors that prove that the store has lost commits: restored from an old copy, or damaged.
//
// The client gets `resync`, as for any cursor whose continuity is not proven. In addition the
// cursor is counted and the operator gets an error in the log. A client can invent such a cursor,
// so the lines have a rate of their own and contain only numbers.

internal import Notifications
internal import Wire

extension ShardComponent {
  /// Whether the store has the history through `cursor`; reports the loss that it proves.
  func isProven(_ cursor: Cursor) -> Bool {
    switch core.store.history.continuity(of: cursor) {
    case .proven:
      return true
    case .unknown:
      return false
    case .lost(let loss):
      report(loss)
      return false
    }
  }

  /// Counts and logs that the store has lost commits.
  func report(_ loss: HistoryLoss) {
    // guard: loss-is-counted
    metrics.add(.historyLosses)
    let admitted = core.lossGate.admit(second: wall / 1_000)
    // guard: loss-lines-limited
    guard admitted.isAdmitted else { return }
    let rest = admitted.suppressed > 0 ? " (and \(admitted.suppressed) more such cursors)" : ""
    // guard: loss-is-logged
    core.log.write(.error, at: wall, "the store has lost commits: \(loss)\(rest)")
  }
}
