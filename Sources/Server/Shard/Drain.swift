// A drain, a shutdown without loss: readiness fails with 503, sessions are closed with 1001 in
// paced batches so that their clients reconnect, and accepted requests are still answered.
//
// Here are only its beginning and its pace. The shard closes the connections of each batch.

/// The drain of one shard.
///
/// Invariant: once it has begun it goes on until the shard's end, and its next batch is due at most
/// `paceMilliseconds` from now.
final class Drain: ShardComponent {
  /// Time between two batches.
  static let paceMilliseconds: UInt64 = 50
  /// Number of batches over which a large shard is spread.
  static let batches = 20
  /// Sessions of a batch, unless the shard is large.
  static let batchCountMinimum = 100
  /// Time after its timeout at which a stop of the server ends a drain that still goes on.
  static let stopMilliseconds: UInt64 = 2_000

  /// A batch that is due.
  struct Batch {
    /// Sessions to close.
    let sessionCount: Int
    /// Whether the drain's time is up, so that all connections are dropped.
    let isOverdue: Bool
  }

  private struct Progress {
    var nextBatchAt: UInt64
    let batchCount: Int
    let endsAt: UInt64
  }

  let context: ShardContext
  private var progress: Progress?

  init(_ context: ShardContext) { self.context = context }

  var hasBegun: Bool { progress != nil }

  /// When the next batch is due; nil before the drain.
  var nextBatchAt: UInt64? { progress?.nextBatchAt }

  /// Begins the drain, unless it has begun.
  func begin() {
    guard progress == nil else { return }
    progress = Progress(
      nextBatchAt: now, batchCount: max(Drain.batchCountMinimum, table.count / Drain.batches),
      endsAt: now + limits.drainTimeoutMilliseconds)
  }

  /// Returns a batch if one is due, and schedules the next.
  func takeBatch() -> Batch? {
    guard let progress, now >= progress.nextBatchAt else { return nil }
    self.progress?.nextBatchAt = now + Drain.paceMilliseconds
    return Batch(sessionCount: progress.batchCount, isOverdue: now >= progress.endsAt)
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    guard let progress else { return }
    assert(progress.batchCount >= Drain.batchCountMinimum)
    assert(progress.nextBatchAt <= now + Drain.paceMilliseconds)
  }
}
