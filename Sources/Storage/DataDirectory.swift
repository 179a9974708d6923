// The store's data directory.
//
//     carillon.db, -wal, -shm   the database
//     carillon.lock             locked by the server that has the store open
//
// The lock belongs to an open descriptor, so it ends with the process however that exits, and a
// child process does not keep it once it runs its own program. SQLite's own exclusive mode would
// also lock out our readers.

internal import Broadcast
internal import CSQLite
internal import Glibc
internal import Reactor

/// A locked data directory.
///
/// `deinit` releases the lock.
final class DataDirectory: Sendable {
  let path: String
  /// Whether the store is temporary: `:memory:`.
  let isTemporary: Bool
  private let lock: Int32
  /// The files as they were opened, to recognise ones that have taken their places.
  private let opened = Guarded<[(name: String, identity: FileIdentity)]>([])

  private struct FileIdentity: Equatable {
    let device: UInt64
    let number: UInt64
  }

  var databasePath: String { Self.databasePath(in: path) }

  private static func databasePath(in directory: String) -> String { directory + "/carillon.db" }

  /// Locks the directory `path`, creating it (its parent must exist) and the database file.
  ///
  /// `:memory:` is a private directory that `forget` removes. Symbolic links in `path` are followed
  /// once, here: `self.path` has none, so SQLite refuses a link that enters the path later. A link
  /// in place of a file of the store is always refused.
  init(_ path: String) throws(StoreError) {
    isTemporary = path == ":memory:"
    if !isTemporary { try Self.make(path) }
    // guard: data-through-symbolic-link
    let directory = try Self.resolve(isTemporary ? try Self.makeTemporary() : path)
    self.path = directory
    do throws(StoreError) {
      // Only from here on does a throw close the descriptor in `deinit`.
      lock = try Self.openLock(in: directory)
      let result = cs_lock_file(lock)
      guard result == 0 else {
        if result == -EWOULDBLOCK { throw .alreadyOpen(path: path) }
        throw .file(action: "lock carillon.lock", code: -result)
      }
      try Self.makeDatabase(in: directory)
    } catch {
      if isTemporary { Self.remove(directory) }
      throw error
    }
  }

  private static func openLock(in directory: String) throws(StoreError) -> Int32 {
    let lock = unsafe open(
      directory + "/carillon.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard lock >= 0 else { throw .file(action: "open carillon.lock", code: errno) }
    return lock
  }

  deinit {
    // A child process that is about to run its own program still has a copy of the descriptor.
    // guard: lock-released-for-copies
    cs_unlock_file(lock)
    close(lock)
  }

  /// Unlinks the files of a temporary store, once every connection has them open.
  ///
  /// The unlinked files last until the last descriptor is closed, so nothing remains however the
  /// process ends.
  func forget() {
    if isTemporary { Self.remove(path) }
  }

  private static func remove(_ directory: String) {
    for name in ["carillon.db", "carillon.db-wal", "carillon.db-shm", "carillon.lock"] {
      unsafe unlink(directory + "/" + name)
    }
    unsafe rmdir(directory)
  }

  /// Remembers the files that the store has open.
  func rememberFiles() throws(StoreError) {
    guard !isTemporary else { return }
    for name in ["carillon.db", "carillon.db-wal", "carillon.lock"] {
      let identity = try identity(of: name)
      opened.withLock { $0.append((name, identity)) }
    }
  }

  /// Throws if a file that the store has open is not the one in the directory any more.
  ///
  /// Whatever is written then is lost at the end of the process.
  func checkFiles() throws(StoreError) {
    for (name, known) in opened.withLock({ $0 }) {
      let found = try identity(of: name)
      // guard: open-file-in-directory
      guard found == known else { throw .replaced(name: name) }
    }
  }

  /// The bytes that the file system has free for this process; nil for a temporary store.
  func freeBytes() throws(StoreError) -> Int? {
    guard !isTemporary else { return nil }
    var status = statvfs()
    // SAFETY: one structure, which the call fills.
    guard unsafe statvfs(path, &status) == 0 else {
      throw .file(action: "see how much space is free", code: errno)
    }
    let bytes = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return bytes.overflow ? .max : Int(clamping: bytes.partialValue)
  }

  private func identity(of name: String) throws(StoreError) -> FileIdentity {
    var status = stat()
    // SAFETY: one structure, which the call fills.
    guard unsafe lstat(path + "/" + name, &status) == 0 else {
      throw errno == ENOENT
        ? .replaced(name: name) : .file(action: "find \(name)", code: errno)
    }
    return FileIdentity(device: UInt64(status.st_dev), number: UInt64(status.st_ino))
  }

  /// Makes the directory's entries durable.
  func synchronize() throws(StoreError) {
    guard !isTemporary else { return }
    try Self.synchronize(path)
  }

  /// Creates the database file with mode 0600; SQLite copies the permissions to its other files.
  private static func makeDatabase(in directory: String) throws(StoreError) {
    // Closing any descriptor of a file drops the process's locks on it. There are none yet: this is
    // the process's only store here, and SQLite has not opened the file.
    let path = databasePath(in: directory)
    let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw .file(action: "open carillon.db", code: errno) }
    close(file)
  }

  private static func make(_ path: String) throws(StoreError) {
    if unsafe mkdir(path, 0o700) == 0 {
      try synchronize(path + "/..")
    } else if errno == ENOENT {
      throw .file(action: "create the directory, because its parent is missing", code: ENOENT)
    } else if errno != EEXIST {
      throw .file(action: "create the directory", code: errno)
    }
  }

  /// The absolute path of a directory, without symbolic links.
  private static func resolve(_ path: String) throws(StoreError) -> String {
    // With the dot at its end, a path that does not lead to a directory fails.
    guard let resolved = unsafe realpath(path + "/.", nil) else {
      let code = errno
      // The name exists, so it is a link to a missing file.
      let action = code == ENOENT ? "follow the symbolic link" : "enter the directory"
      throw .file(action: action, code: code)
    }
    // SAFETY: realpath allocates the text, which ends with a zero; it is copied and freed here.
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  private static func makeTemporary() throws(StoreError) -> String {
    let parent = Environment.value(of: "TMPDIR") ?? "/tmp"
    var template = Array((parent + "/carillon-XXXXXX").utf8CString)
    let made = unsafe template.withUnsafeMutableBufferPointer { buffer in
      // SAFETY: a NUL-terminated text of our own, which the call changes in place.
      unsafe buffer.baseAddress.map { unsafe mkdtemp($0) != nil } ?? false
    }
    guard made else {
      throw .file(action: "create a temporary directory in \(parent)", code: errno)
    }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func synchronize(_ path: String) throws(StoreError) {
    let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw .file(action: "open the directory", code: errno) }
    defer { close(directory) }
    guard fsync(directory) == 0 else {
      throw .file(action: "write the directory to disk", code: errno)
    }
  }
}
