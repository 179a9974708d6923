// Preferences and groups over HTTP: the store's queries and commands, and the answers.

import Notifications
import Testing

@testable import Server

@Suite("Preferences and groups over HTTP")
struct PreferencesEndpointTests {
  private static let path = "/api/v1/preferences"
  private static let inbox = "/api/v1/notifications"
  private static let id = DialectTests.idText

  /// Sends one request of "u" that is answered without the store.
  private func status(_ line: String, fields: String = "", body: String = "") throws -> String {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    peer.send(EndpointTests.request(line, user: "u", fields: fields, body: body))
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(fixture.store.commands.isEmpty && fixture.store.reads.isEmpty)
    return "\(answer.head.dropFirst(9).prefix(3)) \(answer.body)"
  }

  @Test func `PUT answers with the whole document once it is stored`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    let body = #"{"types":{"comment":{"muted":true}}}"#
    peer.send(EndpointTests.request("PUT \(Self.path)", user: "u", body: body))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    guard case .setPreferences("u", let preferences) = fixture.store.commands[0].command else {
      Issue.record("\(fixture.store.commands[0].command)")
      return
    }
    #expect(preferences == Preferences(rules: ["comment": .init(isMuted: true)]))
    #expect(peer.receive().isEmpty, "no answer before the document is durable")
    try fixture.store.answer(.saved)
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.head.hasPrefix("HTTP/1.1 200"))
    #expect(
      answer.body
        == #"{"success":true,"data":{"types":{"comment":{"muted":true,"channels":{"#
        + #""websocket":true,"email":true,"webhook":true,"push":true}}},"quiet_hours":null}}"#)
    peer.send(EndpointTests.request("PUT \(Self.path)", user: "u", body: "{}"))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    try fixture.store.answer(.readOnly(reason: "full"))
    #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 503"))
  }

  @Test func `GET shows the stored preferences, and everything on by default`() throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    for (kept, document) in [
      (Preferences(), #"{"types":{},"quiet_hours":null}"#),
      (
        Preferences(quietHours: QuietHours(start: 1_320, end: 420, utcOffset: 120)),
        #"{"types":{},"quiet_hours":{"start":"22:00","end":"07:00","utc_offset":"+02:00"}}"#
      ),
    ] {
      peer.send(EndpointTests.request("GET \(Self.path)", user: "u"))
      try fixture.turn(until: { fixture.store.reads.count == 1 })
      guard case .preferences("u") = fixture.store.reads[0].query else {
        Issue.record("\(fixture.store.reads[0].query)")
        return
      }
      try fixture.store.answer(.preferences(kept))
      let answer = try EndpointTests.answer(to: peer, fixture)
      #expect(answer.body == #"{"success":true,"data":\#(document)}"#)
    }
  }

  @Test func `an invalid document is rejected with its field named and not stored`() throws {
    let wrong = try status("PUT \(Self.path)", body: #"{"types":{"comment":{"muted":"yes"}}}"#)
    #expect(wrong.hasPrefix("422") && wrong.contains("types.comment.muted: must be true or false"))
    #expect(try status("PUT \(Self.path)", body: "{").hasPrefix("400"))
    #expect(try status("PUT \(Self.path)").hasPrefix("400"), "an empty body is no document")
    let form = "Content-Type: text/plain\r\n"
    #expect(try status("PUT \(Self.path)", fields: form, body: "{}").hasPrefix("415"))
    let other = try status("POST \(Self.path)", body: "{}")
    #expect(other.hasPrefix("405"))
  }

  @Test(
    "a page request passes on its query",
    arguments: [
      ("", .collapsed), ("?collapse=true", .collapsed), ("?collapse=false", .separate),
      ("?collapse=0", .separate), ("?group_key=a%20b", .only("a b")),
      ("?group_key=%C3%BC&collapse=true", .only("ü")),
    ] as [(String, PageGrouping)])
  func pages(query: String, expected: PageGrouping) throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    peer.send(EndpointTests.request("GET \(Self.inbox)\(query)", user: "u"))
    try fixture.turn(until: { fixture.store.reads.count == 1 })
    guard case .page("u", 50, nil, false, nil, let grouping, _) = fixture.store.reads[0].query
    else {
      Issue.record("\(fixture.store.reads[0].query)")
      return
    }
    #expect(grouping == expected)
    var rows = [7, 6].map { ReplaySessionTests.notification($0) }
    rows[0].groupKey = "g"
    try fixture.store.answer(.page(rows, next: nil, Counts(), groups: [7: 3]))
    let body = try EndpointTests.answer(to: peer, fixture).body
    #expect(body.contains(#""group_key":"g","group_count":3,"is_read""#))
    #expect(body.contains(#""group_key":null,"is_read""#))
  }

  @Test func `an invalid query is rejected`() throws {
    let long = String(repeating: "x", count: 257)
    for query in ["collapse=maybe", "group_key=", "group_key=\(long)"] {
      #expect(try status("GET \(Self.inbox)?\(query)").hasPrefix("422"), "\(query)")
    }
    for line in ["PUT \(Self.inbox)/\(Self.id)/read", "DELETE \(Self.inbox)/\(Self.id)"] {
      #expect(try status("\(line)?group=all").hasPrefix("422"))
    }
  }

  @Test(
    "a change applies to one notification, or to its group if the query asks for it",
    arguments: [
      ("PUT", "/read", GroupChange.read, InboxChange.read([DialectTests.id])),
      ("PUT", "/unread", .unread, .unread([DialectTests.id])),
      ("DELETE", "", .delete, .delete([DialectTests.id])),
    ])
  func changes(method: String, suffix: String, ofGroup: GroupChange, ofOne: InboxChange) throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    let line = "\(method) \(Self.inbox)/\(Self.id)\(suffix)"
    for query in ["", "?group=false", "?group=true"] {
      peer.send(EndpointTests.request(line + query, user: "u"))
      try fixture.turn(until: { fixture.store.commands.count == 1 })
      switch fixture.store.commands[0].command {
      case .change("u", let change, _):
        #expect(change == ofOne && query != "?group=true")
      case .changeGroup("u", DialectTests.id, let change, let time):
        #expect(change == ofGroup && query == "?group=true")
        #expect(time == ShardFixture.startWall)
      default: Issue.record("\(fixture.store.commands[0].command)")
      }
      try fixture.store.answer(.changed(count: 0, Counts()))
      #expect(try EndpointTests.answer(to: peer, fixture).head.hasPrefix("HTTP/1.1 404"))
    }
    peer.send(EndpointTests.request(line + "?group=true", user: "u"))
    try fixture.turn(until: { fixture.store.commands.count == 1 })
    try fixture.store.answer(.changed(count: 12, DialectTests.counts))
    let answer = try EndpointTests.answer(to: peer, fixture)
    #expect(answer.body.contains(#""updated":12"#))
  }

  @Test func `a page for an inbox-watch client carries the size of each group`() throws {
    var rows = [7, 6].map { ReplaySessionTests.notification($0) }
    rows[0].groupKey = "g"
    let texts = try DialectTests.texts {
      InboxDialect().writePage(rows, Counts(), groups: [7: 3], byteLimit: 10_000, to: &$0)
    }
    #expect(texts[0].contains(#""groupKey":"g","groupCount":3,"isRead""#))
    #expect(texts[0].contains(#""groupKey":null,"isRead""#))
  }
}
