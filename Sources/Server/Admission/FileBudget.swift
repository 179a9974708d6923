// The files of the process, and the share of them that connections without a token may have.
//
// Files are one resource for all shards, so its counts are too: a shard takes the mutex when a
// connection is accepted, authenticates or ends, and never while it delivers.

internal import Broadcast
internal import Reactor

/// The files that the process may have open.
///
/// A stranger is a connection that has not shown a valid token or key, and is not one of this
/// machine's own unless a limit is configured. The rest of the files is a reserve that strangers
/// cannot take. Any thread may use it.
///
/// Invariant: `0 <= strangerCount <= strangerLimit`, and `counts.connections` is the number
/// of descriptors that connections own.
final class FileBudget: Sendable {
  /// The most files that strangers may have, in percent of the process's limit.
  static let strangerPercent = 50
  /// Files that stay free for other uses than connections: a sixteenth of the limit, at most this.
  static let spareCount = 32
  private static let spareFraction = 16

  private struct Counts {
    var strangers = 0
    var connections = 0
  }

  /// The number of files that the process may have open.
  let limit: Int
  /// Connections that may be open without having presented a token.
  let strangerLimit: Int
  /// The number of files that are open besides connections, as counted at the start.
  private let otherCount: Int
  private let countsLoopback: Bool
  private let firstShortDescriptor: Int
  private let counts = Guarded(Counts())

  /// Makes the budget of a process with at most `limit` open files, of which `otherCount` are open.
  init(_ limits: Limits, limit: Int, otherCount: Int) {
    self.limit = limit
    self.otherCount = otherCount
    firstShortDescriptor = limit - min(FileBudget.spareCount, limit / FileBudget.spareFraction)
    countsLoopback = limits.unauthenticatedLimit != nil
    let percent = FileBudget.strangerPercent
    // guard: strangers-bounded-by-files
    let standard = max(1, limit / 100 * percent + limit % 100 * percent / 100)
    let given = limits.unauthenticatedLimit ?? standard
    strangerLimit = given == 0 ? .max : given
  }

  /// Whether a connection counts as a stranger's until it presents a token.
  func countsStrangers(isLocal: Bool) -> Bool {
    strangerLimit < .max && (countsLoopback || !isLocal)
  }

  /// Counts a stranger; false when strangers have all of their share.
  func enterStranger() -> Bool {
    counts.withLock { counts in
      // guard: unauthenticated-bounded
      guard counts.strangers < strangerLimit else { return false }
      counts.strangers += 1
      return true
    }
  }

  /// Uncounts a stranger, which has presented a token or has ended.
  func leaveStranger() {
    counts.withLock { counts in
      counts.strangers -= 1
      assert(counts.strangers >= 0, "\(counts.strangers) strangers")
    }
  }

  /// Whether files are short, as the newest one of a connection shows.
  ///
  /// The kernel gives the lowest free descriptor, so all lower ones are open.
  func isShort(at descriptor: Int32) -> Bool { Int(descriptor) >= firstShortDescriptor }

  /// Counts a descriptor that a connection owns.
  func noteOpened() { counts.withLock { $0.connections += 1 } }

  /// Uncounts the descriptor of a connection that has ended.
  func noteClosed() {
    counts.withLock { counts in
      counts.connections -= 1
      assert(counts.connections >= 0, "\(counts.connections) descriptors")
    }
  }

  /// The open files: those of connections, and those that were open at the start.
  var openCount: Int { otherCount + counts.withLock { $0.connections } }

  // MARK: Asked by tests only

  /// The number of strangers over all shards.
  var strangerCount: Int { counts.withLock { $0.strangers } }
}
