// The log: lines on standard error, at most ten a second, and ten more at debug level.
//
//     2026-01-31T12:00:00.000Z info draining; repeat the signal to exit immediately
//
// No caller passes it a token, a URL or any other text of a client, so none can be in it, except
// the id of a user with a valid token.
//
// Shards write debug lines about each connection. These have a rate of their own, so that a crowd
// of clients cannot keep an error out of the log. A debug line that would have to wait for the
// log's reader is dropped, because a shard must never block.

internal import Glibc
internal import Wire

/// Writes lines to a descriptor, each whole or not at all.
final class Log: Sendable {
  /// Lines a second, and as many more at debug level.
  static let linesPerSecondLimit = 10

  private let level: LogLevel
  private let descriptor: Int32
  private let gate: RateGate
  private let debugGate: RateGate

  init(level: LogLevel, descriptor: Int32 = 2) {
    self.level = level
    self.descriptor = descriptor
    gate = RateGate(perSecondLimit: Log.linesPerSecondLimit)
    debugGate = RateGate(perSecondLimit: Log.linesPerSecondLimit)
  }

  /// Writes `message` if its level is enabled and this second's lines are not used up.
  func write(_ level: LogLevel, at wall: Int64, _ message: @autoclosure () -> String) {
    guard level <= self.level else { return }
    let gate = level == .debug ? debugGate : gate
    let admitted = gate.admit(second: wall / 1_000)
    guard admitted.isAdmitted else { return }
    guard level != .debug || hasRoom else { return gate.refuse(admitted.suppressed + 1) }
    var bytes: [UInt8] = []
    if admitted.suppressed > 0 {
      append(level, at: wall, "\(admitted.suppressed) lines were left out", to: &bytes)
    }
    append(level, at: wall, message(), to: &bytes)
    // SAFETY: the array is live and of that count for the call. A failed write to the log cannot be
    // reported anywhere, so the result is ignored.
    _ = unsafe bytes.withUnsafeMutableBytes {
      unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
    }
  }

  /// Appends a line: time, level, message.
  private func append(
    _ level: LogLevel, at wall: Int64, _ message: String, to bytes: inout [UInt8]
  ) {
    // guard: log-line-has-time
    RFC3339.append(milliseconds: wall, into: &bytes)
    bytes.appendText(" \(level.name) \(message)\n")
  }

  /// Whether a line can be written without waiting.
  private var hasRoom: Bool {
    var watched = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    // SAFETY: one structure, live for the call, which does not wait. A pipe is writable while it
    // has a page to spare, and a line is shorter.
    return unsafe poll(&watched, 1, 0) == 1
  }
}
