// The log lines about connections: only at debug, within the rate limit, never with a secret.

import Glibc
import Testing
import Wire

@testable import Server

/// A log that the test reads through a pipe.
final class ReadLog {
  let log: Log
  private let ends: (read: Int32, write: Int32)

  init(_ level: LogLevel) throws {
    var descriptors: [Int32] = [-1, -1]
    try #require(pipe(&descriptors) == 0)
    ends = (descriptors[0], descriptors[1])
    _ = fcntl(ends.read, F_SETFL, O_NONBLOCK)
    log = Log(level: level, descriptor: ends.write)
  }

  deinit {
    close(ends.read)
    close(ends.write)
  }

  /// Takes the messages of the lines that were written since the last call.
  func lines() -> [String] {
    drain().text.split(separator: "\n").map { line in
      let parts = line.split(separator: " ", maxSplits: 2)
      #expect(parts.count == 3 && RFC3339.parse(String(parts[0])) != nil, "\(line)")
      #expect(parts.count == 3 && LogLevel(name: String(parts[1])) != nil, "\(line)")
      return String(parts.last ?? "")
    }
  }

  /// Takes the bytes that were written since the last call.
  @discardableResult
  func drain() -> [UInt8] {
    var taken: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(ends.read, &buffer, buffer.count)
      guard count > 0 else { return taken }
      taken += buffer[..<count]
    }
  }

  /// Fills the pipe, so that no further line fits.
  func fill() {
    _ = fcntl(ends.write, F_SETFL, O_NONBLOCK)
    let line = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 12)
    while write(ends.write, line, line.count) > 0 {}
    _ = fcntl(ends.write, F_SETFL, 0)
  }
}

@Suite("Log lines about connections", .timeLimit(.minutes(10)))
struct ConnectionLogTests {
  static let flat = "/api/ws"

  /// How a session ends.
  enum End: CaseIterable {
    case goodbye, loss, expiry, disconnection, violation

    /// The end as the log line describes it.
    var text: String {
      switch self {
      case .goodbye: "closed by the client with 1000"
      case .loss: "the connection was lost"
      case .expiry: "closed with 1008, token expired"
      case .disconnection: "disconnected by a publisher"
      case .violation: "closed with 1002, client frame not masked"
      }
    }
  }

  private func end(_ peer: TestPeer, by end: End, _ fixture: ShardFixture) throws {
    switch end {
    case .goodbye: peer.send([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8])
    case .loss: peer.endSending()
    case .expiry: try fixture.pass(milliseconds: 40_000)
    case .disconnection:
      let publisher = try fixture.connect()
      let body = #"{"user_id":"u\"1","reason":"a secret"}"#
      publisher.send(
        "POST /api/v1/disconnect HTTP/1.1\r\nHost: x\r\n"
          + "Authorization: Bearer \(ShardFixture.token("p", scopes: ["publish"]))\r\n"
          + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    case .violation: peer.send([0x81, 0x01, 0x78])
    }
    try fixture.turn(until: { peer.connection.state != .session })
  }

  @Test(
    "a session is logged when it begins and, with the reason, when it ends", arguments: End.allCases
  )
  func sessions(end: End) throws {
    let log = try ReadLog(.debug)
    let fixture = try ShardFixture(log: log.log)
    let peer = try fixture.session("u\"1", path: Self.flat, seconds: end == .expiry ? 5 : 86_400)
    #expect(log.lines() == [#"session of "u\"1" began: flat, shard 0, 127.0.0.1"#])
    try fixture.pass(milliseconds: 1_500)
    try self.end(peer, by: end, fixture)
    let told = try #require(log.lines().first { $0.contains(" ended ") })
    let start = #"session of "u\"1" ended after "#
    #expect(told.hasPrefix(start))
    #expect(told.hasSuffix(" ms, \(end.text): flat, shard 0, 127.0.0.1"))
    let milliseconds = try #require(Int(told.dropFirst(start.count).prefix { $0 != " " }))
    #expect(end == .expiry ? milliseconds >= 35_000 : milliseconds == 1_500)
  }

  @Test("a metrics stream is logged like a session, under the token's user")
  func watchers() throws {
    let log = try ReadLog(.debug)
    let fixture = try ShardFixture(log: log.log)
    let peer = try MetricsStreamTests.watch(fixture)
    #expect(log.lines() == [#"session of "p" began: metrics, shard 0, 127.0.0.1"#])
    try fixture.pass(milliseconds: 1_000)
    peer.endSending()
    try fixture.turn(until: { peer.connection.hasEnded })
    #expect(
      log.lines()
        == [#"session of "p" ended after 1000 ms, the client left: metrics, shard 0, 127.0.0.1"#])
  }

  @Test("a clock that is set back gives no negative duration")
  func clock() throws {
    let log = try ReadLog(.debug)
    let fixture = try ShardFixture(log: log.log)
    let peer = try fixture.session("u", path: Self.flat)
    fixture.script.wallShift = -60_000
    try fixture.turn()
    try end(peer, by: .goodbye, fixture)
    #expect(log.lines().last?.contains(" ended after 0 ms, ") == true)
  }

  private static let upgrade =
    " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

  @Test(
    "a rejected upgrade is logged with its reason, and so is one that is closed at once",
    arguments: [
      ("\(flat)?token=x\(upgrade)", "401 unauthorized: flat"),
      ("\(flat)\(upgrade)Origin: https://else.where\r\n", "403 origin_not_allowed: flat"),
      ("/nowhere?token=x\(upgrade)", "404 not_found: no dialect"),
      (
        "/api/v1/ws/notifications\(upgrade)",
        "closed with 4001, missing authentication token: event"
      ),
    ])
  func refusals(request: String, told: String) throws {
    let log = try ReadLog(.debug)
    let fixture = try ShardFixture(log: log.log)
    let peer = try fixture.connect()
    peer.send("GET \(request)\r\n")
    try fixture.turn(until: { peer.receive().headEnd != nil })
    #expect(
      log.lines().filter { !$0.hasPrefix("credential") }
        == ["refused, \(told), shard 0, 127.0.0.1"])
  }

  private static let list = "GET /api/v1/notifications"

  @Test("a refused token or key is logged with its exact reason, on every path")
  func credentials() throws {
    let log = try ReadLog(.debug)
    let fixture = try ShardFixture(log: log.log) { $0.apiKey = "a key" }
    let late = ShardFixture.token("u", seconds: -100)
    for (request, reason) in [
      ("\(Self.list)?token=\(late) HTTP/1.1\r\nHost: x\r\n", "exp was 100 s ago"),
      ("GET \(Self.flat)?token=\(late)\(Self.upgrade)", "exp was 100 s ago"),
      (
        "POST /api/v1/notifications HTTP/1.1\r\nHost: x\r\nX-API-Key: other\r\n",
        "the key is not CARILLON_API_KEY"
      ),
      (
        "\(Self.list) HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b\r\n",
        "the token has 2 parts between its dots, not 3"
      ),
    ] {
      let peer = try fixture.connect()
      peer.send("\(request)\r\n")
      try fixture.turn(until: { peer.receive().headEnd != nil })
      #expect(
        log.lines().first == "credential refused, \(reason): shard 0, 127.0.0.1", "\(request)")
    }
  }

  @Test("reasons of refused tokens take no more lines than the rest of the connection log")
  func credentialRate() throws {
    let log = try ReadLog(.debug)
    let fixture = try ShardFixture(log: log.log)
    let peer = try fixture.connect()
    for _ in 0..<25 {
      peer.send("\(Self.list)?token=x HTTP/1.1\r\nHost: x\r\n\r\n")
      try fixture.turn(until: { peer.receive().headEnd != nil })
      peer.received = []
    }
    #expect(log.lines().count == 10)
  }

  @Test(
    "an answer names the exact reason only on a server that explains its refusals",
    arguments: [false, true])
  func explanations(isExplained: Bool) throws {
    let fixture = try ShardFixture {
      $0.apiKey = "a key"
      $0.explainsRefusals = isExplained
    }
    let late = ShardFixture.token("u", seconds: -100)
    for (fields, coarse, reason) in [
      ("Authorization: Bearer \(late)", "the token has expired", "exp was 100 s ago"),
      ("Authorization: Bearer x", "the token or key is not valid", "the token has 1 parts"),
      (
        "Authorization: Basic eDp5", "a token is needed: Authorization: Bearer, or ?token=",
        "Authorization has no Bearer token"
      ),
      ("X-API-Key: y", "the token or key is not valid", "X-API-Key is not CARILLON_API_KEY"),
    ] {
      let peer = try fixture.connect()
      peer.send("\(Self.list) HTTP/1.1\r\nHost: x\r\n\(fields)\r\n\r\n")
      try fixture.turn(until: { peer.receive().text.hasSuffix("}}") })
      let message = "\"code\":\"unauthorized\",\"message\":\"\(coarse)"
      #expect(peer.received.text.contains(message + (isExplained ? ": \(reason)" : "\"}")))
      #expect(!peer.received.text.contains(late))
    }
  }

  @Test(
    "nothing about connections is logged below debug", arguments: [LogLevel.error, .warning, .info])
  func levels(level: LogLevel) throws {
    let log = try ReadLog(level)
    let fixture = try ShardFixture(log: log.log)
    let peer = try fixture.session("u", path: Self.flat)
    try end(peer, by: .goodbye, fixture)
    _ = try fixture.session(nil, path: Self.flat)
    #expect(log.lines().isEmpty)
  }

  @Test("a burst of sessions logs ten lines a second and uses up none of the errors' lines")
  func rate() throws {
    let log = try ReadLog(.debug)
    let fixture = try ShardFixture(log: log.log)
    let peers = try (0..<25).map { try fixture.session("u\($0)", path: Self.flat) }
    #expect(peers.count == 25)
    #expect(log.lines().count == 10)
    log.log.write(.error, at: ShardFixture.startWall, "an error")
    #expect(log.lines() == ["an error"])
    try fixture.pass(milliseconds: 1_000)
    try end(peers[0], by: .goodbye, fixture)
    let told = log.lines()
    #expect(told.first == "15 lines were left out" && told.count == 2)
  }

  @Test("a line begins with its time and its level")
  func format() throws {
    let log = try ReadLog(.debug)
    let wall: Int64 = 1_700_000_000_123
    for level in [LogLevel.error, .warning, .info, .debug] {
      log.log.write(level, at: wall, "a message")
      #expect(log.drain().text == "2023-11-14T22:13:20.123Z \(level.name) a message\n")
    }
    // The line about left-out lines is no exception.
    for _ in 0..<12 { log.log.write(.error, at: wall, "x") }
    log.drain()
    log.log.write(.info, at: wall + 1_000, "y")
    let text = log.drain().text
    #expect(
      text == "2023-11-14T22:13:21.123Z info 5 lines were left out\n"
        + "2023-11-14T22:13:21.123Z info y\n")
  }

  @Test("a shard does not wait for the reader of the log")
  func fullPipe() throws {
    let log = try ReadLog(.debug)
    let fixture = try ShardFixture(log: log.log)
    log.fill()
    let peer = try fixture.session("u", path: Self.flat)
    #expect(peer.connection.state == .session)
    log.drain()
    try fixture.pass(milliseconds: 1_000)
    try end(peer, by: .goodbye, fixture)
    let told = log.lines()
    #expect(told.first == "1 lines were left out" && told.count == 2)
  }
}
