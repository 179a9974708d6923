// The log lines of what the store reports.

internal import Notifications

extension StoreNotice {
  /// Writes the line of this notice, on the thread that noticed it.
  func write(to log: Log, at wall: Int64) {
    switch self {
    case .migration(let text): log.write(.info, at: wall, text)
    case .damage(let text): log.write(.error, at: wall, "the store is damaged: \(text)")
    case .repair(let text): log.write(.error, at: wall, "the store was damaged: \(text)")
    }
  }
}
