// The connection log, at level debug: the user, dialect and address of each session that begins,
// how it ended, each upgrade that was refused, and why a token or key was.
//
// The only external text in these lines is the id of a user with a valid token, as a JSON string. A
// reason that a client or a publisher gives is not logged, because it may contain anything.

internal import Reactor
internal import Wire

/// Writes the lines about the connections of one shard.
///
/// It keeps nothing itself: the log limits the lines of all shards together.
final class ConnectionLog: ShardComponent {
  let context: ShardContext

  init(_ context: ShardContext) { self.context = context }

  /// Logs that the session at `slot` has begun.
  func began(at slot: UInt32) {
    core.log.write(.debug, at: wall, "\(sessionName(at: slot)) began: \(origin(of: slot))")
  }

  /// Logs that the session at `slot` is about to end, or its refusal if it never authenticated.
  func ended(at slot: UInt32, because reason: @autoclosure () -> String) {
    guard table[slot].flags.contains(.listed) || encoder(of: slot).kind == .watcher else {
      let dialect = encoder(of: slot).dialect.name
      return refused(by: dialect, reason(), at: slot)
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
  func refused(_ answer: Answer, by dialect: String, at slot: UInt32) {
    refused(by: dialect, "\(answer.status) \(answer.code ?? "")", at: slot)
  }

  private func refused(
    by dialect: String, _ reason: @autoclosure () -> String, at slot: UInt32
  ) {
    core.log.write(
      .debug, at: wall,
      "refused, \(reason()): \(dialect), shard \(index), \(table[slot].peer.text)")
  }

  /// Logs the exact reason why a token or key was refused, which names nothing of it.
  ///
  /// `reason` is evaluated only if the line is written.
  func refusedCredential(_ reason: @autoclosure () -> String, at slot: UInt32) {
    core.log.write(
      .debug, at: wall,
      "credential refused, \(reason()): shard \(index), \(table[slot].peer.text)")
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
