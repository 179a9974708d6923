// The driver's command line.

internal import BenchmarkSupport

/// The parameters of a run.
struct Options {
  /// The measured servers, in the order in which the rounds alternate.
  enum Target: String, CaseIterable { case server, room, joined, separate }

  static let usage = """
    usage: FanOut [--smoke] [--only fanout|idle|durable] [--connections 1000,10000]
                  [--windows 1,16,256] [--rounds 5] [--round-ms 2000] [--payload 64]
                  [--idle 15000] [--id-bytes 11] [--durable-seconds 5]
                  [--targets server,room,joined,separate] [--frame BYTES] [--server PATH]
                  [--json FILE]
      --smoke      200 connections and three short rounds: checks that it works, not speed
      --id-bytes   the length of the user ids of connections
      --targets    server: Carillon, to everyone; room: the same server, to a room with all
                   connections; joined, separate: the baseline with one send per connection
                   and burst, or per connection and message
      --frame      the baseline's frame size; measured from the server when that is a target
    """

  var sections: Set<String> = ["fanout", "idle", "durable"]
  var connections = [1_000, 10_000]
  var windows = [1, 16, 256]
  var rounds = 5
  var roundMilliseconds = 2_000
  var payloadBytes = 64
  var idleConnections = 15_000
  var idByteCount = 11
  var durableMilliseconds = 5_000
  var targets: [Target] = [.server, .room, .joined]
  var frameByteCount = 180
  var server = System.productDirectory() + "/carillon"
  var baseline = System.productDirectory() + "/Baseline"
  var jsonPath: String?
  var isSmoke = false

  /// Reads the arguments; nil when they are invalid.
  init?(_ arguments: [String]) {
    var rest = arguments[...]
    // The smoke size first, so that every other flag can change it.
    if rest.contains("--smoke") { makeSmoke() }
    while let flag = rest.popFirst() {
      if flag == "--smoke" { continue }
      guard let value = rest.popFirst(), take(flag, value) else { return nil }
    }
  }

  private mutating func makeSmoke() {
    isSmoke = true
    connections = [200]
    windows = [1, 16]
    rounds = 3
    roundMilliseconds = 200
    idleConnections = 500
    durableMilliseconds = 500
  }

  private mutating func take(_ flag: String, _ value: String) -> Bool {
    let numbers = value.split(separator: ",").compactMap { Int($0) }.filter { $0 > 0 }
    let number = numbers.first
    switch flag {
    case "--connections" where !numbers.isEmpty: connections = numbers
    case "--windows" where !numbers.isEmpty: windows = numbers
    case "--rounds" where number != nil: rounds = number!
    case "--round-ms" where number != nil: roundMilliseconds = number!
    case "--payload" where number != nil: payloadBytes = number!
    case "--idle" where number != nil: idleConnections = number!
    case "--id-bytes" where number != nil: idByteCount = number!
    case "--durable-seconds" where number != nil: durableMilliseconds = number! * 1_000
    case "--frame" where number != nil: frameByteCount = number!
    case "--server": server = value
    case "--json": jsonPath = value
    case "--only": sections = Set(value.split(separator: ",").map(String.init))
    case "--targets":
      targets = value.split(separator: ",").compactMap { Target(rawValue: String($0)) }
      return !targets.isEmpty
    default: return false
    }
    return true
  }
}
