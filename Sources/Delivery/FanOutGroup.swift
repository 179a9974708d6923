// A fan-out group: the sessions that get the same bytes, and their logs.

/// Names one fan-out group of a shard.
///
/// One byte, because every connection has one.
package struct FanOutGroupID: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  package let rawValue: UInt8

  package init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The group at `index` of the shard's groups.
  package init(index: Int) { rawValue = UInt8(index) }

  /// The group's index in an array with one element for each group.
  package var index: Int { Int(rawValue) }
}

/// The sessions that use one encoding of events, and the logs of their frames.
///
/// `Delivery` alone changes it.
///
/// Invariant: [flushedEnd, log.end) and [roomFlushedEnd, roomLog.end) are the frames since the last
/// flush, and the group is listed as unflushed if either is not empty.
final class FanOutGroup {
  let id: FanOutGroupID
  /// Open sessions, walked in slot order.
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

  init(id: FanOutGroupID, capacity: Int) {
    self.id = id
    log = FrameLog(capacity: capacity)
    roomLog = FrameLog(capacity: capacity)
  }

  /// Whether a log holds frames since the last flush.
  var hasUnflushedFrames: Bool {
    log.end != flushedEnd || roomLog.end != roomFlushedEnd
  }
}
