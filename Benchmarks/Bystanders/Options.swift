// The driver's command line.

internal import BenchmarkSupport

/// What to measure, and how long.
struct Options {
  static let usage = """
    usage: Innocents [--smoke] [--only confetti,blizzard,pings,sleepers,crowd] [--rounds 5]
                     [--seconds 8] [--innocents 200] [--rate 100] [--payload 64] [--shards 2]
                     [--frames-per-minute 10000000] [--sleepers 5000] [--channel-rate 1000]
                     [--channel-payload 1024] [--server PATH] [--json FILE]
      --smoke     two short rounds and 200 sleepers: that it works, not how fast
      --only      confetti: small frames at a pace; blizzard: as fast as they go; pings: of 125
                  bytes, their answers never read; sleepers: readers that never read, in a room
                  of their own; crowd: the same, of what the innocents are sent as well
      --seconds   of each window, quiet or attacked
    """

  var attacks = Attack.allCases
  var rounds = 5
  var windowMilliseconds = 8_000
  var bystanders = 200
  var rate = 100
  var payloadBytes = 64
  var shards = 2
  var framesPerMinute = 10_000_000
  var zeroWindowReaders = 5_000
  var channelRate = 1_000
  var channelPayloadBytes = 1_024
  var server = System.productDirectory() + "/carillon"
  var jsonPath: String?

  /// Reads the arguments; nil when they are not to be understood.
  init?(_ arguments: [String]) {
    var rest = arguments[...]
    // The smoke size first, so that every other flag can change it.
    if rest.contains("--smoke") {
      rounds = 2
      windowMilliseconds = 1_000
      zeroWindowReaders = 200
    }
    while let flag = rest.popFirst() {
      if flag == "--smoke" { continue }
      guard let value = rest.popFirst(), take(flag, value) else { return nil }
    }
  }

  private mutating func take(_ flag: String, _ value: String) -> Bool {
    switch flag {
    case "--server": server = value
    case "--json": jsonPath = value
    case "--only":
      attacks = value.split(separator: ",").compactMap { Attack(rawValue: String($0)) }
      return !attacks.isEmpty
    default:
      guard let number = Int(value), number > 0, number <= 1_000_000_000 else { return false }
      return take(flag, number)
    }
    return true
  }

  private mutating func take(_ flag: String, _ number: Int) -> Bool {
    switch flag {
    case "--rounds": rounds = number
    case "--seconds": windowMilliseconds = number * 1_000
    case "--innocents": bystanders = number
    case "--rate": rate = number
    case "--payload": payloadBytes = number
    case "--shards": shards = number
    case "--frames-per-minute": framesPerMinute = number
    case "--sleepers": zeroWindowReaders = number
    case "--channel-rate": channelRate = number
    case "--channel-payload": channelPayloadBytes = number
    default: return false
    }
    return true
  }
}
