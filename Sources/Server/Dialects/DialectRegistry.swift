// All dialects, and the fan-out groups that the sessions of each need.
//
// A fan-out group is for one dialect, one kind of session and one framing. `FanOutGroups` makes
// those of the entries here. No other code lists dialects: handshakes, endpoints and limits read
// them from here.

/// The dialects of a server.
///
/// To add one, write a file in this folder with a type that conforms to `Dialect`, and add a line
/// to the list of its transport.
enum DialectRegistry {
  /// The dialects over WebSocket.
  static let webSockets: [any Dialect] = [
    FlatDialect(),
    EventDialect(),
    TypedDialect(),
    InboxDialect(),
  ]

  /// The dialects of event streams for users.
  static let eventStreams: [any Dialect] = [
    StreamDialect()
  ]

  /// The dialect of event streams for operators.
  static let metrics = MetricsDialect()

  /// The dialects of users at paths of their own.
  static var ofUsers: [any Dialect] { webSockets + eventStreams }

  /// The entries of all dialects of a server with these paths of Engine.IO.
  static func entries(at paths: [EnginePath]) -> [DialectEntry] {
    var entries = webSockets.map {
      DialectEntry(
        .named($0.name), $0, [.withoutUser, .withoutCursors, .withCursors], [.webSocket])
    }
    let streamFramings = [Framing.chunkedEventStream, .eventStream]
    // A stream has its user from the start, and its events have ids, which are cursors.
    entries += eventStreams.map {
      DialectEntry(.named($0.name), $0, [.withCursors], streamFramings)
    }
    entries.append(DialectEntry(.named(metrics.name), metrics, [.watcher], streamFramings))
    for (index, path) in paths.enumerated() { entries += self.entries(at: path, index) }
    return entries
  }

  /// The entries of the path of Engine.IO that has this index in the configuration.
  private static func entries(at path: EnginePath, _ index: Int) -> [DialectEntry] {
    let framings = [Framing.webSocket, .packets]
    let heartbeat = Heartbeat(path.settings)
    let engine = DialectEntry(
      .engine(path: index), EngineDialect(path: path.path, heartbeat: heartbeat), [.withoutUser],
      framings)
    let namespaces = path.userNamespaces.enumerated().map { namespace, name in
      DialectEntry(
        .namespace(namespace, path: index),
        SocketIODialect(namespace: name, heartbeat: heartbeat), [.withoutCursors, .withCursors],
        framings)
    }
    return [engine] + namespaces
  }
}

/// A dialect with the groups that its sessions need: one for each kind and framing.
struct DialectEntry: Sendable {
  let id: DialectID
  let dialect: any Dialect
  /// The kinds of its sessions; they begin as the first.
  let kinds: [SessionKind]
  let framings: [Framing]

  init(_ id: DialectID, _ dialect: any Dialect, _ kinds: [SessionKind], _ framings: [Framing]) {
    self.id = id
    self.dialect = dialect
    self.kinds = kinds
    self.framings = framings
  }
}

/// Names an entry of the registry.
enum DialectID: Hashable, Sendable {
  /// The dialect with this name, at a path of its own.
  case named(String)
  /// Engine.IO without a namespace, at the path with this index in the configuration.
  case engine(path: Int)
  /// The namespace with this index in the application at the path.
  case namespace(Int, path: Int)
}

/// What distinguishes the sessions of one dialect and framing that get different frames.
enum SessionKind: Sendable {
  /// Before its token, or on Engine.IO in no namespace: it gets no events.
  case withoutUser
  case withoutCursors
  case withCursors
  /// An operator's: it gets the metrics and no events.
  case watcher
}
