// What goes wrong between the store and the machine.

internal import Reactor

/// Why a store could not be opened, or went read-only.
package enum StoreError: Error, Equatable {
  /// SQLite said no. `code` is the extended result code.
  case sqlite(code: Int32, message: String)
  case system(call: String, code: Int32)
  /// Another server has this directory open.
  case alreadyOpen(path: String)
  /// The file is a database, but not one of ours.
  case foreign(path: String)
  /// A newer Carillon wrote it, in a format that this one does not know.
  case newerVersion(Int)
  /// A setting that durability rests on did not take.
  case pragmaRefused(name: String, expected: String, found: String)
}

extension StoreError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .sqlite(let code, let message): "SQLite: \(message) (\(code))"
    case .system(let call, let code): "\(call) failed with error \(code)"
    case .alreadyOpen(let path): "\(path) is in use by another server"
    case .foreign(let path): "\(path) is a database of another program"
    case .newerVersion(let version):
      "the store has format \(version), which a newer Carillon made"
    case .pragmaRefused(let name, let expected, let found):
      "SQLite keeps \(name) at \(found), not \(expected)"
    }
  }
}

extension StoreError {
  init(_ error: SystemError) { self = .system(call: "\(error.call)", code: error.code) }

  /// Whether a row was refused because its id is there already.
  var isUniqueness: Bool {
    // SQLITE_CONSTRAINT_UNIQUE and SQLITE_CONSTRAINT_PRIMARYKEY.
    guard case .sqlite(let code, _) = self else { return false }
    return code == 2067 || code == 1555
  }
}
