// The fan-out groups of a shard. Only this file knows their order.
//
//     each dialect without      each dialect for      each path      sse over   metrics, and
//     cursors, then with them   those without token   of Engine.IO   HTTP/1.0   over HTTP/1.0
//    ├────────────────────────┼─────────────────────┼──────────────┼──────────┼───────────────┤
//
// A stream over HTTP/1.0 is not chunked, so its frames differ from those of the other streams.
//
// An Engine.IO path has two groups for sessions without a namespace and four for each namespace:
// two without cursors, then two with them. The first of two is for WebSockets, the second for
// polls.

internal import Broadcast
internal import Wire

/// Names one fan-out group of a shard.
///
/// One byte, because every connection has one.
struct FanOutGroupID: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  let rawValue: UInt8

  init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The group at `index` of the shard's groups.
  init(index: Int) { rawValue = UInt8(index) }

  /// The group's index in an array with one element for each group.
  var index: Int { Int(rawValue) }
}

/// The encoding of a group's frames.
struct FanOutEncoding {
  let dialect: any Dialect
  /// The spelling of cursors if the group's clients receive them, else nil.
  let cursors: CursorFormat?
}

/// All fan-out groups of one shard.
///
/// Invariant: each group is at the index of its id, and each of its logs has a `LogID`.
struct FanOutGroups {
  let all: [FanOutGroup]
  /// Index of the first group of each Engine.IO path.
  private let pathStarts: [Int]

  init(paths: [EnginePath], cursors: CursorFormat, capacity: Int) {
    var encodings = DialectRegistry.all.flatMap { dialect in
      [nil, cursors].map { FanOutEncoding(dialect: dialect, cursors: $0) }
    }
    // Groups for sessions without a token: they have no members, so their logs stay empty.
    encodings += DialectRegistry.all.map { FanOutEncoding(dialect: $0, cursors: nil) }
    var pathStarts: [Int] = []
    for path in paths {
      pathStarts.append(encodings.count)
      encodings += path.encodings(cursors: cursors)
    }
    encodings.append(
      FanOutEncoding(dialect: StreamDialect(framing: .eventStream), cursors: cursors))
    encodings.append(FanOutEncoding(dialect: MetricsDialect(), cursors: nil))
    encodings.append(
      FanOutEncoding(dialect: MetricsDialect(framing: .eventStream), cursors: nil))
    precondition(
      LogID.count(ofGroups: encodings.count) <= 1 + Int(UInt8.max), "\(encodings.count) groups")
    self.pathStarts = pathStarts
    all = encodings.enumerated().map { index, encoding in
      FanOutGroup(id: FanOutGroupID(index: index), encoding, capacity: capacity)
    }
  }

  subscript(id: FanOutGroupID) -> FanOutGroup { all[id.index] }

  /// The group of a dialect's authenticated sessions.
  func id(of dialect: any Dialect, withCursors: Bool) -> FanOutGroupID {
    if dialect.framing == .eventStream { return unchunkedStreams }
    return FanOutGroupID(index: 2 * registryIndex(of: dialect) + (withCursors ? 1 : 0))
  }

  /// The group of a dialect's sessions that have no token yet.
  func idWithoutToken(of dialect: any Dialect) -> FanOutGroupID {
    if dialect.framing == .eventStream { return unchunkedStreams }
    return FanOutGroupID(index: 2 * DialectRegistry.all.count + registryIndex(of: dialect))
  }

  /// The group of a path's sessions without a namespace.
  func id(ofPath path: Int, isPolling: Bool) -> FanOutGroupID {
    FanOutGroupID(index: pathStarts[path] + (isPolling ? 1 : 0))
  }

  /// The group of a path's sessions in a namespace.
  func id(
    ofPath path: Int, namespace: Int, withCursors: Bool, isPolling: Bool
  ) -> FanOutGroupID {
    let pair = 1 + 2 * namespace + (withCursors ? 1 : 0)
    return FanOutGroupID(index: pathStarts[path] + 2 * pair + (isPolling ? 1 : 0))
  }

  /// The group of the path with the same encoding as `id`, over the given transport.
  func id(matching id: FanOutGroupID, ofPath path: Int, isPolling: Bool) -> FanOutGroupID {
    let pair = (id.index - pathStarts[path]) / 2
    return FanOutGroupID(index: pathStarts[path] + 2 * pair + (isPolling ? 1 : 0))
  }

  /// The group of `sse` sessions over HTTP/1.0, which always have a token and get cursors.
  private var unchunkedStreams: FanOutGroupID { FanOutGroupID(index: all.count - 3) }

  /// The groups of sessions that watch the metrics.
  var metrics: ArraySlice<FanOutGroup> { all.suffix(2) }

  /// The group of sessions that watch the metrics in a stream with this framing.
  func metrics(_ framing: Framing) -> FanOutGroup {
    all[all.count - (framing == .chunkedEventStream ? 2 : 1)]
  }

  private func registryIndex(of dialect: any Dialect) -> Int {
    DialectRegistry.all.firstIndex { $0.name == dialect.name } ?? 0
  }
}
