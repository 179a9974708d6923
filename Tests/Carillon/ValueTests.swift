// JSON values that a program passes to a bus, and the checks of a configuration.

import Glibc
import Reactor
import Server
import Testing
import Tokens

@testable import Carillon

@Suite("JSON values from literals and factories")
struct JSONValueTests {
  @Test(
    "a literal or a factory makes the JSON text",
    arguments: [
      (nil, "null"), (true, "true"), (-7, "-7"), (125.5, "125.5"), (1e300, "1e+300"),
      ("a\"\n\u{1}é", #""a\"\n\u0001é""#), ([], "[]"), ([1, [2]], "[1,[2]]"), ([:], "{}"),
      (["b": 1, "a": ["c": nil]], #"{"b":1,"a":{"c":null}}"#),
      (.object(["k\"": .string("v"), "n": .number(2)]), #"{"k\"":"v","n":2}"#),
      (.number(Double.nan), "null"), (.number(-Double.infinity), "null"),
    ] as [(JSONValue, String)])
  func literals(value: JSONValue, text: String) {
    #expect(String(decoding: value.text, as: UTF8.self) == text)
  }

  @Test("an encoder's text is kept unchanged, without surrounding white space")
  func parsing() throws {
    #expect(try JSONValue(parsing: " {\"a\" : 1.50}\n").text == Array(#"{"a" : 1.50}"#.utf8))
  }

  @Test(
    "text that is not exactly one value is rejected",
    arguments: [
      "", "{", #"{"a":1},"user_id":"eve""#, "1 2", "NaN", String(repeating: "[", count: 33),
    ])
  func refusals(text: String) {
    #expect {
      try JSONValue(parsing: text)
    } throws: { error in
      guard case .invalid(field: "json", _)? = error as? BusError else { return false }
      return true
    }
  }
}

@Suite("A bus's configuration")
struct BusConfigurationTests {
  @Test("an invalid setting is rejected by its name")
  func refusals() {
    let changes: [(String, (inout BusConfiguration) -> Void)] = [
      ("tokenSecret", { $0.tokenSecret = "" }), ("apiKey", { $0.apiKey = "" }),
      ("tokenSecret", { $0.tokenSecret = nil }),
      ("tokenPublicKeys", { $0.tokenPublicKeys = "-----BEGIN PRIVATE KEY-----" }),
      ("tokenKeySetURL", { $0.tokenKeySetURL = "http://login.example/keys" }),
      ("badTokenRate", { $0.badTokenRate = .init(perSecond: -1) }),
      ("shardCount", { $0.shardCount = 0 }), ("shardCount", { $0.shardCount = 129 }),
      ("dataPath", { $0.dataPath = "" }),
      ("furtherHosts", { $0.furtherHosts = [String](repeating: "127.0.0.1", count: 16) }),
      (
        "pinsShards",
        { ($0.pinsShards, $0.shardCount) = (true, ProcessResources.processorCount + 1) }
      ),
      ("tokenLeeway", { $0.tokenLeeway = .seconds(31) }),
      ("tokenLeeway", { $0.tokenLeeway = .milliseconds(1_500) }),
      ("tokenLeeway", { $0.tokenLeeway = .seconds(-1) }),
      ("tokenUserClaim", { $0.tokenUserClaim = "" }),
      ("connectionsPerAddressLimit", { $0.connectionsPerAddressLimit = -1 }),
      ("sessionsPerUserLimit", { $0.sessionsPerUserLimit = 1_000_001 }),
      ("roomsPerUserLimit", { $0.roomsPerUserLimit = 1_000_001 }),
      ("connectRate", { $0.connectRate = .init(perSecond: -1) }),
      ("messageRate", { $0.messageRate = .init(perSecond: 1, burst: 0) }),
      ("requestRate", { $0.requestRate = .init(perSecond: -1) }),
      ("publishRate", { $0.publishRate = .init(perSecond: 1_000_001) }),
      ("backlogByteLimit", { $0.backlogByteLimit = 4_095 }),
      ("messageByteLimit", { $0.messageByteLimit = 65_537 }),
      ("socketIO.pingInterval", { $0.socketIO.pingInterval = .milliseconds(99) }),
      ("socketIO.pingTimeout", { $0.socketIO.pingTimeout = .seconds(3_601) }),
    ]
    for (name, change) in changes {
      #expect {
        try startBus(change)
      } throws: { error in
        guard case .invalid(let field, _)? = error as? BusError else { return false }
        return field == name
      }
    }
  }

  @Test(
    "a secret that is shorter than its algorithm's digest is refused, the shortest possible is not",
    arguments: [(BusConfiguration.TokenAlgorithm.hs256, 32), (.hs384, 48), (.hs512, 64)])
  func shortSecrets(algorithm: BusConfiguration.TokenAlgorithm, minimum: Int) async throws {
    #expect(throws: BusError.shortSecret(byteCount: minimum - 1, minimum: minimum)) {
      try startBus {
        $0.tokenAlgorithm = algorithm
        $0.tokenSecret = String(repeating: "x", count: minimum - 1)
      }
    }
    let bus = try startBus {
      $0.tokenAlgorithm = algorithm
      $0.tokenSecret = String(repeating: "x", count: minimum)
    }
    _ = try Listener("alice", at: bus)
    await bus.stop()
  }

  @Test("the defaults are those of the server, but for one shard and fewer log lines")
  func defaults() throws {
    let given = try BusConfiguration(
      dataPath: ":memory:", tokenSecret: BusConfiguration.makeSecret()
    ).serverConfiguration()
    let standard = Configuration(tokenPolicy: TokenPolicy(keys: []))
    #expect(given.host == standard.host && given.port == standard.port)
    #expect(given.shardCount == 1 && given.logLevel == .warning)
    #expect(given.roomPolicy == standard.roomPolicy && given.pinsShards == standard.pinsShards)
    #expect(given.limits.backlogBytesLimit == standard.limits.backlogBytesLimit)
    #expect(given.limits.messageBytesLimit == standard.limits.messageBytesLimit)
    #expect(given.limits.connectionsPerAddressLimit == nil)
    #expect(given.limits.sessionsPerUserLimit == nil)
    #expect(given.limits.connectRate == nil && given.limits.messageRate == nil)
    #expect(given.limits.requestRate == nil && given.limits.roomsPerUserLimit == nil)
    #expect(given.limits.publishRate == .off && given.limits.whenUserFull == .reject)
    #expect(given.tokenPolicy.leewaySeconds == standard.tokenPolicy.leewaySeconds)
    #expect(given.tokenPolicy.requiresExpiry && given.tokenPolicy.userClaim == nil)
    let (engine, usual) = (given.engines[0].settings, EngineSettings())
    #expect(engine.pingIntervalMilliseconds == usual.pingIntervalMilliseconds)
    #expect(engine.pingTimeoutMilliseconds == usual.pingTimeoutMilliseconds)
  }

  /// Section A.2 of RFC 8037.
  static let publicKey =
    #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#

  @Test("with public keys alone tokens are verified and none is made")
  func publicKeys() async throws {
    let configuration = BusConfiguration(dataPath: ":memory:", tokenPublicKeys: Self.publicKey)
    let server = try configuration.serverConfiguration()
    #expect(server.tokenPolicy.keys.map(\.algorithm) == [.eddsa])
    let bus = try startBus {
      $0.tokenSecret = nil
      $0.tokenPublicKeys = Self.publicKey
    }
    #expect(throws: BusError.self) { try bus.makeToken(for: "alice") }
    await bus.stop()
    var both = configuration
    both.tokenSecret = BusConfiguration.makeSecret()
    both.tokenKeySetURL = "https://login.example/keys"
    let mixed = try both.serverConfiguration()
    #expect(mixed.tokenPolicy.keys.map(\.algorithm) == [.eddsa, .hs256])
    #expect(mixed.keySource != nil)
  }

  @Test("each setting reaches the server")
  func settings() throws {
    var bus = BusConfiguration(dataPath: "d", tokenSecret: BusConfiguration.makeSecret())
    (bus.furtherHosts, bus.shardCount, bus.port) = (["::1"], 3, 9_000)
    (bus.tokenIssuer, bus.tokenAudience, bus.tokenUserClaim) = ("i", "a", "uid")
    (bus.tokenLeeway, bus.requiresTokenExpiry) = (.seconds(5), false)
    (bus.apiKey, bus.allowedOrigins) = ("k", ["https://a.example"])
    (bus.roomPolicy, bus.whenUserFull) = (.claimed, .replace)
    (bus.connectionsPerAddressLimit, bus.sessionsPerUserLimit) = (7, 8)
    (bus.connectRate, bus.messageRate) = (.init(perSecond: 1, burst: 2), .init(perSecond: 3))
    bus.roomsPerUserLimit = 9
    bus.requestRate = .init(perSecond: 6, burst: 7)
    (bus.publishRate, bus.backlogByteLimit) = (.init(perSecond: 4, burst: 5), 4_096)
    (bus.messageByteLimit, bus.logLevel) = (125, .debug)
    bus.socketIO.recovery = .off
    bus.socketIO.pingInterval = .milliseconds(300)
    bus.socketIO.pingTimeout = .seconds(3_600)
    let server = try bus.serverConfiguration()
    #expect(server.host == "127.0.0.1" && server.furtherHosts == ["::1"])
    #expect(server.port == 9_000 && server.shardCount == 3 && server.dataPath == "d")
    #expect(server.tokenPolicy.issuer == "i" && server.tokenPolicy.audience == "a")
    #expect(server.tokenPolicy.userClaim == "uid" && server.tokenPolicy.leewaySeconds == 5)
    #expect(!server.tokenPolicy.requiresExpiry)
    #expect(server.apiKey == "k" && server.allowedOrigins == ["https://a.example"])
    #expect(server.roomPolicy == .claimed && server.limits.whenUserFull == .replace)
    #expect(server.limits.connectionsPerAddressLimit == 7)
    #expect(server.limits.sessionsPerUserLimit == 8)
    #expect(server.limits.connectRate == .init(perSecond: 1, burst: 2))
    #expect(server.limits.messageRate == .init(perSecond: 3, burst: 3))
    #expect(server.limits.roomsPerUserLimit == 9)
    #expect(server.limits.requestRate == .init(perSecond: 6, burst: 7))
    #expect(server.limits.publishRate == .init(perSecond: 4, burst: 5))
    #expect(server.limits.backlogBytesLimit == 4_096 && server.limits.messageBytesLimit == 125)
    #expect(server.logLevel == .debug)
    #expect(server.engines[0].settings.pingIntervalMilliseconds == 300)
    #expect(server.engines[0].settings.pingTimeoutMilliseconds == 3_600_000)
  }

  @Test("a bus cannot start on a port in use or with a host name instead of an address")
  func taken() throws {
    let other = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(other) }
    // `listen` binds an unbound socket to a free port.
    try #require(listen(other, 1) == 0)
    let port = try #require(localPort(of: other))
    for (host, port) in [("127.0.0.1", port), ("localhost", 0)] {
      #expect {
        try startBus {
          $0.host = host
          $0.port = port
        }
      } throws: { error in
        guard case .cannotStart? = error as? BusError else { return false }
        return true
      }
    }
  }

  private func localPort(of descriptor: Int32) -> UInt16? {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getsockname(descriptor, $0, &length)
      }
    }
    return result == 0 ? UInt16(bigEndian: address.sin_port) : nil
  }

  @Test("printing, reflecting or dumping a configuration never shows its secrets")
  func secrets() {
    var configuration = BusConfiguration(dataPath: "d", tokenSecret: "canary-1")
    configuration.apiKey = "canary-2"
    var dumped = ""
    dump(configuration, to: &dumped)
    for text in ["\(configuration)", String(reflecting: configuration), dumped] {
      #expect(!text.contains("canary"))
    }
    #expect("\(configuration)" == "bus on 127.0.0.1 port 8080, store d")
  }

  @Test("each generated secret is different")
  func makingSecrets() {
    #expect(BusConfiguration.makeSecret() != BusConfiguration.makeSecret())
    #expect(BusConfiguration.makeSecret().utf8.count == 64)
  }
}
