// Counts the messages that connections receive and checks their order.
//
// Each message of a run must arrive on each connection once, and in the order of publishing. A
// connection stores the sequence number that it expects, and the counter knows the number's offset
// in a payload (the same in every payload of a run), so the check is two comparisons of eight
// bytes. Only an unexpected frame is searched for the run's mark and classified.

internal import Wire

/// The counts over all connections since the last reset.
package struct FleetTally: Sendable {
  /// Messages of the run that arrived in order, over all connections.
  package internal(set) var delivered: UInt64 = 0
  /// Messages missing before a later one, at the time when the later one arrived.
  package internal(set) var skipped: UInt64 = 0
  /// Messages that arrived again, or after a later message.
  package internal(set) var repeated: UInt64 = 0
  /// Frames without a message of the run: greetings, counts, other publishers' messages.
  package internal(set) var otherFrames: UInt64 = 0
  package internal(set) var bytesReceived: UInt64 = 0
  /// Connections that ended.
  package internal(set) var disconnected = 0
  /// The size of a frame of the run, header included; 0 before the first one.
  package internal(set) var frameByteCount = 0
  package internal(set) var latency = LatencyHistogram()

  package init() {}
}

/// The position of one connection in the run.
struct Subscription {
  /// Whether the server's greeting has arrived.
  private(set) var isGreeted = false
  /// Messages of the greeting that have not arrived yet.
  private var greetingCount: Int
  /// Messages received.
  fileprivate(set) var received: UInt64 = 0
  fileprivate var expected: UInt32 = 0

  init(greetingCount: Int) { self.greetingCount = greetingCount }

  fileprivate mutating func greet(expecting sequence: UInt32) {
    greetingCount -= 1
    isGreeted = greetingCount == 0
    expected = sequence
  }
}

/// Finds and counts the messages of one run in the received bytes.
///
/// Confined to the thread of its load test.
final class MessageCounter {
  var tally = FleetTally()
  private let ledger: MessageLedger
  /// The offset of the sequence number's digits in a payload of the run; 0 until it is known.
  private var digitsOffset = 0

  init(ledger: MessageLedger) {
    self.ledger = ledger
  }

  /// Consumes all whole frames from `start` on; returns the start of the first unfinished one.
  ///
  /// `now` is the time of the read. Control frames are passed to `control`.
  func scan(
    _ bytes: borrowing Span<UInt8>, from start: Int, for subscription: inout Subscription,
    now: UInt64, control: (ScannedFrame) throws(ClientError) -> Void
  ) throws(ClientError) -> Int {
    var position = start
    while true {
      let frame: ScannedFrame
      do throws(ProtocolViolation) {
        if subscription.isGreeted {
          position = try countMessages(bytes, from: position, for: &subscription, now: now)
        }
        guard let next = try FrameScanner.next(bytes, from: position) else { return position }
        frame = next
      } catch {
        throw .malformed("a bad frame: \(error.reason)")
      }
      position = frame.payload.upperBound
      if frame.opcode.isControl {
        try control(frame)
      } else {
        takeData(frame, bytes, for: &subscription, now: now)
      }
    }
  }

  /// The hot loop: counts consecutive messages in the expected order.
  ///
  /// Returns the position of the first other frame, or the end. All messages of one read have the
  /// same arrival time, and all of one burst the same intended time, so the histogram is updated
  /// once per burst.
  private func countMessages(
    _ bytes: borrowing Span<UInt8>, from start: Int, for subscription: inout Subscription,
    now: UInt64
  ) throws(ProtocolViolation) -> Int {
    guard digitsOffset > 0 else { return start }
    let first = subscription.expected
    var position = start
    var expected = first
    var sentAt: UInt64 = 0
    var sameTime: UInt64 = 0
    while let frame = try FrameScanner.next(bytes, from: position) {
      let digits = frame.payload.lowerBound + digitsOffset
      guard frame.opcode == .text, digits + 8 <= frame.payload.upperBound,
        MessageLedger.load(bytes, at: digits) == ledger.expectedDigits(of: expected),
        MessageLedger.load(bytes, at: digits - 8) == ledger.runDigits,
        let intended = ledger.intendedTime(of: expected)
      else { break }
      position = frame.payload.upperBound
      expected &+= 1
      if intended != sentAt {
        tally.latency.record(now &- sentAt, times: sameTime)
        sentAt = intended
        sameTime = 0
      }
      sameTime &+= 1
    }
    tally.latency.record(now &- sentAt, times: sameTime)
    let counted = UInt64(expected &- first)
    tally.delivered &+= counted
    subscription.received &+= counted
    subscription.expected = expected
    return position
  }

  /// Handles a data frame that is not the next expected message.
  private func takeData(
    _ frame: ScannedFrame, _ bytes: borrowing Span<UInt8>, for subscription: inout Subscription,
    now: UInt64
  ) {
    guard subscription.isGreeted else {
      subscription.greet(expecting: ledger.next)
      return
    }
    guard frame.opcode == .text, let found = ledger.find(in: bytes, frame.payload) else {
      tally.otherFrames &+= 1
      return
    }
    digitsOffset = found.offset
    let size = frame.payload.count
    tally.frameByteCount = size + (size < 126 ? 2 : size < 65_536 ? 4 : 10)
    // Sequence numbers wrap; the sign of the difference separates earlier from later messages.
    let ahead = Int32(bitPattern: found.sequence &- subscription.expected)
    guard ahead >= 0 else {
      tally.repeated &+= 1
      return
    }
    tally.skipped &+= UInt64(ahead)
    tally.delivered &+= 1
    subscription.received &+= 1
    subscription.expected = found.sequence &+ 1
    if let intended = ledger.intendedTime(of: found.sequence) {
      tally.latency.record(now &- intended)
    }
  }
}
