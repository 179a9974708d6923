import Delivery
import Notifications
import Testing
import Wire

@testable import Server

@Suite("Fan-out groups")
struct FanOutGroupsTests {
  private static let paths = [
    EnginePath("/engine.io/", .messages(Echo())),
    EnginePath("/namespaces/", .socketIO(Namespaces())),
    .notifications(),
    .notifications(recovery: .off),
  ]
  private let entries = DialectRegistry.entries(at: FanOutGroupsTests.paths)
  private let groups = FanOutGroups(
    DialectRegistry.entries(at: FanOutGroupsTests.paths), cursors: CursorFormat(epoch: "test"))

  @Test func `each group's encoder is at the index of its id`() {
    for encoder in groups.all { #expect(groups[encoder.id] === encoder) }
  }

  @Test func `a group is one dialect, one kind of session and one framing`() {
    #expect(Set(entries.map(\.id)).count == entries.count)
    var names: Set<String> = []
    for encoder in groups.all {
      #expect(names.insert("\(encoder.dialectID) \(encoder.kind) \(encoder.framing)").inserted)
      #expect(encoder.writer.framing == encoder.framing)
      #expect((encoder.writer.cursors != nil) == (encoder.kind == .withCursors))
    }
    #expect(groups.all.count == entries.reduce(0) { $0 + $1.kinds.count * $1.framings.count })
  }

  @Test func `each kind of session has its own group with the right encoding`() {
    var found: Set<FanOutGroupID> = []
    func expect(
      _ id: FanOutGroupID, _ dialect: DialectID, _ kind: SessionKind, _ framing: Framing
    ) {
      let name = "\(dialect) \(kind) \(framing)"
      #expect(found.insert(id).inserted, "\(name)")
      #expect(groups[id].dialectID == dialect, "\(name)")
      #expect(groups[id].kind == kind && groups[id].framing == framing, "\(name)")
      #expect(groups[id].sendsCursors == (kind == .withCursors), "\(name)")
    }
    for dialect in DialectRegistry.webSockets {
      let id = DialectID.named(dialect.name)
      expect(groups.first(of: id, .webSocket), id, .withoutUser, .webSocket)
      expect(groups.id(of: id, .webSocket, withCursors: false), id, .withoutCursors, .webSocket)
      expect(groups.id(of: id, .webSocket, withCursors: true), id, .withCursors, .webSocket)
      #expect(groups[groups.first(of: id, .webSocket)].dialect.name == dialect.name)
    }
    for framing in [Framing.chunkedEventStream, .eventStream] {
      for dialect in DialectRegistry.eventStreams {
        let id = DialectID.named(dialect.name)
        let stream = groups.first(of: id, framing)
        expect(stream, id, .withCursors, framing)
        #expect(groups.id(of: id, framing, withCursors: true) == stream)
      }
      expect(groups.first(of: .named("metrics"), framing), .named("metrics"), .watcher, framing)
    }
    for (path, namespaceCount) in [0, 0, 2, 2].enumerated() {
      for framing in [Framing.webSocket, .packets] {
        expect(
          groups.first(of: .engine(path: path), framing), .engine(path: path), .withoutUser, framing
        )
        for namespace in 0..<namespaceCount {
          let id = DialectID.namespace(namespace, path: path)
          expect(groups.id(of: id, framing, withCursors: false), id, .withoutCursors, framing)
          expect(groups.id(of: id, framing, withCursors: true), id, .withCursors, framing)
        }
      }
    }
    #expect(found.count == groups.all.count)
    #expect(groups.metrics.map(\.kind) == [.watcher, .watcher])
  }

  @Test func `a session that changes its transport keeps its dialect and kind`() {
    for encoder in groups.all where [.webSocket, .packets].contains(encoder.framing) {
      guard !DialectRegistry.webSockets.contains(where: { $0.name == encoder.dialect.name }) else {
        continue
      }
      for framing in [Framing.webSocket, .packets] {
        let other = groups[groups.id(like: encoder.id, framing)]
        #expect(other.dialectID == encoder.dialectID && other.kind == encoder.kind)
        #expect(other.framing == framing)
      }
    }
  }

  @Test func `Socket.IO's sessions with cursors keep positions, in the namespace of their group`() {
    for encoder in groups.all {
      let dialect = encoder.dialect as? SocketIODialect
      #expect(encoder.keepsPositions == (dialect != nil && encoder.sendsCursors))
      guard case .namespace(let namespace, _) = encoder.dialectID else { continue }
      #expect(dialect?.namespace == SocketIODialect.namespaces[namespace])
    }
  }

  @Test func `no event takes half of the largest frame's allowance, in any encoding`() {
    let title = String(repeating: "\u{1}", count: Draft.titleByteCountLimit)
    let message = String(repeating: "\u{1}", count: Draft.messageByteCountLimit)
    let text = String(repeating: "x", count: Draft.dataByteCountLimit - 8)
    let payload = Array(#"{"x":"\#(text)"}"#.utf8)
    let url = "https://" + String(repeating: "u", count: Draft.urlByteCountLimit - 8)
    let label = String(repeating: "l", count: Draft.labelByteCountLimit)
    let action = #"{"label":"\#(label)","url":"\#(url)"}"#
    let actions = [String](repeating: action, count: Draft.actionCountLimit)
    let id = NotificationID(high: 1, low: 1)
    let type = String(repeating: "t", count: Draft.typeByteCountLimit)
    let room = String(repeating: "r", count: RoomNames.byteCountLimit)
    let bodies: [Event.Body] = [
      .stored(
        Notification(
          id: id, userID: String(repeating: "u", count: UserIDs.byteCountLimit), type: type,
          title: title, message: message, data: payload, entityURL: url,
          actions: Array("[\(actions.joined(separator: ","))]".utf8), createdAt: 0, offset: 1),
        Counts(total: 1)),
      .system(
        SystemMessage(
          id: id, messageType: type, title: title, message: message, payload: payload)),
      .room(
        RoomMessage(
          room: room, notificationType: type, title: title, message: message, payload: payload)),
      .liveUpdate(LiveUpdate(updateType: type, payload: payload)),
    ]
    var longest = 0
    for group in groups.all {
      for body in bodies {
        group.writer.removeAll()
        group.dialect.write(
          Event(audience: .everyone, body: body, timestamp: 0, offset: 1), to: &group.writer)
        longest = max(longest, group.writer.bytes.count)
      }
    }
    #expect(longest > 32 * 1_024)
    #expect(longest < ShardView.largestFrameBytes / 2)
  }
}
