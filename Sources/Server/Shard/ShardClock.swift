// The times of a shard's turn. A turn reads each clock once, so everything in it has the same time.

internal import Reactor
internal import Wire

/// The clocks of a shard, as they were when its turn began.
///
/// Invariant: `now` never goes back. The wall clock may, and `read` says so.
final class ShardClock {
  /// Difference between the advances of the two clocks from which the wall clock counts as set.
  static let wallJumpMilliseconds: UInt64 = 500
  /// Time beyond a turn's wait after which its thread counts as stalled.
  static let stallMilliseconds: UInt64 = 2_000
  /// Time after a stall in which no peer times out.
  static let stallGraceMilliseconds: UInt64 = 5_000

  /// Monotonic milliseconds.
  private(set) var now: UInt64
  /// Wall-clock milliseconds since 1970.
  private(set) var wall: Int64
  /// Monotonic nanoseconds of the turn's last look at the sockets.
  private(set) var nanoseconds: UInt64
  /// End of the stall grace period: until then no peer times out, because this thread stalled.
  private(set) var stallGraceUntil: UInt64 = 0
  /// The second of `dateText`, the cached value of the Date header.
  private var dateSecond: Int64 = .min
  private var dateText = ""

  init(_ kernel: Kernel) {
    nanoseconds = kernel.monotonicNanoseconds
    now = nanoseconds / 1_000_000
    wall = kernel.wallMilliseconds
  }

  /// Whether this thread stalled lately: the peers' data may still be in the socket buffers.
  var isInStallGrace: Bool { now < stallGraceUntil }

  /// Reads the clocks at the start of a turn that has waited for at most `timeout` milliseconds;
  /// negative: without a limit.
  ///
  /// Returns whether the wall clock was set since the last turn.
  func read(_ kernel: Kernel, afterWaiting timeout: Int32) -> Bool {
    let (nowBefore, wallBefore) = (now, wall)
    nanoseconds = kernel.monotonicNanoseconds
    now = nanoseconds / 1_000_000
    wall = kernel.wallMilliseconds
    // After a turn of seconds (the process was stopped, the machine suspended), silence proves
    // nothing about the peers.
    if timeout >= 0, now &- nowBefore > UInt64(timeout) + ShardClock.stallMilliseconds {
      stallGraceUntil = now + ShardClock.stallGraceMilliseconds
    }
    let gain = (wall &- wallBefore) &- Int64(truncatingIfNeeded: now &- nowBefore)
    return gain.magnitude > ShardClock.wallJumpMilliseconds
  }

  /// Reads the time of a further look at the sockets in the same turn.
  func readNanoseconds(_ kernel: Kernel) { nanoseconds = kernel.monotonicNanoseconds }

  /// The current time as an HTTP date, formatted once a second.
  func date() -> String {
    let second = wall / 1_000
    if second != dateSecond {
      dateSecond = second
      dateText = HTTPDate.string(seconds: second)
    }
    return dateText
  }

  /// The monotonic time of a wall-clock time in seconds since 1970; nil if it never comes.
  ///
  /// A time in the past is now.
  func monotonicTime(ofSecond second: Int64) -> UInt64? {
    guard second != .max else { return nil }
    let (milliseconds, overflow) = second.multipliedReportingOverflow(by: 1_000)
    guard !overflow else { return nil }
    return milliseconds <= wall ? now : now + UInt64(milliseconds - wall)
  }

  /// The next time of an event that is due each `interval`, so that lateness does not add up.
  func next(after due: UInt64, every interval: UInt64) -> UInt64 {
    let next = due + interval
    return next > now ? next : now + interval
  }
}
