// Ids that look the same and are different bytes: é as one scalar, and as e with an accent.

import Notifications
import Testing
import Wire

@testable import Server

@Suite("Two ids that look the same are two users")
struct SameUserTests {
  static let composed = "caf\u{E9}"
  static let decomposed = "cafe\u{301}"

  @Test("a fresh token of the other user ends the session of a WebSocket")
  func webSocket() throws {
    for user in [Self.composed, Self.decomposed] {
      let fixture = try ShardFixture()
      let peer = try fixture.session(Self.composed, path: "/ws/connect")
      peer.say(#"{"type":"auth","token":"\#(ShardFixture.token(user))"}"#)
      peer.say(#"{"type":"ping"}"#)
      var frames: [String] = []
      try fixture.turn(until: {
        frames += (try? fixture.frames(of: peer)) ?? []
        return frames.contains { $0.hasPrefix("close") || $0.contains("pong") }
      })
      let isSame = user.utf8.elementsEqual(Self.composed.utf8)
      #expect(frames.contains("close 1008") == !isSame)
      #expect(frames.contains { $0.contains("pong") } == isSame)
    }
  }

  @Test("a fresh token of the other user ends the namespace of Socket.IO")
  func socketIO() throws {
    for user in [Self.composed, Self.decomposed] {
      let fixture = try ShardFixture.engine()
      let (peer, _) = try SocketIORecoveryTests.open(
        fixture, saying: SocketIORecoveryTests.connecting(Self.composed))
      try SocketIORecoveryTests.answerPosition(5, fixture)
      _ = try fixture.frames(2, of: peer)
      peer.say(#"42/notifications,7["auth",{"token":"\#(ShardFixture.token(user))"}]"#)
      let isSame = user.utf8.elementsEqual(Self.composed.utf8)
      #expect(
        try fixture.frames(1, of: peer)
          == [isSame ? #"43/notifications,7[{"success":true}]"# : "41/notifications,"])
    }
  }

  @Test("each has its own sessions, quota and rooms")
  func separate() throws {
    let fixture = try ShardFixture { $0.limits.sessionsPerUserLimit = 1 }
    let one = try fixture.session(Self.composed)
    let other = try fixture.session(Self.decomposed)
    #expect(fixture.shard.sessionCount == 2)
    #expect(!one.isEnded && !other.isEnded)
  }

  @Test("a query has a parameter for each spelling of its name")
  func query() throws {
    let query = try QueryString(
      "\(Self.encoded(Self.composed))=1&\(Self.encoded(Self.decomposed))=2")
    #expect(query[Self.composed] == "1")
    #expect(query[Self.decomposed] == "2")
  }

  private static func encoded(_ text: String) -> String {
    text.utf8.map { "%" + String($0, radix: 16) }.joined()
  }
}
