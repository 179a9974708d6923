// The log: lines on standard error, at most ten a second.
//
// No caller passes it a token, a URL or any other text of a client, so none can be in it.

internal import CReactor
internal import Glibc

/// Writes lines to a descriptor, each whole or not at all.
final class Log: Sendable {
  private let level: LogLevel
  private let descriptor: Int32
  private let gate: RateGate

  init(level: LogLevel, descriptor: Int32 = 2) {
    self.level = level
    self.descriptor = descriptor
    gate = RateGate(perSecondLimit: 10)
  }

  /// Writes `message` if its level is asked for and the second's lines are not used up.
  func write(_ level: LogLevel, at wall: Int64, _ message: @autoclosure () -> String) {
    guard level <= self.level else { return }
    let admitted = gate.admit(second: wall / 1_000)
    guard admitted.isAdmitted else { return }
    var line = ""
    if admitted.suppressed > 0 { line += "carillon: \(admitted.suppressed) lines were left out\n" }
    line += "carillon: \(message())\n"
    var bytes = Array(line.utf8)
    // SAFETY: the array is live and of that count for the call. A log that cannot be written to
    // has nobody to tell; the result is of no use.
    _ = unsafe bytes.withUnsafeMutableBytes {
      unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
    }
  }
}
