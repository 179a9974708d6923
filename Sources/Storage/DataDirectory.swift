// The directory that a store lives in.
//
//     carillon.db, -wal, -shm   the database
//     carillon.lock             locked by the server that has the store open
//
// The lock belongs to an open descriptor, so it goes away with the process however that ends, and
// a child process does not inherit it. SQLite's own exclusive mode would also shut our readers out.

internal import CSQLite
internal import Glibc
internal import Reactor

/// A locked data directory.
///
/// The lock is let go of in `deinit`.
final class DataDirectory: Sendable {
  let path: String
  /// Whether nothing is to be kept.
  let isTemporary: Bool
  private let lock: Int32

  var databasePath: String { path + "/carillon.db" }

  /// Locks the directory `path`, making it (its parent must exist) and the database file.
  ///
  /// `:memory:` is a directory of its own that `forget` removes.
  init(_ path: String) throws(StoreError) {
    isTemporary = path == ":memory:"
    self.path = isTemporary ? try Self.makeTemporary() : path
    if !isTemporary { try Self.make(path) }
    lock = unsafe open(
      self.path + "/carillon.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard lock >= 0 else { throw .system(call: "open", code: errno) }
    let result = cs_lock_file(lock)
    // Everything is initialized, so leaving by a throw closes the descriptor in `deinit`.
    guard result == 0 else {
      if result == -EWOULDBLOCK { throw .alreadyOpen(path: path) }
      throw .system(call: "flock", code: -result)
    }
    try makeDatabase()
  }

  deinit {
    close(lock)
  }

  /// Removes the names of a temporary store, once every connection has its files open.
  ///
  /// The files live on without names until the last descriptor is closed, so that nothing is left
  /// behind whatever becomes of the process.
  func forget() {
    guard isTemporary else { return }
    for name in ["carillon.db", "carillon.db-wal", "carillon.db-shm", "carillon.lock"] {
      unsafe unlink(path + "/" + name)
    }
    unsafe rmdir(path)
  }

  /// Makes the names in the directory durable.
  func synchronize() throws(StoreError) {
    guard !isTemporary else { return }
    try Self.synchronize(path)
  }

  /// SQLite gives its other files the permissions of this one, so nobody else may read them.
  private func makeDatabase() throws(StoreError) {
    // Closing a descriptor drops the process's locks on the file. There are none yet: ours is the
    // only store here, and it has not opened the file.
    let file = unsafe open(databasePath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw .system(call: "open", code: errno) }
    close(file)
  }

  private static func make(_ path: String) throws(StoreError) {
    if unsafe mkdir(path, 0o700) == 0 {
      try synchronize(path + "/..")
    } else if errno != EEXIST {
      throw .system(call: "mkdir", code: errno)
    }
  }

  private static func makeTemporary() throws(StoreError) -> String {
    let parent = Environment.value(of: "TMPDIR") ?? "/tmp"
    var template = Array((parent + "/carillon-XXXXXX").utf8CString)
    let made = unsafe template.withUnsafeMutableBufferPointer { buffer in
      // SAFETY: a NUL-terminated text of our own, which the call changes in place.
      unsafe buffer.baseAddress.map { unsafe mkdtemp($0) != nil } ?? false
    }
    guard made else { throw .system(call: "mkdtemp", code: errno) }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func synchronize(_ path: String) throws(StoreError) {
    let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw .system(call: "open", code: errno) }
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw .system(call: "fsync", code: errno) }
  }
}
