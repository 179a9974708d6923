// Copies the write-ahead log into the database file, on a thread and a connection of its own.
//
//     journal:       commit ─ commit ─ commit ─ commit ─ the rest, when it is short ─ commit
//                       │ enough new pages            ▲                                 │
//     checkpointer:     └────▶ copy and sync ─────────┘                     the log restarts
//
// A passive checkpoint waits for no reader and no writer, and the journal commits meanwhile. So it
// ends with the newest pages uncopied, and the log can restart only when all of it is copied and no
// reader needs it: the journal copies these few pages itself, between two groups, and syncs the
// file. For that sync to have little to do, this thread syncs what it has copied, and it copies
// again while many pages are left. A reader that keeps an old snapshot prevents the restart, and
// the log grows until the reader ends; nothing waits for it.
//
// The thread has a low priority: no command waits for a copy, but on a busy processor each one
// waits for the journal.

internal import Notifications

/// A request to copy the log.
struct CheckpointRequest: Sendable {}

/// How far the log is copied.
struct CheckpointProgress {
  /// Whether the checkpointer has a request.
  var isRunning = false
  /// Pages at the start of the log that are in the database file.
  var copiedPages = 0
}

/// Owns a connection that runs checkpoints.
///
/// Confined to its thread once that runs.
final class Checkpointer {
  private let connection: Connection
  private let condition: StoreCondition
  private let isDurable: Bool

  /// A store that is not durable needs no sync.
  init(connection: consuming Connection, condition: StoreCondition, isDurable: Bool) {
    self.connection = connection
    self.condition = condition
    self.isDurable = isDurable
  }

  /// Copies the pages that no reader blocks, and syncs the database file.
  ///
  /// A sync that fails loses nothing, because the log still has everything; but to restart the log
  /// after it could lose data, so the failure is as final as that of a commit.
  func process(_ requests: [CheckpointRequest]) {
    do throws(StoreError) {
      let copied = try connection.checkpoint()
      // guard: copied-pages-synced-off-the-journal
      if isDurable, let copied, copied > 0 { try connection.synchronizeFile() }
      condition.endCheckpoint(copiedPages: copied)
    } catch {
      // guard: failed-checkpoint-is-final
      guard error.isTransient else { return condition.fail(error) }
      condition.endCheckpoint(copiedPages: nil)
    }
  }
}
