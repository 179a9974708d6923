// The first packet of a session, and the refusals that clients rely on.

import Testing

@testable import Wire

@Suite("Engine.IO 4: handshake")
struct EngineIOHandshakeTests {
  @Test("the open packet matches the document, member by member")
  func openPacket() {
    let handshake = EngineIOHandshake(
      sessionID: "lv_VI97HAXpY6yYWAAAC", upgrades: [.webSocket], pingIntervalMilliseconds: 25_000,
      pingTimeoutMilliseconds: 20_000, payloadBytesLimit: 1_000_000)
    var bytes: [UInt8] = []
    EngineIOPacket.append(.open, into: &bytes, handshake.append)
    #expect(
      String(decoding: bytes, as: UTF8.self)
        == #"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"#
        + #""pingTimeout":20000,"maxPayload":1000000}"#)
  }

  @Test("upgrades are a list of any length, and an id is written as JSON")
  func lists() {
    for (upgrades, expected) in [
      ([], "[]"), ([.polling], "[\"polling\"]"),
      ([.polling, .webSocket], "[\"polling\",\"websocket\"]"),
    ] as [([EngineIOTransport], String)] {
      let handshake = EngineIOHandshake(
        sessionID: "a\"b", upgrades: upgrades, pingIntervalMilliseconds: 300,
        pingTimeoutMilliseconds: 200, payloadBytesLimit: 1)
      var bytes: [UInt8] = []
      handshake.append(into: &bytes)
      #expect(
        String(decoding: bytes, as: UTF8.self)
          == #"{"sid":"a\"b","upgrades":"# + expected
          + #","pingInterval":300,"pingTimeout":200,"maxPayload":1}"#)
    }
  }

  @Test(
    "refusals have the reference's numbers, messages and statuses",
    arguments: [
      (EngineIORefusal.unknownTransport, 400, #"{"code":0,"message":"Transport unknown"}"#),
      (.unknownSession, 400, #"{"code":1,"message":"Session ID unknown"}"#),
      (.badHandshakeMethod, 400, #"{"code":2,"message":"Bad handshake method"}"#),
      (.badRequest, 400, #"{"code":3,"message":"Bad request"}"#),
      (.forbidden, 403, #"{"code":4,"message":"Forbidden"}"#),
      (
        .unsupportedProtocolVersion, 400,
        #"{"code":5,"message":"Unsupported protocol version"}"#
      ),
    ])
  func refusals(refusal: EngineIORefusal, status: Int, body: String) {
    var bytes: [UInt8] = []
    refusal.append(into: &bytes)
    #expect(String(decoding: bytes, as: UTF8.self) == body)
    #expect(refusal.status == status)
  }
}
