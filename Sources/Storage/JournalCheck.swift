// The journal's part in a check: its files, the free space, and whether a row has to be written.

internal import Notifications
internal import Reactor

/// Looks at the store's files before a check's row is written.
///
/// Confined to the journal's thread: looking may wait for the disk.
struct FileCheck {
  let directory: DataDirectory
  let condition: StoreCondition
  let kernel: Kernel

  /// The outcome of a check that must not write, or need not; nil if it has to.
  ///
  /// Throws if a file is gone: what the store still writes ends with the process.
  func outcome() throws(StoreError) -> StoreOutcome? {
    do throws(StoreError) {
      try directory.checkFiles()
      let free = try directory.freeBytes()
      condition.withLock { $0.metrics.freeBytes = free }
      // guard: free-space-checked
      if let free, free < StoreConfiguration.freeBytesMinimum {
        return .unavailable(
          reason: "the disk of the store has \(free >> 20) MiB free and needs "
            + "\(StoreConfiguration.freeBytesMinimum >> 20)")
      }
    } catch {
      if case .replaced = error { throw error }
      return .unavailable(reason: "\(error)")
    }
    let now = kernel.monotonicMilliseconds
    let committedAt = condition.withLock { $0.committedAt }
    // guard: recent-commit-spares-check
    guard committedAt > 0, now - min(now, committedAt) < StoreLimits.checkLifetimeMilliseconds
    else {
      return nil
    }
    return .saved
  }
}
