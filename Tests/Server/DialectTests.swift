// The dialects, byte for byte as their clients' documents show them.

import Notifications
import TestSupport
import Testing
import Wire

@testable import Server

@Suite("Dialects")
struct DialectTests {
  static let id = NotificationID(high: 0x0190_0000_0000_7000, low: 0x8000_0000_0000_0001)
  static let idText = "01900000-0000-7000-8000-000000000001"
  static let time: Int64 = 1_706_702_400_000
  static let timeText = "2024-01-31T12:00:00.000Z"
  static let counts = Counts(
    total: 3, unread: 2, unseen: 1, byPriority: .init(normal: 1, high: 1), version: 42)

  static func stored(data: String = "{}", entity: String? = nil) -> Event {
    let notification = Notification(
      id: id, userID: "u", type: "incident_created", priority: .high, title: "A \"title\"",
      message: "line\nbreak", data: Array(data.utf8), entityType: entity, createdAt: time,
      offset: 42)
    return Event(
      audience: .user("u"), body: .stored(notification, counts), timestamp: time, offset: 42)
  }

  /// The texts of the frames that `write` writes.
  static func texts(epoch: String? = nil, _ write: (inout FrameWriter) -> Void) throws -> [String] {
    var frames = FrameWriter(epoch: epoch)
    write(&frames)
    var texts: [String] = []
    var rest = frames.bytes[...]
    while !rest.isEmpty {
      let header = try #require(try FrameHeader.parse(Array(rest).span, from: .server))
      #expect(header.opcode == .text && header.isFinal && !header.isMasked)
      let payload = rest.dropFirst(header.byteCount).prefix(header.payloadLength)
      texts.append(String(decoding: payload, as: UTF8.self))
      rest = rest.dropFirst(header.byteCount + header.payloadLength)
    }
    #expect(texts.count == frames.count)
    return texts
  }

  static let stats =
    #"{"event":"stats:updated","data":{"total":3,"unread":2,"unseen":1,"by_priority":"#
    + #"{"low":0,"normal":1,"high":1,"urgent":0}},"timestamp":"\#(timeText)"}"#

  @Test func `event: a notification and the stats after it, absent optionals null, no cursor`()
    throws
  {
    let texts = try Self.texts { EventDialect().write(Self.stored(), to: &$0) }
    #expect(
      texts == [
        #"{"event":"notification:new","data":{"id":"\#(Self.idText)","type":"incident_created","#
          + #""priority":"high","title":"A \"title\"","message":"line\nbreak","entity_type":null,"#
          + #""entity_id":null,"entity_url":null,"is_read":false,"#
          + #""created_at":"\#(Self.timeText)"},"#
          + #""timestamp":"\#(Self.timeText)"}"#,
        Self.stats,
      ])
  }

  @Test func `event: data when it is not empty, and the cursor for a client that resumes`() throws {
    let texts = try Self.texts(epoch: "abc") {
      EventDialect().write(Self.stored(data: #"{"a":1}"#, entity: "incident"), to: &$0)
    }
    #expect(texts[0].contains(#""entity_type":"incident""#))
    #expect(texts[0].contains(#""data":{"a":1},"cursor":"abc.42"},"timestamp""#))
  }

  @Test func `event: actions, group and expiry where present, for a client that resumes`() throws {
    let actions = #"[{"label":"Open","url":"/x"}]"#
    let notification = Notification(
      id: Self.id, userID: "u", type: "t", title: "", actions: Array(actions.utf8), groupKey: "g",
      createdAt: Self.time, expiresAt: Self.time, offset: 42)
    let rest =
      #""actions":\#(actions),"group_key":"g","expires_at":"\#(Self.timeText)","cursor":"abc.42"}"#
    let live = Event(
      audience: .user("u"), body: .stored(notification, Self.counts), timestamp: Self.time)
    let writers: [(inout FrameWriter) -> Void] = [
      { EventDialect().write(live, to: &$0) },
      { EventDialect().writeMissed(notification, Self.counts, to: &$0) },
    ]
    for write in writers {
      #expect(try Self.texts(epoch: "abc", write)[0].contains(rest))
      let plain = try Self.texts(write)[0]
      for name in ["actions", "group_key", "expires_at", "cursor"] {
        #expect(!plain.contains(name))
      }
    }
    // Absent actions, group and expiry are left out, not null.
    let bare = try Self.texts(epoch: "abc") { EventDialect().write(Self.stored(), to: &$0) }[0]
    #expect(bare.contains(#""created_at":"\#(Self.timeText)","cursor":"abc.42"}"#))
  }

  @Test func `flat: one object a notification, and no counts`() throws {
    let texts = try Self.texts {
      FlatDialect().write(Self.stored(data: #"{"pnl":125.50}"#), to: &$0)
    }
    #expect(
      texts == [
        #"{"id":"\#(Self.idText)","type":"incident_created","user_id":"u","title":"A \"title\"","#
          + #""message":"line\nbreak","data":{"pnl":125.50},"timestamp":"\#(Self.timeText)"}"#
      ])
    let read = Event(
      audience: .user("u"), body: .read([Self.id], Self.counts), timestamp: Self.time, offset: 43)
    #expect(try Self.texts { FlatDialect().write(read, to: &$0) } == [])
  }

  @Test func `flat: a system message is of type info`() throws {
    let message = SystemMessage(
      id: Self.id, messageType: "maintenance", title: "t", message: "m", payload: Array("{}".utf8))
    let event = Event(audience: .everyone, body: .system(message), timestamp: Self.time)
    let texts = try Self.texts { FlatDialect().write(event, to: &$0) }
    #expect(texts.count == 1 && texts[0].contains(#""type":"info""#))
  }

  @Test func `event: one frame for each read id, then the stats once`() throws {
    let other = NotificationID(high: 1, low: 2)
    let event = Event(
      audience: .user("u"), body: .read([Self.id, other], Self.counts), timestamp: Self.time,
      offset: 43)
    let texts = try Self.texts { EventDialect().write(event, to: &$0) }
    #expect(texts.count == 3)
    #expect(
      texts[0]
        == #"{"event":"notification:read","data":{"id":"\#(Self.idText)"},"#
        + #""timestamp":"\#(Self.timeText)"}"#
    )
    #expect(texts[2] == Self.stats)
  }

  @Test(
    "event: only a ping is answered",
    arguments: [
      (#"{"type":"ping"}"#, 1), (#"{"a":[{}],"type":"ping"}"#, 1), (#"{"type":"pong"}"#, 0),
      (#"{"type":1}"#, 0), ("[]", 0), ("", 0), ("ping", 0), (#"{"type":"ping"} x"#, 0),
      (#"{"type":"ping"#, 0), ("\u{0}", 0),
    ])
  func answers(text: String, count: Int) throws {
    let request = EventDialect().request(in: InboundMessage(Array(text.utf8)))
    #expect(request == (count == 1 ? .ping : nil))
    let texts = try Self.texts { EventDialect().writePong(time: Self.time, to: &$0) }
    if count == 1 {
      #expect(
        texts[0] == #"{"event":"pong","type":"pong","data":{},"timestamp":"\#(Self.timeText)"}"#)
    }
  }

  @Test func `greetings carry a cursor only for a client that asked to resume`() throws {
    let plain = Greeting(user: "u", time: Self.time, cursor: nil)
    let resuming = Greeting(user: "u", time: Self.time, cursor: Cursor("abc.7"))
    let event = try Self.texts { EventDialect().write(plain, to: &$0) }
    #expect(
      event == [
        #"{"event":"connection:established","data":{"user_id":"u","timestamp":"\#(Self.timeText)","#
          + #""message":"Connected to notification service"},"timestamp":"\#(Self.timeText)"}"#
      ])
    #expect(try Self.texts { FlatDialect().write(plain, to: &$0) } == [])
    #expect(
      try Self.texts { EventDialect().write(resuming, to: &$0) }[0].contains(#""cursor":"abc.7""#))
    #expect(
      try Self.texts { FlatDialect().write(resuming, to: &$0) }[0].contains(#""cursor":"abc.7""#))
  }
}

extension FrameWriter {
  /// A writer with cursors of that epoch, which have no incarnation; nil for one without cursors.
  init(epoch: String?, framing: Framing = .webSocket) {
    self.init(cursors: epoch.map { CursorFormat(epoch: $0) }, framing: framing)
  }
}
