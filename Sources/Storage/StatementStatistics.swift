// The cost of statements, by SQLite's own counters, for tests.
//
// A store counts nothing unless its configuration has one of these. Then each reset of a statement
// adds its counters here, so a test can see every statement that ran, the rows that it visited
// without an index, and the work of the longest transaction.

internal import Broadcast
internal import CSQLite
internal import Notifications

/// The counters of a store's statements, by their SQL.
package final class StatementStatistics: Sendable {
  /// The counters of one statement, over all its runs.
  package struct Record: Sendable {
    package var runCount = 0
    /// Steps through a table without an index.
    package var fullScanSteps = 0
    /// Sorts, also those by a temporary index.
    package var sorts = 0
    /// Rows inserted into indexes that SQLite built for one run.
    package var automaticIndexRows = 0
    /// Instructions of SQLite's virtual machine in the longest run.
    package var mostInstructions = 0
  }

  private struct State {
    var statements: Set<TextKey> = []
    var records: [TextKey: Record] = [:]
    var mostTransactionInstructions = 0
    var transactionCount = 0
  }

  private let state = Guarded(State())

  package init() {}

  /// The SQL of every statement that was compiled, whether or not it ran.
  package var statements: [String] { state.withLock { $0.statements.map(\.text) } }

  /// The counters of every statement that has run since `forget`.
  package var records: [(sql: String, record: Record)] {
    state.withLock { $0.records.map { ($0.key.text, $0.value) } }
  }

  /// Instructions in the longest transaction of the writer since `forget`.
  package var mostTransactionInstructions: Int {
    state.withLock { $0.mostTransactionInstructions }
  }

  /// Transactions of the writer since `forget`.
  package var transactionCount: Int { state.withLock { $0.transactionCount } }

  /// Sets all counters to zero.
  package func forget() {
    state.withLock { $0 = State(statements: $0.statements) }
  }

  fileprivate func add(statement sql: String) {
    state.withLock { _ = $0.statements.insert(TextKey(sql)) }
  }

  fileprivate func add(_ record: Record, of sql: String) {
    state.withLock { state in
      var sum = state.records[TextKey(sql)] ?? Record()
      sum.runCount += record.runCount
      sum.fullScanSteps += record.fullScanSteps
      sum.sorts += record.sorts
      sum.automaticIndexRows += record.automaticIndexRows
      sum.mostInstructions = max(sum.mostInstructions, record.mostInstructions)
      state.records[TextKey(sql)] = sum
    }
  }

  fileprivate func addTransaction(_ instructions: Int) {
    state.withLock { state in
      state.transactionCount += 1
      state.mostTransactionInstructions = max(state.mostTransactionInstructions, instructions)
    }
  }
}

/// Passes the counters of one connection's statements on.
///
/// Confined to the connection's thread.
final class StatementRecorder {
  private let statistics: StatementStatistics
  private let isWriter: Bool
  private var transactionInstructions = 0

  init(_ statistics: StatementStatistics, isWriter: Bool) {
    self.statistics = statistics
    self.isWriter = isWriter
  }

  func add(statement sql: String) { statistics.add(statement: sql) }

  /// Adds the counters of a statement since its last reset, and sets them to zero.
  @unsafe func record(_ handle: OpaquePointer, sql: String) {
    func take(_ counter: Int32) -> Int {
      // SAFETY: the statement is open, and its owner calls this on its thread.
      Int(unsafe sqlite3_stmt_status(handle, counter, 1))
    }
    var record = StatementStatistics.Record()
    record.runCount = take(SQLITE_STMTSTATUS_RUN)
    record.fullScanSteps = take(SQLITE_STMTSTATUS_FULLSCAN_STEP)
    record.sorts = take(SQLITE_STMTSTATUS_SORT)
    record.automaticIndexRows = take(SQLITE_STMTSTATUS_AUTOINDEX)
    record.mostInstructions = take(SQLITE_STMTSTATUS_VM_STEP)
    // A reset of a statement that did not run.
    guard record.mostInstructions > 0 else { return }
    statistics.add(record, of: sql)
    transactionInstructions += record.mostInstructions
    if isWriter, sql == "COMMIT" { statistics.addTransaction(transactionInstructions) }
    if sql == "COMMIT" || sql.hasPrefix("BEGIN") { transactionInstructions = 0 }
  }
}
