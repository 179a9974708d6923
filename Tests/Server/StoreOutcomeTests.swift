// The answers of every kind of command for each outcome that is no success, and the log's lines.

import Notifications
import Testing

@testable import Server

@Suite("Outcomes of the store")
struct StoreOutcomeTests {
  /// Requests that wait for a command, one of each kind.
  static let requests = [
    EndpointTests.request("POST /api/v1/notifications", body: EndpointTests.draft),
    EndpointTests.request(
      "POST /api/v1/notifications/batch", body: EndpointTests.draft + "\nnot JSON"),
    EndpointTests.request(
      "POST /api/v1/websocket/send/notification",
      body: #"{"user_id":"u","notification_type":"t","title":"T"}"#),
    EndpointTests.request("PUT /api/v1/notifications/read-all"),
    EndpointTests.request("PUT /api/v1/preferences", body: "{}"),
  ]

  /// The outcome, the status and code of its answer, and whether the answer has a Retry-After.
  static let outcomes: [(StoreOutcome, status: String, code: String, retries: Bool)] = [
    (.unavailable(reason: "a lock"), "503", "store_unavailable", true),
    (.readOnly(reason: "a disk"), "503", "read_only", true),
    (.unknown(reason: "a disk"), "504", "outcome_unknown", false),
  ]

  @Test("a command that was not carried out is answered by its outcome", arguments: requests)
  func answers(request: String) throws {
    let fixture = try ShardFixture()
    let peer = try fixture.connect()
    for (outcome, status, code, retries) in Self.outcomes {
      peer.send(request)
      try fixture.turn(until: { fixture.store.commands.count == 1 })
      try fixture.store.answer(outcome)
      let answer = try EndpointTests.answer(to: peer, fixture)
      #expect(answer.head.hasPrefix("HTTP/1.1 \(status) "))
      #expect(answer.body.hasPrefix(#"{"success":false,"error":{"code":"\#(code)","message":""#))
      #expect(answer.head.contains("\r\nRetry-After: ") == retries)
      // The reason names paths and errors of the machine, which are for its operator.
      #expect(!answer.body.contains("a lock") && !answer.body.contains("a disk"))
    }
    #expect(fixture.core.metrics[0].value(.published) == 0)
  }

  @Test func `the acknowledgement of a Socket.IO event names the outcome`() throws {
    let fixture = try ShardFixture()
    let (peer, _) = try SocketIORecoveryTests.open(
      fixture, saying: SocketIORecoveryTests.connecting("u", since: nil))
    try SocketIORecoveryTests.answerPosition(1, fixture)
    _ = try fixture.frames(2, of: peer)
    for (outcome, _, code, _) in Self.outcomes {
      peer.say(#"42/notifications,7["mark_as_read",{"all":true}]"#)
      try fixture.turn(until: { fixture.store.commands.count == 1 })
      try fixture.store.answer(outcome)
      let acknowledgement = try fixture.frames(1, of: peer)[0]
      #expect(acknowledgement.hasPrefix("43/notifications,7["))
      #expect(acknowledgement.contains(code), "\(acknowledgement)")
    }
  }

  @Test("each change of the store is one line of the log, at its level")
  func log() throws {
    let log = try ReadLog(.info)
    let notices: [(StoreNotice, String)] = [
      (.status(.unavailable(reason: "a lock")), "warning a lock"),
      (.status(.ready), "info the store accepts writes again"),
      (.check(.unavailable(reason: "no space")), "warning the store is not ready: no space"),
      (.check(.ready), "info the store is ready"),
      (.failedCommand(reason: "a page"), "error the store could not carry out a command: a page"),
      (.status(.readOnly(reason: "a disk")), "error a disk"),
      (.damage("a row"), "error the store is damaged: a row"),
      (.repair("a count was damaged"), "error the store was damaged: a count was damaged"),
      (.migration("5 moved"), "info 5 moved"),
    ]
    for (notice, line) in notices {
      notice.write(to: log.log, at: 0)
      #expect(log.drain().text == "1970-01-01T00:00:00.000Z \(line)\n")
    }
  }
}
