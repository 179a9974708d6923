// The ids of a shard's frame logs. Only this file knows their layout.
//
//     0         direct: frames for one session or a few
//     1 + 2 g   everyone in group g
//     2 + 2 g   rooms, in the encoding of group g

/// Names one frame log of a shard.
///
/// One byte: an outbox keeps one in padding.
struct LogID: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  let rawValue: UInt8

  init(rawValue: UInt8) { self.rawValue = rawValue }
}

/// The recipients of the frames in a log.
enum LogOwner: Equatable {
  case direct
  case everyone(FanOutGroupID)
  case rooms(FanOutGroupID)
}

extension LogID {
  static var direct: LogID { LogID(rawValue: 0) }

  static func everyone(of group: FanOutGroupID) -> LogID {
    LogID(rawValue: 1 + 2 * group.rawValue)
  }

  static func rooms(of group: FanOutGroupID) -> LogID {
    LogID(rawValue: 2 + 2 * group.rawValue)
  }

  /// Number of logs of a shard with `groupCount` groups; their ids are 0 and up, without a gap.
  static func count(ofGroups groupCount: Int) -> Int { 1 + 2 * groupCount }

  /// The id of the log at `index` in an array with one element for each log.
  init(index: Int) { self.init(rawValue: UInt8(index)) }

  var isDirect: Bool { rawValue == 0 }

  var owner: LogOwner {
    if isDirect { return .direct }
    let group = FanOutGroupID(rawValue: (rawValue - 1) / 2)
    return rawValue & 1 == 1 ? .everyone(group) : .rooms(group)
  }

  /// The log's index in an array with one element for each log.
  var index: Int { Int(rawValue) }
}
