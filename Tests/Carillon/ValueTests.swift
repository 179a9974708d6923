// JSON values that a program passes to a bus, and the checks of a configuration.

import Glibc
import Testing

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
      ("shardCount", { $0.shardCount = 0 }), ("shardCount", { $0.shardCount = 129 }),
      ("dataPath", { $0.dataPath = "" }),
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
    #expect(BusConfiguration.makeSecret().utf8.count == 43)
  }
}
