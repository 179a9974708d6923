// Errors between the store and the machine.

internal import CSQLite
internal import Reactor

/// Why a store could not be opened, or went read-only.
package enum StoreError: Error, Equatable {
  /// An SQLite error. `code` is the extended result code.
  case sqlite(code: Int32, message: String)
  case system(call: String, code: Int32)
  /// The directory or a file in it cannot be used; `action` continues "cannot".
  case file(action: String, code: Int32)
  /// The file that the store has open is not the one in the data directory any more.
  case replaced(name: String)
  /// Another server has this directory open.
  case alreadyOpen(path: String)
  /// The file is another program's database.
  case foreign(path: String)
  /// Written by a newer Carillon, in a format unknown to this one.
  case newerVersion(Int, known: Int)
  /// SQLite did not accept a setting that durability depends on.
  case pragmaRefused(name: String, expected: String, found: String)
  /// The counts of a user are damaged, and its notifications are too many to count them at once.
  case recounting
}

extension StoreError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .sqlite(let code, let message): "SQLite: \(message) (\(code))"
    case .system(let call, let code): "\(call) failed: \(SystemError.message(of: code))"
    case .file(let action, let code): "cannot \(action): \(SystemError.message(of: code))"
    case .replaced(let name):
      "the data directory no longer has the \(name) that is open: it was removed or replaced"
    case .alreadyOpen(let path): "\(path) is in use by another server"
    case .foreign(let path): "\(path) is another program's database"
    case .newerVersion(let version, let known):
      "the store has format \(version), and this version of Carillon knows formats up to \(known): "
        + "start the newer version that made it, or restore a copy of the directory made before "
        + "the upgrade"
    case .pragmaRefused(let name, let expected, let found):
      "SQLite setting \(name) is \(found), expected \(expected)"
    case .recounting: "the counts of a user are damaged and are being recounted"
    }
  }
}

extension StoreError {
  init(_ error: SystemError) { self = .system(call: "\(error.call)", code: error.code) }

  /// The errno of a failed system call; nil for other errors.
  package var systemCode: Int32? {
    switch self {
    case .system(_, let code), .file(_, let code): code
    case .sqlite, .replaced, .alreadyOpen, .foreign, .newerVersion, .pragmaRefused, .recounting: nil
    }
  }

  /// Whether a statement could not change a row because of a number in it.
  var isDamagedNumber: Bool {
    // SQLITE_CONSTRAINT_DATATYPE: a result, or an unchanged column, has another type than it must
    // have. SQLITE_CONSTRAINT_NOTNULL: a sum with NULL.
    guard case .sqlite(let code, _) = self else { return false }
    // guard: damaged-number-in-update
    return code == 3091 || code == 1299
  }

  /// Whether a row was rejected because its id exists already.
  var isUniqueness: Bool {
    // SQLITE_CONSTRAINT_UNIQUE and SQLITE_CONSTRAINT_PRIMARYKEY.
    guard case .sqlite(let code, _) = self else { return false }
    return code == 2067 || code == 1555
  }

  /// Whether the same call may succeed shortly: a lock is held, or memory is short.
  var isTransient: Bool {
    guard case .sqlite(let code, _) = self else { return false }
    return [SQLITE_BUSY, SQLITE_LOCKED, SQLITE_NOMEM].contains(code & 0xFF)
  }

  /// Whether a write or a sync failed, which leaves the contents of the disk unknown.
  ///
  /// All other errors inside a transaction end with its rollback, after which nothing has happened:
  /// a lock that another process holds, memory that is short, a page that cannot be read.
  var isFailedWrite: Bool {
    if self == .recounting { return false }
    guard case .sqlite(let code, _) = self else { return true }
    let ioErrorKinds: Set<Int32> = [
      3, 4, 5, 6,  // write, sync, sync of the directory, truncation
    ]
    switch code & 0xFF {
    // guard: full-disk-is-final
    case SQLITE_FULL: return true
    case SQLITE_IOERR: return ioErrorKinds.contains(code >> 8)
    default: return false
    }
  }
}
