// A fan-out group: one encoding of events, the sessions that use it, and their logs.

internal import Algorithms
internal import Broadcast
internal import Wire

/// One encoding of events, and the sessions that use it.
final class FanOutGroup {
  let id: FanOutGroupID
  let dialect: any Dialect
  /// Whether its clients receive cursors.
  let sendsCursors: Bool
  /// Whether its sessions keep the position of the last notification sent to them.
  let keepsPositions: Bool
  /// Open sessions, walked in slot order; changed by `join` and `leave` of `Delivery`.
  var members = SlotSet()
  /// Frames for all members.
  let log: FrameLog
  /// The end of `log` at the last flush.
  var flushedEnd: UInt64 = 0
  /// Frames for members that are in a room.
  let roomLog: FrameLog
  /// The end of `roomLog` at the last flush.
  var roomFlushedEnd: UInt64 = 0
  /// Whether the group is in the `unflushedGroups` of `Delivery`.
  var isListedUnflushed = false
  /// Ends of frames that the logs still hold.
  var frameEnds = FrameEnds()
  var roomFrameEnds = FrameEnds()
  var writer: FrameWriter

  init(id: FanOutGroupID, _ encoding: FanOutEncoding, capacity: Int) {
    self.id = id
    dialect = encoding.dialect
    sendsCursors = encoding.cursors != nil
    keepsPositions = encoding.cursors != nil && encoding.dialect is SocketIODialect
    log = FrameLog(capacity: capacity)
    roomLog = FrameLog(capacity: capacity)
    writer = FrameWriter(cursors: encoding.cursors, framing: dialect.framing)
  }

  /// Whether a log holds frames since the last flush.
  var hasUnflushedFrames: Bool {
    log.end != flushedEnd || roomLog.end != roomFlushedEnd
  }
}

/// Ends of recent frames of a log, oldest first, to find the end of a partly sent frame.
struct FrameEnds {
  /// Least distance between two recorded ends.
  ///
  /// Some ends of small frames are skipped, so that a log has at most thousands of them.
  private static let leastStep: UInt64 = 256

  private var ends: [UInt64] = []
  private var dropped = 0

  /// Records a frame's end, and drops the ends that the log no longer holds.
  mutating func append(_ end: UInt64, logStart: UInt64) {
    if let last = ends.last, end - last < FrameEnds.leastStep { return }
    while dropped < ends.count, ends[dropped] <= logStart { dropped += 1 }
    if dropped > 64, dropped > ends.count / 2 {
      ends.removeFirst(dropped)
      dropped = 0
    }
    ends.append(end)
  }

  /// The first recorded end at or after `position`: of the frame that contains it, or of one soon
  /// after that; nil if the log's own end is the next.
  func end(at position: UInt64) -> UInt64? {
    let index = (dropped..<ends.count).partitioningIndex { ends[$0] >= position }
    return index < ends.count ? ends[index] : nil
  }
}
