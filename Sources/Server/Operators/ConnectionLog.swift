// The connection log, at level debug: the user, dialect and address of each session that begins,
// how it ended, each upgrade that was refused, and why a token or key was.
//
// The only external text in these lines is the id of a user with a valid token, as a JSON string. A
// reason that a client or a publisher gives is not logged, because it may contain anything.

internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// Logs that the session at `slot` has begun.
  func logBeginning(at slot: UInt32) {
    core.log.write(.debug, at: wall, "\(sessionName(at: slot)) began: \(origin(of: slot))")
  }

  /// Logs that the session at `slot` is about to end, or its refusal if it never authenticated.
  func logEnd(at slot: UInt32, because reason: @autoclosure () -> String) {
    let isWatcher = encoder(of: slot).dialect is MetricsDialect
    guard table[slot].flags.contains(.listed) || isWatcher else {
      let dialect = encoder(of: slot).dialect.name
      return logRefusal(by: dialect, reason(), at: slot)
    }
    // The wall clock may have been set back during the session.
    let (duration, overflow) = wall.subtractingReportingOverflow(table[slot].connectedAt)
    let milliseconds = overflow ? 0 : max(0, duration)
    core.log.write(
      .debug, at: wall,
      """
      \(sessionName(at: slot)) ended after \(milliseconds) ms, \(reason()): \(origin(of: slot))
      """)
  }

  /// Logs that an upgrade was refused.
  func logRefusal(of answer: Answer, by dialect: String, at slot: UInt32) {
    logRefusal(by: dialect, "\(answer.status) \(answer.code ?? "")", at: slot)
  }

  private func logRefusal(
    by dialect: String, _ reason: @autoclosure () -> String, at slot: UInt32
  ) {
    core.log.write(
      .debug, at: wall,
      "refused, \(reason()): \(dialect), shard \(index), \(table[slot].peer.text)")
  }

  private func sessionName(at slot: UInt32) -> String {
    var quoted: [UInt8] = []
    quoted.appendJSONString(table[slot].user)
    return "session of \(String(decoding: quoted, as: UTF8.self))"
  }

  private func origin(of slot: UInt32) -> String {
    let dialect = encoder(of: slot).dialect.name
    return "\(dialect), shard \(index), \(table[slot].peer.text)"
  }
}
