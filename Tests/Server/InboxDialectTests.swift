// The `inbox` dialect, byte for byte.

import Notifications
import Testing
import Wire

@testable import Server

@Suite("The inbox dialect")
struct InboxDialectTests {
  static let notification =
    #"{"id":"\#(DialectTests.idText)","userId":"u","type":"incident_created","priority":"high","#
    + #""title":"A \"title\"","message":"line\nbreak","data":{"a":1},"entityType":"incident","#
    + #""entityId":null,"entityUrl":null,"actions":[],"groupKey":null,"isRead":false,"#
    + #""readAt":null,"seenAt":null,"createdAt":"\#(DialectTests.timeText)","expiresAt":null}"#

  private func texts(of body: Event.Body, epoch: String? = nil) throws -> [String] {
    let event = Event(audience: .user("u"), body: body, timestamp: DialectTests.time, offset: 43)
    return try DialectTests.texts(epoch: epoch) { InboxDialect().write(event, to: &$0) }
  }

  @Test func `a notification carries the number of unread ones`() throws {
    let event = DialectTests.stored(data: #"{"a":1}"#, entity: "incident")
    #expect(
      try DialectTests.texts { InboxDialect().write(event, to: &$0) }
        == [#"{"type":"new_notification","notification":\#(Self.notification),"unreadCount":2}"#])
    #expect(
      try DialectTests.texts(epoch: "abc") { InboxDialect().write(event, to: &$0) } == [
        #"{"type":"new_notification","notification":\#(Self.notification),"unreadCount":2,"#
          + #""cursor":"abc.42"}"#
      ])
  }

  @Test func `one change is sent as its count, several as an update`() throws {
    let id = DialectTests.id
    let counts = DialectTests.counts
    let update = #"{"type":"notification_update","unreadCount":2,"notifications":["#
    #expect(try texts(of: .read([id], counts)) == [#"{"type":"unread_count","unreadCount":2}"#])
    #expect(try texts(of: .unread([id], counts)) == [#"{"type":"unread_count","unreadCount":2}"#])
    let named = #"{"id":"\#(DialectTests.idText)","isRead":"#
    #expect(try texts(of: .read([id, id], counts)) == [update + "\(named)true},\(named)true}]}"])
    #expect(
      try texts(of: .unread([id, id], counts)) == [update + "\(named)false},\(named)false}]}"])
    for body: Event.Body in [
      .seen([id], counts), .deleted([id], counts), .readAll(counts), .seenAll(counts),
      .deletedAll(counts),
    ] {
      #expect(try texts(of: body) == [update + "]}"])
    }
  }

  @Test func `events that are not stored are not sent`() throws {
    let update = LiveUpdate(updateType: "t", payload: Array("{}".utf8))
    #expect(try texts(of: .liveUpdate(update)) == [])
    #expect(try texts(of: .dataUpdate(update)) == [])
    #expect(
      try DialectTests.texts { InboxDialect().write(TurnTests.broadcast(), to: &$0) } == [])
  }

  @Test func `greeting, resync, the end of a resumption and the ping`() throws {
    let dialect = InboxDialect()
    var greeting = Greeting(user: "u", time: 0, counts: DialectTests.counts)
    #expect(
      try DialectTests.texts { dialect.write(greeting, to: &$0) }
        == [#"{"type":"connected","userId":"u","unreadCount":2}"#])
    greeting.cursor = Cursor("abc.7")
    #expect(
      try DialectTests.texts { dialect.write(greeting, to: &$0) }
        == [#"{"type":"connected","userId":"u","unreadCount":2,"cursor":"abc.7"}"#])
    let cursor = try #require(Cursor("abc.7"))
    #expect(
      try DialectTests.texts {
        dialect.writeResync(cursor, time: 0, to: &$0)
        dialect.writeResumed(DialectTests.counts, time: 0, to: &$0)
        dialect.writePing(to: &$0)
      } == [
        #"{"type":"resync","cursor":"abc.7"}"#, #"{"type":"unread_count","unreadCount":2}"#,
        #"{"type":"ping"}"#,
      ])
  }

  @Test func `a page holds as many notifications as fit, and at least one`() throws {
    guard
      case .stored(let one, let counts) = DialectTests.stored(data: #"{"a":1}"#, entity: "incident")
        .body
    else { return }
    let size = Self.notification.utf8.count
    for (limit, count) in [(0, 1), (size, 1), (2 * size + 70, 2), (10 * size, 3)] {
      let texts = try DialectTests.texts {
        InboxDialect().writePage([one, one, one], counts, groups: [:], byteLimit: limit, to: &$0)
      }
      let list = Array(repeating: Self.notification, count: count).joined(separator: ",")
      #expect(
        texts == [#"{"type":"notification_update","unreadCount":2,"notifications":[\#(list)]}"#])
    }
    let empty = try DialectTests.texts {
      InboxDialect().writePage([], counts, groups: [:], byteLimit: 100, to: &$0)
    }
    #expect(empty == [#"{"type":"notification_update","unreadCount":2,"notifications":[]}"#])
  }

  @Test(
    "a client's requests",
    arguments: [
      (#"{"type":"pong"}"#, ClientRequest.pong),
      (#"{"type":"fetch_notifications"}"#, .fetch(PageRequest())),
      (
        #"{"limit":3,"unreadOnly":true,"type":"fetch_notifications"}"#,
        .fetch(PageRequest(limit: 3, unreadOnly: true))
      ),
      (
        #"{"type":"fetch_notifications","limit":-9223372036854775808,"unreadOnly":1}"#,
        .fetch(PageRequest(limit: .min))
      ),
      (#"{"type":"fetch_notifications","limit":"3"}"#, .fetch(PageRequest())),
      (#"{"type":"fetch_notifications","limit":1e999}"#, nil),
      (#"{"type":"fetch_notifications"} x"#, nil), (#"{"type":"ping"}"#, nil), ("[]", nil),
      ("", nil), ("pong", nil), (#"{"type":["pong"]}"#, nil),
    ])
  func requests(text: String, request: ClientRequest?) {
    #expect(InboxDialect().request(in: InboundMessage(Array(text.utf8))) == request)
  }

  @Test(
    "an auth message has one reading",
    arguments: [
      (#"{"type":"auth","token":"a.b.c"}"#, "a.b.c"),
      (#"{"token":"t","type":"auth","x":[1]}"#, "t"),
      (#"{"type":"auth"}"#, ""), (#"{"type":"auth","token":1}"#, ""),
      (#"{"type":"auth","token":"a","token":"b"}"#, ""),
      (#"{"type":"auth","type":"auth","token":"a"}"#, ""),
      (#"{"type":"ping","type":"auth","token":"a"}"#, ""), (#"{"type":"AUTH","token":"a"}"#, nil),
      (#"{"type":"auth","token":"a"}x"#, nil), (#"{"type":"auth","token":"a""#, nil),
      (#"["auth","a"]"#, nil), ("", nil), (#"{"token":"a"}"#, nil),
    ] as [(String, String?)])
  func authMessages(text: String, token: String?) {
    #expect(InboundMessage(Array(text.utf8)).token == token)
  }

  @Test func `a text that cannot be an auth message is recognised by its beginning`() {
    func canBegin(_ text: String) -> Bool {
      let bytes = Array(text.utf8)
      var whole = AuthMessage.Prefix()
      let answer = whole.canBegin(bytes)
      // In pieces the same, once all have come.
      var grown = AuthMessage.Prefix()
      var last = true
      for end in 0...bytes.count { last = grown.canBegin(Array(bytes[..<end])) }
      #expect(last == answer, "\(text)")
      return answer
    }
    let long = String(repeating: "x", count: 600)
    #expect(canBegin("") && canBegin(" \r\n\t") && canBegin("{") && canBegin(" {\"x\":\"" + "y"))
    #expect(canBegin(#"{"type":"auth","token":""# + long) && canBegin(#"{"token":""# + long))
    #expect(!canBegin("x") && !canBegin(" [") && !canBegin("\u{0}{"))
    #expect(!canBegin(#"{"type":"pong","x":""# + long))
    #expect(!canBegin(String(repeating: " ", count: 513)))
  }

  @Test func `past its first 512 bytes a message is not searched again for each fragment`() {
    var prefix = AuthMessage.Prefix()
    var bytes = Array(#"{"type":"auth","token":""#.utf8) + [UInt8](repeating: 0x61, count: 600)
    var answers = [prefix.canBegin(bytes)]
    // A decision that is final depends on no byte any more.
    bytes[0] = 0x5B
    answers.append(prefix.canBegin(bytes))
    #expect(answers == [true, true])
  }
}
