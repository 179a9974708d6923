// The ends of recent frames of a log, to find the end of a frame that was sent in part.

internal import Algorithms

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
