// The log lines of what the store reports.

internal import Notifications

extension StoreNotice {
  /// Writes the line of this notice, on the thread that noticed it.
  func write(to log: Log, at wall: Int64) {
    switch self {
    case .migration(let text): log.write(.info, at: wall, text)
    case .damage(let text): log.write(.error, at: wall, "the store is damaged: \(text)")
    case .repair(let text): log.write(.error, at: wall, "the store was damaged: \(text)")
    case .status(.ready): log.write(.info, at: wall, "the store accepts writes again")
    case .status(.readOnly(let reason)): log.write(.error, at: wall, reason)
    case .status(let status): log.write(.warning, at: wall, status.reason ?? status.name)
    case .check(.ready): log.write(.info, at: wall, "the store is ready")
    case .check(let status):
      log.write(.warning, at: wall, "the store is not ready: \(status.reason ?? status.name)")
    case .failedCommand(let reason):
      log.write(.error, at: wall, "the store could not carry out a command: \(reason)")
    }
  }
}
