// The outbox: the bytes one connection has yet to be sent, as ranges of frame logs.
//
// A shard may have 100,000 of these, nearly all empty or one range long. So the first range is
// stored in the connection itself, and only a second one allocates. Consecutive events of a log
// make one range; a gap (an event for another connection) or a change of log starts another.

/// A run of bytes in one of the shard's frame logs.
///
/// Invariant: `from <= to`.
struct OutboxRange: Equatable {
  // `log` is last in memory so that the outbox can put `restIndex` into the padding.
  var from: UInt64
  var to: UInt64
  /// Which of the shard's frame logs.
  var log: LogID

  init(log: LogID, from: UInt64, to: UInt64) {
    self.log = log
    self.from = from
    self.to = to
  }

  /// How many bytes it has.
  var count: Int { Int(to - from) }
}

/// The bytes one connection has yet to be sent: ranges of frame logs, in order.
///
/// 40 bytes; allocates nothing until there are two ranges, and frees that memory when only one is
/// left.
///
/// Invariant: no range is empty but `first` of an empty outbox; the ranges of `rest` before
/// `restIndex` were sent; the ranges add up to `byteCount`; ranges of one log ascend and do not
/// overlap, because frames are appended as they are written; adjacent ranges that continue each
/// other are merged.
struct Outbox {
  private var first = OutboxRange(log: LogID(rawValue: 0), from: 0, to: 0)
  /// Where the unsent part of `rest` begins: ranges are taken from its front without moving the
  /// others.
  private var restIndex: UInt32 = 0
  private var rest: [OutboxRange] = []
  /// The number of bytes still to be sent.
  private(set) var byteCount: Int = 0

  init() {}

  var isEmpty: Bool { byteCount == 0 }

  /// The number of ranges; each costs at least one piece of a vectored send.
  var rangeCount: Int {
    isEmpty ? 0 : 1 + rest.count - Int(restIndex)
  }

  /// The range at `index`, the next to be sent at 0.
  subscript(index: Int) -> OutboxRange {
    precondition(0 <= index && index < rangeCount, "range \(index) of \(rangeCount)")
    return index == 0 ? first : rest[Int(restIndex) + index - 1]
  }

  /// Appends the bytes `[from, to)` of a log; merges them into the last range if they continue it.
  ///
  /// An empty range adds nothing.
  mutating func append(log: LogID, from: UInt64, to: UInt64) {
    precondition(from <= to, "[\(from), \(to))")
    guard from < to else { return }
    if isEmpty {
      first = OutboxRange(log: log, from: from, to: to)
    } else if rest.isEmpty {
      if first.log == log && first.to == from {
        first.to = to
      } else {
        rest.append(OutboxRange(log: log, from: from, to: to))
      }
    } else if rest[rest.count - 1].log == log && rest[rest.count - 1].to == from {
      rest[rest.count - 1].to = to
    } else {
      rest.append(OutboxRange(log: log, from: from, to: to))
    }
    byteCount += Int(to - from)
    checkInvariants()
  }

  /// Removes the first `byteCount` bytes, which were sent.
  mutating func advance(by byteCount: Int) {
    precondition(
      0 <= byteCount && byteCount <= self.byteCount, "\(byteCount) of \(self.byteCount)")
    self.byteCount -= byteCount
    var left = byteCount
    while left >= first.count && !rest.isEmpty {
      left -= first.count
      takeFirstOfRest()
    }
    first.from += UInt64(left)
    checkInvariants()
  }

  /// Empties the outbox and frees its memory.
  mutating func removeAll() {
    self = Outbox()
    checkInvariants()
  }

  /// The first byte of `log` that is still to be sent; nil if there is none.
  ///
  /// Once the log's `start` is past it, the connection has fallen out of the window. Searches the
  /// ranges in order, so it usually stops at the first one.
  func oldestPosition(in log: LogID) -> UInt64? {
    guard !isEmpty else { return nil }
    if first.log == log { return first.from }
    for index in Int(restIndex)..<rest.count where rest[index].log == log {
      return rest[index].from
    }
    return nil
  }

  private mutating func takeFirstOfRest() {
    first = rest[Int(restIndex)]
    restIndex += 1
    if Int(restIndex) == rest.count {
      rest = []
      restIndex = 0
    } else if restIndex >= 32 && Int(restIndex) > rest.count / 2 {
      // Moves fewer ranges than were taken since the last move, so each range is moved once on
      // average, and past 32 the sent ranges never outnumber the unsent ones.
      rest.removeFirst(Int(restIndex))
      restIndex = 0
    }
  }

  private func checkInvariants() {
    assert(rest.isEmpty ? restIndex == 0 : Int(restIndex) < rest.count)
    assert(!isEmpty || rest.isEmpty)
    assert(areRangesSound())
  }

  /// The part of the invariant that needs a walk over all ranges; debug builds only.
  private func areRangesSound() -> Bool {
    var ends: [LogID: UInt64] = [:]
    var total = 0
    for index in 0..<rangeCount {
      let range = self[index]
      guard range.from < range.to else { return false }
      if let end = ends[range.log], end > range.from { return false }
      if index > 0, self[index - 1].log == range.log, self[index - 1].to == range.from {
        return false
      }
      ends[range.log] = range.to
      total += range.count
    }
    return total == byteCount
  }
}
