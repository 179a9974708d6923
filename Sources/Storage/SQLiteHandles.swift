// SQLite's two handles, with one owner each.
//
// All unsafe use of SQLite is here; callers need none. Both handles are confined to the thread that
// uses them: connections are opened without SQLite's own mutexes.

internal import CSQLite

/// A connection to a database file.
///
/// `deinit` closes it.
@safe struct Connection: ~Copyable {
  private let handle: OpaquePointer
  /// Nil except in tests.
  private let recorder: StatementRecorder?

  enum Mode {
    case readWrite
    case readOnly
  }

  /// Configures SQLite once in the process.
  private static let configuration: Void = cs_skip_memory_statistics()

  /// Opens an existing file.
  init(
    path: String, mode: Mode, vfs: String?, statistics: StatementStatistics? = nil
  ) throws(StoreError) {
    _ = Self.configuration
    var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE
    switch mode {
    case .readWrite: flags |= SQLITE_OPEN_READWRITE
    case .readOnly: flags |= SQLITE_OPEN_READONLY
    }
    var opened: OpaquePointer?
    // SAFETY: the strings live for the call; SQLite writes `opened`, also when it fails.
    let result = unsafe sqlite3_open_v2(path, &opened, flags, vfs)
    guard result == SQLITE_OK, let opened = unsafe opened else {
      let error = StoreError.sqlite(code: result, message: Self.message(of: result))
      unsafe sqlite3_close_v2(opened)
      throw error
    }
    unsafe handle = opened
    recorder = statistics.map { StatementRecorder($0, isWriter: mode == .readWrite) }
  }

  deinit {
    // Open statements keep the connection until they are finalized, so an owner may release its
    // handles in any order.
    unsafe sqlite3_close_v2(handle)
  }

  /// Runs SQL without parameters, ignoring its rows.
  func execute(_ sql: String) throws(StoreError) {
    let result = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
    guard result == SQLITE_OK else { throw lastError(result) }
  }

  /// The first column of the first row, as text; empty when there is no row.
  func value(of sql: String) throws(StoreError) -> String {
    let statement = try prepare(sql)
    return try statement.step() ? statement.text(0) : ""
  }

  /// Compiles one statement for repeated use.
  func prepare(_ sql: String) throws(StoreError) -> Statement {
    var prepared: OpaquePointer?
    let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
    // SAFETY: the text lives for the call; the handle is open.
    let result = unsafe sqlite3_prepare_v3(handle, sql, -1, flags, &prepared, nil)
    guard result == SQLITE_OK, let prepared = unsafe prepared else { throw lastError(result) }
    recorder?.add(statement: sql)
    return unsafe Statement(prepared, sql: sql, recorder)
  }

  /// Whether a transaction is open.
  var isInTransaction: Bool { unsafe sqlite3_get_autocommit(handle) == 0 }

  /// Rows that the last statement changed.
  var changeCount: Int { unsafe Int(sqlite3_changes64(handle)) }

  func harden() throws(StoreError) {
    let result = unsafe cs_harden(handle)
    guard result == SQLITE_OK else { throw lastError(result) }
  }

  /// Leaves the write-ahead log as it is when the connection closes.
  func keepLogOnClose() {
    // Fails only for an argument that SQLite does not know.
    _ = unsafe cs_keep_log_on_close(handle)
  }

  /// Counts the pages of the write-ahead log into `pages` after each commit.
  ///
  /// This also disables SQLite's own checkpoints, which hide their errors.
  func countLogPages(into pages: LogPages) {
    let count:
      @convention(c) (
        UnsafeMutableRawPointer?, OpaquePointer?, UnsafePointer<CChar>?, Int32
      ) -> Int32 = { context, _, _, pageCount in
        guard let context = unsafe context else { return SQLITE_OK }
        // SAFETY: `context` is the `LogPages` below, which the owner keeps longer than the
        // connection; SQLite calls this on the thread that commits.
        unsafe Unmanaged<LogPages>.fromOpaque(context).takeUnretainedValue().count = Int(pageCount)
        return SQLITE_OK
      }
    unsafe sqlite3_wal_hook(handle, count, Unmanaged.passUnretained(pages).toOpaque())
  }

  /// Copies the pages of the log that no reader blocks into the file, without waiting for anything.
  ///
  /// Returns the number of pages at the start of the log that are in the file now; nil if another
  /// connection is doing the same. SQLite syncs the file only if they are all pages.
  func checkpoint() throws(StoreError) -> Int? {
    var copied: Int32 = 0
    // guard: checkpoints-wait-for-nothing
    let mode = SQLITE_CHECKPOINT_PASSIVE
    // SAFETY: SQLite writes the number before it returns.
    let result = unsafe sqlite3_wal_checkpoint_v2(handle, nil, mode, nil, &copied)
    if result & 0xFF == SQLITE_BUSY { return nil }
    guard result == SQLITE_OK else { throw lastError(result) }
    return Int(copied)
  }

  /// Syncs the database file through SQLite's own descriptor.
  ///
  /// A descriptor of our own would drop SQLite's locks on the file when it is closed.
  func synchronizeFile() throws(StoreError) {
    var file: UnsafeMutablePointer<sqlite3_file>?
    // SAFETY: SQLite writes the file of the open connection, which lives as long as that.
    var result = unsafe sqlite3_file_control(handle, nil, SQLITE_FCNTL_FILE_POINTER, &file)
    if result == SQLITE_OK, let file = unsafe file {
      // SAFETY: an open file has its methods; only this thread uses the connection.
      result = unsafe file.pointee.pMethods.pointee.xSync(file, SQLITE_SYNC_NORMAL)
    }
    guard result == SQLITE_OK else { throw lastError(result) }
  }

  private func lastError(_ code: Int32) -> StoreError {
    // SQLite opens files when it needs them; its own text does not say why it could not.
    let systemCode = unsafe sqlite3_system_errno(handle)
    if code & 0xFF == SQLITE_CANTOPEN, systemCode != 0 {
      return .file(action: "open a file of the store", code: systemCode)
    }
    return .sqlite(code: code, message: Self.message(of: code))
  }

  /// SQLite's constant text for a code.
  ///
  /// A connection's own error message is not used, because it may quote a user's text.
  static func message(of code: Int32) -> String {
    guard let text = unsafe sqlite3_errstr(code) else { return "unknown error" }
    return unsafe String(cString: text)
  }
}

/// The number of pages in the write-ahead log.
///
/// Confined to the journal's thread.
final class LogPages {
  var count = 0
}

/// A compiled statement.
///
/// Parameters count from 1, columns from 0.
@safe struct Statement: ~Copyable {
  private let handle: OpaquePointer
  private let recording: Recording?

  private struct Recording {
    let sql: String
    let recorder: StatementRecorder
  }

  @unsafe fileprivate init(
    _ handle: OpaquePointer, sql: String, _ recorder: StatementRecorder?
  ) {
    unsafe self.handle = handle
    recording = recorder.map { Recording(sql: sql, recorder: $0) }
  }

  deinit {
    unsafe sqlite3_finalize(handle)
  }

  // Binding fails for an index that the statement does not have, which is a bug here, and when out
  // of memory, when no promise can be kept: both trap.

  func bind(_ index: Int32, _ value: Int64) {
    let result = unsafe sqlite3_bind_int64(handle, index, value)
    precondition(result == SQLITE_OK, "bind \(index)")
  }

  func bind(_ index: Int32, _ value: Int64?) {
    guard let value else { return bindNull(index) }
    bind(index, value)
  }

  func bind(_ index: Int32, _ text: String) {
    var text = text
    let result = text.withUTF8 { bytes in
      // SAFETY: SQLite copies `count` bytes before it returns.
      unsafe cs_bind_text(handle, index, bytes.baseAddress, UInt64(bytes.count))
    }
    precondition(result == SQLITE_OK, "bind \(index)")
  }

  func bind(_ index: Int32, _ text: String?) {
    guard let text else { return bindNull(index) }
    bind(index, text)
  }

  func bind(_ index: Int32, _ blob: [UInt8]) {
    let result = unsafe blob.withUnsafeBytes { bytes in
      // SAFETY: as for text.
      unsafe cs_bind_blob(handle, index, bytes.baseAddress, UInt64(bytes.count))
    }
    precondition(result == SQLITE_OK, "bind \(index)")
  }

  func bind(_ index: Int32, _ blob: [UInt8]?) {
    guard let blob else { return bindNull(index) }
    bind(index, blob)
  }

  private func bindNull(_ index: Int32) {
    let result = unsafe sqlite3_bind_null(handle, index)
    precondition(result == SQLITE_OK, "bind \(index)")
  }

  /// Steps to the next row.
  ///
  /// Returns false at the end.
  func step() throws(StoreError) -> Bool {
    let result = unsafe sqlite3_step(handle)
    switch result {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default:
      // After an error too, a statement accepts no parameters and keeps its snapshot until then.
      // guard: failed-step-resets
      reset()
      throw StoreError.sqlite(code: result, message: Connection.message(of: result))
    }
  }

  /// Runs a statement that returns no rows, and resets it.
  func run() throws(StoreError) {
    // The reset repeats the error of the step, which is thrown already.
    defer { reset() }
    _ = try step()
  }

  /// Makes the statement ready to run again; it holds no lock afterwards.
  func reset() {
    unsafe sqlite3_reset(handle)
    if let recording { unsafe recording.recorder.record(handle, sql: recording.sql) }
  }

  func isNull(_ column: Int32) -> Bool {
    unsafe sqlite3_column_type(handle, column) == SQLITE_NULL
  }

  func isInteger(_ column: Int32) -> Bool {
    unsafe sqlite3_column_type(handle, column) == SQLITE_INTEGER
  }

  func isText(_ column: Int32) -> Bool {
    unsafe sqlite3_column_type(handle, column) == SQLITE_TEXT
  }

  /// The integer in a column that SQLite has calculated, or that is only compared.
  ///
  /// For a stored number, which may be damaged, see `number`.
  func integer(_ column: Int32) -> Int64 {
    unsafe sqlite3_column_int64(handle, column)
  }

  func text(_ column: Int32) -> String {
    // The address first: requesting it may convert the value and so change its length.
    guard let bytes = unsafe sqlite3_column_text(handle, column) else { return "" }
    let count = unsafe Int(sqlite3_column_bytes(handle, column))
    // SAFETY: SQLite keeps `count` bytes there until the next step, and they are copied now.
    return unsafe String(
      decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
  }

  func optionalText(_ column: Int32) -> String? {
    isNull(column) ? nil : text(column)
  }

  func blob(_ column: Int32) -> [UInt8] {
    guard let bytes = unsafe sqlite3_column_blob(handle, column) else { return [] }
    let count = unsafe Int(sqlite3_column_bytes(handle, column))
    // SAFETY: as for text.
    return unsafe Array(UnsafeRawBufferPointer(start: bytes, count: count))
  }

  func optionalBlob(_ column: Int32) -> [UInt8]? {
    isNull(column) ? nil : blob(column)
  }
}
