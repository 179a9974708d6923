// What the log says of connections at debug: who came, by which dialect and from where, how each
// session ended, and who was turned away at the upgrade.
//
// The one text from outside in these lines is the id of a user whose token was good, in JSON's
// quotes. What a client or a publisher gives as its reason is not written: anything may be in it.

internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// A session has begun.
  func logBeginning(at slot: UInt32) {
    core.log.write(.debug, at: wall, "\(sessionName(at: slot)) began: \(origin(of: slot))")
  }

  /// The session at `slot` is about to end; one that never showed whose it is was turned away.
  func logEnd(at slot: UInt32, because reason: @autoclosure () -> String) {
    let isWatcher = table[slot].group == fanOutGroups.metrics
    guard table[slot].flags.contains(.listed) || isWatcher else {
      let dialect = fanOutGroups[table[slot].group].dialect.name
      return logRefusal(by: dialect, reason(), at: slot)
    }
    // By the wall clock, which may have been set back meanwhile.
    let (duration, overflow) = wall.subtractingReportingOverflow(table[slot].connectedAt)
    let milliseconds = overflow ? 0 : max(0, duration)
    core.log.write(
      .debug, at: wall,
      """
      \(sessionName(at: slot)) ended after \(milliseconds) ms, \(reason()): \(origin(of: slot))
      """)
  }

  /// An upgrade was refused.
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

  /// Why a connection was dropped, by what it was counted as.
  static func ending(_ counter: Counter?) -> String {
    switch counter {
    case .slowConsumers: "too far behind"
    case .resets: "the connection was lost"
    default: "the client left"
    }
  }

  private func sessionName(at slot: UInt32) -> String {
    var quoted: [UInt8] = []
    quoted.appendJSONString(table[slot].user)
    return "session of \(String(decoding: quoted, as: UTF8.self))"
  }

  private func origin(of slot: UInt32) -> String {
    let dialect = fanOutGroups[table[slot].group].dialect.name
    return "\(dialect), shard \(index), \(table[slot].peer.text)"
  }
}
