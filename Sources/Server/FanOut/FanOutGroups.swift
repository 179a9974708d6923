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

internal import Delivery
internal import Notifications
internal import Wire

/// The encoding of a group's frames.
struct FanOutEncoding {
  let dialect: any Dialect
  /// The spelling of cursors if the group's clients receive them, else nil.
  let cursors: CursorFormat?
}

/// Writes the frames of one fan-out group.
final class GroupEncoder {
  let id: FanOutGroupID
  let dialect: any Dialect
  /// Whether its clients receive cursors.
  let sendsCursors: Bool
  /// Whether its sessions keep the position of the last notification sent to them.
  let keepsPositions: Bool
  /// The frames written last.
  var writer: FrameWriter

  init(id: FanOutGroupID, _ encoding: FanOutEncoding) {
    self.id = id
    dialect = encoding.dialect
    sendsCursors = encoding.cursors != nil
    keepsPositions = encoding.cursors != nil && encoding.dialect is SocketIODialect
    writer = FrameWriter(cursors: encoding.cursors, framing: dialect.framing)
  }

  /// Writes the frames of `event`: none if the dialect has none for it.
  func encode(_ event: Event) {
    writer.removeAll()
    dialect.write(event, to: &writer)
  }
}

/// All fan-out groups of one shard.
///
/// Invariant: each encoder is at the index of its group's id.
struct FanOutGroups {
  let all: [GroupEncoder]
  /// Index of the first group of each Engine.IO path.
  private let pathStarts: [Int]

  init(paths: [EnginePath], cursors: CursorFormat) {
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
    self.pathStarts = pathStarts
    all = encodings.enumerated().map { index, encoding in
      GroupEncoder(id: FanOutGroupID(index: index), encoding)
    }
  }

  subscript(id: FanOutGroupID) -> GroupEncoder { all[id.index] }

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
  var metrics: ArraySlice<GroupEncoder> { all.suffix(2) }

  /// The group of sessions that watch the metrics in a stream with this framing.
  func metrics(_ framing: Framing) -> GroupEncoder {
    all[all.count - (framing == .chunkedEventStream ? 2 : 1)]
  }

  private func registryIndex(of dialect: any Dialect) -> Int {
    DialectRegistry.all.firstIndex { $0.name == dialect.name } ?? 0
  }
}
