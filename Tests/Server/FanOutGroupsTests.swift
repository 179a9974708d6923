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
  private let groups = FanOutGroups(
    paths: FanOutGroupsTests.paths, cursors: CursorFormat(epoch: "test"))

  @Test func `each group's encoder is at the index of its id`() {
    for encoder in groups.all { #expect(groups[encoder.id] === encoder) }
  }

  @Test func `each kind of session has its own group with the right encoding`() {
    var kinds: [FanOutGroupID: String] = [:]
    func expect(_ id: FanOutGroupID, _ kind: String, _ framing: Framing, cursors: Bool) {
      #expect(kinds.updateValue(kind, forKey: id) == nil, "\(kind)")
      #expect(groups[id].dialect.framing == framing, "\(kind)")
      #expect(groups[id].sendsCursors == cursors, "\(kind)")
    }
    for dialect in DialectRegistry.all {
      let ids = [
        groups.id(of: dialect, withCursors: false), groups.id(of: dialect, withCursors: true),
        groups.idWithoutToken(of: dialect),
      ]
      for (id, cursors) in zip(ids, [false, true, false]) {
        expect(id, "\(dialect.name) \(id)", dialect.framing, cursors: cursors)
        #expect(groups[id].dialect.name == dialect.name)
      }
    }
    func expectPair(_ path: Int, namespace: Int?, cursors: Bool, _ id: (Bool) -> FanOutGroupID) {
      let (socket, poll) = (id(false), id(true))
      let kind = "\(path) \(namespace as Any) \(cursors)"
      expect(socket, kind, .webSocket, cursors: cursors)
      expect(poll, "\(kind) polled", .packets, cursors: cursors)
      for id in [socket, poll] {
        #expect(groups.id(matching: id, ofPath: path, isPolling: false) == socket)
        #expect(groups.id(matching: id, ofPath: path, isPolling: true) == poll)
        let dialect = groups[id].dialect as? SocketIODialect
        #expect(dialect?.namespace == namespace.map { SocketIODialect.namespaces[$0] })
        #expect(groups[id].keepsPositions == cursors)
      }
    }
    for (path, namespaceCount) in [0, 0, 2, 2].enumerated() {
      expectPair(path, namespace: nil, cursors: false) { groups.id(ofPath: path, isPolling: $0) }
      for namespace in 0..<namespaceCount {
        for cursors in [false, true] {
          expectPair(path, namespace: namespace, cursors: cursors) {
            groups.id(
              ofPath: path, namespace: namespace, withCursors: cursors, isPolling: $0)
          }
        }
      }
    }
    let streams = StreamDialect(framing: .eventStream)
    expect(
      groups.id(of: streams, withCursors: true), "sse over HTTP/1.0", .eventStream, cursors: true)
    #expect(groups.idWithoutToken(of: streams) == groups.id(of: streams, withCursors: true))
    for framing in [Framing.chunkedEventStream, .eventStream] {
      expect(groups.metrics(framing).id, "metrics \(framing)", framing, cursors: false)
      #expect(groups.metrics(framing).dialect is MetricsDialect)
    }
    #expect(groups.metrics.map(\.id.index) == [groups.all.count - 2, groups.all.count - 1])
    #expect(kinds.count == groups.all.count)
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
