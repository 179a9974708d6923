// The fan-out groups of a shard, in their order: the one place that knows it.
//
//     each dialect without       each dialect for      each path       metrics
//     cursors, then with them    those without token   of Engine.IO
//    ├─────────────────────────┼─────────────────────┼───────────────┼─────────┤
//
// A path of Engine.IO has two groups for sessions that have begun no namespace and two for each
// namespace: the first of the two is for WebSockets, the second for polls.

internal import Broadcast

/// Names one fan-out group of a shard.
///
/// One byte, because every connection has one.
struct FanOutGroupID: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  let rawValue: UInt8

  init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The group at `index` of the shard's groups.
  init(index: Int) { rawValue = UInt8(index) }

  /// Where an array with one element for each group keeps that of this one.
  var index: Int { Int(rawValue) }
}

/// How the frames of a group are written.
struct FanOutEncoding {
  let dialect: any Dialect
  /// The epoch of the store, if the clients of the group get cursors.
  let epoch: String?
}

/// All fan-out groups of one shard.
///
/// Invariant: a group is at the index that its id names, and each of its logs has an id.
struct FanOutGroups {
  let all: [FanOutGroup]
  /// Index of the first group of each path of Engine.IO.
  private let pathStarts: [Int]

  init(paths: [EnginePath], epoch: String, capacity: Int) {
    var encodings = DialectRegistry.all.flatMap { dialect in
      [nil, epoch].map { FanOutEncoding(dialect: dialect, epoch: $0) }
    }
    // Groups without members: nothing is ever written to their logs.
    encodings += DialectRegistry.all.map { FanOutEncoding(dialect: $0, epoch: nil) }
    var pathStarts: [Int] = []
    for path in paths {
      pathStarts.append(encodings.count)
      encodings += path.encodings(epoch: epoch)
    }
    encodings.append(FanOutEncoding(dialect: MetricsDialect(), epoch: nil))
    precondition(
      LogID.count(ofGroups: encodings.count) <= 1 + Int(UInt8.max), "\(encodings.count) groups")
    self.pathStarts = pathStarts
    all = encodings.enumerated().map { index, encoding in
      FanOutGroup(id: FanOutGroupID(index: index), encoding, capacity: capacity)
    }
  }

  subscript(id: FanOutGroupID) -> FanOutGroup { all[id.index] }

  /// The group of users of a dialect.
  func id(of dialect: any Dialect, withCursors: Bool) -> FanOutGroupID {
    FanOutGroupID(index: 2 * registryIndex(of: dialect) + (withCursors ? 1 : 0))
  }

  /// The group of a dialect's clients that have not shown a token.
  func idWithoutToken(of dialect: any Dialect) -> FanOutGroupID {
    FanOutGroupID(index: 2 * DialectRegistry.all.count + registryIndex(of: dialect))
  }

  /// The group of a path's sessions in a namespace, or of those that have begun none.
  func id(ofPath path: Int, namespace: Int? = nil, isPolling: Bool) -> FanOutGroupID {
    let pair = namespace.map { 1 + $0 } ?? 0
    return FanOutGroupID(index: pathStarts[path] + 2 * pair + (isPolling ? 1 : 0))
  }

  /// The group in the same namespace of the path as `id`, over the given transport.
  func id(matching id: FanOutGroupID, ofPath path: Int, isPolling: Bool) -> FanOutGroupID {
    let pair = (id.index - pathStarts[path]) / 2
    return FanOutGroupID(index: pathStarts[path] + 2 * pair + (isPolling ? 1 : 0))
  }

  /// The group of sessions that watch the metrics.
  var metrics: FanOutGroupID { FanOutGroupID(index: all.count - 1) }

  private func registryIndex(of dialect: any Dialect) -> Int {
    DialectRegistry.all.firstIndex { $0.name == dialect.name } ?? 0
  }
}
